//! Closing, half-closing, aborting, giving up.

use super::rig::*;
use crate::*;
use swos_units::Duration;

#[test]
fn active_close_waits_two_msl() {
    let mut rig = Rig::in_state(State::FinWait2);
    let out = rig.segment(FIN | ACK, 0, 1, &[]);
    assert_eq!((out[0].flags, out[0].seq, out[0].ack), (ACK, 1, 1));
    assert!(rig.events.contains(Events::TIME_WAIT | Events::PEER_FINISHED));
    let rest = rig.connection.time_wait().unwrap();
    // MUST-13
    assert_eq!(rest.deadline(), rig.now + Duration::from_secs(60));
    rig.expire();
    assert_eq!((rig.state(), rig.connection.error()), (State::Closed, None));
    assert!(rig.events.contains(Events::CLOSED));
}

#[test]
fn passive_close() {
    let mut rig = Rig::in_state(State::CloseWait);
    assert!(rig.connection.at_eof() && rig.connection.can_send());
    assert_eq!(shapes(&rig.push(10)), [(0, 10)]);
    rig.connection.shutdown_send();
    assert!(!rig.connection.can_send());
    let fin = rig.drain();
    assert_eq!((fin[0].flags, fin[0].seq), (FIN | ACK, 10));
    rig.segment(ACK, 1, 11, &[]);
    // MUST-12: a normal close is not an abort.
    assert_eq!((rig.state(), rig.connection.error()), (State::Closed, None));
}

#[test]
fn fin_rides_on_the_last_data() {
    let mut rig = Rig::established();
    rig.queue.push(&[0; 1500]);
    rig.connection.shutdown_send();
    let out = rig.drain();
    assert_eq!(shapes(&out), [(0, 1000), (1000, 500)]);
    assert_eq!(out[1].flags, FIN | PSH | ACK);
}

#[test]
fn lost_fin_is_repeated() {
    for state in [State::FinWait1, State::LastAck, State::Closing] {
        let mut rig = Rig::in_state(state);
        let out = rig.expire();
        assert_eq!((out[0].flags, out[0].seq), (FIN | ACK, 0), "{state:?}");
    }
}

#[test]
fn simultaneous_close() {
    let mut rig = Rig::in_state(State::Closing);
    rig.segment(ACK, 1, 1, &[]);
    assert_eq!(rig.state(), State::TimeWait);
}

#[test]
fn half_closed_connection_still_receives() {
    let mut rig = Rig::in_state(State::FinWait2);
    rig.segment(PSH | ACK, 0, 1, b"late");
    assert_eq!(rig.read(), b"late");
    assert_eq!(rig.connection.deadline().map(|at| at.since(rig.now)), Some(Duration::from_millis(40)));
}

#[test]
fn must_12_abort_sends_a_reset_and_is_told() {
    let mut rig = Rig::established();
    rig.push(300);
    rig.connection.abort();
    let out = rig.drain();
    assert_eq!((out.len(), out[0].flags, out[0].seq), (1, RST | ACK, 300));
    assert_eq!((rig.state(), rig.connection.error()), (State::Closed, Some(Error::Aborted)));
    assert_eq!(rig.connection.deadline(), None);
}

#[test]
fn close_with_unread_data_resets() {
    let mut rig = Rig::established();
    rig.segment(ACK, 0, 0, b"unread");
    rig.connection.close(rig.now, &rig.config);
    assert_eq!(rig.drain()[0].flags, RST | ACK);
}

#[test]
fn data_after_close_resets() {
    let mut rig = Rig::established();
    rig.connection.close(rig.now, &rig.config);
    assert_eq!(rig.drain()[0].flags, FIN | ACK);
    assert_eq!(rig.segment(ACK, 0, 1, b"too late")[0].flags, RST | ACK);
    assert_eq!(rig.state(), State::Closed);
}

#[test]
fn closed_connection_does_not_wait_for_ever_in_fin_wait_2() {
    let mut rig = Rig::established();
    rig.connection.close(rig.now, &rig.config);
    rig.drain();
    rig.segment(ACK, 0, 1, &[]);
    assert_eq!(rig.state(), State::FinWait2);
    rig.wait(Duration::from_secs(61));
    assert_eq!(rig.state(), State::Closed);
    // One that still reads does.
    let mut rig = Rig::in_state(State::FinWait2);
    assert_eq!(rig.connection.deadline(), None);
    rig.wait(Duration::from_secs(100_000));
    assert_eq!(rig.state(), State::FinWait2);
}

#[test]
fn close_before_the_handshake_ends() {
    let mut rig = Rig::syn_sent(config());
    rig.connection.close(rig.now, &rig.config);
    assert_eq!((rig.state(), rig.drain().len()), (State::Closed, 0));

    let mut rig = Rig::in_state(State::SynReceived);
    rig.connection.shutdown_send();
    assert_eq!(rig.state(), State::SynReceived);
    let out = rig.segment(ACK, 0, 0, &[]);
    assert_eq!((rig.state(), out[0].flags, out[0].seq), (State::FinWait1, FIN | ACK, 0));
}

#[test]
fn fin_ahead_of_data_waits_for_it() {
    let mut rig = Rig::established();
    assert_eq!(rig.segment(FIN | ACK, 4, 0, b"tail")[0].ack, 0);
    assert_eq!(rig.state(), State::Established);
    assert_eq!(rig.segment(ACK, 0, 0, b"head")[0].ack, 9);
    assert_eq!((rig.state(), rig.read().as_slice()), (State::CloseWait, b"headtail".as_slice()));
}

#[test]
fn must_20_to_22_data_is_repeated_until_the_user_timeout() {
    let mut rig = Rig::established();
    rig.connection.set_user_timeout(Duration::from_secs(30));
    rig.push(100);
    let (start, mut times) = (rig.now, 0);
    loop {
        let out = rig.expire();
        if rig.state() == State::Closed {
            assert_eq!(out[0].flags, RST | ACK);
            break;
        }
        assert_eq!(shapes(&out), [(0, 100)]);
        times += 1;
        assert_eq!(rig.events.contains(Events::PATH_SUSPECT), times >= 3, "R1");
    }
    assert!(times >= 5 && rig.now.since(start) >= Duration::from_secs(30));
    assert_eq!(rig.connection.error(), Some(Error::TimedOut));
}

#[test]
fn slow_progress_is_progress() {
    let mut rig = Rig::established();
    rig.connection.set_user_timeout(Duration::from_secs(30));
    rig.push(9000);
    for ack in 1..=8 {
        // Something is always in flight, repeated in vain, and a little acknowledged now and then.
        rig.wait(Duration::from_secs(20));
        rig.segment(ACK, 0, ack * 1000, &[]);
        assert_eq!(rig.state(), State::Established, "after {} s", ack * 20);
    }
}

#[test]
fn first_fin_counts() {
    let mut rig = Rig::established();
    rig.segment(FIN | ACK, 4, 0, b"tail");
    rig.segment(FIN | ACK, 2, 0, b"xx");
    rig.segment(ACK, 0, 0, b"head");
    assert_eq!((rig.state(), rig.connection.readable()), (State::CloseWait, 8));
}

#[test]
fn must_24_to_29_keep_alive() {
    let mut rig = Rig::established();
    assert_eq!(rig.connection.deadline(), None, "off by default");
    let settings = KeepAlive { idle: Duration::from_secs(100), interval: Duration::from_secs(10), probes: 3 };
    rig.connection.set_keep_alive(rig.now, Some(settings));
    let start = rig.now;
    let out = rig.expire();
    assert_eq!(rig.now.since(start), Duration::from_secs(100));
    assert_eq!((out[0].flags, out[0].seq, out[0].len), (ACK, -1, 0));
    // An answer starts the wait again.
    rig.segment(ACK, 0, 0, &[]);
    assert_eq!(rig.connection.deadline(), Some(rig.now + Duration::from_secs(100)));
    assert_eq!(rig.expire().len(), 1);
    assert_eq!(rig.expire().len(), 1, "one lost probe does not kill");
    assert_eq!(rig.expire().len(), 1);
    assert_eq!(rig.expire()[0].flags, RST | ACK);
    assert_eq!(rig.connection.error(), Some(Error::TimedOut));
    assert_eq!(KeepAlive::default().idle, Duration::from_secs(7200));
}

#[test]
fn peers_keep_alive_probe_is_answered() {
    for probe in [&b""[..], &b"x"[..]] {
        let mut rig = Rig::established();
        let out = rig.segment(ACK, -1, 0, probe);
        assert_eq!((out.len(), out[0].flags, out[0].seq, out[0].ack), (1, ACK, 0, 0));
        assert_eq!(rig.connection.readable(), 0);
    }
}

#[test]
fn rfc_1337_reset_does_not_end_time_wait() {
    let mut rig = Rig::in_state(State::TimeWait);
    let mut rest = rig.connection.time_wait().unwrap();
    for seq in [0, 1, 2] {
        let verdict = rest.on_segment(rig.now, &rig.config, &header(RST, seq, 1), 0);
        assert_eq!(verdict, TimeWaitVerdict::Ignore);
        assert!(rig.segment(RST, seq, 1, &[]).is_empty());
    }
    assert_eq!(rig.state(), State::TimeWait);
}

#[test]
fn time_wait_answers_a_repeated_fin_and_lets_a_new_syn_in() {
    let mut rig = Rig::in_state(State::TimeWait);
    let mut rest = rig.connection.time_wait().unwrap();
    let later = rig.now + Duration::from_secs(30);
    let verdict = rest.on_segment(later, &rig.config, &header(FIN | ACK, 0, 1), 0);
    assert!(matches!(verdict, TimeWaitVerdict::Reply(t) if t.header.flags == ACK));
    assert_eq!(rest.deadline(), later + Duration::from_secs(60));
    let verdict = rest.on_segment(later, &rig.config, &header(SYN, 0, 0), 0);
    assert!(matches!(verdict, TimeWaitVerdict::Reply(_)), "an old SYN");
    let verdict = rest.on_segment(later, &rig.config, &header(SYN, 2, 0), 0);
    assert_eq!(verdict, TimeWaitVerdict::Reopen { last: OURS + 1 });
    rig.connection.abort();
    assert!(rig.drain().is_empty(), "nothing to reset any more");
}
