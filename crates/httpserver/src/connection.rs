//! The state machine.

use alloc::vec::Vec;

use swos_http1::{
    BodyLength, Expectation, Head, HeadWriter, Limits, Method, Persistence, Scan, Status, Version, body::Skip,
};
use swos_units::{Duration, Instant};

use crate::Buffers;

/// Limits and time-outs of connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameters {
    /// Bounds of a head.
    pub limits: Limits,
    /// A head must be whole so long after its first byte, however it trickles in.
    pub head_time: Duration,
    /// A connection may stay without a request for so long.
    pub idle_time: Duration,
    /// A client that takes no byte of a reply for so long is cut off.
    pub stall_time: Duration,
    /// After our last reply the client may go on sending for so long; what it sends is dropped.
    pub linger_time: Duration,
    /// Longest request body that is read over to keep the connection, in bytes.
    pub body_bytes: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        let seconds = |count: u64| Duration::from_nanos(count * 1_000_000_000);
        Self {
            limits: Limits::DEFAULT,
            head_time: seconds(10),
            idle_time: seconds(60),
            stall_time: seconds(30),
            linger_time: seconds(2),
            body_bytes: 64 << 10,
        }
    }
}

/// What the driver must do next.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Answer [`Connection::request`] by one of the `respond` methods.
    Answer,
    /// Answer a request that is refused by [`Connection::refuse`].
    Refuse(Status),
    /// Send [`Connection::output`] and tell how that went: `on_sent`, `on_blocked` or `on_failed`.
    Send,
    /// Tell the peer that nothing more comes, and go on receiving (bytes are dropped): so that the last reply is not lost to a
    /// reset (RFC 9112 §9.6).
    FinishSending,
    /// Close. Nothing more will come out.
    Close,
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interest {
    /// Bytes from the peer, or its end.
    Receive,
    /// Room for output.
    Send,
}

/// Output to send: bytes, then a part of a file.
#[derive(Debug, Eq, PartialEq)]
pub struct Output<'a, B> {
    /// What is left of the head and of text.
    pub bytes: &'a [u8],
    /// File, offset, length of what is left of the body.
    pub file: Option<(&'a B, u64, u64)>,
}

/// What a response was, for the access log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replied {
    /// Its status.
    pub status: Status,
    /// Bytes of content.
    pub length: u64,
}

/// A request to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its head.
    pub head: &'a Head,
    /// The bytes that the head's spans lie in.
    pub bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// Target from its path on.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        self.head.target.of(self.bytes)
    }

    /// Method as it was written.
    #[must_use]
    pub fn method_name(&self) -> &'a [u8] {
        self.head.method_name.of(self.bytes)
    }
}

/// What happens when a reply has been sent.
#[derive(Debug)]
enum After {
    /// The rest of the request's body is read over, then the next request.
    Next(Skip),
    /// No more requests.
    Finish,
}

#[derive(Debug)]
struct Reply<B> {
    bytes: Vec<u8>,
    sent: usize,
    file: Option<(B, u64, u64)>,
    after: After,
    blocked: bool,
}

#[derive(Debug)]
enum State<B> {
    /// Until a head is whole.
    Receiving(Scan),
    /// A request is out with the driver: its head, the head's length, and the body that follows.
    Answering { head: Head, length: usize, body: Skip },
    /// A request was refused and is out with the driver.
    Refusing(Status),
    /// A reply is being sent.
    Sending(Reply<B>),
    /// The rest of a request's body is read over.
    Skipping(Skip),
    /// The last reply was sent; the driver has yet to finish our direction.
    Finishing,
    /// Until the peer finishes or the time is over.
    Lingering,
    /// The driver has yet to close.
    Closing,
    /// Nothing more happens.
    Closed,
}

/// One connection; `B` is what the driver sends bodies from.
#[derive(Debug)]
pub struct Connection<B> {
    state: State<B>,
    /// Input buffer while there is something in it (or about to be).
    input: Option<Vec<u8>>,
    /// First byte that belongs to the current or next request.
    start: usize,
    /// End of the received bytes.
    end: usize,
    /// Whether the peer has finished sending.
    ended: bool,
    /// When the current wait began.
    since: Instant,
}

impl<B> Connection<B> {
    /// A connection that was just accepted.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { state: State::Receiving(Scan::new()), input: None, start: 0, end: 0, ended: false, since: now }
    }

    /// Where to receive into; empty while no input is wanted. Follow with [`on_received`](Self::on_received) or
    /// nothing, then poll.
    pub fn space(&mut self, buffers: &mut Buffers) -> &mut [u8] {
        if self.ended || !matches!(self.state, State::Receiving(_) | State::Skipping(_) | State::Lingering) {
            return &mut [];
        }
        let input = self.input.get_or_insert_with(|| buffers.take_input());
        if self.start > 0 {
            // What is kept is less than a head, and most often nothing.
            input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        input.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were received into [`space`](Self::space).
    pub fn on_received(&mut self, now: Instant, count: usize) {
        let room = self.input.as_ref().map_or(0, |input| input.len() - self.end);
        if self.start == self.end && matches!(self.state, State::Receiving(_)) {
            self.since = now;
        }
        self.end += count.min(room);
    }

    /// The peer has finished sending. What it sent before is still answered.
    pub const fn on_ended(&mut self) {
        self.ended = true;
    }

    /// The connection failed, or must go.
    pub fn on_failed(&mut self) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closing;
        }
    }

    /// `count` bytes of [`output`](Self::output) were taken, in its order.
    pub fn on_sent(&mut self, now: Instant, count: usize) {
        let State::Sending(reply) = &mut self.state else { return };
        let from_bytes = count.min(reply.bytes.len() - reply.sent);
        reply.sent += from_bytes;
        let from_file = u64::try_from(count - from_bytes).unwrap_or(u64::MAX);
        if let Some((_, offset, length)) = &mut reply.file {
            let taken = from_file.min(*length);
            *offset += taken;
            *length -= taken;
        }
        if count > 0 {
            self.since = now;
        }
    }

    /// No byte more is taken now.
    pub const fn on_blocked(&mut self) {
        if let State::Sending(reply) = &mut self.state {
            reply.blocked = true;
        }
    }

    /// There may be room for output again.
    pub const fn on_writable(&mut self) {
        if let State::Sending(reply) = &mut self.state {
            reply.blocked = false;
        }
    }

    /// Advances time. Early and repeated calls change nothing.
    pub fn on_timeout(&mut self, parameters: &Parameters, now: Instant) {
        if self.deadline(parameters).is_none_or(|deadline| now < deadline) {
            return;
        }
        self.since = now;
        self.state = match &self.state {
            State::Receiving(scan) if !scan.is_blank() => State::Refusing(Status::REQUEST_TIMEOUT),
            _ => State::Closing,
        };
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    #[must_use]
    pub fn deadline(&self, parameters: &Parameters) -> Option<Instant> {
        let time = match &self.state {
            State::Receiving(scan) if scan.is_blank() => parameters.idle_time,
            State::Receiving(_) => parameters.head_time,
            State::Sending(_) | State::Skipping(_) => parameters.stall_time,
            State::Lingering => parameters.linger_time,
            State::Answering { .. }
            | State::Refusing(_)
            | State::Finishing
            | State::Closing
            | State::Closed => {
                return None;
            }
        };
        Some(self.since + time)
    }

    /// What it waits for, when `poll` has nothing more.
    #[must_use]
    pub const fn interest(&self) -> Interest {
        if matches!(self.state, State::Sending(_)) { Interest::Send } else { Interest::Receive }
    }

    /// Whether nothing is under way: such a connection may be closed when room is needed.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(&self.state, State::Receiving(scan) if scan.is_blank())
    }

    /// Whether the last reply was sent and the peer's end is waited for.
    #[must_use]
    pub const fn is_lingering(&self) -> bool {
        matches!(self.state, State::Lingering)
    }

    /// Takes the next order. Call until `None` after every input.
    pub fn poll(&mut self, parameters: &Parameters, buffers: &mut Buffers) -> Option<Action> {
        loop {
            match &mut self.state {
                State::Receiving(scan) => {
                    let bytes = self.input.as_deref().and_then(|input| input.get(self.start..self.end));
                    let bytes = bytes.unwrap_or_default();
                    let whole = scan.advance(bytes, &parameters.limits);
                    let blank = scan.is_blank();
                    let parsed = match whole {
                        Ok(Some(length)) => {
                            Head::parse(bytes.get(..length).unwrap_or_default()).map(|head| (head, length))
                        }
                        Ok(None) => {
                            return match (self.ended, blank) {
                                (false, _) => {
                                    self.release(buffers);
                                    None
                                }
                                (true, true) => self.closing(buffers),
                                (true, false) => self.refusing(Status::BAD_REQUEST),
                            };
                        }
                        Err(error) => Err(error),
                    };
                    let (head, length) = match parsed {
                        Ok(parsed) => parsed,
                        Err(error) => return self.refusing(error.status()),
                    };
                    let Ok(body) = Skip::new(head.body, parameters.body_bytes) else {
                        return self.refusing(Status::CONTENT_TOO_LARGE);
                    };
                    self.state = State::Answering { head, length, body };
                    return Some(Action::Answer);
                }
                State::Answering { .. } => return Some(Action::Answer),
                State::Refusing(status) => return Some(Action::Refuse(*status)),
                State::Sending(reply) => {
                    let file_left = reply.file.as_ref().is_some_and(|(_, _, length)| *length > 0);
                    if reply.sent < reply.bytes.len() || file_left {
                        return if reply.blocked { None } else { Some(Action::Send) };
                    }
                    buffers.give_output(core::mem::take(&mut reply.bytes));
                    self.state = match reply.after {
                        After::Next(skip) => State::Skipping(skip),
                        After::Finish => State::Finishing,
                    };
                }
                State::Skipping(skip) => {
                    let bytes = self.input.as_deref().and_then(|input| input.get(self.start..self.end));
                    match skip.advance(bytes.unwrap_or_default()) {
                        Ok(used) => self.start += used,
                        Err(_) => {
                            self.state = State::Finishing;
                            continue;
                        }
                    }
                    if skip.is_done() {
                        self.state = State::Receiving(Scan::new());
                    } else if self.ended {
                        return self.closing(buffers);
                    } else {
                        self.release(buffers);
                        return None;
                    }
                }
                State::Finishing => {
                    self.state = State::Lingering;
                    self.start = self.end;
                    return Some(Action::FinishSending);
                }
                State::Lingering => {
                    self.start = self.end;
                    if self.ended {
                        return self.closing(buffers);
                    }
                    self.release(buffers);
                    return None;
                }
                State::Closing => {
                    return self.closing(buffers);
                }
                State::Closed => return None,
            }
        }
    }

    fn closing(&mut self, buffers: &mut Buffers) -> Option<Action> {
        self.start = self.end;
        self.release(buffers);
        self.state = State::Closed;
        Some(Action::Close)
    }

    fn refusing(&mut self, status: Status) -> Option<Action> {
        self.state = State::Refusing(status);
        Some(Action::Refuse(status))
    }

    /// Gives the input buffer back when nothing is in it.
    fn release(&mut self, buffers: &mut Buffers) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if let Some(input) = self.input.take() {
                buffers.give_input(input);
            }
        }
    }

    /// The request to answer.
    #[must_use]
    pub fn request(&self) -> Option<Request<'_>> {
        let State::Answering { head, .. } = &self.state else { return None };
        Some(Request { head, bytes: self.input.as_deref()?.get(self.start..self.end)? })
    }

    /// What to send now.
    #[must_use]
    pub fn output(&self) -> Option<Output<'_, B>> {
        let State::Sending(reply) = &self.state else { return None };
        let file = reply.file.as_ref().filter(|(_, _, length)| *length > 0);
        Some(Output {
            bytes: reply.bytes.get(reply.sent..)?,
            file: file.map(|(file, offset, length)| (file, *offset, *length)),
        })
    }

    /// Answers with text. `common` and `fields` are whole lines: those of every reply (`Date`, `Server`), and those of this one.
    pub fn respond_text(
        &mut self,
        now: Instant,
        buffers: &mut Buffers,
        common: &[u8],
        status: Status,
        fields: &[u8],
        text: &[u8],
    ) -> Replied {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.respond(now, buffers, status, &[common, fields], Some(length), |_| None, text)
    }

    /// Refuses a request, and the connection with it. Also what answers [`Action::Refuse`].
    pub fn refuse(&mut self, now: Instant, buffers: &mut Buffers, common: &[u8], status: Status) -> Replied {
        self.state = State::Refusing(status);
        let text = error_page(status);
        self.respond_text(now, buffers, common, status, b"Content-Type: text/html; charset=utf-8\r\n", &text)
    }

    /// Answers with a status and a short page that says so; the connection stays.
    pub fn respond_error(
        &mut self,
        now: Instant,
        buffers: &mut Buffers,
        common: &[u8],
        status: Status,
        fields: &[u8],
    ) -> Replied {
        let text = error_page(status);
        let fields = [b"Content-Type: text/html; charset=utf-8\r\n", fields].concat();
        self.respond_text(now, buffers, common, status, &fields, &text)
    }

    /// Builds the reply. `length` is that of the content, `None` for a status that has none; text and file are left out for `HEAD`.
    #[expect(clippy::too_many_arguments, reason = "private; the public methods name what they mean")]
    pub(crate) fn respond(
        &mut self,
        now: Instant,
        buffers: &mut Buffers,
        status: Status,
        lines: &[&[u8]],
        length: Option<u64>,
        file: impl FnOnce(Method) -> Option<(B, u64, u64)>,
        text: &[u8],
    ) -> Replied {
        let replied = Replied { status, length: length.unwrap_or(0) };
        let (method, version, after, start) = match &self.state {
            State::Answering { head, length, body } => {
                (head.method, head.version, after(head, *body), self.start + length)
            }
            // Where the next request would start is unknown or does not matter.
            State::Refusing(_) => (Method::Get, Version::Http11, After::Finish, self.end),
            // Nothing to answer.
            State::Receiving(_)
            | State::Sending(_)
            | State::Skipping(_)
            | State::Finishing
            | State::Lingering
            | State::Closing
            | State::Closed => return replied,
        };
        let mut bytes = buffers.take_output();
        let mut writer = HeadWriter::new(&mut bytes, status);
        for lines in lines {
            writer = writer.lines(lines);
        }
        if let Some(length) = length {
            writer = writer.number("Content-Length", length);
        }
        match (&after, version) {
            (After::Finish, _) => writer = writer.lines(b"Connection: close\r\n"),
            (After::Next(_), Version::Http10) => writer = writer.lines(b"Connection: keep-alive\r\n"),
            (After::Next(_), Version::Http11) => {}
        }
        writer.finish();
        let file = if method == Method::Head { None } else { file(method) };
        if method != Method::Head {
            bytes.extend_from_slice(text);
        }
        self.start = start;
        self.state = State::Sending(Reply { bytes, sent: 0, file, after, blocked: false });
        self.since = now;
        replied
    }
}

/// Whether the connection goes on after answering `head`, behind which `body` follows.
fn after(head: &Head, body: Skip) -> After {
    // A client that waits for `100 Continue` may or may not send the body once it sees the answer: where the next request
    // starts can't be known.
    let clear = head.body == BodyLength::Bytes(0) || head.expectation == Expectation::None;
    if clear && head.persistence == Persistence::KeepAlive { After::Next(body) } else { After::Finish }
}

/// A page that says what went wrong.
fn error_page(status: Status) -> Vec<u8> {
    let mut digits = [0; 20];
    let code = swos_http1::decimal(u64::from(status.code()), &mut digits);
    let reason = status.reason().as_bytes();
    [b"<!doctype html><title>", code, b" ", reason, b"</title><h1>", code, b" ", reason, b"</h1>\n"].concat()
}
