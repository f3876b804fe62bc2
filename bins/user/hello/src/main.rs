//! The program of the programmer's guide: reads a file, and starts itself again with less.

#![cfg_attr(target_os = "none", no_std, no_main)]

use swos_ulib::{
    abi::{Capabilities, Handle, Rights},
    env, fs,
    io::Result,
    println,
    process::Command,
};

swos_ulib::main!(run);

const MESSAGE: &str = "/etc/motd";

fn run() -> i32 {
    let result = match env::args().nth(1) {
        Some("child") => child(),
        _ => parent(),
    };
    match result {
        Ok(()) => 0,
        Err(wrong) => {
            println!("hello: {wrong}");
            1
        }
    }
}

fn parent() -> Result<()> {
    let message = fs::read(MESSAGE)?;
    println!("parent: {}", message.escape_ascii());
    // Named here is all that the child gets: our output, to write to. No input, no files, no network.
    let status = Command::new("/bin/hello")
        .arg("child")
        .handle(1, Handle::STDOUT, Rights::WRITE)
        .capabilities(Capabilities::empty())
        .status()?;
    println!("parent: the child ended with {status}");
    Ok(())
}

fn child() -> Result<()> {
    match fs::read(MESSAGE) {
        Ok(_) => println!("child: I could read it"),
        Err(wrong) => println!("child: {MESSAGE}: {wrong}"),
    }
    Ok(())
}
