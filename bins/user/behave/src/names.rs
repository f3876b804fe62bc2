//! The name service.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use swos_ulib::{
    abi::{Errno, Rights},
    ipc::{Message, Receiver, Sender, endpoint},
    names::NameService,
    process::{Child, Command},
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "names",
    checks: &[
        ("a service is found by its name", found),
        ("an unknown name is nobody", unknown),
        ("who may not register does not", forbidden),
        ("a name is its owner's", owned),
        ("a service that starts again takes its name back", again),
        ("the name of a dead service is free", dead),
        ("who waits gets it when it comes", waits),
        ("who waits in vain is told when its time is over", in_vain),
        ("a removed name is unknown", removed),
        ("who has a name is told when it has it no more", held),
        ("what is no name is refused", senseless),
        ("the service learns who calls", badges),
        ("a found sender cannot be minted from", not_minted),
        ("names are bounded", bounded),
    ],
    child: |_| UNKNOWN,
};

/// May register.
const OFFERS: u64 = 1 << 63;

/// A name service, and a sender to make ways to it from.
struct Service {
    child: Child,
    root: Sender,
}

impl Service {
    fn start() -> Result<Self, String> {
        let (root, receiver) = endpoint().map_err(text)?;
        let child = Command::new("/bin/nameservice")
            .handle(3, receiver.handle(), Rights::READ)
            .spawn()
            .map_err(text)?;
        Ok(Self { child, root })
    }

    fn way(&self, badge: u64) -> Result<NameService, String> {
        self.root.mint(badge).map(NameService::new).map_err(text)
    }

    fn end(self) -> Result<(), String> {
        drop(self.root);
        equal(self.child.wait().map_err(text)?.code(), Some(0))
    }
}

/// Looks up a name, sends something there, and says what badge came.
fn call_through(way: &NameService, receiver: &Receiver) -> Result<u64, String> {
    way.look_up("log").map_err(text)?.send(b"hello").map_err(text)?;
    let mut message = Message::new();
    receiver.receive(&mut message, None).map_err(text)?;
    equal(message.bytes(), b"hello".as_slice())?;
    Ok(message.badge())
}

fn found() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, receiver) = endpoint().map_err(text)?;
    let (offers, asks) = (service.way(OFFERS | 1)?, service.way(2)?);
    offers.register("log", sender).map_err(text)?;
    call_through(&asks, &receiver)?;
    call_through(&offers, &receiver)?;
    drop((offers, asks));
    service.end()
}

fn unknown() -> Result<(), String> {
    let service = Service::start()?;
    equal(service.way(2)?.look_up("nobody").map(drop), Err(Errno::NOENT))?;
    equal(service.way(2)?.remove("nobody"), Err(Errno::NOENT))?;
    service.end()
}

fn forbidden() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    equal(service.way(2)?.register("log", sender), Err(Errno::ACCES))?;
    equal(service.way(2)?.look_up("log").map(drop), Err(Errno::NOENT))?;
    service.end()
}

fn owned() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, receiver) = endpoint().map_err(text)?;
    let (other, _other_receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    equal(service.way(OFFERS | 2)?.register("log", other), Err(Errno::EXIST))?;
    equal(service.way(OFFERS | 2)?.remove("log"), Err(Errno::EXIST))?;
    call_through(&service.way(3)?, &receiver)?;
    service.end()
}

fn again() -> Result<(), String> {
    let service = Service::start()?;
    let (old, _old_receiver) = endpoint().map_err(text)?;
    let (new, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", old).map_err(text)?;
    service.way(OFFERS | 1)?.register("log", new).map_err(text)?;
    call_through(&service.way(3)?, &receiver)?;
    service.end()
}

fn dead() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    drop(receiver);
    equal(service.way(3)?.look_up("log").map(drop), Err(Errno::NOENT))?;
    let (sender, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 2)?.register("log", sender).map_err(text)?;
    call_through(&service.way(3)?, &receiver)?;
    service.end()
}

fn waits() -> Result<(), String> {
    let service = Service::start()?;
    let waiting: Result<Vec<_>, String> = (2..5)
        .map(|badge| {
            let way = service.way(badge)?;
            thread::spawn(move || way.wait_for("log", None).and_then(|sender| sender.send(b"came")))
                .map_err(text)
        })
        .collect();
    thread::sleep(Duration::from_millis(2));
    let (sender, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    for waiter in waiting? {
        equal(waiter.join(), Ok(()))?;
    }
    // One that is there is not waited for.
    service.way(9)?.wait_for("log", None).map_err(text)?.send(b"came").map_err(text)?;
    let mut message = Message::new();
    for _ in 0..4 {
        receiver.receive(&mut message, None).map_err(text)?;
    }
    service.end()
}

fn in_vain() -> Result<(), String> {
    let service = Service::start()?;
    let way = service.way(2)?;
    // More often than one client can wait at once.
    for _ in 0..20 {
        equal(way.wait_for("log", Some(Duration::from_millis(1))).map(drop), Err(Errno::TIMEDOUT))?;
    }
    // Its answer comes too late, and hurts nobody.
    let (sender, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    call_through(&way, &receiver)?;
    drop(way);
    service.end()
}

fn removed() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    let way = service.way(OFFERS | 1)?;
    way.register("log", sender).map_err(text)?;
    equal(way.remove("log"), Ok(()))?;
    equal(way.look_up("log").map(drop), Err(Errno::NOENT))?;
    drop(way);
    service.end()
}

fn held() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    let way = service.way(OFFERS | 1)?;
    equal(way.hold("log"), Err(Errno::NOENT))?;
    let holds = |service: &Service| {
        let holder = service.way(OFFERS | 1)?;
        let holding = thread::spawn(move || holder.hold("log")).map_err(text)?;
        thread::sleep(Duration::from_millis(2));
        Ok::<_, String>(holding)
    };
    way.register("log", sender).map_err(text)?;
    equal(service.way(OFFERS | 2)?.hold("log"), Err(Errno::EXIST))?;
    let (first, second) = (holds(&service)?, holds(&service)?);
    equal(first.join(), Err(Errno::EXIST))?;
    way.remove("log").map_err(text)?;
    equal(second.join(), Ok(()))?;
    // The name service finds the receiver gone.
    let (sender, gone) = endpoint().map_err(text)?;
    way.register("log", sender).map_err(text)?;
    let third = holds(&service)?;
    drop(gone);
    equal(way.look_up("log").map(drop), Err(Errno::NOENT))?;
    equal(third.join(), Ok(()))?;
    // It ends itself.
    let (sender, _receiver) = endpoint().map_err(text)?;
    way.register("log", sender).map_err(text)?;
    let last = holds(&service)?;
    service.child.kill().map_err(text)?;
    equal(last.join(), Ok(()))?;
    equal(service.child.wait().map_err(text)?.signal(), Some(9))
}

fn senseless() -> Result<(), String> {
    let service = Service::start()?;
    let way = service.way(2)?;
    let long = "x".repeat(33);
    for wrong in ["", "a b", "\u{e4}", long.as_str()] {
        equal(way.look_up(wrong).map(drop), Err(Errno::INVAL))?;
    }
    // Neither a request without a service, nor bytes that are none, nor what asks for no answer, hurts it.
    let raw = service.root.mint(OFFERS | 1).map_err(text)?;
    let mut answer = [0; 8];
    equal(raw.call(b"\x01log", &mut answer).map(<[u8]>::len), Ok(2))?;
    equal(raw.call(&[9; 300], &mut answer).map(<[u8]>::len), Ok(2))?;
    raw.send(b"\x02log").map_err(text)?;
    drop(raw);
    equal(way.look_up("log").map(drop), Err(Errno::NOENT))?;
    drop(way);
    service.end()
}

fn badges() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    equal(call_through(&service.way(77)?, &receiver)?, 77)?;
    equal(call_through(&service.way(OFFERS | 5)?, &receiver)?, 5)?;
    service.end()
}

fn not_minted() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    service.way(OFFERS | 1)?.register("log", sender).map_err(text)?;
    let found = service.way(4)?.look_up("log").map_err(text)?;
    equal(sys::handle_rights(found.handle()).map(|rights| rights.contains(Rights::DUPLICATE)), Ok(false))?;
    equal(found.mint(9).map(drop), Err(Errno::ACCES))?;
    service.end()
}

fn bounded() -> Result<(), String> {
    let service = Service::start()?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    let way = service.way(OFFERS | 1)?;
    let mut kept = 0;
    let refused = loop {
        let copy = sender.mint(1).map_err(text)?;
        match way.register(&format!("name-{kept}"), copy) {
            Ok(()) => kept += 1,
            Err(errno) => break errno,
        }
    };
    equal((kept, refused), (64, Errno::NOSPC))?;
    drop(way);
    service.end()
}
