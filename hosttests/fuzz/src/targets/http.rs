//! HTTP/1: heads, targets, dates, and a whole server connection.

use std::collections::VecDeque;

use swos_http1::validators::{Current, weigh};
use swos_http1::{Head, Limits, Scan, body::Skip, date, path as http_path, range};
use swos_httpserver::malformed::CASES;
use swos_httpserver::{Action, Buffers, Connection, Entity, Interest, Method, Parameters, Status};
use swos_units::{Duration, Instant};

use crate::input::Input;

/// A request head and the body behind it, whole and in pieces. The first byte says how long the pieces are.
pub(super) fn head(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = usize::from(input.u8() % 64) + 1;
    let bytes = input.rest();
    let limits = Limits { head_bytes: 2048 };
    let whole = Scan::new().advance(bytes, &limits);
    let mut scan = Scan::new();
    let mut seen = 0;
    let in_pieces = loop {
        seen = (seen + piece).min(bytes.len());
        match scan.advance(&bytes[..seen], &limits) {
            Ok(None) if seen < bytes.len() => {}
            other => break other,
        }
    };
    assert_eq!(in_pieces, whole, "cut into pieces of {piece}");
    let Ok(Some(length)) = whole else { return };
    assert!(length <= bytes.len() && bytes[..length].ends_with(b"\r\n\r\n"));
    let Ok(head) = Head::parse(&bytes[..length]) else { return };
    // Lists of tags may reach over several lines; these don't.
    let spans = [head.range, head.if_range, head.if_modified_since, head.if_unmodified_since];
    for span in spans.into_iter().flatten() {
        assert!(!span.of(bytes).contains(&b'\n'));
    }
    assert!(!head.target.of(bytes).is_empty() && !head.method_name.of(bytes).is_empty());
    path(head.target.of(bytes));
    let current = Current { etag: Some(b"\"e\""), modified: Some(784_111_777) };
    let _outcome = weigh(&head, bytes, &current);
    if let Some(value) = head.range {
        select(value.of(bytes));
    }
    skip(head.body, &bytes[length..], piece);
}

fn select(value: &[u8]) {
    for size in [0, 1, 20, u64::MAX] {
        if let range::Selection::Part { start, length } = range::select(value, size) {
            assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
        }
    }
}

/// A body read whole and in pieces ends at the same place.
fn skip(length: swos_http1::BodyLength, bytes: &[u8], piece: usize) {
    let Ok(mut whole) = Skip::new(length, 1000) else { return };
    let expected = whole.advance(bytes);
    let Ok(mut parts) = Skip::new(length, 1000) else { return };
    let mut used = 0;
    for part in bytes.chunks(piece) {
        match parts.advance(part) {
            Ok(count) => used += count,
            Err(error) => return assert_eq!(Err(error), expected),
        }
        if parts.is_done() {
            break;
        }
    }
    assert_eq!(Ok(used), expected);
    assert_eq!(whole.is_done(), parts.is_done());
}

pub(super) fn head_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = CASES.iter().map(|case| [&[63], case.request].concat()).collect();
    seeds.push(
        b"\x05GET /a%20b?c HTTP/1.1\r\nHost: a\r\nRange: bytes=2-5\r\nIf-Range: \"e\"\r\nIf-None-Match: W/\"x\", \"e\"\r\n\
          If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: r\r\n\r\n"
            .to_vec(),
    );
    seeds
}

/// A request target: refused, or a path that stays within its root.
pub(super) fn path(data: &[u8]) {
    let mut buffer = vec![0; data.len()];
    let Ok(path) = http_path::decode(data, &mut buffer) else { return };
    let relative = path.relative;
    assert!(!relative.starts_with(b"/") && !relative.ends_with(b"/"));
    let mut parts = relative.split(|&byte| byte == b'/');
    let fine = |part: &[u8]| !part.is_empty() && part != b"." && part != b".." && !part.contains(&0);
    assert!(relative.is_empty() || parts.all(fine), "{}", relative.escape_ascii());
    // Encoded again, it leads to the same place.
    let mut target = b"/".to_vec();
    http_path::encode(relative, &mut target);
    let mut again = vec![0; target.len()];
    assert_eq!(http_path::decode(&target, &mut again).map(|path| path.relative), Ok(relative));
}

pub(super) fn path_seeds() -> Vec<Vec<u8>> {
    let targets: [&[u8]; 5] = [b"/", b"/a/b.html?x=/..", b"/a/../b//./c/", b"/%61%2e%2E/x%20y", b"/../x"];
    targets.map(<[u8]>::to_vec).into()
}

/// A date in a header: read, written, read again.
pub(super) fn date(data: &[u8]) {
    if let Some(seconds) = date::parse(data) {
        assert_eq!(date::parse(&date::format(seconds)), Some(seconds), "{}", data.escape_ascii());
    }
    let seconds = u64::from(Input::new(data).u32());
    assert_eq!(date::parse(&date::format(seconds)), Some(seconds));
}

pub(super) fn date_seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 3] =
        [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"];
    texts.map(<[u8]>::to_vec).into()
}

const BODY: &[u8] = b"0123456789abcdefghij";

/// A server around one connection, as a driver on a socket would be.
struct Server {
    parameters: Parameters,
    buffers: Buffers,
    connection: Connection<&'static [u8]>,
    now: Instant,
    /// What the client got, and whether the server ended its direction and then all.
    sent: Vec<u8>,
    finished: bool,
    closed: bool,
    /// How many bytes each send takes at most; 0 = blocked.
    windows: VecDeque<usize>,
    head_only: bool,
}

/// Bytes from a client, cut anywhere, to one that takes replies a little at a time: the replies are the same as for the whole,
/// a client can take them apart, and the connection ends. The first byte says how many of the next are cuts and
/// windows.
pub(super) fn server(data: &[u8]) {
    let mut input = Input::new(data);
    let count = usize::from(input.u8() % 16);
    let cuts: Vec<usize> = input.bytes(count).iter().map(|&cut| cut.into()).collect();
    let windows: Vec<usize> = input.bytes(count).iter().map(|&window| window.into()).collect();
    let requests = input.rest();
    let whole = serve(&[requests], &[]);
    let mut pieces = Vec::new();
    let mut rest = requests;
    for cut in cuts {
        let (piece, later) = rest.split_at(cut.min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    let cut = serve(&pieces, &windows);
    assert_eq!(cut.sent.escape_ascii().to_string(), whole.sent.escape_ascii().to_string());
    assert_eq!(cut.finished, whole.finished);
    if !whole.head_only {
        take_apart(&whole.sent);
    }
}

pub(super) fn server_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = CASES.iter().map(|case| [&[0], case.request].concat()).collect();
    let two = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\n\r\n";
    seeds.push([&[4, 3, 1, 1, 30, 0, 7, 0, 1][..], two].concat());
    seeds
}

fn serve(pieces: &[&[u8]], windows: &[usize]) -> Server {
    let parameters = Parameters::default();
    let mut server = Server {
        buffers: Buffers::new(&parameters),
        parameters,
        connection: Connection::new(Instant::ZERO),
        now: Instant::ZERO,
        sent: Vec::new(),
        finished: false,
        closed: false,
        windows: windows.iter().copied().collect(),
        head_only: false,
    };
    pieces.iter().for_each(|piece| server.receive(piece));
    server.end();
    server
}

impl Server {
    fn drive(&mut self) {
        // Each round answers, sends or ends something; what was received is far shorter.
        for _ in 0..100_000 {
            let Some(action) = self.connection.poll(&self.parameters, &mut self.buffers) else { return };
            assert!(!self.closed, "{action:?} after the end");
            match action {
                Action::Answer => self.answer(),
                Action::Refuse(status) => {
                    let _ = self.connection.refuse(self.now, &mut self.buffers, b"Server: t\r\n", status);
                }
                Action::Send => self.send(),
                Action::FinishSending => {
                    assert!(!self.finished);
                    self.finished = true;
                }
                Action::Close => self.closed = true,
            }
        }
        panic!("no end of actions");
    }

    fn send(&mut self) {
        let output = self.connection.output().expect("asked to send");
        let (file, offset, length) = output.file.map_or((&[][..], 0, 0), |(file, at, len)| (*file, at, len));
        let start = usize::try_from(offset).unwrap();
        let body = &file[start..start + usize::try_from(length).unwrap()];
        let all = [output.bytes, body].concat();
        assert!(!all.is_empty(), "nothing to send");
        let count = self.windows.pop_front().unwrap_or(usize::MAX).min(all.len());
        if count == 0 {
            self.connection.on_blocked();
        } else {
            self.sent.extend_from_slice(&all[..count]);
            self.connection.on_sent(self.now, count);
        }
    }

    fn answer(&mut self) {
        let Self { connection, buffers, now, .. } = self;
        let request = connection.request().expect("asked to answer");
        self.head_only |= request.head.method == Method::Head;
        let mut room = [0; 8192];
        let decoded = http_path::decode(request.target(), &mut room).map(|path| path.relative.to_vec());
        let entity = Entity { size: 20, etag: Some(b"\"e\""), modified: None, fields: b"ETag: \"e\"\r\n" };
        let other = request.head.method == Method::Other;
        let common = b"Server: t\r\n";
        let _ = match decoded.as_deref() {
            _ if other => connection.respond_file(*now, buffers, common, &entity, BODY),
            Ok(b"" | b"x") => connection.respond_file(*now, buffers, common, &entity, BODY),
            Ok(_) => connection.respond_error(*now, buffers, common, Status::NOT_FOUND, b""),
            Err(_) => connection.respond_error(*now, buffers, common, Status::BAD_REQUEST, b""),
        };
    }

    /// The client takes more.
    fn unblock(&mut self) {
        while self.connection.interest() == Interest::Send && !self.closed {
            self.connection.on_writable();
            self.drive();
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.closed {
            // Bytes wait in the socket while the machine does not want them.
            self.unblock();
            let space = self.connection.space(&mut self.buffers);
            let count = space.len().min(rest.len());
            if count == 0 {
                assert!(self.closed, "no room and not closed");
                return;
            }
            space[..count].copy_from_slice(&rest[..count]);
            self.connection.on_received(self.now, count);
            rest = &rest[count..];
            self.drive();
        }
    }

    /// The client is silent, then gone: whatever the server waits for, it gives up.
    fn end(&mut self) {
        for _ in 0..4 {
            self.unblock();
            let Some(deadline) = self.connection.deadline(&self.parameters) else { break };
            assert!(deadline <= self.now + Duration::from_secs(3600));
            if self.closed {
                break;
            }
            self.now = self.now.max(deadline);
            self.connection.on_timeout(&self.parameters, self.now);
            self.drive();
        }
        self.unblock();
        self.connection.on_ended();
        self.drive();
        self.unblock();
        assert!(self.closed, "an ended connection closes");
    }
}

/// Splits replies by their Content-Length.
fn take_apart(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = str::from_utf8(&bytes[..end]).expect("a head of text");
        assert!(head.starts_with("HTTP/1.1 "), "{}", bytes.escape_ascii());
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        bytes = &bytes[end + length.map_or(0, |length| length.parse().expect("a length"))..];
    }
}
