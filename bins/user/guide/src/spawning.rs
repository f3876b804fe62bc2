//! Starts programs and learns how they ended.

use swos_ulib::{
    abi::{Capabilities, Handle, Rights},
    env, fs,
    io::Result,
    println,
    process::Command,
    thread,
    time::Duration,
};

pub(crate) fn main() -> Result<()> {
    match env::args().nth(2) {
        Some("child") => return child(),
        Some("sleeper") => {
            thread::sleep(Duration::from_secs(3600));
            return Ok(());
        }
        _ => {}
    }
    // The child gets what is named here and nothing else: two arguments, one handle, one capability.
    let status = Command::new("/bin/guide")
        .args(["spawning", "child"])
        .handle(1, Handle::STDOUT, Rights::WRITE)
        .capabilities(Capabilities::FS_READ)
        .status()?;
    println!("parent: the child ended with {status}");

    let sleeper = Command::new("/bin/guide").args(["spawning", "sleeper"]).spawn()?;
    println!("parent: the sleeper has ended: {}", sleeper.try_wait()?.is_some());
    sleeper.kill()?;
    println!("parent: signal {:?} ended it", sleeper.wait()?.signal());
    Ok(())
}

fn child() -> Result<()> {
    println!("child: {} bytes read", fs::read("/etc/motd")?.len());
    // Nobody gave it FS_WRITE.
    if let Err(wrong) = fs::write("/tmp/mine", "mine") {
        println!("child: {wrong}");
    }
    Ok(())
}
