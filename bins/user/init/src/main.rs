//! First process: configures the network, starts what `/etc/swos/services` names, restarts what dies.
//!
//! With arguments (the kernel passes what follows `--` on its command line) it runs that program instead, with all that it has
//! itself, says how it ended and switches the machine off. With `--services PATH` it starts what that text names.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod supervise;

use swos_ulib::{
    abi::{Capabilities, Errno},
    fs,
    log::{self, LOG_ERROR, LOG_WARNING},
    println,
    process::{self, Child, Command, ExitStatus},
    system::{self, NetworkFile},
    thread,
    time::Duration,
};

swos_ulib::main!(run);

/// The network's static configuration; there may be none.
const NETWORK: &str = "/etc/swos/net";
/// What to run.
const SERVICES: &str = "/etc/swos/services";

fn run() -> i32 {
    configure_network();
    let mut args = swos_ulib::env::args_bytes().skip(1);
    match args.next() {
        None => serve(SERVICES),
        Some(b"--services") => serve(args.next().and_then(|path| str::from_utf8(path).ok()).unwrap_or("")),
        Some(program) => return run_one(program, args),
    }
    // Init's end is the machine's; without services the operator has the log, and time to read it.
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Runs the services of a text, as long as there are any.
fn serve(path: &str) {
    match fs::read(path) {
        Ok(text) => match swos_services::parse(&text) {
            Ok(services) => supervise::run(&services),
            Err(wrong) => {
                let (line, column, problem) = (wrong.line, wrong.column, wrong.problem);
                log::write(LOG_ERROR, format_args!("{path}:{line}:{column}: {problem:?}"));
            }
        },
        Err(wrong) => log::write(LOG_ERROR, format_args!("{path}: {wrong}")),
    }
}

fn configure_network() {
    let text = match fs::read_to_string(NETWORK) {
        Ok(text) => text,
        Err(fs::NOT_FOUND) => return,
        Err(wrong) => return log::write(LOG_WARNING, format_args!("{NETWORK}: {wrong}")),
    };
    match NetworkFile::parse(&text).map(|file| file.apply()) {
        // EXIST: the kernel's command line came first.
        Ok(Ok(()) | Err(Errno::EXIST)) => {}
        Ok(Err(errno)) => log::write(LOG_WARNING, format_args!("network: {errno}")),
        Err(line) => log::write(LOG_ERROR, format_args!("{NETWORK}:{line}: not understood")),
    }
}

/// Waits for a child. Orphans that end meanwhile are ours, too.
fn wait_for(child: &Child) -> Result<ExitStatus, Errno> {
    loop {
        let status = process::wait_any()?;
        if status.0.pid == child.id() {
            return Ok(status);
        }
    }
}

/// Runs one program to its end, then switches the machine off.
fn run_one(program: &'static [u8], args: impl Iterator<Item = &'static [u8]>) -> i32 {
    let name = str::from_utf8(program).unwrap_or("?");
    let mut command = Command::new(program);
    command.args(args).inherit_streams().capabilities(Capabilities::all());
    match command.spawn().and_then(|child| wait_for(&child)) {
        Ok(status) => println!("init: {name} ended with {status}"),
        Err(errno) => println!("init: {name} can't be started: {errno}"),
    }
    let _refused = system::power_off();
    1
}
