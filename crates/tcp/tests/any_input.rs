//! Any sequence of inputs, taken from bytes: the fuzz target of the machine, and random runs of it.

use proptest::prelude::*;
use swos_tcp::{
    ByteQueue, Config, Connection, Extension, Header, KeepAlive, Nagle, Path, SendQueue, State, WindowScale,
};
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags, TcpOptions, TcpTimestamp};

/// Plays the peer, the clock and the application as `input` says. Whatever that is, the machine must
/// not panic, must come to rest, must name only octets that are queued, and must keep its promises.
fn drive(input: &[u8]) {
    let mut bytes = input.iter().copied();
    let mut next = || bytes.next();
    let Some(options) = next() else { return };
    let on = |bit| if options & bit == 0 { Extension::Off } else { Extension::On };
    let config = Config {
        receive_capacity: 1 << (6 + (options & 7)),
        window_scale: if options & 8 == 0 { WindowScale::Off } else { WindowScale::Shift(2) },
        sack: on(16),
        timestamps: on(32),
        reassembly_ranges: 4,
        ..Config::default()
    };
    let mut now = Instant::from_nanos(1 << 40);
    let (ours, theirs) = (SeqNumber(u32::MAX - 40), SeqNumber(u32::MAX - 90));
    let mut queue = ByteQueue::new();
    let mut connection = Connection::connect(now, &config, Path::ipv4(576), ours);
    let mut promised: Option<SeqNumber> = None;
    // What the peer has seen: enough to answer sensibly half of the time.
    let (mut seen, mut sent) = (ours, theirs);
    if options & 64 == 0 {
        let _ = connection.poll_transmit(now, &config, &queue);
        let options = TcpOptions {
            mss: Some(536),
            window_scale: Some(2),
            sack_permitted: true,
            timestamp: on(32).eq(&Extension::On).then_some(TcpTimestamp { value: 1, echo: 0 }),
            ..TcpOptions::NONE
        };
        let flags = TcpFlags::SYN | TcpFlags::ACK;
        let syn_ack = Header { seq: sent, ack: ours + 1, flags, window: 5000, urgent: 0, options };
        let _ = connection.on_segment(now, &config, &syn_ack, &[], &mut queue);
        assert_eq!(connection.state(), State::Established);
        (seen, sent) = (ours + 1, sent + 1);
    }
    while let Some(action) = next() {
        match action & 15 {
            0..=7 => {
                let (Some(flags), Some(place), Some(size)) = (next(), next(), next()) else { return };
                let payload = vec![size; usize::from(size & 63)];
                let jitter = u32::from(place & 7).wrapping_sub(3) * u32::from(place >> 7);
                let stamp = TcpTimestamp { value: u32::from(place) << 2, echo: u32::from(size) };
                let mut options = TcpOptions::NONE;
                options.timestamp = (action & 16 != 0).then_some(stamp);
                options.sack_permitted = true;
                options.mss = Some(u16::from(size) * 4);
                options.window_scale = Some(place & 15);
                options.sack.push(seen + u32::from(place & 31), seen + u32::from(size & 63));
                let mut flags = TcpFlags::from_bits_retain(flags);
                if place & 0x60 != 0 {
                    // Else nearly every run would end by its third segment.
                    flags.remove(TcpFlags::RST);
                }
                if action & 32 != 0 {
                    flags = TcpFlags::ACK | flags.intersection(TcpFlags::SYN | TcpFlags::FIN);
                }
                let header = Header {
                    seq: sent + jitter,
                    ack: seen + u32::from(place >> 5 & 1),
                    flags,
                    window: u16::from(size) << (place & 7),
                    urgent: u16::from(size),
                    options,
                };
                let before = queue.len();
                let _ = connection.on_segment(now, &config, &header, &payload, &mut queue);
                assert!(queue.len() <= before);
                if action & 64 != 0 {
                    sent += header.sequence_len(payload.len());
                }
            }
            8 => {
                now = now + Duration::from_millis(u64::from(next().unwrap_or(0)) * 40);
                let _ = connection.on_timeout(now, &config);
            }
            9 => {
                now = now.max(connection.deadline().unwrap_or(now));
                let _ = connection.on_timeout(now, &config);
            }
            10 if connection.can_send() => queue.push(&vec![action; usize::from(next().unwrap_or(0)) * 8]),
            11 => {
                let n = usize::from(next().unwrap_or(0));
                assert_eq!(connection.peek().is_empty(), connection.readable() == 0);
                let available = connection.readable();
                assert_eq!(connection.consume(n), n.min(available));
            }
            12 if action & 0x70 == 0 => connection.shutdown_send(),
            13 if action & 0xF0 == 0 => connection.close(now, &config),
            13 => connection.set_nagle(Nagle::Off),
            14 => connection.set_keep_alive(now, Some(KeepAlive::default())),
            _ => connection.mark_urgent(&queue),
        }
        let mut segments = 0;
        while let Some(transmit) = connection.poll_transmit(now, &config, &queue) {
            segments += 1;
            assert!(segments < 500, "never comes to rest");
            assert!(transmit.offset + transmit.len <= queue.len(), "octets that are not queued");
            let header = transmit.header;
            let options = header.options.encoded_len();
            assert!(transmit.len + options <= 536, "longer than the path takes");
            if header.flags.contains(TcpFlags::RST) {
                continue;
            }
            seen = seen.max(header.seq + header.sequence_len(transmit.len));
            if header.flags.contains(TcpFlags::ACK) {
                // The right edge of the window never moves back (but for the rounding of a shift).
                let edge = header.ack + u32::from(header.window);
                if config.window_scale == WindowScale::Off {
                    assert!(promised.is_none_or(|old| !edge.is_before(old)), "the window shrank");
                    promised = Some(edge);
                }
            }
        }
        assert!(connection.readable() <= config.receive_capacity.max(65_535));
        if connection.state() == State::Closed {
            assert_eq!(connection.deadline(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn random_inputs(input in prop::collection::vec(any::<u8>(), 0..600)) {
        drive(&input);
    }
}
