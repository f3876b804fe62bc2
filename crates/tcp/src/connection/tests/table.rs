//! Every state × every kind of segment: the next state and what is answered.
//!
//! Answers: `.` nothing, `A` an ACK, `R` a reset, `S` SYN-ACK. The expectations were written from
//! RFC 9293 §3.10.7 with RFC 5961 and RFC 1337, not from the program.

use super::rig::*;
use crate::*;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

const STATES: [(&str, State); 10] = [
    ("SYNS", State::SynSent),
    ("SYNR", State::SynReceived),
    ("ESTB", State::Established),
    ("FIN1", State::FinWait1),
    ("FIN2", State::FinWait2),
    ("CLSW", State::CloseWait),
    ("CLSG", State::Closing),
    ("LAST", State::LastAck),
    ("TIMW", State::TimeWait),
    ("CLSD", State::Closed),
];

/// Rows: input. Columns: states in the order above.
const TABLE: &str = "
               SYNS   SYNR   ESTB   FIN1   FIN2   CLSW   CLSG   LAST   TIMW   CLSD
syn            SYNR S SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW A CLSD R
syn-far        SYNR S SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW A CLSD R
syn-ack        ESTB A SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW A CLSD R
syn-bad-ack    SYNS R SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW A CLSD R
rst            SYNS . CLSD . CLSD . CLSD . CLSD . CLSD . CLSD . CLSD . TIMW . CLSD .
rst-good-ack   CLSD . CLSD . CLSD . CLSD . CLSD . CLSD . CLSD . CLSD . TIMW . CLSD .
rst-in-window  SYNS . SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW . CLSD .
rst-outside    SYNS . SYNR . ESTB . FIN1 . FIN2 . CLSW . CLSG . LAST . TIMW . CLSD .
ack            SYNS . ESTB . ESTB . FIN2 . FIN2 . CLSW . TIMW . CLSD . TIMW . CLSD R
ack-unsent     SYNS R SYNR R ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW . CLSD R
ack-ancient    SYNS R SYNR R ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW . CLSD R
data-no-ack    SYNS . SYNR . ESTB . FIN1 . FIN2 . CLSW . CLSG . LAST . TIMW A CLSD R
data           SYNS . ESTB d ESTB d FIN2 d FIN2 d CLSW . TIMW . CLSD . TIMW A CLSD R
data-ahead     SYNS . ESTB A ESTB A FIN2 A FIN2 A CLSW . TIMW . CLSD . TIMW A CLSD R
data-outside   SYNS . SYNR A ESTB A FIN1 A FIN2 A CLSW A CLSG A LAST A TIMW A CLSD R
fin            SYNS . CLSW A CLSW A TIMW A TIMW A CLSW . TIMW . CLSD . TIMW A CLSD R
fin-old-ack    SYNS R SYNR R CLSW A CLSG A TIMW A CLSW . CLSG . LAST . TIMW A CLSD R
";

/// The segment of a row, given how many numbers the peer has used (its FIN) and we have (ours).
fn input(name: &str, theirs: i32, ours: i32) -> (Header, &'static [u8]) {
    let at = |flags, seq, ack| header(flags, theirs + seq, ack);
    match name {
        "syn" => (at(SYN, 5, 0), b""),
        "syn-far" => (at(SYN, 500_000, 0), b""),
        "syn-ack" => (at(SYN | ACK, 5, ours), b""),
        "syn-bad-ack" => (at(SYN | ACK, 5, ours + 7), b""),
        "rst" => (at(RST, 0, 0), b""),
        "rst-good-ack" => (at(RST | ACK, 0, ours), b""),
        "rst-in-window" => (at(RST, 5, 0), b""),
        "rst-outside" => (at(RST, 500_000, 0), b""),
        "ack" => (at(ACK, 0, ours), b""),
        "ack-unsent" => (at(ACK, 0, ours + 7), b""),
        "ack-ancient" => (at(ACK, 0, ours - 500_000), b""),
        "data-no-ack" => (at(PSH, 0, 0), b"data"),
        "data" => (at(ACK, 0, ours), b"data"),
        "data-ahead" => (at(ACK, 100, ours), b"data"),
        "data-outside" => (at(ACK, 500_000, ours), b"data"),
        "fin" => (at(FIN | ACK, 0, ours), b""),
        "fin-old-ack" => (at(FIN | ACK, 0, ours - 1), b""),
        _ => panic!("no such row"),
    }
}

fn outcome(row: &str, start: State) -> String {
    let mut rig = Rig::in_state(start);
    let theirs = match start {
        State::CloseWait | State::LastAck | State::Closing | State::TimeWait => 1,
        _ => 0,
    };
    let ours = match start {
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => 1,
        _ => 0,
    };
    let (header, payload) = input(row, theirs, ours);
    let readable = rig.connection.readable();
    let out = rig.deliver(header, payload);
    let mut answers: Vec<&str> = out
        .iter()
        .map(|o| match o.flags {
            f if f.contains(RST) => "R",
            f if f.contains(SYN) => "S",
            f if f.contains(FIN) => "F",
            _ => "A",
        })
        .collect();
    if rig.connection.readable() > readable {
        // Data is delivered; the ACK is delayed.
        answers.push("d");
    }
    let answer = if answers.is_empty() { ".".to_string() } else { answers.concat() };
    let name = STATES.iter().find(|(_, s)| *s == rig.state()).map_or("?", |(n, _)| n);
    format!("{name} {answer}")
}

#[test]
fn every_state_and_segment() {
    let mut wrong = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty()).skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let row = words[0];
        for (column, (name, state)) in STATES.iter().enumerate() {
            let expected = format!("{} {}", words[1 + 2 * column], words[2 + 2 * column]);
            let actual = outcome(row, *state);
            if actual != expected {
                wrong.push(format!("{name} × {row}: expected {expected}, got {actual}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
