//! Test program: makes the kernel work as long at a time as a program can make it.
//!
//! `stretch` runs all cases, `stretch NAME ..` some. Each prints a line when it begins and one when it has ended; who
//! counts looks for the longest piece of work between the two (`cargo xtask bench kernel_stretch`). `stretch child DEED`
//! is what cases start when the end of a process is the question.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "maps, touches and unmaps memory in unusual patterns")]

extern crate alloc;

mod crowds;
mod files;
mod memory;
mod messages;
mod network;
mod processes;
mod threads;
mod trees;

use alloc::string::{String, ToString as _};

use swos_ulib::{
    abi::{Capabilities, Handle, Rights},
    env, println,
    process::Command,
};

swos_ulib::main!(run);

/// What is done, and why it failed.
type Case = (&'static str, fn() -> Result<(), String>);

const CASES: &[&[Case]] = &[
    memory::CASES,
    files::CASES,
    network::CASES,
    threads::CASES,
    processes::CASES,
    messages::CASES,
    crowds::CASES,
    trees::CASES,
];

fn run() -> i32 {
    if env::args().nth(1) == Some("child") {
        return child(env::args().nth(2).unwrap_or(""));
    }
    let (mut count, mut failed) = (0, 0);
    for (name, _) in CASES.iter().copied().flatten() {
        if env::args().nth(1).is_some() && !env::args().skip(1).any(|wanted| wanted == *name) {
            continue;
        }
        println!("STRETCH-BEGIN {name}");
        // In a process of its own, so that no case finds what another left.
        let result = child_ends(name);
        count += 1;
        match result {
            Ok(()) => println!("STRETCH-END {name}"),
            Err(why) => {
                failed += 1;
                println!("STRETCH-FAIL {name}: {why}");
            }
        }
    }
    println!("STRETCH-DONE {count} {failed}");
    i32::from(failed > 0)
}

fn child(deed: &str) -> i32 {
    let done = match deed {
        "nothing" => Ok(()),
        "memory" => memory::touch_much(),
        "areas" => memory::many_areas().map(drop),
        "mapped" => memory::mapped_files().map(drop),
        "threads" => threads::crowd(),
        "killed" => threads::crowd().map(|()| threads::for_ever()),
        "parent" => processes::many_children(),
        "waiter" => {
            threads::for_ever();
            Ok(())
        }
        "handles" => files::many_handles().map(core::mem::forget),
        "letters" => messages::letters().map(drop),
        "zombies" => crowds::zombies(),
        "session" => crowds::session(),
        "generations" => crowds::generations(),
        "blocked" => crowds::blocked(),
        "exec" => crowds::exec(),
        "fork-of-threads" => crowds::fork_of_threads(),
        "words" => crowds::words(),
        "hungry" => trees::hungry(),
        "unread" => network::unread_at_the_end(),
        name => match CASES.iter().copied().flatten().find(|(case, _)| *case == name) {
            Some((_, case)) => case(),
            None => Err(name.to_string()),
        },
    };
    if let Err(why) = &done {
        swos_ulib::eprintln!("stretch: {deed}: {why}");
    }
    i32::from(done.is_err())
}

/// This program again, to do `deed`.
pub(crate) fn this_program(deed: &str) -> Command {
    let mut command = Command::new("/bin/stretch");
    command.args(["child", deed]).handle(
        2,
        Handle::STDERR,
        Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER,
    );
    command.capabilities(Capabilities::all());
    command
}

/// Starts a child for `deed` and waits for its end.
pub(crate) fn child_ends(deed: &str) -> Result<(), String> {
    let status = this_program(deed).status().map_err(|errno| errno.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}
