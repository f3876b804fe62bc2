//! Waits for what never comes.

use super::*;

pub(crate) type Wait = fn(&mut User);

pub(crate) const WAITS: &[(&str, Wait)] = &[
    ("read", read),
    ("write", write),
    ("sendfile", sendfile),
    ("fifo", fifo),
    ("pair", pair),
    ("accept", accept),
    ("datagram", datagram),
    ("poll", poll),
    ("set", set),
    ("counter", counter),
    ("futex", futex),
    ("suspend", suspend),
    ("signal", signal),
    ("receive", receive_message),
    ("send", send_message),
    ("answer", answer),
];

/// Nothing that waits here is woken but to end.
fn never(user: &mut User, number: u64, arguments: &[u64]) {
    panic!("call {number} came back: {:?}", user.call(number, arguments));
}

fn read(user: &mut User) {
    let (reader, _writer) = pipe(user, 0);
    let into = fresh(user, 1);
    never(user, NR_READ, &[reader, into, PAGE]);
}

/// A pipe that takes nothing more, and where it is written to.
fn full_pipe(user: &mut User) -> (u64, u64) {
    let (_reader, writer) = pipe(user, 0);
    let from = full(user, 16);
    user.call(NR_HANDLE_NONBLOCK, &[writer, 1]).unwrap();
    while user.call(NR_WRITE, &[writer, from, 16 * PAGE]).is_ok() {}
    user.call(NR_HANDLE_NONBLOCK, &[writer, 0]).unwrap();
    (writer, from)
}

fn write(user: &mut User) {
    let (writer, from) = full_pipe(user);
    never(user, NR_WRITE, &[writer, from, 16 * PAGE]);
}

fn sendfile(user: &mut User) {
    let (writer, _) = full_pipe(user);
    let file = open(user, "/bin/init").unwrap();
    never(user, NR_SENDFILE, &[writer, file, 0, PAGE, 0, 0]);
}

fn fifo(user: &mut User) {
    on(user, NR_MKFIFO, NAMES[0], &[0o600]).unwrap();
    let at = user.stack() - 4096;
    never(user, NR_OPEN, &[Handle::CWD.0, at, NAMES[0].len() as u64, OpenFlags::READ.bits().into(), 0]);
}

fn pair(user: &mut User) {
    let ends = records(user);
    user.call(NR_SOCKET_PAIR, &[SOCKET_DATAGRAM.into(), ends, 16]).unwrap();
    let [one, _other] = two(user, ends);
    never(user, NR_RECEIVE_FROM, &[one, ends, 100, 0, 0, 0]);
}

fn accept(user: &mut User) {
    let at = records(user);
    let listener = streams::bound(user, SOCKET_STREAM, at);
    user.call(NR_LISTEN, &[listener, 4]).unwrap();
    never(user, NR_ACCEPT, &[listener, 0, 0, 0]);
}

fn datagram(user: &mut User) {
    let at = records(user);
    let socket = streams::bound(user, SOCKET_DATAGRAM, at);
    never(user, NR_RECEIVE_FROM, &[socket, at, 100, 0, 0, 0]);
}

fn event(user: &mut User) -> u64 {
    user.call(NR_EVENT_CREATE, &[0, 0]).unwrap()
}

fn poll(user: &mut User) {
    let at = records(user);
    for index in 0..3 {
        let item = PollItem { handle: Handle(event(user)), events: POLL_IN, ready: 0, reserved: 0 };
        user.store(at + 16 * index, item.as_bytes());
    }
    never(user, NR_POLL, &[at, 3, TIMEOUT_NEVER]);
}

fn set(user: &mut User) {
    let (at, event) = (records(user), event(user));
    let set = user.call(NR_READY_CREATE, &[]).unwrap();
    user.store(at, ReadyEvent { events: POLL_IN.into(), reserved: 0, token: 5 }.as_bytes());
    user.call(NR_READY_CONTROL, &[set, READY_ADD.into(), event, at]).unwrap();
    never(user, NR_READY_WAIT, &[set, at, 4, TIMEOUT_NEVER]);
}

fn counter(user: &mut User) {
    let event = event(user);
    never(user, NR_COUNTER_TAKE, &[event, TIMEOUT_NEVER]);
}

fn futex(user: &mut User) {
    let word = fresh(user, 1);
    never(user, NR_FUTEX_WAIT, &[word, 0, TIMEOUT_NEVER, ALL]);
}

fn suspend(user: &mut User) {
    never(user, NR_SIGNAL_SUSPEND, &[0]);
}

fn signal(user: &mut User) {
    never(user, NR_SIGNAL_WAIT, &[SignalSet::of(&[SIGUSR1]).0, 0, 0, TIMEOUT_NEVER]);
}

/// An endpoint with room for two messages, and a message.
fn small_endpoint(user: &mut User) -> ([u64; 2], u64) {
    let at = records(user);
    user.store(at, EndpointConfig { messages: 2, ..EndpointConfig::default() }.as_bytes());
    user.call(NR_ENDPOINT_CREATE, &[at, 16, at + 16, 16]).unwrap();
    let message = MessageOut { bytes: at + 256, length: 100, ..MessageOut::default() };
    user.store(at + 64, message.as_bytes());
    let room = MessageIn { bytes: at + 256, capacity: 100, ..MessageIn::default() };
    user.store(at + 128, room.as_bytes());
    (two(user, at + 16), at)
}

fn receive_message(user: &mut User) {
    let ([_sender, receiver], at) = small_endpoint(user);
    never(user, NR_ENDPOINT_RECEIVE, &[receiver, at + 128, TIMEOUT_NEVER]);
}

fn send_message(user: &mut User) {
    let ([sender, _receiver], at) = small_endpoint(user);
    for _ in 0..2 {
        user.call(NR_ENDPOINT_SEND, &[sender, at + 64, 0]).unwrap();
    }
    never(user, NR_ENDPOINT_SEND, &[sender, at + 64, TIMEOUT_NEVER]);
}

fn answer(user: &mut User) {
    let ([sender, _receiver], at) = small_endpoint(user);
    never(user, NR_ENDPOINT_CALL, &[sender, at + 64, at + 128, TIMEOUT_NEVER]);
}
