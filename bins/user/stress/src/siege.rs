//! The web server beside a fork bomb, which whoever is at the console lights and puts out.

use core::time::Duration;

use swos_ulib::{
    abi::{Capabilities, Errno, Handle, Rights, SIGKILL},
    io::{Read as _, stdin},
    println,
    process::{Child, Command, fork},
    signal, thread,
};

use crate::{SELF, website};

/// How many processes the bomb may be at most.
const BOMB_PROCESSES: u32 = 50;
const BOMB_MEMORY: u64 = 16 << 20;

/// Serves the website and tells the figures of the system. A byte on standard input lights a bomb, the next one puts it out, and so
/// on.
pub(crate) fn besieged() -> i32 {
    let mut probe = Command::new("/bin/probe");
    probe.handle(1, Handle::STDOUT, Rights::WRITE);
    match website(0).and_then(|_| probe.spawn()).and_then(|_| obey()) {
        Ok(()) => 0,
        Err(errno) => {
            println!("besieged: {errno}");
            1
        }
    }
}

/// Until standard input ends.
fn obey() -> Result<(), Errno> {
    let mut bomb = None;
    while stdin().read(&mut [0]).is_ok_and(|count| count > 0) {
        bomb = match bomb.take() {
            None => {
                let lit = light()?;
                println!("@bomb lit processes={BOMB_PROCESSES}");
                Some(lit)
            }
            Some(lit) => {
                put_out(&lit)?;
                println!("@bomb out");
                None
            }
        };
    }
    Ok(())
}

/// A bomb in a process group of its own.
fn light() -> Result<Child, Errno> {
    let mut bomb = Command::new(SELF);
    bomb.arg("bomb").capabilities(Capabilities::SPAWN | Capabilities::FS_READ);
    bomb.limits(BOMB_MEMORY, 8, 1).process_limit(BOMB_PROCESSES).process_group(0).spawn()
}

/// Kills the group until it has no member. Those that had lost their parent are waited for by init.
fn put_out(bomb: &Child) -> Result<(), Errno> {
    signal::kill_group(bomb.id(), SIGKILL)?;
    bomb.wait()?;
    loop {
        match signal::kill_group(bomb.id(), SIGKILL) {
            Ok(()) => thread::sleep(Duration::from_millis(1)),
            Err(Errno::SRCH) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Each process that comes to be makes as many as it can, for ever and without a pause.
pub(crate) fn explode() -> ! {
    loop {
        let _refused_at_the_limit = fork();
    }
}
