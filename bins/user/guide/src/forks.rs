//! The other way to start a program: a copy of oneself, which becomes it.

use swos_ulib::{
    abi::Capabilities,
    env,
    io::Result,
    println,
    process::{self, Command, Fork},
};

pub(crate) fn main() -> Result<()> {
    if let Some(text) = env::args().nth(2) {
        println!("the new program says {text}");
        return Ok(());
    }
    let before = 6;
    match process::fork()? {
        Fork::Child => {
            // Memory, handles and capabilities are the parent's, as at one moment; of its threads only this one.
            println!("the copy knows {}", before * 7);
            // Handles stay as they are, but those marked to close; authority becomes what is named here.
            let mut next = Command::new("/bin/guide");
            next.args(["forks", "hello"]).capabilities(Capabilities::empty());
            // Returns only if it can't be: then this process is still the copy.
            let wrong = next.exec();
            println!("{wrong}");
            process::exit(1)
        }
        Fork::Parent(child) => {
            println!("the parent saw it end with {}", child.wait()?);
            Ok(())
        }
    }
}
