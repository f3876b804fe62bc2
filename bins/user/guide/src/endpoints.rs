//! A server that is called: its clients are known by badges, and an answer can bring a handle.

use swos_ulib::{
    abi::{Errno, Rights},
    fs::File,
    io::{Read as _, Result},
    ipc::{Message, Outgoing, Receiver, endpoint},
    println, thread,
};

/// Answers questions; for `motd` with the open file itself, to be read and no more.
fn serve(server: &Receiver) -> Result<()> {
    let mut question = Message::new();
    loop {
        // PIPE: no sender is left, so nobody can ask any more.
        let token = match server.receive(&mut question, None) {
            Ok(Some(token)) => token,
            Ok(None) => continue,
            Err(Errno::PIPE) => return Ok(()),
            Err(wrong) => return Err(wrong.into()),
        };
        let badge = question.badge();
        if question.bytes() == b"motd" {
            let file = File::open("/etc/motd")?.into_handle();
            let mut answer = Outgoing::new(b"here").with(file, Rights::READ);
            server.reply_message(token, &mut answer).map_err(|(wrong, _)| wrong)?;
        } else {
            let answer = alloc::format!("client {badge} asked {} bytes", question.bytes().len());
            server.reply(token, answer.as_bytes()).map_err(|(wrong, _)| wrong)?;
        }
    }
}

pub(crate) fn main() -> Result<()> {
    let (sender, receiver) = endpoint()?;
    let server = thread::spawn(move || serve(&receiver))?;

    // A badge is minted into a copy of the sender, and can't be changed: the server knows whom it gave it to.
    let first = sender.mint(1)?;
    let second = sender.mint(2)?;
    let mut room = [0; 64];
    for client in [&first, &second] {
        let answer = client.call(b"who am I?", &mut room)?;
        println!("{}", answer.escape_ascii());
    }
    let mut answer = Message::new();
    first.call_message(&mut Outgoing::new(b"motd"), &mut answer, None)?;
    for (handle, _) in answer.take_handles() {
        let mut file = File::from_handle(handle.into_inner());
        println!("{} and {} bytes of a file", answer.bytes().escape_ascii(), file.read(&mut room)?);
    }
    drop((first, second, sender));
    server.join()
}
