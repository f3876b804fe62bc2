//! One conversation: both sides send at once, close, and compare every octet with what it must be.

use swos_units::Instant;

use crate::host::{Host, Received, SocketKey};

/// How much goes each way. It is the first thing a client sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Number of the conversation, from which its octets follow.
    pub id: u32,
    /// Octets from client to server, after the plan itself.
    pub forth: u32,
    /// Octets from server to client.
    pub back: u32,
}

impl Plan {
    const LEN: usize = 12;

    fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        for (place, value) in octets.as_chunks_mut::<4>().0.iter_mut().zip([self.id, self.forth, self.back]) {
            *place = value.to_be_bytes();
        }
        octets
    }

    fn decode(octets: &[u8; Self::LEN]) -> Self {
        let [id, forth, back] = [0, 4, 8].map(|at| {
            let mut word = [0; 4];
            word.copy_from_slice(octets.get(at..at + 4).unwrap_or(&[0; 4]));
            u32::from_be_bytes(word)
        });
        Self { id, forth, back }
    }
}

/// Octet `position` of a stream: shifts, swaps and foreign octets show.
fn octet(id: u32, position: u32) -> u8 {
    let mixed = (position ^ id.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
    mixed.to_be_bytes()[0] ^ position.to_be_bytes()[3]
}

/// One side of a conversation.
#[derive(Debug)]
pub struct Transfer {
    socket: SocketKey,
    side: Side,
    sent: u32,
    received: u32,
    finished: bool,
    progress: Instant,
}

#[derive(Debug)]
enum Side {
    Client {
        plan: Plan,
        header_sent: usize,
    },
    /// The server learns the plan from the client.
    Greeting {
        octets: [u8; Plan::LEN],
        filled: usize,
    },
    Server {
        plan: Plan,
    },
}

/// How a side ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Everything was sent and everything came, then both closed.
    Complete(Plan),
    /// The stack reported an abort.
    Told,
    /// Octets were wrong, missing or too many.
    Wrong,
}

impl Transfer {
    /// The client's side of `plan`.
    #[must_use]
    pub const fn client(now: Instant, socket: SocketKey, plan: Plan) -> Self {
        Self::new(now, socket, Side::Client { plan, header_sent: 0 })
    }

    /// The server's side of a conversation whose plan will come.
    #[must_use]
    pub const fn server(now: Instant, socket: SocketKey) -> Self {
        Self::new(now, socket, Side::Greeting { octets: [0; Plan::LEN], filled: 0 })
    }

    const fn new(now: Instant, socket: SocketKey, side: Side) -> Self {
        Self { socket, side, sent: 0, received: 0, finished: false, progress: now }
    }

    /// Its socket.
    #[must_use]
    pub const fn socket(&self) -> SocketKey {
        self.socket
    }

    /// When an octet last moved.
    #[must_use]
    pub const fn progress(&self) -> Instant {
        self.progress
    }

    /// Sends and reads what it can; says how it ended once it has.
    pub fn run(&mut self, now: Instant, host: &mut impl Host) -> Option<Ending> {
        self.send(now, host);
        let mut buffer = [0; 4096];
        loop {
            let room = match self.side {
                Side::Greeting { filled, .. } => Plan::LEN - filled,
                Side::Client { .. } | Side::Server { .. } => buffer.len(),
            };
            match host.receive(self.socket, buffer.get_mut(..room)?) {
                Received::Octets(n) => {
                    self.progress = now;
                    if !self.take(buffer.get(..n)?) {
                        return Some(Ending::Wrong);
                    }
                    self.send(now, host);
                }
                Received::Nothing => return None,
                Received::Aborted => return Some(Ending::Told),
                Received::End => return self.end(),
            }
        }
    }

    fn end(&self) -> Option<Ending> {
        let (plan, expected, to_send) = match self.side {
            Side::Client { plan, .. } => (plan, plan.back, plan.forth),
            Side::Server { plan } => (plan, plan.forth, plan.back),
            Side::Greeting { .. } => return Some(Ending::Wrong),
        };
        if self.received != expected {
            return Some(Ending::Wrong);
        }
        (self.finished && self.sent == to_send).then_some(Ending::Complete(plan))
    }

    fn send(&mut self, now: Instant, host: &mut impl Host) {
        if let Side::Client { plan, header_sent } = &mut self.side
            && *header_sent < Plan::LEN
        {
            let header = plan.encode();
            *header_sent += host.send(now, self.socket, header.get(*header_sent..).unwrap_or(&[]));
            if *header_sent < Plan::LEN {
                return;
            }
        }
        let (id, total) = match &self.side {
            Side::Client { plan, .. } => (plan.id, plan.forth),
            Side::Server { plan } => (!plan.id, plan.back),
            Side::Greeting { .. } => return,
        };
        while self.sent < total {
            let piece: Vec<u8> = (self.sent..total).take(4096).map(|position| octet(id, position)).collect();
            let taken = host.send(now, self.socket, &piece);
            if taken == 0 {
                return;
            }
            self.progress = now;
            self.sent += u32::try_from(taken).unwrap_or(0);
        }
        if !self.finished {
            self.finished = true;
            host.finish(self.socket);
        }
    }

    /// Whether the octets are what they must be.
    fn take(&mut self, octets: &[u8]) -> bool {
        let (id, expected) = match &mut self.side {
            Side::Greeting { octets: header, filled } => {
                for (place, octet) in header.iter_mut().skip(*filled).zip(octets) {
                    *place = *octet;
                }
                *filled += octets.len();
                if *filled == Plan::LEN {
                    self.side = Side::Server { plan: Plan::decode(header) };
                }
                return true;
            }
            Side::Client { plan, .. } => (!plan.id, plan.back),
            Side::Server { plan } => (plan.id, plan.forth),
        };
        for value in octets {
            if self.received >= expected || *value != octet(id, self.received) {
                return false;
            }
            self.received += 1;
        }
        true
    }
}
