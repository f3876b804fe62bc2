//! Shows the system calls of a program: `trace PROGRAM ARGUMENTS..`. The program has this one's streams and capabilities; its calls come on
//! standard error, one a line, and its status is this program's.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use swos_ulib::{abi::Errno, env, eprintln, pipe::pipe, process::Command, system, trace};

swos_ulib::main!(run);

fn run() -> i32 {
    let mut args = env::args_bytes().skip(1);
    let Some(program) = args.next() else {
        eprintln!("usage: trace PROGRAM ARGUMENTS..");
        return 2;
    };
    match follow(program, args) {
        Ok(status) => status,
        Err(errno) => {
            eprintln!("trace: {errno}");
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
    Ok(running.wait()?.code().unwrap_or(1))
}
