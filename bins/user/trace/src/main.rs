//! Shows the system calls of a program: `trace PROGRAM ARGUMENTS..`. The program has this one's streams and capabilities; its calls come on
//! standard error, one a line, and its status is this program's: 128 and the signal's number if a signal ended it.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use swos_ulib::{abi::Errno, env, eprintln, pipe::pipe, println, process::Command, system, trace};

swos_ulib::main!(run);

const USAGE: &str =
    "usage: trace PROGRAM ARGUMENTS..\nShows the system calls of a program on standard error.";

fn run() -> i32 {
    let mut args = env::args_bytes().skip(1);
    let program = match args.next() {
        None => {
            eprintln!("{USAGE}");
            return 2;
        }
        Some(b"--help") => {
            println!("{USAGE}");
            return 0;
        }
        Some(program) => program,
    };
    match follow(program, args) {
        Ok(status) => status,
        Err(errno) => {
            eprintln!("trace: {}: {errno}", program.escape_ascii());
            1
        }
    }
}

fn follow(program: &'static [u8], args: impl Iterator<Item = &'static [u8]>) -> Result<i32, Errno> {
    let (mut reader, writer) = pipe()?;
    let own = swos_ulib::abi::Capabilities::from_bits_retain(system::security_info()?.capabilities);
    let mut command = Command::new(program);
    command.args(args).inherit_streams().capabilities(own).trace(writer.handle());
    let running = command.spawn()?;
    // The program's is the last one then, and the trace ends with it.
    drop(writer);
    while let Ok(Some(record)) = trace::next(&mut reader) {
        eprintln!("{}", trace::line(&record));
    }
    let status = running.wait()?;
    if status.signal().is_some() {
        eprintln!("{} ended with {status}", program.escape_ascii());
    }
    Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1))
}
