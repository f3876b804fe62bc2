//! Urgent data (MUST-30..33, MUST-62).

use super::rig::*;
use crate::*;

#[test]
fn must_31_32_62_reader_learns_where_urgent_data_ends() {
    let mut rig = Rig::established();
    rig.segment(ACK, 0, 0, b"calm");
    let urgent = Header { urgent: 6, ..header(ACK | URG, 4, 0) };
    rig.deliver(urgent, b"URGENTcalm");
    assert!(rig.events.contains(Events::URGENT));
    assert_eq!(rig.connection.urgent(), Some(10));
    rig.connection.consume(4);
    assert_eq!(rig.connection.urgent(), Some(6));
    rig.connection.consume(6);
    assert_eq!(rig.connection.urgent(), None);
    assert_eq!(rig.read(), b"calm");
}

#[test]
fn pointer_may_run_ahead_of_data_and_comes_in_any_length() {
    let mut rig = Rig::established();
    rig.deliver(Header { urgent: 60_000, ..header(ACK | URG, 0, 0) }, &[]);
    assert_eq!(rig.connection.urgent(), Some(60_000));
    // An older pointer does not take it back.
    rig.deliver(Header { urgent: 1, ..header(ACK | URG, 0, 0) }, b"x");
    assert_eq!(rig.connection.urgent(), Some(60_000));
}

#[test]
fn must_30_urgent_mode_is_sent_until_acknowledged() {
    let mut rig = Rig::established();
    rig.queue.push(&[1; 1500]);
    rig.connection.mark_urgent(&rig.queue);
    rig.queue.push(&[2; 500]);
    let out = rig.drain();
    assert_eq!(
        out.iter().map(|o| (o.seq, o.urgent, o.flags.contains(URG))).collect::<std::vec::Vec<_>>(),
        [(0, 1500, true), (1000, 500, true)]
    );
    rig.segment(ACK, 0, 2000, &[]);
    assert!(rig.push(10).iter().all(|o| !o.flags.contains(URG)));
}

#[test]
fn urgent_data_marked_before_the_handshake() {
    let mut rig = Rig::syn_sent(config());
    rig.queue.push(&[1; 7]);
    rig.connection.mark_urgent(&rig.queue);
    let out = rig.deliver(peer_syn(), &[]);
    assert_eq!((out[0].len, out[0].urgent), (7, 7));
}
