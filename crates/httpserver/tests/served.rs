//! A small server around the machine: what a client gets for bytes, however they are cut.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test, on hosts of 64 bits"
)]

use std::collections::VecDeque;

use proptest::prelude::*;
use swos_httpserver::{
    Action, Buffers, Connection, Entity, Interest, Parameters, Status,
    malformed::{CASES, Closes},
};
use swos_units::{Duration, Instant};

const BODY: &[u8] = b"0123456789abcdefghij";

/// What a client saw.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    bytes: Vec<u8>,
    finished: bool,
    closed: bool,
}

struct Server {
    parameters: Parameters,
    buffers: Buffers,
    connection: Connection<&'static [u8]>,
    now: Instant,
    seen: Seen,
    /// How many bytes each send takes at most; 0 = blocked.
    windows: VecDeque<usize>,
}

impl Server {
    fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            buffers: Buffers::new(&parameters),
            connection: Connection::new(Instant::ZERO),
            now: Instant::ZERO,
            seen: Seen { bytes: Vec::new(), finished: false, closed: false },
            windows: VecDeque::new(),
        }
    }

    fn drive(&mut self) {
        while let Some(action) = self.connection.poll(&self.parameters, &mut self.buffers) {
            match action {
                Action::Answer => self.answer(),
                Action::Refuse(status) => {
                    let _ = self.connection.refuse(self.now, &mut self.buffers, b"Server: t\r\n", status);
                }
                Action::Send => {
                    let output = self.connection.output().expect("asked to send");
                    let (file, offset, length) = output.file.map_or((&[][..], 0, 0), |(f, o, l)| (*f, o, l));
                    let body = &file[offset as usize..(offset + length) as usize];
                    let window = self.windows.pop_front().unwrap_or(usize::MAX);
                    let all = [output.bytes, body].concat();
                    let count = window.min(all.len());
                    assert!(!all.is_empty(), "nothing to send");
                    if count == 0 {
                        self.connection.on_blocked();
                    } else {
                        self.seen.bytes.extend_from_slice(&all[..count]);
                        self.connection.on_sent(self.now, count);
                    }
                }
                Action::FinishSending => {
                    assert!(!self.seen.finished);
                    self.seen.finished = true;
                }
                Action::Close => {
                    assert!(!self.seen.closed);
                    self.seen.closed = true;
                }
            }
        }
    }

    fn answer(&mut self) {
        let Self { connection, buffers, now, .. } = self;
        let request = connection.request().expect("asked to answer");
        let mut path = [0; 8192];
        let decoded =
            swos_http1::path::decode(request.target(), &mut path).map(|path| path.relative.to_vec());
        let entity = Entity { size: 20, etag: Some(b"\"e\""), modified: None, fields: b"ETag: \"e\"\r\n" };
        let other = request.head.method == swos_httpserver::Method::Other;
        let common = b"Server: t\r\n";
        let _ = match decoded.as_deref() {
            _ if other => connection.respond_file(*now, buffers, common, &entity, BODY),
            Ok(b"" | b"x") => connection.respond_file(*now, buffers, common, &entity, BODY),
            Ok(_) => connection.respond_error(*now, buffers, common, Status::NOT_FOUND, b""),
            Err(_) => connection.respond_error(*now, buffers, common, Status::BAD_REQUEST, b""),
        };
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.seen.closed {
            // As a driver on a socket: bytes wait there while the machine does not want them.
            while self.connection.interest() == Interest::Send && !self.seen.closed {
                self.connection.on_writable();
                self.drive();
            }
            let space = self.connection.space(&mut self.buffers);
            let count = space.len().min(rest.len());
            assert!(count > 0 || self.seen.closed, "no room");
            space[..count].copy_from_slice(&rest[..count]);
            self.connection.on_received(self.now, count);
            rest = &rest[count..];
            self.drive();
        }
    }

    fn end(&mut self) {
        while self.connection.interest() == Interest::Send && !self.seen.closed {
            self.connection.on_writable();
            self.drive();
        }
        self.connection.on_ended();
        self.drive();
        while self.connection.interest() == Interest::Send && !self.seen.closed {
            self.connection.on_writable();
            self.drive();
        }
    }
}

fn serve(pieces: &[&[u8]], windows: &[usize]) -> Seen {
    let mut server = Server::new(Parameters::default());
    server.windows = windows.iter().copied().collect();
    pieces.iter().for_each(|piece| server.receive(piece));
    server.end();
    assert!(server.seen.closed, "an ended connection closes");
    server.seen
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Splits replies, by their Content-Length; `heads` says which replies have no content.
fn statuses(mut bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = str::from_utf8(&bytes[..end]).unwrap();
        assert!(head.starts_with("HTTP/1.1 "), "{}", text(bytes));
        statuses.push(head[9..12].parse().unwrap());
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |l| l.parse().unwrap());
        bytes = &bytes[end + length..];
    }
    statuses
}

#[test]
fn the_table_of_requests() {
    for case in CASES {
        let mut server = Server::new(Parameters::default());
        server.receive(case.request);
        assert_eq!(
            statuses(&server.seen.bytes).first(),
            Some(&case.status),
            "{}: {}",
            case.name,
            text(&server.seen.bytes)
        );
        let closes = if server.seen.finished { Closes::Yes } else { Closes::No };
        assert_eq!(closes, case.closes, "{}", case.name);
        if case.closes == Closes::No {
            server.receive(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(statuses(&server.seen.bytes), [case.status, 200], "{}: goes on in step", case.name);
        } else {
            assert!(server.seen.bytes.windows(17).any(|part| part == b"Connection: close"), "{}", case.name);
        }
    }
}

#[test]
fn long_heads() {
    let mut server = Server::new(Parameters::default());
    server.receive(format!("GET /{} HTTP/1.1\r\n", "x".repeat(9_000)).as_bytes());
    assert_eq!(statuses(&server.seen.bytes), [414]);
    let mut server = Server::new(Parameters::default());
    server.receive(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9_000)).as_bytes());
    assert_eq!(statuses(&server.seen.bytes), [431]);
    let mut server = Server::new(Parameters::default());
    server.receive(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(101)).as_bytes());
    assert_eq!(statuses(&server.seen.bytes), [431]);
}

/// H-4: every request of the table, whole, a byte at a time, and split at every offset.
#[test]
fn cuts_change_no_reply() {
    for case in CASES {
        let whole = serve(&[case.request], &[]);
        let bytes: Vec<&[u8]> = case.request.chunks(1).collect();
        assert_eq!(serve(&bytes, &[]), whole, "{} a byte at a time", case.name);
        for at in 1..case.request.len() {
            let (first, second) = case.request.split_at(at);
            assert_eq!(serve(&[first, second], &[]), whole, "{} cut at {at}", case.name);
        }
    }
}

/// H-4: a hundred pipelined requests get the replies that a hundred connections would give.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let kinds = CASES.iter().filter(|case| case.closes == Closes::No);
    let requests: Vec<_> = kinds.cycle().take(100).collect();
    let input: Vec<u8> = requests.iter().flat_map(|case| case.request).copied().collect();
    let expected: Vec<u16> = requests.iter().map(|case| case.status).collect();
    let whole = serve(&[&input], &[]);
    assert_eq!(statuses(&whole.bytes), expected);
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(serve(&bytes, &[]), whole);
    assert_eq!(serve(&[&input], &[1, 0, 7, 0, 0, 3, 100, 0, 1, 1]), whole);
}

#[test]
fn ranges_and_conditions() {
    let get = |method: &str, fields: &str| {
        let seen = serve(&[format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()], &[]);
        String::from_utf8(seen.bytes).unwrap()
    };
    let part = get("GET", "Range: bytes=5-7\r\n");
    assert!(part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\n567"), "{part}");
    assert!(part.contains("Content-Range: bytes 5-7/20\r\n") && part.contains("Content-Length: 3\r\n"));
    let head = get("HEAD", "Range: bytes=5-7\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 ")
            && head.contains("Content-Length: 20\r\n")
            && head.ends_with("\r\n\r\n")
    );
    let beyond = get("GET", "Range: bytes=20-\r\n");
    assert!(beyond.starts_with("HTTP/1.1 416 ") && beyond.contains("Content-Range: bytes */20\r\n"));
    let same = get("GET", "If-None-Match: \"e\"\r\n");
    assert!(
        same.starts_with("HTTP/1.1 304 ") && same.contains("ETag: \"e\"\r\n") && same.ends_with("\r\n\r\n")
    );
    assert!(
        !same.contains("Content-Length"),
        "a 304 describes the file, its length would be a lie about itself"
    );
    assert!(get("GET", "If-Match: \"f\"\r\n").starts_with("HTTP/1.1 412 "));
    assert!(get("GET", "Range: bytes=5-7\r\nIf-Range: \"f\"\r\n").starts_with("HTTP/1.1 200 "));
    assert!(get("DELETE", "").contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn time_outs() {
    let second = |count: u64| Instant::ZERO + Duration::from_nanos(count * 1_000_000_000);
    // A head that trickles in is given up ten seconds after its first byte, not after its last.
    let mut server = Server::new(Parameters::default());
    for (at, byte) in b"GET / HTT".iter().enumerate() {
        server.now = second(50 + at as u64);
        server.receive(&[*byte]);
    }
    assert_eq!(server.connection.deadline(&server.parameters), Some(second(60)));
    server.connection.on_timeout(&server.parameters, second(59));
    server.drive();
    assert!(server.seen.bytes.is_empty());
    server.now = second(60);
    server.connection.on_timeout(&server.parameters, second(60));
    server.drive();
    assert_eq!(statuses(&server.seen.bytes), [408]);
    assert!(server.seen.finished && !server.seen.closed);
    server.connection.on_timeout(&server.parameters, second(62));
    server.drive();
    assert!(server.seen.closed, "lingers two seconds");

    // An idle one goes without a word after a minute.
    let mut server = Server::new(Parameters::default());
    assert_eq!(server.connection.deadline(&server.parameters), Some(second(60)));
    server.connection.on_timeout(&server.parameters, second(60));
    server.drive();
    assert!(server.seen.closed && server.seen.bytes.is_empty());

    // One that takes nothing is cut off; one that takes a little now and then is not.
    let mut server = Server::new(Parameters::default());
    server.windows = [10, 0, 10, 0].into();
    server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    server.now = second(29);
    server.connection.on_writable();
    server.drive();
    server.connection.on_timeout(&server.parameters, second(58));
    server.drive();
    assert!(!server.seen.closed);
    server.connection.on_timeout(&server.parameters, second(59));
    server.drive();
    assert!(server.seen.closed);
    assert_eq!(server.connection.deadline(&server.parameters), None);
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut server = Server::new(Parameters::default());
    server.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(server.connection.is_idle() && format!("{:?}", server.connection).contains("input: None"));
    server.receive(b"GET");
    assert!(!server.connection.is_idle());
}

/// Fuzz target: any bytes, cut anywhere, give replies that a client can take apart, and an end.
fn fuzz(input: &[u8], cuts: &[usize], windows: &[usize]) {
    let whole = serve(&[input], &[]);
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut rest = input;
    for cut in cuts {
        let (piece, later) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    assert_eq!(serve(&pieces, windows), whole);
    if !input.windows(4).any(|four| four == b"HEAD") {
        let _ = statuses(&whole.bytes);
    }
}

proptest! {
    #[test]
    fn mutated_requests_are_served_or_refused(
        parts in proptest::collection::vec((0..CASES.len(), any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
        cuts in proptest::collection::vec(0..40_usize, 0..8),
        windows in proptest::collection::vec(prop_oneof![Just(0_usize), 1..50_usize], 0..8),
    ) {
        let mut input = Vec::new();
        for (case, at, byte, kind) in parts {
            let mut request = CASES[case].request.to_vec();
            let at = at.index(request.len());
            match kind {
                0 => {}
                1 => request[at] = byte,
                _ => { request.remove(at); }
            }
            input.extend(request);
        }
        fuzz(&input, &cuts, &windows);
    }

    #[test]
    fn any_bytes_are_served_or_refused(input in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(0..40_usize, 0..8)) {
        fuzz(&input, &cuts, &[]);
    }
}
