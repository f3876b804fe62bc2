//! A pipe from a child to its parent.

use swos_ulib::{
    abi::Rights,
    env,
    io::{Read as _, Result},
    pipe::pipe,
    println,
    process::Command,
};

pub(crate) fn main() -> Result<()> {
    if env::args().nth(2) == Some("child") {
        println!("1 apple");
        println!("2 pears");
        return Ok(());
    }
    let (mut reader, writer) = pipe()?;
    // The writing end becomes the child's standard output.
    let child = Command::new("/bin/guide")
        .args(["pipes", "child"])
        .handle(1, writer.handle(), Rights::WRITE)
        .spawn()?;
    // Ours is one writer too many: the end of the data comes when the last one is gone.
    drop(writer);
    let mut text = [0; 64];
    let mut length = 0;
    loop {
        match reader.read(text.get_mut(length..).unwrap_or_default())? {
            0 => break,
            count => length += count,
        }
    }
    let text = core::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or("?");
    println!("{} lines, the last is {:?}", text.lines().count(), text.lines().last());
    child.wait()?;
    Ok(())
}
