//! Endpoints between processes: calls, deaths, and objects that move while they are in use.

use alloc::{format, string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    io::{Read as _, Write as _},
    ipc::{Message, Outgoing, Receiver, ReplyToken, Sender, endpoint},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    pipe::pipe,
    process::Child,
    sys,
    testing::{equal, text},
    thread,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "messages",
    checks: &[
        ("a child answers calls", a_child_answers),
        ("an answer brings handles", answer_with_handles),
        ("an answer too long for its caller can be shortened", answer_too_long),
        ("a token works once", once),
        ("a live pipe moves to a child", pipe_moves),
        ("a live connection moves to a child", connection_moves),
        ("a live datagram socket moves to a child", datagrams_move),
        ("the receiver moves with its messages and its callers", receiver_moves),
        ("a server that ends before it answers ends the call", server_ends),
        ("a server that is killed ends the call", server_killed),
        ("a caller that is killed is answered by nobody", caller_killed),
        ("handles that lie in an endpoint are closed with it", closed_with_it),
        ("handles that lie in an endpoint are closed when all die", closed_with_all),
        ("each of ten thousand calls gets its own answer", ten_thousand),
        ("several servers share a receiver", several_servers),
    ],
    child,
};

/// What a child gets: the end that it uses.
const END: Handle = Handle(3);

fn start(deed: &str, end: Handle) -> Result<Child, String> {
    crate::child(AREA.name, deed).handle(3, end, Rights::all()).spawn().map_err(text)
}

fn child(deed: &str) -> i32 {
    let done = match deed {
        "echo" => echo(&Receiver::from_handle(END)),
        "use" => use_what_comes(&Receiver::from_handle(END)),
        // Its caller is left alone on purpose.
        "take" => Receiver::from_handle(END).receive(&mut Message::new(), None).map(drop),
        "take and wait" => Receiver::from_handle(END)
            .receive(&mut Message::new(), None)
            .and_then(|_| sys::sleep(u64::MAX / 4)),
        "call" => match Sender::from_handle(END).call(b"?", &mut [0; 8]) {
            Err(Errno::PIPE) => Ok(()),
            _ => Err(Errno::PROTO),
        },
        "serve elsewhere" => {
            let mut message = Message::new();
            match Receiver::from_handle(END).receive(&mut message, None) {
                Ok(_) => match message.take_handles().pop() {
                    Some((receiver, _)) => echo(&Receiver::from_handle(receiver.into_inner())),
                    None => Err(Errno::PROTO),
                },
                Err(errno) => Err(errno),
            }
        }
        _ => return UNKNOWN,
    };
    match done {
        Ok(()) => 0,
        Err(errno) => i32::from(errno.get()),
    }
}

/// Answers every call with its badge and its bytes; ends with the last sender.
fn echo(receiver: &Receiver) -> Result<(), Errno> {
    let mut message = Message::new();
    let mut next = receiver.receive(&mut message, None);
    loop {
        next = match next {
            Ok(Some(token)) => {
                let answer = [message.badge().to_le_bytes().as_slice(), message.bytes()].concat();
                receiver.reply_receive(token, &answer, &mut message, None)
            }
            Ok(None) => receiver.receive(&mut message, None),
            Err(Errno::PIPE) => return Ok(()),
            Err(errno) => return Err(errno),
        };
    }
}

/// Writes to each object that comes, and answers when that is done.
fn use_what_comes(receiver: &Receiver) -> Result<(), Errno> {
    let mut message = Message::new();
    loop {
        let token = match receiver.receive(&mut message, None) {
            Ok(token) => token,
            Err(Errno::PIPE) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        for (handle, _) in message.take_handles() {
            if message.bytes() == b"datagram" {
                let socket = UdpSocket::from_handle(handle.into_inner());
                let (count, peer) = socket.recv_from(&mut [0; 64])?;
                socket.send_to(format!("{count} bytes").as_bytes(), peer)?;
            } else {
                let mut bytes = [0; 64];
                let count =
                    if message.bytes() == b"connection" { sys::read(handle.get(), &mut bytes)? } else { 0 };
                sys::write(handle.get(), format!("from the child, {count}").as_bytes())?;
            }
        }
        if let Some(token) = token {
            receiver.reply(token, b"done").map_err(|(errno, _)| errno)?;
        }
    }
}

fn ends_well(child: &Child) -> Result<(), String> {
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn a_child_answers() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("echo", receiver.handle())?;
    drop(receiver);
    let badged = sender.mint(9).map_err(text)?;
    let mut answer = [0; 64];
    equal(sender.call(b"plain", &mut answer).map_err(text)?, b"\0\0\0\0\0\0\0\0plain")?;
    equal(badged.call(b"badged", &mut answer).map_err(text)?, b"\x09\0\0\0\0\0\0\0badged")?;
    drop((sender, badged));
    ends_well(&child)
}

fn answer_with_handles() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let server = thread::spawn(move || {
        let mut message = Message::new();
        let token = receiver.receive(&mut message, None)?.ok_or(Errno::PROTO)?;
        let (reader, mut writer) = pipe()?;
        writer.write_all(b"in the answer").map_err(|_| Errno::IO)?;
        let mut answer = Outgoing::new(b"a pipe").with(reader.into_handle(), Rights::READ);
        receiver.reply_message(token, &mut answer).map_err(|(errno, _)| errno)
    })
    .map_err(text)?;
    let mut answer = Message::new();
    sender.call_message(&mut Outgoing::new(b"?"), &mut answer, None).map_err(text)?;
    let handles = answer.take_handles();
    let [(reader, rights)] = handles.as_slice() else { return Err(String::from("not one")) };
    equal((answer.bytes(), *rights), (b"a pipe".as_slice(), Rights::READ))?;
    equal(sys::read(reader.get(), &mut [0; 64]), Ok(13))?;
    equal(server.join(), Ok(()))
}

/// A thread that calls.
type Caller = thread::JoinHandle<Result<Vec<u8>, Errno>>;

/// A call of another thread that has room for 8 bytes; its token, and what it got.
fn called(sender: Sender, receiver: &Receiver) -> Result<(ReplyToken, Caller), String> {
    let caller = thread::spawn(move || sender.call(b"?", &mut [0; 8]).map(<[u8]>::to_vec)).map_err(text)?;
    let token = receiver.receive(&mut Message::new(), None).map_err(text)?.ok_or("no call")?;
    Ok((token, caller))
}

fn answer_too_long() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (token, caller) = called(sender, &receiver)?;
    let Err((Errno::MSGSIZE, Some(token))) = receiver.reply(token, b"nine byte") else {
        return Err(String::from("it was not refused"));
    };
    // Where it was not received nobody knows it; it stays good where it was.
    let (_other, elsewhere) = endpoint().map_err(text)?;
    let Err((Errno::INVAL, Some(token))) = elsewhere.reply(token, b"eight by") else {
        return Err(String::from("another receiver took it"));
    };
    receiver.reply(token, b"eight by").map_err(|(errno, _)| text(errno))?;
    equal(caller.join(), Ok(b"eight by".to_vec()))
}

fn once() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let caller = thread::spawn(move || sender.call(b"?", &mut [0; 8]).map(<[u8]>::to_vec)).map_err(text)?;
    let came = sys::endpoint_receive(receiver.handle(), &mut [0; 8], &mut [], u64::MAX);
    let token = came.map_err(|(errno, _)| text(errno))?.token;
    let answer = |token| sys::endpoint_reply(receiver.handle(), token, b"!", &[]);
    equal(
        [token + 1, token ^ 1 << 32, token, token].map(answer),
        [Err(Errno::INVAL), Err(Errno::INVAL), Ok(()), Err(Errno::INVAL)],
    )?;
    equal(caller.join(), Ok(b"!".to_vec()))
}

/// A child that uses what it is sent, and a sender to it.
fn user_of_objects() -> Result<(Sender, Child), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("use", receiver.handle())?;
    Ok((sender, child))
}

fn pipe_moves() -> Result<(), String> {
    let (sender, child) = user_of_objects()?;
    let (mut reader, mut writer) = pipe().map_err(text)?;
    writer.write_all(b"before, ").map_err(text)?;
    let mut message = Outgoing::new(b"pipe").with(writer.into_handle(), Rights::WRITE);
    sender.call_message(&mut message, &mut Message::new(), None).map_err(text)?;
    let mut bytes = vec![];
    reader.read_to_end(&mut bytes).map_err(text)?;
    equal(bytes.as_slice(), b"before, from the child, 0")?;
    drop(sender);
    ends_well(&child)
}

fn connection_moves() -> Result<(), String> {
    let (sender, child) = user_of_objects()?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7101);
    let listener = TcpListener::bind(address, 4).map_err(text)?;
    let mut near = TcpStream::connect(address).map_err(text)?;
    let (mut far, _) = listener.accept().map_err(text)?;
    // Used here first, and with bytes that wait in it.
    far.write_all(b"before, ").map_err(text)?;
    near.write_all(b"four").map_err(text)?;
    let mut message = Outgoing::new(b"connection").with(far.into_handle(), Rights::all());
    sender.call_message(&mut message, &mut Message::new(), None).map_err(text)?;
    let mut bytes = vec![];
    near.read_to_end(&mut bytes).map_err(text)?;
    equal(bytes.as_slice(), b"before, from the child, 4")?;
    drop(sender);
    ends_well(&child)
}

fn datagrams_move() -> Result<(), String> {
    let (sender, child) = user_of_objects()?;
    let address = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let (near, far) =
        (UdpSocket::bind(address(7102)).map_err(text)?, UdpSocket::bind(address(7103)).map_err(text)?);
    near.send_to(b"12345", address(7103)).map_err(text)?;
    let mut message = Outgoing::new(b"datagram").with(far.into_handle(), Rights::all());
    sender.call_message(&mut message, &mut Message::new(), None).map_err(text)?;
    let mut bytes = [0; 64];
    let (count, peer) = near.recv_from(&mut bytes).map_err(text)?;
    equal((bytes.get(..count), peer.port()), (Some(b"5 bytes".as_slice()), 7103))?;
    drop(sender);
    ends_well(&child)
}

fn receiver_moves() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (way, far_end) = endpoint().map_err(text)?;
    let child = start("serve elsewhere", far_end.handle())?;
    drop(far_end);
    let caller = thread::spawn(move || {
        let mut answer = [0; 64];
        let one = sender.call(b"one", &mut answer).map(<[u8]>::len);
        (one, sender.call(b"another", &mut answer).map(<[u8]>::len))
    })
    .map_err(text)?;
    thread::sleep(core::time::Duration::from_millis(1));
    let mut message = Outgoing::new(b"").with(receiver.into_handle(), Rights::all());
    way.send_message(&mut message, None).map_err(text)?;
    equal(caller.join(), (Ok(11), Ok(15)))?;
    ends_well(&child)
}

fn server_ends() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("take", receiver.handle())?;
    drop(receiver);
    equal(sender.call(b"?", &mut []).map(drop), Err(Errno::PIPE))?;
    equal(sender.send(b""), Err(Errno::PIPE))?;
    ends_well(&child)
}

fn server_killed() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("take and wait", receiver.handle())?;
    drop(receiver);
    let caller = thread::spawn(move || sender.call(b"?", &mut []).map(drop)).map_err(text)?;
    thread::sleep(core::time::Duration::from_millis(5));
    child.kill().map_err(text)?;
    equal(caller.join(), Err(Errno::PIPE))?;
    child.wait().map(drop).map_err(text)
}

fn caller_killed() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("call", sender.handle())?;
    let mut message = Message::new();
    let token = receiver.receive(&mut message, None).map_err(text)?.ok_or("no call")?;
    child.kill().map_err(text)?;
    child.wait().map(drop).map_err(text)?;
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut answer = Outgoing::new(b"!").with(writer.into_handle(), Rights::all());
    equal(receiver.reply_message(token, &mut answer), Err((Errno::PIPE, None)))?;
    // The handle did not move: closed here, it is the end.
    drop(answer);
    equal(reader.read(&mut [0; 8]).map_err(text)?, 0)
}

fn closed_with_it() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (inner_sender, inner_receiver) = endpoint().map_err(text)?;
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut message = Outgoing::new(b"").with(writer.into_handle(), Rights::all());
    inner_sender.send_message(&mut message, None).map_err(text)?;
    let mut message = Outgoing::new(b"").with(inner_receiver.into_handle(), Rights::all());
    sender.send_message(&mut message, None).map_err(text)?;
    drop(receiver);
    equal(reader.read(&mut [0; 8]).map_err(text)?, 0)?;
    equal(inner_sender.send(b""), Err(Errno::PIPE))
}

fn closed_with_all() -> Result<(), String> {
    // The child gets the receiver by a message that it never takes, and is killed.
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("take and wait", receiver.handle())?;
    drop(receiver);
    sender.send(b"").map_err(text)?;
    let (mut reader, writer) = pipe().map_err(text)?;
    let mut message = Outgoing::new(b"").with(writer.into_handle(), Rights::all());
    sender.send_message(&mut message, None).map_err(text)?;
    child.kill().map_err(text)?;
    child.wait().map(drop).map_err(text)?;
    equal(reader.read(&mut [0; 8]).map_err(text)?, 0)
}

fn ten_thousand() -> Result<(), String> {
    const CALLERS: u64 = 4;
    const CALLS: u64 = 2_500;
    let (sender, receiver) = endpoint().map_err(text)?;
    let child = start("echo", receiver.handle())?;
    drop(receiver);
    let callers: Result<Vec<_>, String> = (1..=CALLERS)
        .map(|badge| {
            let sender = sender.mint(badge).map_err(text)?;
            thread::spawn(move || {
                let mut answer = [0; 64];
                (0..CALLS).all(|number| {
                    let question = [number.to_le_bytes(); 4].concat();
                    let expected = [badge.to_le_bytes().as_slice(), &question].concat();
                    sender.call(&question, &mut answer) == Ok(&expected)
                })
            })
            .map_err(text)
        })
        .collect();
    for caller in callers? {
        equal(caller.join(), true)?;
    }
    drop(sender);
    ends_well(&child)
}

fn several_servers() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let children = [start("echo", receiver.handle())?, start("echo", receiver.handle())?];
    drop(receiver);
    let mut answer = [0; 64];
    for number in 0..200_u64 {
        equal(sender.call(&number.to_le_bytes(), &mut answer).map(<[u8]>::len), Ok(16))?;
    }
    // One of them dies: the other serves on.
    let [first, second] = children;
    first.kill().map_err(text)?;
    first.wait().map(drop).map_err(text)?;
    for number in 0..50_u64 {
        equal(sender.call(&number.to_le_bytes(), &mut answer).map(<[u8]>::len), Ok(16))?;
    }
    drop(sender);
    ends_well(&second)
}
