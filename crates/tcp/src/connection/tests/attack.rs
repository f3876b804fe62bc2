//! Blind attackers: RFC 5961, RFC 5927, RFC 4987.

use super::rig::*;
use crate::*;
use swos_units::Duration;

#[test]
fn rfc_5961_3_2_reset_counts_only_at_the_exact_number() {
    let mut rig = Rig::established();
    for seq in [1, 100, 9999] {
        let out = rig.segment(RST, seq, 0, &[]);
        assert_eq!((out[0].flags, out[0].seq, out[0].ack), (ACK, 0, 0), "challenge");
    }
    for seq in [-1, 10_001, 1_000_000] {
        assert!(rig.segment(RST, seq, 0, &[]).is_empty());
    }
    assert_eq!(rig.state(), State::Established);
    rig.segment(RST, 0, 0, &[]);
    assert_eq!((rig.state(), rig.connection.error()), (State::Closed, Some(Error::Reset)));
}

#[test]
fn rfc_5961_4_2_syn_is_challenged_everywhere() {
    for seq in [-1, 0, 7, 1_000_000] {
        let mut rig = Rig::established();
        let out = rig.segment(SYN, seq, 0, &[]);
        assert_eq!((out[0].flags, out[0].ack), (ACK, 0));
        assert_eq!(rig.state(), State::Established);
    }
}

#[test]
fn rfc_5961_5_2_data_needs_a_plausible_ack() {
    let mut rig = Rig::established();
    rig.push(100);
    for ack in [101, 5000, -20_001, 1 << 30, i32::MIN] {
        let out = rig.segment(ACK, 0, ack, b"evil");
        assert!(out.iter().all(|o| o.flags == ACK));
        assert_eq!(rig.connection.readable(), 0, "ack {ack}");
    }
    rig.segment(ACK, 0, -20_000, b"good");
    assert_eq!(rig.read(), b"good");
}

#[test]
fn rfc_5961_7_challenges_are_limited_per_connection() {
    let mut rig = Rig::established();
    let total: usize = (0..500).map(|_| rig.segment(SYN, 5, 0, &[]).len()).sum();
    assert_eq!(total, usize::from(rig.config.challenge_acks));
    // Another connection has its own budget: no side channel.
    let mut other = Rig::established();
    assert_eq!(other.segment(SYN, 5, 0, &[]).len(), 1);
    rig.now = rig.now + Duration::from_millis(1001);
    assert_eq!(rig.segment(SYN, 5, 0, &[]).len(), 1);
}

#[test]
fn blind_segments_never_change_a_connection() {
    // T-4: 20,000 random segments without knowledge of the numbers.
    let mut seed = 1_u64;
    let mut rig = Rig::established();
    rig.queue.push(&[5; 500]);
    rig.drain();
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = seed.to_be_bytes();
        let flags = swos_wire::TcpFlags::from_bits_retain(bits[0]);
        let seq = i32::from_be_bytes([bits[1], bits[2], bits[3], bits[4]]);
        // Numbers outside both windows: those inside are what the attacker has to guess.
        if (-100..=11_000).contains(&seq) {
            continue;
        }
        let ack = i32::from_be_bytes([bits[4], bits[5], bits[6], bits[7]]);
        rig.segment(flags, seq, ack, b"blind");
    }
    assert_eq!((rig.state(), rig.connection.readable(), rig.queue.len()), (State::Established, 0, 500));
}

#[test]
fn any_segment_in_any_state_is_survived() {
    let states = [
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
        State::Closed,
    ];
    let mut seed = 99_u64;
    for round in 0..3000 {
        let mut rig = Rig::in_state(states[round % states.len()]);
        for _ in 0..20 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = seed.to_be_bytes();
            let flags = swos_wire::TcpFlags::from_bits_retain(bits[0]);
            let near = |byte: u8| i32::from(byte) - 3;
            let header = Header {
                window: u16::from_be_bytes([bits[3], bits[4]]),
                urgent: u16::from(bits[5]),
                ..header(flags, near(bits[1] & 7), near(bits[2] & 7))
            };
            let payload = [7; 32];
            rig.deliver(header, &payload[..usize::from(bits[6] & 31)]);
            match bits[7] & 15 {
                0 => rig.connection.shutdown_send(),
                1 => rig.connection.close(rig.now, &rig.config),
                2 if rig.connection.can_send() => drop(rig.push(3)),
                3 => drop(rig.wait(Duration::from_secs(1))),
                4 => drop(rig.read()),
                _ => {}
            }
            rig.drain();
        }
    }
}
