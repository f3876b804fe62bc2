//! Two hosts, a link, a clock, and many conversations.

use swos_units::{Duration, Instant};

use crate::dice::Dice;
use crate::host::Host;
use crate::link::{Faults, Link};
use crate::transfer::{Ending, Plan, Transfer};

const PORT: u16 = 8080;

/// No octet moves for this long: the connection is stuck.
const STUCK: Duration = Duration::from_secs(600);

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Conversations of which the client saw a good end.
    pub complete: u32,
    /// Conversations of which the server saw a good end.
    pub served: u32,
    /// Sides that were told of an abort.
    pub told: u32,
    /// Sides with wrong, missing or foreign octets. Must be 0.
    pub wrong: u32,
    /// Sides that made no progress for ten minutes. Must be 0.
    pub stuck: u32,
    /// Frames sent by both.
    pub frames: u64,
}

/// A client and a server host and what goes on between them.
#[derive(Debug)]
pub struct Simulation<C, S> {
    /// The clock.
    pub now: Instant,
    /// Where conversations begin.
    pub client: C,
    /// Where they are accepted.
    pub server: S,
    /// The link between them.
    pub link: Link,
    dice: Dice,
    clients: Vec<Transfer>,
    servers: Vec<Transfer>,
    outcome: Outcome,
}

impl<C: Host, S: Host> Simulation<C, S> {
    /// Two hosts over a link with these faults. The server listens.
    #[must_use]
    pub fn new(seed: u64, faults: Faults, client: C, mut server: S) -> Self {
        server.listen(PORT);
        Self {
            now: Instant::from_nanos(1_000_000_000),
            client,
            server,
            link: Link::new(seed, faults),
            dice: Dice::new(!seed),
            clients: Vec::new(),
            servers: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Runs `total` conversations, at most `at_once` at a time, of up to `octets` each way, until
    /// all have ended.
    pub fn run(&mut self, total: u32, at_once: usize, octets: u32) -> Outcome {
        let mut started = 0;
        loop {
            while started < total && self.clients.len() < at_once {
                let plan = self.plan(started, octets);
                let Some(socket) = self.client.connect(self.now, PORT) else { break };
                self.clients.push(Transfer::client(self.now, socket, plan));
                started += 1;
            }
            self.step_applications();
            if started == total && self.clients.is_empty() && self.servers.is_empty() {
                return self.outcome;
            }
            if !self.advance(None) {
                // Nothing will ever happen again: whoever is left waits in vain.
                self.outcome.stuck +=
                    u32::try_from(self.clients.len() + self.servers.len()).unwrap_or(u32::MAX);
                return self.outcome;
            }
        }
    }

    /// Lets `span` pass without conversations.
    pub fn idle(&mut self, span: Duration) {
        let end = self.now + span;
        while self.advance(Some(end)) {}
        self.now = end;
    }

    fn plan(&mut self, id: u32, octets: u32) -> Plan {
        // Mostly short, some long, some empty: each way on its own.
        let dice = &mut self.dice;
        let mut length = || {
            let bound = match dice.below(8) {
                0 => 1,
                1..=5 => octets / 16 + 1,
                _ => octets + 1,
            };
            u32::try_from(dice.below(u64::from(bound))).unwrap_or(0)
        };
        let (forth, back) = (length(), length());
        Plan { id, forth, back }
    }

    fn step_applications(&mut self) {
        while let Some(socket) = self.server.accept(self.now) {
            self.servers.push(Transfer::server(self.now, socket));
        }
        let (now, outcome) = (self.now, &mut self.outcome);
        outcome.complete += step(now, &mut self.client, &mut self.clients, outcome);
        outcome.served += step(now, &mut self.server, &mut self.servers, outcome);
    }

    /// Sends what is to be sent, then moves to the next event, which happens. False if there is none
    /// (before `limit`).
    fn advance(&mut self, limit: Option<Instant>) -> bool {
        let mut out = Vec::new();
        self.client.poll(self.now, &mut out);
        self.outcome.frames += out.len() as u64;
        out.drain(..).for_each(|frame| self.link.send(self.now, 1, frame));
        self.server.poll(self.now, &mut out);
        self.outcome.frames += out.len() as u64;
        out.drain(..).for_each(|frame| self.link.send(self.now, 0, frame));

        let events = [self.link.deadline(), self.client.deadline(self.now), self.server.deadline(self.now)];
        let Some(next) = events.into_iter().flatten().min() else { return false };
        if limit.is_some_and(|limit| next > limit) {
            return false;
        }
        self.now = self.now.max(next);
        while let Some((to, frame)) = self.link.arrived(self.now) {
            if to == 0 {
                self.client.on_frame(self.now, &frame);
            } else {
                self.server.on_frame(self.now, &frame);
            }
        }
        true
    }
}

/// Lets every side do what it can, and counts good ends. Other ends are counted in `outcome`.
fn step(now: Instant, host: &mut impl Host, sides: &mut Vec<Transfer>, outcome: &mut Outcome) -> u32 {
    let mut complete = 0;
    sides.retain_mut(|side| {
        match side.run(now, host) {
            Some(Ending::Complete(_)) => complete += 1,
            Some(Ending::Told) => outcome.told += 1,
            Some(Ending::Wrong) => outcome.wrong += 1,
            None if now.since(side.progress()) > STUCK => outcome.stuck += 1,
            None => return true,
        }
        host.release(now, side.socket());
        false
    });
    complete
}
