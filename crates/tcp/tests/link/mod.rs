//! Two connections and a seeded bad link between them, under a virtual clock.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, unreachable_pub, reason = "test harness")]

use std::collections::BTreeMap;

use swos_tcp::{
    AcceptQueue, ByteQueue, Config, Connection, Events, Flow, Header, Path, SendQueue, State, SynQueue,
    SynVerdict,
};
use swos_units::{Duration, Instant};
use swos_wire::{SeqNumber, TcpFlags};

/// xorshift64*: enough for faults, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    pub fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }
}

/// Faults in percent of segments, and the delay of the link.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u64,
    pub delay: Duration,
}

pub struct End {
    pub connection: Option<Connection>,
    pub queue: ByteQueue,
    pub to_send: Vec<u8>,
    pub pushed: usize,
    pub received: Vec<u8>,
    pub closing: bool,
    pub events: Events,
    pub sent_segments: usize,
}

impl End {
    fn new(to_send: Vec<u8>) -> Self {
        Self {
            connection: None,
            queue: ByteQueue::new(),
            to_send,
            pushed: 0,
            received: Vec::new(),
            closing: false,
            events: Events::empty(),
            sent_segments: 0,
        }
    }
}

type Flight = (usize, Header, Vec<u8>);

pub struct Pair {
    pub now: Instant,
    pub config: Config,
    pub ends: [End; 2],
    syn_queue: SynQueue,
    flow: Flow,
    dice: Dice,
    faults: Faults,
    wire: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
    last_progress: Instant,
}

const QUEUE_LIMIT: usize = 64 * 1024;

impl Pair {
    /// End 0 connects to end 1, and each sends what is given.
    pub fn new(seed: u64, config: Config, faults: Faults, forth: Vec<u8>, back: Vec<u8>) -> Self {
        let mut dice = Dice::new(seed);
        let now = Instant::from_nanos(1_000_000_000);
        let isn = SeqNumber(dice.next() as u32);
        let mut ends = [End::new(forth), End::new(back)];
        ends[0].connection = Some(Connection::connect(now, &config, Path::ipv4(1500), isn));
        let flow = Flow { local: "10.0.0.2:80".parse().unwrap(), remote: "10.0.0.1:4000".parse().unwrap() };
        Self {
            now,
            config,
            ends,
            syn_queue: SynQueue::new(4, [7; 16]),
            flow,
            dice,
            faults,
            wire: BTreeMap::new(),
            serial: 0,
            last_progress: now,
        }
    }

    fn put(&mut self, to: usize, header: Header, payload: Vec<u8>) {
        if self.dice.percent(self.faults.loss) {
            return;
        }
        let copies = if self.dice.percent(self.faults.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let mut at = self.now + self.faults.delay;
            if self.dice.percent(self.faults.reorder) {
                at = at + Duration::from_nanos(self.dice.below(3 * self.faults.delay.as_nanos() + 1));
            }
            self.serial += 1;
            self.wire.insert((at, self.serial), (to, header, payload.clone()));
        }
    }

    /// Lets the application of `end` do what it can, then sends.
    fn run_end(&mut self, end: usize) {
        let state = &mut self.ends[end];
        let Some(connection) = &mut state.connection else { return };
        let room = QUEUE_LIMIT.saturating_sub(state.queue.len());
        if connection.can_send() && state.pushed < state.to_send.len() && room > 0 {
            let upto = (state.pushed + room).min(state.to_send.len());
            state.queue.push(&state.to_send[state.pushed..upto]);
            state.pushed = upto;
        }
        if state.pushed == state.to_send.len() && !state.closing {
            connection.shutdown_send();
            state.closing = true;
        }
        loop {
            let piece = connection.peek();
            if piece.is_empty() {
                break;
            }
            state.received.extend_from_slice(piece);
            let n = piece.len();
            connection.consume(n);
            self.last_progress = self.now;
        }
        let mut out = Vec::new();
        while let Some(transmit) = connection.poll_transmit(self.now, &self.config, &state.queue) {
            let mut payload = vec![0; transmit.len];
            let _ = state.queue.copy_checksum(transmit.offset, &mut payload);
            out.push((transmit.header, payload));
            assert!(out.len() < 10_000, "endless output");
        }
        state.sent_segments += out.len();
        for (header, payload) in out {
            self.put(1 - end, header, payload);
        }
    }

    fn deliver(&mut self, (to, header, payload): Flight) {
        let state = &mut self.ends[to];
        if state.connection.is_none() {
            if header.flags.contains(TcpFlags::SYN) && !header.flags.contains(TcpFlags::ACK) {
                let isn = SeqNumber(self.dice.next() as u32);
                let answer =
                    self.syn_queue.on_syn(self.now, &self.config, Path::ipv4(1500), &self.flow, isn, &header);
                if let Some(answer) = answer {
                    self.put(1 - to, answer.header, Vec::new());
                }
                return;
            }
            let verdict = self.syn_queue.on_segment(
                self.now,
                &self.config,
                Path::ipv4(1500),
                &self.flow,
                &header,
                payload.len(),
                AcceptQueue::Room,
            );
            match verdict {
                SynVerdict::Ignore => return,
                SynVerdict::Reply(answer) => return self.put(1 - to, answer.header, Vec::new()),
                SynVerdict::Established(connection) => state.connection = Some(connection),
            }
        }
        let state = &mut self.ends[to];
        let connection = state.connection.as_mut().unwrap();
        let before = state.queue.len();
        let events = connection.on_segment(self.now, &self.config, &header, &payload, &mut state.queue);
        state.events |= events;
        if state.queue.len() != before || !events.is_empty() {
            self.last_progress = self.now;
        }
    }

    /// Runs until both ends are over or the clock reaches `limit`.
    pub fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        loop {
            for end in 0..2 {
                self.run_end(end);
            }
            while let Some((_, answer)) = self.syn_queue.poll_transmit(self.now, &self.config) {
                self.put(0, answer.header, Vec::new());
            }
            let timers = self.ends.iter().filter_map(|end| end.connection.as_ref()?.deadline());
            let next =
                timers.chain(self.wire.keys().next().map(|key| key.0)).chain(self.syn_queue.deadline()).min();
            let Some(next) = next else { return };
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            assert!(
                self.now.since(self.last_progress) < Duration::from_secs(600),
                "stuck: {:?}",
                self.ends.iter().map(|end| &end.connection).collect::<Vec<_>>()
            );
            while let Some((&key, _)) = self.wire.iter().next()
                && key.0 <= self.now
            {
                let flight = self.wire.remove(&key).unwrap();
                self.deliver(flight);
            }
            for end in &mut self.ends {
                if let Some(connection) = &mut end.connection {
                    end.events |= connection.on_timeout(self.now, &self.config);
                }
            }
        }
    }

    /// The states of both ends; a connection that never was counts as closed.
    pub fn states(&self) -> [State; 2] {
        self.ends.each_ref().map(|end| end.connection.as_ref().map_or(State::Closed, Connection::state))
    }
}

/// Octets in which a shift or a swap shows.
pub fn pattern(len: usize, salt: u64) -> Vec<u8> {
    let mut dice = Dice::new(salt ^ 0xABCD);
    (0..len).map(|_| dice.next() as u8).collect()
}
