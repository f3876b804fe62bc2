//! Memory that two processes have in common.

use core::sync::atomic::Ordering;
use swos_ulib::{
    abi::{Handle, Rights},
    env,
    io::Result,
    memory::{MemoryObject, Use},
    println,
    process::Command,
};

/// Under this number the child gets the object.
const GIVEN: u32 = 3;

pub(crate) fn main() -> Result<()> {
    if env::args().nth(2) == Some("child") {
        let shared = MemoryObject::from_handle(Handle(u64::from(GIVEN))).map(Use::Write)?;
        for word in shared.words().iter().take(100) {
            word.fetch_add(1, Ordering::Relaxed);
        }
        shared.write(1024, b"the child was here");
        return Ok(());
    }
    let object = MemoryObject::new(4096)?;
    let shared = object.map(Use::Write)?;
    for _ in 0..2 {
        // What it may do with the memory goes with the handle; who only looks on gets no WRITE.
        let rights = Rights::READ | Rights::WRITE | Rights::MAP | Rights::GETATTR;
        Command::new("/bin/guide")
            .args(["shared", "child"])
            .handle(GIVEN, object.handle(), rights)
            .status()?;
    }
    // Others change these bytes at any time, so they are copied out, and words are atomic.
    let sum: u32 = shared.words().iter().take(100).map(|word| word.load(Ordering::Relaxed)).sum();
    let mut text = [0; 18];
    shared.read(1024, &mut text);
    println!("sum {sum}, {}", text.escape_ascii());
    Ok(())
}
