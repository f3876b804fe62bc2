//! Every call without memory from each of its allocations on: it says so, or a packet is lost; nothing else happens.
#![expect(unsafe_code, reason = "an allocator that fails when it is told to")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::alloc::System;
use std::rc::Rc;

use swos_netstack::{Error, Push, Readiness, SocketId, SocketOption, Stack, State, Switch};
use swos_units::Duration;
use swos_wire::{EtherType, EthernetRepr, Icmpv4Repr, IpProtocol, Ipv4Repr, Sum};

use crate::net::{Net, Page, at, config, ip, mac, pattern};

thread_local! {
    /// From which allocation of this thread on all fail; 0 = none does.
    static COUNTDOWN: Cell<u64> = const { Cell::new(0) };
    /// Longer allocations fail.
    static LONGEST: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Bytes that are allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Failing;

#[global_allocator]
static ALLOCATOR: Failing = Failing;

// SAFETY: the system's allocator, or no memory.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match COUNTDOWN.get() {
            1 => return core::ptr::null_mut(),
            0 => {}
            left => COUNTDOWN.set(left - 1),
        }
        if layout.size() > LONGEST.get() {
            return core::ptr::null_mut();
        }
        HELD.set(HELD.get() + layout.size() as isize);
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Runs what belongs to the test and not to the stack.
pub(crate) fn with_memory<T>(act: impl FnOnce() -> T) -> T {
    let before = COUNTDOWN.replace(0);
    let result = act();
    COUNTDOWN.set(before);
    result
}

/// The port of clients.
const NEAR: u16 = 4000;

/// How calls are made, and what came of it.
struct Try {
    countdown: u64,
    reached: Cell<bool>,
    refused: Cell<u32>,
}

impl Try {
    const fn at(countdown: u64) -> Self {
        Self { countdown, reached: Cell::new(false), refused: Cell::new(0) }
    }

    fn run<T>(&self, act: impl FnOnce() -> T) -> T {
        COUNTDOWN.set(self.countdown);
        let result = act();
        if COUNTDOWN.replace(0) == 1 {
            self.reached.set(true);
        }
        result
    }

    /// A call that is refused for want of memory succeeds when there is some.
    fn call<T>(&self, mut act: impl FnMut() -> Result<T, Error>) -> T {
        match self.run(&mut act) {
            Err(Error::NoBuffers) => {
                self.refused.set(self.refused.get() + 1);
                act().unwrap()
            }
            other => other.unwrap(),
        }
    }

    /// Frames that both have are lost, or not, and repeated later.
    fn settle(&self, net: &mut Net) {
        for _ in 0..4 {
            for from in 0..2 {
                let now = net.now;
                let _progress = self.run(|| net.hosts[from].poll(now));
                for frame in net.hosts[from].out.frames.drain(..).collect::<Vec<_>>() {
                    self.run(|| net.hosts[1 - from].frame(now, &frame));
                }
            }
        }
        net.run(Duration::from_secs(4));
    }

    /// Times of both run out.
    fn expire(&self, net: &mut Net) {
        for _ in 0..100 {
            let next = net.hosts.iter().filter_map(|host| host.stack.deadline()).min();
            let Some(next) = next else { return };
            net.now = next.max(net.now);
            let now = net.now;
            for host in &mut net.hosts {
                let _progress = self.run(|| host.poll(now));
            }
        }
    }
}

/// All that is done with sockets, between two hosts and within one.
fn use_everything(attempt: &Try) {
    let mut net = Net::with(config(1), config(2));
    let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    for (from, address) in [(0, at(2, 80)), (1, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80))] {
        let now = net.now;
        let listener = attempt.call(|| net.hosts[1].stack.tcp_open());
        let reuse = SocketOption::ReuseAddress(Switch::On);
        attempt.call(|| net.hosts[1].stack.set_option(now, listener, reuse));
        attempt.call(|| net.hosts[1].stack.bind(listener, any(80)));
        attempt.call(|| net.hosts[1].stack.listen(listener, 4));
        let mut clients: Vec<SocketId> = Vec::new();
        // More than one chunk of the table.
        for _ in 0..40 {
            let client = attempt.call(|| net.hosts[from].stack.tcp_open());
            with_memory(|| clients.push(client));
        }
        let client = clients.pop().unwrap();
        attempt.call(|| net.hosts[from].stack.bind(client, any(NEAR)));
        attempt.call(|| net.hosts[from].stack.connect(now, client, address));
        attempt.settle(&mut net);
        // A connection that was told of while there was no memory for it was reset: the peer asks again.
        let mut found = net.hosts[1].stack.accept(listener);
        let mut client = client;
        if found.is_err() {
            net.hosts[from].stack.close(net.now, client).unwrap();
            client = net.hosts[from].stack.tcp_open().unwrap();
            net.hosts[from].stack.connect(net.now, client, address).unwrap();
            net.settle();
            found = net.hosts[1].stack.accept(listener);
        }
        let (server, _) = found.unwrap();
        talk(attempt, &mut net, (from, client), server);
        for client in clients {
            net.hosts[from].stack.close(net.now, client).unwrap();
        }
        let now = net.now;
        attempt.call(|| net.hosts[from].stack.close(now, client));
        attempt.settle(&mut net);
        attempt.call(|| net.hosts[1].stack.close(now, server));
        attempt.settle(&mut net);
        net.hosts[1].stack.close(net.now, listener).unwrap();
        datagrams(attempt, &mut net, from, *address.ip());
    }
    ping_in_fragments(attempt, &mut net);
    // What is over needs no memory at all to go.
    Try::at(1).expire(&mut net);
    net.run(Duration::from_secs(300));
    for host in &mut net.hosts {
        assert_eq!(host.stack.usage(), Default::default());
        let last = host.stack.tcp_open().unwrap();
        assert_eq!(host.stack.bind(last, any(NEAR)), Ok(()), "no connection has the port");
    }
}

fn talk(attempt: &Try, net: &mut Net, (from, client): (usize, SocketId), server: SocketId) {
    let data = pattern(9_000);
    let page = Page(Rc::new(pattern(4096)));
    let mut got = Vec::new();
    let mut sent = 0;
    while sent < data.len() {
        let now = net.now;
        let rest = &data[sent..];
        sent += attempt.call(|| net.hosts[from].stack.send_bytes(now, client, rest, Push::Now));
        attempt.settle(net);
        receive(net, server, &mut got);
    }
    let now = net.now;
    for range in [0..4096, 10..30] {
        let send = |stack: &mut Stack<Page>| {
            let page = page.clone();
            stack.send_page(now, client, page, range.clone(), Push::Now)
        };
        let taken = attempt.call(|| send(&mut net.hosts[from].stack));
        assert_eq!(taken, range.len());
    }
    attempt.settle(net);
    // Acknowledgments that were lost with their segments.
    net.run(Duration::from_secs(20));
    receive(net, server, &mut got);
    assert!(got == [&data, &page.0[..], &page.0[10..30]].concat(), "{} bytes", got.len());
    assert_eq!(Rc::strong_count(&page.0), 1);
}

fn receive(net: &mut Net, server: SocketId, got: &mut Vec<u8>) {
    let mut buffer = [0; 3_000];
    while let Ok(len) = net.hosts[1].stack.recv(server, &mut buffer) {
        got.extend(&buffer[..len]);
        net.settle();
    }
}

fn datagrams(attempt: &Try, net: &mut Net, from: usize, address: Ipv4Addr) {
    let far = attempt.call(|| net.hosts[1].stack.udp_open());
    attempt.call(|| net.hosts[1].stack.bind(far, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 53)));
    let near = attempt.call(|| net.hosts[from].stack.udp_open());
    let to = Some(SocketAddrV4::new(address, 53));
    let now = net.now;
    attempt.call(|| {
        let host = &mut net.hosts[from];
        host.stack.send_to(now, near, &[7; 900], to, &mut host.out)
    });
    attempt.settle(net);
    let mut buffer = [0; 1_000];
    let lost = net.hosts[1].stack.recv_from(far, &mut buffer).is_err();
    assert!(!lost || attempt.reached.get());
    let host = &mut net.hosts[from];
    host.stack.send_to(net.now, near, &[8; 900], to, &mut host.out).unwrap();
    net.settle();
    assert_eq!(net.hosts[1].stack.readiness(far), Ok(Readiness::IN | Readiness::OUT));
    assert_eq!(net.hosts[1].stack.recv_from(far, &mut buffer).unwrap().len, 900);
    assert_eq!(buffer[0], 8);
    net.hosts[1].stack.close(net.now, far).unwrap();
    net.hosts[from].stack.close(net.now, near).unwrap();
}

/// The answer comes in fragments, too.
fn ping_in_fragments(attempt: &Try, net: &mut Net) {
    const STEP: usize = 1_480;
    let mut message = vec![9; 4_000];
    let (header, data) = message.split_at_mut(Icmpv4Repr::LEN);
    let sum = Sum::of(data);
    Icmpv4Repr::EchoRequest { ident: 1, seq: 1 }.emit(header, sum).unwrap();
    for (number, piece) in message.chunks(STEP).enumerate() {
        let repr = Ipv4Repr {
            src: ip(1),
            dst: ip(2),
            protocol: IpProtocol::ICMP,
            payload_len: piece.len() as u16,
            ident: 77,
            dont_fragment: false,
            more_fragments: (number + 1) * STEP < message.len(),
            fragment_offset: (number * STEP) as u16,
            ttl: 64,
            traffic_class: 0,
        };
        let mut frame = vec![0; 14 + Ipv4Repr::LEN + piece.len()];
        EthernetRepr { dst: mac(2), src: mac(1), ethertype: EtherType::IPV4 }.emit(&mut frame).unwrap();
        repr.emit(&mut frame[14..]).unwrap();
        frame[14 + Ipv4Repr::LEN..].copy_from_slice(piece);
        let now = net.now;
        attempt.run(|| net.hosts[1].frame(now, &frame));
    }
    let now = net.now;
    let _progress = attempt.run(|| net.hosts[1].poll(now));
    let answered = net.hosts[1].out.frames.len();
    assert!(answered == 3 || attempt.reached.get(), "{answered} fragments");
    net.hosts[1].out.frames.clear();
}

#[test]
fn without_memory_calls_are_refused_and_packets_lost() {
    let mut refused = 0;
    for countdown in 0.. {
        assert!(countdown < 100, "no end");
        let attempt = Try::at(countdown);
        use_everything(&attempt);
        refused += attempt.refused.get();
        if countdown > 0 && !attempt.reached.get() {
            break;
        }
    }
    assert!(refused > 20, "{refused} calls were refused");
}

#[test]
fn no_connection_begins_that_would_find_no_memory_at_its_other_end() {
    // Less than sockets come in.
    const LITTLE: usize = 8 << 10;
    let mut net = Net::with(config(1), config(2));
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 4).unwrap();
    LONGEST.set(LITTLE);
    // As many as fit.
    let mut sockets = Vec::new();
    while let Ok(socket) = net.hosts[1].stack.tcp_open() {
        sockets.push(socket);
    }
    let home = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
    let near = *sockets.last().unwrap();
    let refused = net.hosts[1].stack.connect(net.now, near, home);
    // What a test says when it fails needs memory, too.
    LONGEST.set(usize::MAX);
    assert_eq!(refused, Err(Error::NoBuffers));
    let far = net.hosts[0].stack.tcp_open().unwrap();
    net.hosts[0].stack.connect(net.now, far, at(2, 80)).unwrap();
    LONGEST.set(LITTLE);
    net.settle();
    LONGEST.set(usize::MAX);
    assert_eq!(net.hosts[0].stack.tcp_state(far), Ok(State::SynSent), "nothing is promised");
    net.run(Duration::from_secs(3));
    net.hosts[1].stack.accept(listener).unwrap();
    net.hosts[1].stack.connect(net.now, near, home).unwrap();
    net.settle();
    net.hosts[1].stack.accept(listener).unwrap();
}

#[test]
fn a_crowd_leaves_no_room_behind() {
    let mut net = Net::with(config(1), config(2));
    let listener = net.hosts[1].stack.tcp_open().unwrap();
    net.hosts[1].stack.bind(listener, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 80)).unwrap();
    net.hosts[1].stack.listen(listener, 16).unwrap();
    let mut round = |crowd| {
        let pairs: Vec<_> = (0..crowd).map(|_| net.connect_to(listener, 80)).collect();
        for (client, server) in pairs {
            net.hosts[0].stack.close(net.now, client).unwrap();
            net.settle();
            net.hosts[1].stack.close(net.now, server).unwrap();
            net.settle();
        }
        net.run(Duration::from_secs(300));
        for host in &mut net.hosts {
            while host.stack.poll_event().is_some() {}
        }
        HELD.get()
    };
    let before = round(100);
    let after = round(3_000);
    // The smallest tables of flows are kept.
    assert!(after <= before + 8192, "{} bytes more", after - before);
}
