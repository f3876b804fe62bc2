//! Two boards, a cable between them, and a clock that jumps to whatever happens next.

use crate::Endpoint;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::VecDeque;
use swos_units::{Duration, Instant};
use swos_wire::{Ipv4View, TcpFlags, TcpView};

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 49152);
const SENSOR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 7000);
const QUESTION: &[u8] = b"temperature?\n";
const ANSWER: &[u8] = b"21.5 C\n";
/// How long a packet is under way.
const DELAY: Duration = Duration::from_millis(5);

/// What happened on the cable.
#[derive(Debug)]
pub struct Story {
    /// A line for each packet.
    pub text: String,
    /// What the client read.
    pub answer: Vec<u8>,
    /// Packets that were lost.
    pub lost: usize,
}

/// A client asks a sensor for its temperature. Packets for whose number `loses` says so do not arrive.
pub fn conversation(loses: impl Fn(usize) -> bool) -> Story {
    let mut story = Story { text: String::new(), answer: Vec::new(), lost: 0 };
    let (mut asked, mut packets) = (Vec::new(), 0);
    let mut cable: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    // ANCHOR: loop
    let mut now = Instant::ZERO;
    let mut client = Endpoint::connect(now, CLIENT, SENSOR, [1; 16]);
    let mut sensor = Endpoint::listen(SENSOR, CLIENT, [2; 16]);
    client.send(QUESTION);
    loop {
        // The applications.
        sensor.receive(&mut asked);
        if asked.ends_with(b"\n") {
            asked.clear();
            sensor.send(ANSWER);
            sensor.finish();
        }
        if client.receive(&mut story.answer) {
            client.finish();
        }

        // Outputs: drain both machines.
        for end in [&mut client, &mut sensor] {
            end.poll(now, &mut |packet| {
                packets += 1;
                let lost = loses(packets);
                describe(&mut story.text, now, packet, lost);
                if lost {
                    story.lost += 1;
                } else {
                    cable.push_back((now + DELAY, packet.to_vec()));
                }
            });
        }

        // Inputs: whatever comes next, a packet or a deadline. Nothing at all: both ends are closed.
        let arrival = cable.front().map(|(at, _)| *at);
        let next = [arrival, client.deadline(), sensor.deadline()].into_iter().flatten().min();
        let Some(next) = next else { return story };
        now = now.max(next);
        while let Some((_, packet)) = cable.pop_front_if(|(at, _)| *at <= now) {
            let _changed = client.on_packet(now, &packet) | sensor.on_packet(now, &packet);
        }
        let _changed = client.on_timeout(now) | sensor.on_timeout(now);
    }
    // ANCHOR_END: loop
}

/// One line about a packet.
fn describe(text: &mut String, now: Instant, packet: &[u8], lost: bool) {
    let Ok(ip) = Ipv4View::parse(packet) else { return };
    let Ok(tcp) = TcpView::parse(ip.payload()) else { return };
    let flags: Vec<&str> = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
    ]
    .into_iter()
    .filter_map(|(flag, name)| tcp.flags().contains(flag).then_some(name))
    .collect();
    let who = if tcp.src_port() == CLIENT.port() { "client >" } else { "< sensor" };
    let data = String::from_utf8_lossy(tcp.payload()).trim_end().to_owned();
    let fate = if lost { "  LOST" } else { "" };
    let milliseconds = now.as_nanos() / 1_000_000;
    let line = format!("{milliseconds:>6} ms  {who}  {:11} {data:12}{fate}", flags.join(" "));
    text.push_str(line.trim_end());
    text.push('\n');
}
