//! Socket pairs.

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use swos_ulib::{
    abi::{
        Errno, Handle, PAIR_MESSAGE_MAX, POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, PollItem, READY_EDGE, Rights,
        SOCKET_DATAGRAM, SOCKET_NONBLOCK, SOCKET_STREAM, SocketAddress,
    },
    handle::Blocking,
    io::{self, Read as _, Write as _},
    ipc::{Message, Outgoing, endpoint},
    net::Shutdown,
    pair::{PairDatagram, PairStream},
    pipe::pipe,
    ready::{ReadyEvent, ReadySet, poll},
    sync::mpsc::channel,
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "socketpairs",
    checks: &[
        ("bytes go both ways", both_ways),
        ("neither way holds up the other", independent),
        ("the end of one is the end for the other", end),
        ("one direction ends alone", half),
        ("what may not wait says so", would_wait),
        ("a full direction takes no part of a small write", full),
        ("a read waits for a write", waits),
        ("poll tells both directions", polled),
        ("poll wakes for bytes and for room", poll_wakes),
        ("a readiness set tells level and edge", watched),
        ("an end moves to a child", moves),
        ("a child and its parent talk", child_talks),
        ("rights are asked for", rights),
        ("it is a socket without an address", socket),
        ("other kinds are refused", kinds),
        ("messages keep their borders", messages),
        ("a message too long is refused and one too long for its buffer is cut", cut_messages),
        ("it sends and receives as sockets do", sends),
        ("much goes through in order", much),
    ],
    child,
};

fn child(deed: &str) -> i32 {
    let mut stream = PairStream::from_handle(Handle(3));
    match deed {
        "greet" => {
            let mut bytes = [0; 5];
            let done = stream.read_exact(&mut bytes).and_then(|()| stream.write_all(&bytes));
            i32::from(done.is_err())
        }
        _ => UNKNOWN,
    }
}

fn pair() -> Result<(PairStream, PairStream), String> {
    PairStream::pair().map_err(text)
}

fn both_ways() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    one.write_all(b"there").map_err(text)?;
    other.write_all(b"and back").map_err(text)?;
    let mut bytes = [0; 16];
    equal(other.read(&mut bytes), Ok(5))?;
    equal(bytes.get(..5), Some(b"there".as_slice()))?;
    equal(one.read(&mut bytes), Ok(8))?;
    equal(bytes.get(..8), Some(b"and back".as_slice()))
}

fn independent() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    while one.write(&[1; 4096]).is_ok() {}
    other.write_all(b"still").map_err(text)?;
    equal(one.read(&mut [0; 16]), Ok(5))
}

fn end() -> Result<(), String> {
    let (one, mut other) = pair()?;
    drop(one);
    equal(other.read(&mut [0; 16]), Ok(0))?;
    equal(other.write(b"x"), Err(io::Error::Os(Errno::PIPE)))?;
    // What was written before comes first.
    let (mut one, mut other) = pair()?;
    one.write_all(b"last").map_err(text)?;
    drop(one);
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).map_err(text)?;
    equal(bytes.as_slice(), b"last")
}

fn half() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    one.write_all(b"question").map_err(text)?;
    one.shutdown(Shutdown::Write).map_err(text)?;
    equal(one.write(b"x").is_err(), true)?;
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).map_err(text)?;
    other.write_all(b"answer").map_err(text)?;
    equal(one.read(&mut [0; 16]), Ok(6))?;
    one.shutdown(Shutdown::Read).map_err(text)?;
    equal(other.write(b"x"), Err(io::Error::Os(Errno::PIPE)))?;
    equal(sys::shutdown(one.handle(), 9), Err(Errno::INVAL))
}

fn would_wait() -> Result<(), String> {
    let (mut one, _other) = pair()?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    equal(one.read(&mut [0; 16]), Err(io::Error::Os(Errno::AGAIN)))
}

fn full() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    let mut written = 0;
    while let Ok(count) = one.write(&[7; 3000]) {
        equal(count, 3000)?;
        written += count;
    }
    drop(one);
    let mut back = vec![];
    other.read_to_end(&mut back).map_err(text)?;
    equal(back.len(), written)
}

fn waits() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    let reader = thread::spawn(move || other.read(&mut [0; 16])).map_err(text)?;
    thread::sleep(Duration::from_millis(1));
    one.write_all(b"four").map_err(text)?;
    equal(reader.join(), Ok(4))
}

fn ready_for(end: &PairStream, events: u16, timeout: Duration) -> Result<u16, String> {
    let mut items = [PollItem { handle: end.handle(), events, ready: 0, reserved: 0 }];
    poll(&mut items, Some(timeout)).map_err(text)?;
    let [item] = items;
    Ok(item.ready)
}

const BOTH: u16 = POLL_IN | POLL_OUT;
const LONG: Duration = Duration::from_secs(20);

fn polled() -> Result<(), String> {
    let (mut one, other) = pair()?;
    equal(ready_for(&other, BOTH, Duration::ZERO)?, POLL_OUT)?;
    one.write_all(b"x").map_err(text)?;
    equal(ready_for(&other, BOTH, Duration::ZERO)?, BOTH)?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    while one.write(&[1; 4096]).is_ok() {}
    equal(ready_for(&one, BOTH, Duration::ZERO)?, 0)?;
    drop(other);
    equal(ready_for(&one, BOTH, Duration::ZERO)?, BOTH | POLL_HUP | POLL_ERR)
}

fn poll_wakes() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    let (full, filled) = channel();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1));
        let done = other.write_all(b"x");
        // Room only when there is none, or what is read may be what was written meanwhile.
        let _told = filled.recv();
        thread::sleep(Duration::from_millis(1));
        let mut bytes = vec![0; 1 << 16];
        (done, other.read_exact(&mut bytes), other)
    })
    .map_err(text)?;
    equal(ready_for(&one, POLL_IN, LONG)?, POLL_IN)?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    while one.write(&[1; 4096]).is_ok() {}
    full.send(()).map_err(text)?;
    equal(ready_for(&one, POLL_OUT, LONG)?, POLL_OUT)?;
    let (wrote, read, _other) = writer.join();
    equal((wrote, read), (Ok(()), Ok(())))
}

fn watched() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let (mut one, other) = pair()?;
    let (mut edge_one, mut edge_other) = pair()?;
    set.add(other.handle(), u32::from(POLL_IN), 1).map_err(text)?;
    set.add(edge_other.handle(), u32::from(POLL_IN) | READY_EDGE, 2).map_err(text)?;
    let tokens = || {
        let mut events = [ReadyEvent::default(); 4];
        let came = set.wait(&mut events, Some(Duration::from_millis(1))).map_err(text)?;
        let mut tokens: Vec<u64> = came.iter().map(|event| event.token).collect();
        tokens.sort_unstable();
        Ok::<_, String>(tokens)
    };
    equal(tokens()?, vec![])?;
    equal((one.write(b"x"), edge_one.write(b"x")), (Ok(1), Ok(1)))?;
    equal(tokens()?, vec![1, 2])?;
    equal(tokens()?, vec![1])?;
    equal(edge_other.read(&mut [0; 4]), Ok(1))?;
    equal(edge_one.write(b"y"), Ok(1))?;
    equal(tokens()?, vec![1, 2])?;
    drop(edge_one);
    equal(tokens()?, vec![1, 2])
}

fn moves() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (mut one, other) = pair()?;
    one.write_all(b"before").map_err(text)?;
    sender
        .send_message(&mut Outgoing::new(b"").with(other.into_handle(), Rights::all()), None)
        .map_err(text)?;
    let mut message = Message::new();
    receiver.receive(&mut message, None).map_err(text)?;
    let (other, _) = message.take_handles().pop().ok_or("none came")?;
    let mut other = PairStream::from_handle(other.into_inner());
    equal(other.read(&mut [0; 16]), Ok(6))?;
    other.write_all(b"after").map_err(text)?;
    equal(one.read(&mut [0; 16]), Ok(5))
}

fn child_talks() -> Result<(), String> {
    let (mut one, other) = pair()?;
    let child =
        crate::child(AREA.name, "greet").handle(3, other.handle(), Rights::all()).spawn().map_err(text)?;
    drop(other);
    one.write_all(b"hello").map_err(text)?;
    let mut back = Vec::new();
    one.read_to_end(&mut back).map_err(text)?;
    equal(back.as_slice(), b"hello")?;
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn rights() -> Result<(), String> {
    let (one, _other) = pair()?;
    sys::handle_restrict(one.handle(), Rights::READ).map_err(text)?;
    equal(sys::write(one.handle(), b"x"), Err(Errno::ACCES))?;
    equal(sys::shutdown(one.handle(), 1), Err(Errno::ACCES))
}

fn socket() -> Result<(), String> {
    let (one, _other) = pair()?;
    equal(sys::fstat(one.handle()).map(|stat| stat.mode & 0xF000), Ok(0xC000))?;
    equal(sys::socket_local(one.handle()).map(drop), Err(Errno::NOTSOCK))?;
    equal(sys::seek(one.handle(), 0, 0), Err(Errno::SPIPE))
}

fn messages() -> Result<(), String> {
    let (one, two) = PairDatagram::pair().map_err(text)?;
    one.set_blocking(Blocking::Never).map_err(text)?;
    two.set_blocking(Blocking::Never).map_err(text)?;
    let mut buffer = [0; 64];
    equal(two.recv(&mut buffer), Err(Errno::AGAIN))?;
    for message in [b"one".as_slice(), b"", b"two and three"] {
        equal(one.send(message), Ok(message.len()))?;
    }
    for message in [b"one".as_slice(), b"", b"two and three"] {
        equal(two.recv(&mut buffer), Ok(message.len()))?;
        equal(buffer.get(..message.len()), Some(message))?;
    }
    equal(two.recv(&mut buffer), Err(Errno::AGAIN))?;
    // It goes in whole or not at all; a message makes room for one.
    let long = [7; PAIR_MESSAGE_MAX];
    let mut sent = 0;
    while two.send(&long) == Ok(long.len()) {
        sent += 1;
    }
    equal((sent, two.send(&long)), (16, Err(Errno::AGAIN)))?;
    equal(one.recv(&mut buffer), Ok(64))?;
    equal(two.send(&long), Ok(long.len()))?;
    drop(two);
    let mut all = vec![0; 5000];
    for _ in 0..16 {
        equal(one.recv(&mut all), Ok(long.len()))?;
    }
    equal(one.recv(&mut all), Ok(0))?;
    equal(one.send(b"x"), Err(Errno::PIPE))
}

fn cut_messages() -> Result<(), String> {
    let (one, two) = PairDatagram::pair().map_err(text)?;
    equal(one.send(&[1; PAIR_MESSAGE_MAX + 1]), Err(Errno::MSGSIZE))?;
    equal(one.send(b"a long one"), Ok(10))?;
    equal(one.send(b"next"), Ok(4))?;
    let mut few = [0; 6];
    equal((two.recv(&mut few), &few), (Ok(6), b"a long"))?;
    equal((two.recv(&mut few), few.get(..4)), (Ok(4), Some(b"next".as_slice())))
}

fn sends() -> Result<(), String> {
    for kind in [SOCKET_STREAM, SOCKET_DATAGRAM] {
        let ends = sys::socket_pair(kind | SOCKET_NONBLOCK).map_err(text)?;
        let (one, two) = (PairStream::from_handle(ends.first), PairStream::from_handle(ends.second));
        let mut buffer = [0; 8];
        for receive in [sys::receive, sys::read] {
            equal(receive(two.handle(), &mut buffer), Err(Errno::AGAIN))?;
        }
        // Sent one way and read the other, and the reverse.
        equal(sys::send(one.handle(), b"sent", 0), Ok(4))?;
        equal((sys::read(two.handle(), &mut buffer), buffer.get(..4)), (Ok(4), Some(b"sent".as_slice())))?;
        equal(sys::write(two.handle(), b"written"), Ok(7))?;
        equal(
            (sys::receive(one.handle(), &mut buffer), buffer.get(..7)),
            (Ok(7), Some(b"written".as_slice())),
        )?;
        equal(sys::send(one.handle(), b"hello", 0), Ok(5))?;
        equal(sys::send_to(one.handle(), b"x", &SocketAddress::default()), Err(Errno::ISCONN))?;
        equal(sys::receive_from(two.handle(), &mut buffer), Ok((5, SocketAddress::default())))?;
        equal(buffer.get(..5), Some(b"hello".as_slice()))?;
        sys::handle_restrict(two.handle(), Rights::WRITE).map_err(text)?;
        equal(sys::receive(two.handle(), &mut buffer), Err(Errno::ACCES))?;
        drop(two);
        equal(sys::receive(one.handle(), &mut buffer), Ok(0))?;
        equal(sys::send(one.handle(), b"x", 0), Err(Errno::PIPE))?;
    }
    let (reader, _writer) = pipe().map_err(text)?;
    equal(sys::receive(reader.handle(), &mut [0]), Err(Errno::NOTSOCK))
}

fn kinds() -> Result<(), String> {
    equal(sys::socket_pair(0).map(drop), Err(Errno::PROTONOSUPPORT))?;
    equal(sys::socket_pair(77).map(drop), Err(Errno::PROTONOSUPPORT))
}

fn much() -> Result<(), String> {
    let (mut one, mut other) = pair()?;
    let bytes: Vec<u8> = (0_u8..251).cycle().take(300_000).collect();
    let expected = bytes.clone();
    let echo = thread::spawn(move || {
        let mut all = Vec::new();
        other.read_to_end(&mut all).and_then(|_| other.write_all(&all))
    })
    .map_err(text)?;
    one.write_all(&bytes).map_err(text)?;
    one.shutdown(Shutdown::Write).map_err(text)?;
    let mut back = Vec::new();
    one.read_to_end(&mut back).map_err(text)?;
    equal(echo.join(), Ok(()))?;
    equal(back == expected, true)
}
