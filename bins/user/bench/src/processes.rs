//! Benchmarks that start processes.

use core::hint::black_box;

use swos_ulib::{
    abi::{Capabilities, Errno},
    process::{self, Command, Fork, fork},
};

use crate::{SELF, time};

fn nothing() -> Command {
    let mut command = Command::new(SELF);
    command.arg("nop").capabilities(Capabilities::empty());
    command
}

/// What `vfork`, `exec` and `wait` come to.
pub(crate) fn spawn() -> Result<(), Errno> {
    let command = nothing();
    command.status()?;
    time("spawn_wait", 200, |_| {
        let _ = black_box(command.status());
    });
    Ok(())
}

fn forked(deed: impl FnOnce() -> i32) -> Result<(), Errno> {
    match fork()? {
        Fork::Child => process::exit(deed()),
        Fork::Parent(child) => child.wait().map(drop),
    }
}

pub(crate) fn forks() -> Result<(), Errno> {
    forked(|| 0)?;
    time("fork_exit_wait", 200, |_| {
        let _ = black_box(forked(|| 0));
    });
    let command = nothing();
    let become_nothing = || i32::from(command.exec().get());
    forked(become_nothing)?;
    time("fork_exec_wait", 200, |_| {
        let _ = black_box(forked(become_nothing));
    });
    Ok(())
}
