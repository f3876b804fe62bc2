//! Test program: one check for each behaviour that programs may rely on.
//!
//! `behave AREA` runs the checks of one area and speaks the protocol of the guest tests on standard output. `behave child AREA
//! DEED` is what the checks start when they need another process; its exit status is what the deed has to tell.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod authority;
mod bytes;
mod confine;
mod devices;
mod dirs;
mod endpoints;
mod events;
mod files;
mod futex;
mod groups;
mod handles;
mod limits;
mod log;
mod mappings;
mod memory;
mod names;
mod objects;
mod pipes;
mod processes;
#[expect(unsafe_code, reason = "addresses to try things with; argued in SOUNDNESS.md")]
mod region;
mod renames;
mod rings;
mod signals;
mod socketpairs;
mod sys;
mod threads;
mod trace;
mod wired;

use alloc::string::String;

use swos_ulib::{
    abi::{Capabilities, Handle, Rights},
    env,
    process::Command,
    testing::Report,
};

swos_ulib::main!(run);

/// What a behaviour is called, and what shows it.
type Check = (&'static str, fn() -> Result<(), String>);

/// A group of behaviours.
struct Area {
    name: &'static str,
    checks: &'static [Check],
    /// What a child of a check does; its status.
    child: fn(&str) -> i32,
}

const AREAS: &[&Area] = &[
    &authority::AREA,
    &bytes::AREA,
    &confine::AREA,
    &devices::AREA,
    &dirs::AREA,
    &endpoints::AREA,
    &endpoints::LIVE,
    &files::AREA,
    &futex::AREA,
    &groups::AREA,
    &handles::AREA,
    &limits::AREA,
    &log::AREA,
    &mappings::AREA,
    &memory::AREA,
    &objects::AREA,
    &pipes::AREA,
    &processes::AREA,
    &renames::AREA,
    &sys::AREA,
    &threads::AREA,
    &trace::AREA,
    &events::AREA,
    &names::AREA,
    &rings::AREA,
    &signals::AREA,
    &signals::children::AREA,
    &socketpairs::AREA,
    &wired::AREA,
];

/// A child that knew no such deed.
const UNKNOWN: i32 = 127;

fn run() -> i32 {
    let mut args = env::args().skip(1);
    let word = args.next().unwrap_or("");
    let (name, deed) = if word == "child" { (args.next().unwrap_or(""), args.next()) } else { (word, None) };
    let Some(area) = AREAS.iter().find(|area| area.name == name) else { return UNKNOWN };
    if let Some(deed) = deed {
        return (area.child)(deed);
    }
    let mut report = Report::default();
    for (name, check) in area.checks {
        report.test(name, check);
    }
    report.done()
}

/// This program again, to do `deed` of `area`: with standard error, and the right to read files and start programs.
fn child(area: &str, deed: &str) -> Command {
    let mut command = Command::new("/bin/behave");
    command.args(["child", area, deed]).handle(2, Handle::STDERR, Rights::WRITE);
    command.capabilities(Capabilities::FS_READ | Capabilities::SPAWN);
    command
}
