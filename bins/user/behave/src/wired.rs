//! What `init` leads from one service to another: run by it as services, with a name service that dies.

use alloc::string::String;
use core::time::Duration;

use swos_ulib::{
    abi::{Errno, Rights, SIGKILL, THREAD_WAITING},
    env,
    ipc::{Message, Receiver, Sender, endpoint},
    names::NameService,
    process, sys, system,
    testing::{equal, text},
    thread, time,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "wired",
    checks: &[
        ("a service finds another by its name", found),
        ("the badge is that of the description", badge),
        ("who may only send does not register", forbidden),
        ("a sender is not minted from and a service has no other", least),
        ("what a service had taken when it died is over", over),
        ("what it had not taken waits for the next one", waits),
        ("names are there again", found),
    ],
    child,
};

/// Longer than `init` waits before it starts a service again.
const PATIENCE: Duration = Duration::from_secs(20);

fn child(deed: &str) -> i32 {
    match deed {
        "echo" => echo().map_or(1, |()| 0),
        _ => UNKNOWN,
    }
}

/// Offers to repeat what it is told, and who said it, for as long as it lives.
fn echo() -> Result<(), Errno> {
    let names = NameService::new(env::sender("names").ok_or(Errno::NOENT)?);
    let (sender, receiver) = endpoint()?;
    thread::spawn(move || repeat(&receiver))?;
    loop {
        let copy = sys::handle_duplicate(sender.handle(), Rights::all(), 0).map(Sender::from_handle)?;
        names.register("echo", copy)?;
        match names.hold("echo") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn repeat(receiver: &Receiver) -> Result<(), Errno> {
    let mut message = Message::new();
    let mut next = receiver.receive(&mut message, None)?;
    loop {
        let answer = [message.badge().to_le_bytes().as_slice(), message.bytes()].concat();
        next = match next {
            Some(token) => receiver.reply_receive(token, &answer, &mut message, None)?,
            None => receiver.receive(&mut message, None)?,
        };
    }
}

/// The way to the name service, which all checks have in turn: the handle stays open.
fn with_names<T>(work: impl FnOnce(&NameService) -> Result<T, String>) -> Result<T, String> {
    let sender = env::sender("names").ok_or("no sender")?;
    let names = NameService::new(sender);
    let done = work(&names);
    core::mem::forget(names);
    done
}

fn ask_echo() -> Result<(u64, String), String> {
    let echo = with_names(|names| names.wait_for("echo", Some(PATIENCE)).map_err(text))?;
    let mut room = [0; 64];
    let answer = echo.call(b"hello", &mut room).map_err(text)?;
    let (badge, said) = answer.split_first_chunk::<8>().ok_or("a short answer")?;
    Ok((u64::from_le_bytes(*badge), String::from_utf8_lossy(said).into_owned()))
}

fn found() -> Result<(), String> {
    equal(ask_echo()?.1.as_str(), "hello")
}

/// Third in the text.
fn badge() -> Result<(), String> {
    equal(ask_echo()?.0, 3)
}

fn forbidden() -> Result<(), String> {
    let (sender, _receiver) = endpoint().map_err(text)?;
    with_names(|names| equal(names.register("mine", sender), Err(Errno::ACCES)))
}

fn least() -> Result<(), String> {
    let sender = env::sender("names").ok_or("no sender")?.into_handle().into_inner();
    let expected = Rights::WRITE | Rights::TRANSFER | Rights::GETATTR;
    equal(sys::handle_rights(sender), Ok(expected))?;
    equal((env::sender("name").is_none(), env::sender("").is_none()), (true, true))?;
    equal(sys::handle_rights(env::receiver().handle()), Err(Errno::BADF))
}

fn name_service() -> Result<u32, String> {
    let mut all = system::processes().filter_map(Result::ok);
    all.find(|process| process.name.starts_with(b"nameservice"))
        .map(|process| process.pid)
        .ok_or("none".into())
}

/// Ends the name service, and waits until that has happened.
fn kill() -> Result<u32, String> {
    let pid = name_service()?;
    sys::kill(u64::from(pid), SIGKILL).map_err(text)?;
    let start = time::Instant::now();
    while name_service() == Ok(pid) {
        if start.elapsed() > PATIENCE {
            return Err("it lives".into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(pid)
}

fn over() -> Result<(), String> {
    let waiting = thread::spawn(|| {
        with_names(|names| Ok(names.wait_for("nobody", None).map(drop))).unwrap_or(Err(Errno::NOENT))
    })
    .map_err(text)?;
    // It waits for its answer: a wait for a page of the program would be over by the next look.
    let mut seen = 0;
    while seen < 3 {
        thread::sleep(Duration::from_millis(1));
        let info = thread::thread_info(process::id(), waiting.thread().id()).map_err(text)?;
        seen = if info.is_some_and(|info| info.state == THREAD_WAITING) { seen + 1 } else { 0 };
    }
    // Served after that one.
    found()?;
    kill()?;
    equal(waiting.join(), Err(Errno::PIPE))
}

fn waits() -> Result<(), String> {
    found()?;
    let old = kill()?;
    // Nobody receives at this moment.
    with_names(|names| equal(names.remove("nobody"), Err(Errno::NOENT)))?;
    equal(name_service()? == old, false)
}
