//! Off-path attackers: T-4 (blind injection) and SYN floods, against the whole stack.

#![expect(clippy::unwrap_used, reason = "a test harness may")]

use core::net::{Ipv4Addr, SocketAddrV4};

use swos_net_sim::{Dice, Probe, Segment};
use swos_netstack::{Error, Limits, Push, SocketId};
use swos_tcp::Config;
use swos_units::Duration;
use swos_wire::TcpFlags;

const ACK: TcpFlags = TcpFlags::ACK;

/// A connection accepted by the probe's stack, and what its peer knows.
struct Victim {
    probe: Probe,
    socket: SocketId,
    /// Next number of the peer and of the stack.
    theirs: u32,
    ours: u32,
}

fn to_victim() -> Segment {
    Segment::to(Probe::ADDRESS, 80)
}

fn victim(seed: u64) -> Victim {
    let mut probe = Probe::new(seed, Config::default());
    let listener = probe.listen(80, 16).unwrap();
    let syn_ack = probe.inject(&to_victim().syn(7000)).remove(0);
    let ours = syn_ack.seq.wrapping_add(1);
    assert!(probe.inject(&to_victim().with(ACK, 7001, ours)).is_empty());
    let (socket, _) = probe.stack().accept(listener).unwrap();
    let mut victim = Victim { probe, socket, theirs: 7001, ours };
    victim.talk();
    victim
}

impl Victim {
    /// The connection still carries octets both ways.
    fn talk(&mut self) {
        let now = self.probe.now();
        self.probe.stack().send_bytes(now, self.socket, b"ping", Push::Now).unwrap();
        let ping = self.probe.settle().into_iter().find(|s| !s.payload.is_empty()).unwrap();
        assert_eq!((ping.seq, ping.payload.as_slice()), (self.ours, b"ping".as_slice()));
        self.ours = self.ours.wrapping_add(4);
        let pong = to_victim().with(ACK, self.theirs, self.ours).carrying(b"pong");
        self.probe.inject(&pong);
        self.theirs = self.theirs.wrapping_add(4);
        let mut octets = [0; 16];
        assert_eq!(self.probe.stack().recv(self.socket, &mut octets), Ok(4));
        assert_eq!(octets[..4], *b"pong");
        let _ = self.probe.advance(Duration::from_millis(100));
    }
}

#[test]
fn t_4_blind_segments_with_the_right_four_tuple() {
    let mut victim = victim(1);
    let mut dice = Dice::new(4);
    let mut answers = 0;
    for i in 0..50_000_u32 {
        let flags = match i % 5 {
            0 => TcpFlags::RST,
            1 => TcpFlags::SYN,
            2 => TcpFlags::RST | ACK,
            3 => TcpFlags::FIN | ACK,
            _ => ACK,
        };
        let seq = u32::try_from(dice.throw() >> 32).unwrap();
        let ack = u32::try_from(dice.throw() >> 32).unwrap();
        if seq.wrapping_sub(victim.theirs) < 300_000 {
            // 2^32 / 300,000: this one would have been a lucky guess.
            continue;
        }
        let segment = to_victim().with(flags, seq, ack);
        let segment = if i % 5 == 4 { segment.carrying(b"evil octets") } else { segment };
        answers += victim.probe.inject(&segment).len();
    }
    // Answers go to the true peer; nothing of them is a reset.
    assert!(answers > 0);
    victim.talk();
}

#[test]
fn t_4_resets_in_the_window_are_challenged() {
    let mut victim = victim(2);
    // An attacker who hits the window with every 1,000th number.
    for offset in (1..200_000_u32).step_by(1000) {
        let out =
            victim.probe.inject(&to_victim().with(TcpFlags::RST, victim.theirs.wrapping_add(offset), 0));
        assert!(out.iter().all(|s| s.flags == ACK && s.ack == victim.theirs));
        let out =
            victim.probe.inject(&to_victim().with(TcpFlags::SYN, victim.theirs.wrapping_add(offset), 0));
        assert!(out.iter().all(|s| s.flags == ACK));
    }
    let _ = victim.probe.advance(Duration::from_secs(2));
    victim.talk();
    let exact = to_victim().with(TcpFlags::RST, victim.theirs, 0);
    assert!(victim.probe.inject(&exact).is_empty());
    assert_eq!(victim.probe.stack().recv(victim.socket, &mut [0; 4]), Err(Error::Reset));
}

#[test]
fn t_4_data_in_the_window_needs_the_right_ack() {
    let mut victim = victim(3);
    let mut dice = Dice::new(9);
    for _ in 0..20_000 {
        let ack = u32::try_from(dice.throw() >> 32).unwrap();
        if victim.ours.wrapping_sub(ack) < 100_000 {
            continue;
        }
        victim.probe.inject(&to_victim().with(ACK, victim.theirs, ack).carrying(b"evil"));
        assert_eq!(victim.probe.stack().recv(victim.socket, &mut [0; 4]), Err(Error::WouldBlock));
    }
    let _ = victim.probe.advance(Duration::from_secs(2));
    victim.talk();
}

#[test]
fn answers_to_challenges_are_limited() {
    let mut victim = victim(4);
    let forged = to_victim().with(TcpFlags::SYN, victim.theirs.wrapping_add(5), 0);
    let answers: usize = (0..10_000).map(|_| victim.probe.inject(&forged).len()).sum();
    assert!((1..=10).contains(&answers), "{answers}");
}

#[test]
fn syn_flood_keeps_nobody_out_and_memory_bounded() {
    let limits = Limits { half_open: 128, ..Limits::default() };
    let mut probe = Probe::with_limits(5, Config::default(), limits);
    let listener = probe.listen(80, 64).unwrap();
    let mut dice = Dice::new(11);
    let mut honest = 0;
    for i in 0..60_000_u32 {
        let address = Ipv4Addr::from_bits(0x0A00_0000 | u32::try_from(2 + dice.below(250)).unwrap());
        let port = u16::try_from(1024 + dice.below(60_000)).unwrap();
        let spoofed = to_victim().from(SocketAddrV4::new(address, port));
        probe.inject_quietly(&spoofed.syn(i).encode());
        if i % 64 == 0 {
            let _ = probe.settle();
            let _ = probe.advance(Duration::from_millis(1));
        }
        if i % 3000 == 2999 {
            // An honest client whose round trip takes 50 ms of flood.
            let me = SocketAddrV4::new(Probe::PEER, u16::try_from(2000 + i / 3000).unwrap());
            let answers = probe.inject(&to_victim().from(me).syn(99));
            let syn_ack = answers.iter().find(|s| s.dst == me).expect("an answer for the honest client");
            let ours = syn_ack.seq.wrapping_add(1);
            for n in 0..5000_u32 {
                let other = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 77), u16::try_from(1 + n).unwrap());
                probe.inject_quietly(&to_victim().from(other).syn(n).encode());
            }
            let _ = probe.advance(Duration::from_millis(50));
            let hello = to_victim().from(me).with(ACK, 100, ours).carrying(b"hello");
            let _ = probe.inject(&hello);
            let (socket, peer) = probe.stack().accept(listener).expect("the honest client got in");
            assert_eq!(peer, me);
            let mut octets = [0; 16];
            assert_eq!(probe.stack().recv(socket, &mut octets), Ok(5));
            probe.stack().abort(socket).unwrap();
            let _ = probe.settle();
            honest += 1;
        }
        assert!(probe.stack().usage().half_open <= 128);
    }
    assert_eq!(honest, 20);
    assert_eq!(probe.stack().usage().flows, 0, "nothing but the half-open entries");
    let _ = probe.advance(Duration::from_secs(300));
    assert_eq!(probe.stack().usage().half_open, 0, "they expire");
}

#[test]
fn forged_acks_during_a_flood_make_no_connection() {
    let limits = Limits { half_open: 8, ..Limits::default() };
    let mut probe = Probe::with_limits(6, Config::default(), limits);
    let listener = probe.listen(80, 64).unwrap();
    let mut dice = Dice::new(12);
    for i in 0..50_000_u32 {
        let port = u16::try_from(1024 + i % 60_000).unwrap();
        let from = SocketAddrV4::new(Probe::PEER, port);
        if i % 100 == 0 {
            let _ = probe.inject(&to_victim().from(from).syn(i));
        } else {
            let guess = u32::try_from(dice.throw() >> 32).unwrap();
            probe.inject_quietly(&to_victim().from(from).with(ACK, i, guess).carrying(b"x").encode());
        }
    }
    let _ = probe.settle();
    assert_eq!(probe.stack().accept(listener).err(), Some(Error::WouldBlock));
    assert_eq!(probe.stack().usage().flows, 0);
}

#[test]
fn segments_of_nobody_are_reset_and_resets_never() {
    let mut probe = Probe::new(7, Config::default());
    let out = probe.inject(&to_victim().with(ACK, 5, 77));
    assert_eq!((out[0].flags, out[0].seq), (TcpFlags::RST, 77));
    let out = probe.inject(&to_victim().syn(5));
    assert_eq!((out[0].flags, out[0].ack), (TcpFlags::RST | ACK, 6));
    assert!(probe.inject(&to_victim().with(TcpFlags::RST, 5, 77)).is_empty());
    assert!(probe.inject(&to_victim().with(TcpFlags::RST | ACK, 5, 77)).is_empty());
}
