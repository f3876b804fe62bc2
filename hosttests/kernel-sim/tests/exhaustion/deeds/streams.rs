//! Pipes, sockets, and what is waited for.

use super::*;

pub(super) fn pipes(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 12), fresh(user, 12));
    let ends = records(user);
    attempt.call(user, NR_PIPE, &[ends, 16, u64::from(PIPE_NONBLOCK)]);
    let [reader, writer] = two(user, ends);
    attempt.call(user, NR_WRITE, &[writer, from, 10 * PAGE + 9]);
    attempt.call(user, NR_READ, &[reader, into, 12 * PAGE]);
    let file = open(user, "/bin/init").unwrap();
    attempt.call(user, NR_SENDFILE, &[writer, file, 0, PAGE, 0, 0]);
    close(user, &[file, reader, writer]);
    unmap(user, from, 12);
    unmap(user, into, 12);
}

pub(super) fn pairs(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 3), fresh(user, 3));
    let ends = records(user);
    for (kind, length) in [(SOCKET_STREAM, 3 * PAGE), (SOCKET_DATAGRAM, 2000)] {
        attempt.call(user, NR_SOCKET_PAIR, &[u64::from(kind | SOCKET_NONBLOCK), ends, 16]);
        let [one, other] = two(user, ends);
        attempt.call(user, NR_WRITE, &[one, from, length]);
        attempt.call(user, NR_READ, &[other, into, 3 * PAGE]);
        attempt.call(user, NR_SHUTDOWN, &[one, u64::from(SHUTDOWN_WRITE)]);
        close(user, &[one, other]);
    }
    unmap(user, from, 3);
    unmap(user, into, 3);
}

const ADDRESS: u64 = size_of::<SocketAddress>() as u64;

pub(super) fn sockets(user: &mut User, attempt: &Try) {
    let address = records(user);
    let anywhere = SocketAddress::ipv4(ADDRESS_ANY, 0);
    let stream = attempt.call(user, NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_STREAM)]);
    user.store(address, anywhere.as_bytes());
    attempt.call(user, NR_BIND, &[stream, address, ADDRESS]);
    attempt.call(user, NR_LISTEN, &[stream, 8]);
    attempt.call(user, NR_SOCKET_ADDRESS, &[stream, 0, address, ADDRESS]);
    attempt.call(user, NR_SOCKET_OPTION_SET, &[stream, u64::from(OPTION_RECEIVE_BUFFER), 1 << 16]);
    attempt.call(user, NR_SOCKET_OPTION_GET, &[stream, u64::from(OPTION_SEND_BUFFER)]);
    let datagram = attempt.call(user, NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_DATAGRAM)]);
    user.store(address, anywhere.as_bytes());
    attempt.call(user, NR_BIND, &[datagram, address, ADDRESS]);
    close(user, &[stream, datagram]);
}

/// A socket that has a port of 127.0.0.1; its address is at `address`.
pub(super) fn bound(user: &mut User, kind: u32, address: u64) -> u64 {
    let socket = user.call(NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(kind)]).unwrap();
    user.store(address, SocketAddress::ipv4([127, 0, 0, 1], 0).as_bytes());
    user.call(NR_BIND, &[socket, address, ADDRESS]).unwrap();
    user.call(NR_SOCKET_ADDRESS, &[socket, 0, address, ADDRESS]).unwrap();
    socket
}

fn stream(user: &mut User) -> u64 {
    user.call(NR_SOCKET, &[u64::from(DOMAIN_IPV4), u64::from(SOCKET_STREAM)]).unwrap()
}

pub(super) fn connections(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 4), fresh(user, 4));
    let address = records(user);
    let listener = bound(user, SOCKET_STREAM, address);
    user.call(NR_LISTEN, &[listener, 4]).unwrap();
    let mut client = stream(user);
    attempt.call(user, NR_CONNECT, &[client, address, ADDRESS]);
    // The other end may have found no memory when its last segment came. Then it forgot it, and there is nothing to accept.
    let item = PollItem { handle: Handle(listener), events: POLL_IN, ready: 0, reserved: 0 };
    user.store(address + 64, item.as_bytes());
    if user.call(NR_POLL, &[address + 64, 1, 5_000_000_000]) == Ok(0) {
        close(user, &[client]);
        client = stream(user);
        user.call(NR_CONNECT, &[client, address, ADDRESS]).unwrap();
    }
    let flags = u64::from(SOCKET_NONBLOCK);
    let server = attempt.call(user, NR_ACCEPT, &[listener, address + 64, ADDRESS, flags]);
    attempt.call(user, NR_SEND_TO, &[client, from, 3 * PAGE, 0, 0, u64::from(SEND_MORE)]);
    attempt.call(user, NR_WRITE, &[client, from, PAGE]);
    // Whatever found nothing meanwhile is sent again.
    user.call(NR_SLEEP, &[2_000_000_000]).unwrap();
    attempt.call(user, NR_RECEIVE_FROM, &[server, into, 4 * PAGE, address + 64, ADDRESS, 0]);
    let file = open(user, "/bin/init").unwrap();
    attempt.call(user, NR_SENDFILE, &[server, file, 0, PAGE, from, 50]);
    attempt.call(user, NR_SOCKET_ADDRESS, &[client, 1, address, ADDRESS]);
    attempt.call(user, NR_SHUTDOWN, &[client, u64::from(SHUTDOWN_WRITE)]);
    close(user, &[file, server, client, listener]);
    unmap(user, from, 4);
    unmap(user, into, 4);
}

pub(super) fn datagrams(user: &mut User, attempt: &Try) {
    let (from, into) = (full(user, 1), fresh(user, 1));
    let address = records(user);
    let receiver = bound(user, SOCKET_DATAGRAM | SOCKET_NONBLOCK, address);
    let kind = u64::from(SOCKET_DATAGRAM);
    let sender = user.call(NR_SOCKET, &[u64::from(DOMAIN_IPV4), kind]).unwrap();
    let arguments = [sender, from, 1000, address, ADDRESS, 0];
    // It may be lost for want of memory, as datagrams may; the other one comes.
    attempt.call(user, NR_SEND_TO, &arguments);
    user.call(NR_SEND_TO, &arguments).unwrap();
    user.call(NR_SLEEP, &[1_000_000]).unwrap();
    attempt.call(user, NR_RECEIVE_FROM, &[receiver, into, PAGE, address + 64, ADDRESS, 0]);
    close(user, &[receiver, sender]);
    unmap(user, from, 1);
    unmap(user, into, 1);
}

pub(super) fn counters(user: &mut User, attempt: &Try) {
    let at = records(user);
    let into = fresh(user, 1);
    let event = attempt.call(user, NR_EVENT_CREATE, &[3, 0]);
    let timer = attempt.call(user, NR_TIMER_CREATE, &[0]);
    let set = attempt.call(user, NR_READY_CREATE, &[]);
    attempt.call(user, NR_TIMER_SET, &[timer, 1, 1000, 0]);
    let watched = ReadyEvent { events: POLL_IN.into(), reserved: 0, token: 5 };
    user.store(at, watched.as_bytes());
    attempt.call(user, NR_READY_CONTROL, &[set, u64::from(READY_ADD), event, at]);
    attempt.call(user, NR_READY_WAIT, &[set, into, 4, 1_000_000]);
    let item = PollItem { handle: Handle(event), events: POLL_IN, ready: 0, reserved: 0 };
    user.store(at, item.as_bytes());
    attempt.call(user, NR_POLL, &[at, 1, 1_000_000]);
    attempt.call(user, NR_EVENT_ADD, &[event, 4]);
    attempt.call(user, NR_COUNTER_TAKE, &[event, 1_000_000]);
    attempt.call(user, NR_SLEEP, &[1000]);
    close(user, &[event, timer, set]);
    unmap(user, into, 1);
}

/// More than fits into what the kernel keeps for a few.
pub(super) fn crowd(user: &mut User, attempt: &Try) {
    let items = fresh(user, 1);
    let timers: Vec<u64> = (0..70)
        .map(|index| {
            let timer = user.call(NR_TIMER_CREATE, &[0]).unwrap();
            let item = PollItem { handle: Handle(timer), events: POLL_IN, ready: 0, reserved: 0 };
            user.store(items + index * 16, item.as_bytes());
            timer
        })
        .collect();
    // The list of timers grows at a power of two.
    for &timer in &timers {
        let arguments = [timer, 10_000_000, 0, 0];
        match timer == timers[32] {
            true => attempt.call(user, NR_TIMER_SET, &arguments),
            false => user.call(NR_TIMER_SET, &arguments).unwrap(),
        };
    }
    attempt.call(user, NR_POLL, &[items, 70, 1000]);
    close(user, &timers);
    unmap(user, items, 1);
}
