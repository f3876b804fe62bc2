//! One client: its socket and its machine, one turn at a time.

use alloc::rc::Rc;

use swos_httpserver::{Action, Buffers, Connection, Interest, Method, Parameters, Status};
use swos_ulib::{
    abi::Errno,
    net::{Ipv4Addr, Shutdown, TcpStream},
    sys,
};
use swos_units::Instant;

use crate::{
    journal::Journal,
    site::{Found, Opened, Site},
};

/// Requests answered in one turn; then others have theirs.
const TURN_REQUESTS: u32 = 16;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parameters: Parameters,
    pub(crate) buffers: Buffers,
    pub(crate) site: Site,
    pub(crate) journal: Journal,
    /// Now, in time since boot, and as a count of seconds.
    pub(crate) now: Instant,
    pub(crate) second: u64,
    /// Lines of every reply: `Server`, `Date`.
    pub(crate) common: alloc::vec::Vec<u8>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Nothing more to do until this.
    Wait(Interest),
    /// There is more to do; others first.
    More,
    /// The connection is over.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) machine: Connection<Rc<Opened>>,
    pub(crate) peer: Ipv4Addr,
    /// What the readiness set watches it for.
    pub(crate) watched: Option<Interest>,
}

impl Client {
    /// Goes on until the socket would block, the connection is over, or it is somebody else's turn.
    pub(crate) fn turn(&mut self, shared: &mut Shared) -> Turn {
        let mut requests = 0;
        // Whether the last receive did not fill the space: then asking again would most likely find nothing.
        let mut drained = false;
        self.machine.on_writable();
        loop {
            match self.machine.poll(&shared.parameters, &mut shared.buffers) {
                Some(Action::Answer) => {
                    if requests == TURN_REQUESTS {
                        return Turn::More;
                    }
                    requests += 1;
                    self.answer(shared);
                }
                Some(Action::Refuse(status)) => {
                    let Shared { buffers, common, now, journal, .. } = shared;
                    journal.begin(self.peer, None);
                    journal.finish(self.machine.refuse(*now, buffers, common, status));
                }
                Some(Action::Send) => self.send(shared.now),
                Some(Action::FinishSending) => {
                    if self.stream.shutdown(Shutdown::Write).is_err() {
                        self.machine.on_failed();
                    }
                }
                Some(Action::Close) => return Turn::Gone,
                None if self.machine.interest() == Interest::Send || drained => {
                    return Turn::Wait(self.machine.interest());
                }
                None => {
                    let space = self.machine.space(&mut shared.buffers);
                    if space.is_empty() {
                        return Turn::Wait(Interest::Receive);
                    }
                    match sys::receive(self.stream.handle(), space) {
                        Ok(0) => self.machine.on_ended(),
                        Ok(count) => {
                            drained = count < space.len();
                            self.machine.on_received(shared.now, count);
                        }
                        Err(Errno::AGAIN) => drained = true,
                        Err(_) => self.machine.on_failed(),
                    }
                }
            }
        }
    }

    fn answer(&mut self, shared: &mut Shared) {
        let Shared { buffers, site, journal, now, second, common, .. } = shared;
        let (now, machine) = (*now, &mut self.machine);
        let Some(request) = machine.request() else { return };
        journal.begin(self.peer, Some(request));
        let found = match request.head.method {
            Method::Get | Method::Head => site.find(request.target(), *second),
            Method::Other => Found::Error(Status::METHOD_NOT_ALLOWED),
        };
        let replied = match found {
            Found::File(opened) => {
                let file = Rc::clone(&opened);
                machine.respond_file(now, buffers, common, &opened.entity(), file)
            }
            Found::Listing(page) => {
                let fields = b"Content-Type: text/html; charset=utf-8\r\n";
                machine.respond_text(now, buffers, common, Status::OK, fields, &page)
            }
            Found::Elsewhere(location) => {
                let field = [b"Location: ", location.as_slice(), b"\r\n"].concat();
                machine.respond_error(now, buffers, common, Status::MOVED_PERMANENTLY, &field)
            }
            Found::Error(Status::METHOD_NOT_ALLOWED) => {
                let allow = b"Allow: GET, HEAD\r\n";
                machine.respond_error(now, buffers, common, Status::METHOD_NOT_ALLOWED, allow)
            }
            Found::Error(status) => machine.respond_error(now, buffers, common, status, b""),
        };
        journal.finish(replied);
    }

    fn send(&mut self, now: Instant) {
        let Some(output) = self.machine.output() else { return };
        let socket = self.stream.handle();
        let bytes = u64::try_from(output.bytes.len()).unwrap_or(u64::MAX);
        let (sent, wanted) = match output.file {
            Some((opened, offset, length)) => {
                let sent = sys::sendfile(socket, opened.handle(), offset, length, output.bytes);
                (sent, bytes.saturating_add(length))
            }
            None => (sys::send(socket, output.bytes, 0), bytes),
        };
        match sent {
            Ok(count) => {
                self.machine.on_sent(now, count);
                // A short count means that the socket is full: asking again would only say so. No byte at all of a file means that the
                // file has become shorter than promised.
                match count {
                    0 => self.machine.on_failed(),
                    _ if u64::try_from(count).is_ok_and(|count| count < wanted) => self.machine.on_blocked(),
                    _ => {}
                }
            }
            Err(Errno::AGAIN) => self.machine.on_blocked(),
            Err(_) => self.machine.on_failed(),
        }
    }
}
