//! Starting programs, and ends of processes that have many children.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Handle, Rights},
    process::{Command, wait_any},
    testing::text,
};

use crate::{Case, child_ends, this_program};

pub(crate) const CASES: &[Case] = &[
    ("spawn-with-long-arguments", || arguments(1, 120_000)),
    ("spawn-with-many-arguments", || arguments(13_000, 1)),
    ("spawn-with-many-handles", handles),
    ("end-with-500-children", orphans),
    ("wait-for-500", wait),
];

const CHILDREN: usize = 500;

fn arguments(count: usize, length: usize) -> Result<(), String> {
    let mut command = Command::new("/bin/stretch");
    command.args(["child", "nothing"]);
    let argument = vec![b'x'; length];
    for _ in 0..count {
        command.arg(&argument);
    }
    command.status().map(drop).map_err(text)
}

fn handles() -> Result<(), String> {
    let mut command = this_program("nothing");
    for target in 3..1000 {
        command.handle(target, Handle::STDERR, Rights::WRITE);
    }
    command.status().map(drop).map_err(text)
}

/// Children that wait for ever, left to whoever takes them.
pub(crate) fn many_children() -> Result<(), String> {
    (0..CHILDREN).try_for_each(|_| this_program("waiter").spawn().map(drop).map_err(text))
}

fn orphans() -> Result<(), String> {
    child_ends("parent")
}

/// The last of many children ends first.
fn wait() -> Result<(), String> {
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        children.push(this_program("waiter").spawn().map_err(text)?);
    }
    for child in children.iter().rev() {
        child.kill().map_err(text)?;
        wait_any().map_err(text)?;
    }
    Ok(())
}
