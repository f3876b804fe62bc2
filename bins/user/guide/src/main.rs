//! The programs of the programmer's guide, one a module; the book shows them as they are here.
//!
//! `guide NAME` runs one. `guide` alone runs all and speaks the protocol of the guest tests.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod endpoints;
mod files;
mod forks;
mod lending;
mod mapped;
mod pipes;
mod readiness;
mod shared;
mod signals;
mod spawning;
mod tcp;
mod threads;

use swos_ulib::{
    abi::Errno,
    env,
    io::Result,
    println,
    testing::{Report, text},
};

swos_ulib::main!(run);

type Example = (&'static str, fn() -> Result<()>);

const EXAMPLES: &[Example] = &[
    ("spawning", spawning::main),
    ("forks", forks::main),
    ("files", files::main),
    ("pipes", pipes::main),
    ("threads", threads::main),
    ("endpoints", endpoints::main),
    ("shared", shared::main),
    ("mapped", mapped::main),
    ("signals", signals::main),
    ("readiness", readiness::main),
    ("tcp", tcp::main),
    ("lending", lending::main),
];

fn run() -> i32 {
    let Some(wanted) = env::args().nth(1) else {
        let mut report = Report::default();
        for (name, example) in EXAMPLES {
            report.test(name, || example().map_err(text));
        }
        return report.done();
    };
    let found = EXAMPLES.iter().find(|(name, _)| *name == wanted);
    match found.map_or(Err(Errno::NOENT.into()), |(_, example)| example()) {
        Ok(()) => 0,
        Err(wrong) => {
            println!("guide: {wanted}: {wrong}");
            1
        }
    }
}
