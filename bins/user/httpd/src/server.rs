//! The loop: events of all sockets, turns of clients, deadlines.

use alloc::{collections::VecDeque, vec::Vec};

use swos_http1::date;
use swos_httpserver::{Buffers, Connection, Expiry, Interest, Parameters};
use swos_ulib::{
    abi::{Errno, OPTION_NO_DELAY},
    handle::Blocking,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    ready::{POLL_ERR, POLL_IN, POLL_OUT, ReadyEvent, ReadySet},
    sys,
    time::{self, Duration, SystemTime},
};
use swos_units::{Duration as Span, Instant};

use crate::{
    client::{Client, Shared, Turn},
    journal::Journal,
    options::Options,
    site::Site,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Connections accepted in one turn; then others have theirs.
const TURN_ACCEPTS: usize = 64;
/// Token of the listening socket; clients have index and generation.
const LISTENER: u64 = u64::MAX;
/// Marks a look that is not entered again: there is another entry for the client.
const ONCE: u64 = 1 << 63;
/// How often each client's deadline is looked at, at least: the shortest time-out but that for lingering.
const LOOKS: Span = Span::from_nanos(10_000_000_000);

/// A place for a client. The generation tells an old client's events from a new one's.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    client: Option<Client>,
}

#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    /// Whether connections are taken; not while handles are short.
    accepting: bool,
    set: ReadySet,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Clients that have more to do.
    more: VecDeque<u64>,
    expiry: Expiry,
    shared: Shared,
}

impl Server {
    pub(crate) fn new(options: &Options) -> Result<Self, Errno> {
        let parameters = Parameters::default();
        let site = Site::new(options.root)?;
        let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, options.port);
        let listener = TcpListener::bind(address, BACKLOG)?;
        // Connections inherit it: the end of a reply must not wait for the acknowledgement of the one before.
        sys::socket_set_option(listener.handle(), OPTION_NO_DELAY, 1)?;
        listener.set_blocking(Blocking::Never)?;
        let set = ReadySet::new()?;
        set.add(listener.handle(), u32::from(POLL_IN), LISTENER)?;
        let shared = Shared {
            parameters,
            buffers: Buffers::new(&parameters),
            site,
            journal: Journal::new(options.access),
            now: Instant::ZERO,
            second: u64::MAX,
            common: Vec::new(),
        };
        let (slots, free, more) = (Vec::new(), Vec::new(), VecDeque::new());
        Ok(Self { listener, accepting: true, set, slots, free, more, expiry: Expiry::new(LOOKS), shared })
    }

    /// Serves until waiting itself fails.
    pub(crate) fn run(&mut self) -> Errno {
        let mut events = [ReadyEvent::default(); 64];
        self.tick();
        loop {
            let timeout = match self.expiry.next() {
                _ if !self.more.is_empty() => Some(Duration::ZERO),
                Some(look) => Some(Duration::from_nanos(look.since(self.shared.now).as_nanos())),
                None => None,
            };
            let ready = match self.set.wait(&mut events, timeout) {
                Ok(ready) => ready,
                Err(Errno::TIMEDOUT | Errno::INTR) => &[],
                Err(errno) => return errno,
            };
            self.tick();
            for event in ready {
                if event.token == LISTENER {
                    self.accept();
                } else {
                    self.event(event.token, event.events);
                }
            }
            for _ in 0..self.more.len() {
                if let Some(token) = self.more.pop_front() {
                    self.event(token, 0);
                }
            }
            while let Some(token) = self.expiry.due(self.shared.now) {
                self.look(token);
            }
        }
    }

    /// Reads the clock, once a round.
    fn tick(&mut self) {
        let shared = &mut self.shared;
        shared.now = Instant::from_nanos(time::Instant::now().as_nanos());
        let calendar = SystemTime::now().map(|now| now.since_unix_epoch().as_secs());
        let second = calendar.unwrap_or(shared.now.as_nanos() / 1_000_000_000);
        if second == shared.second {
            return;
        }
        shared.second = second;
        shared.journal.tick(second);
        shared.common.clear();
        shared.common.extend_from_slice(b"Server: swos\r\n");
        // Without a clock there must be no Date (RFC 9110 §6.6.1).
        if let Some(calendar) = calendar {
            shared.common.extend_from_slice(b"Date: ");
            shared.common.extend_from_slice(&date::format(calendar));
            shared.common.extend_from_slice(b"\r\n");
        }
    }

    fn accept(&mut self) {
        for _ in 0..TURN_ACCEPTS {
            match self.listener.accept_nonblocking() {
                Ok((stream, peer)) => {
                    let machine = Connection::new(self.shared.now);
                    let client = Client { stream, machine, peer: *peer.ip(), watched: None };
                    let token = self.enter(client);
                    self.event(token, 0);
                    self.expiry.enter(self.shared.now, None, token);
                }
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    self.make_room();
                    return;
                }
                // AGAIN: no more. Anything else is about that one connection, and the next event brings the others.
                Err(_) => return,
            }
        }
    }

    /// Handles are short: the files go, then an idle client, else new ones wait until one leaves.
    fn make_room(&mut self) {
        self.shared.site.let_go();
        let idle = self
            .slots
            .iter_mut()
            .enumerate()
            .find(|(_, slot)| slot.client.as_ref().is_some_and(|client| client.machine.is_idle()));
        if let Some((index, _)) = idle {
            self.leave(index);
        } else if self.set.modify(self.listener.handle(), 0, LISTENER).is_ok() {
            self.accepting = false;
        }
    }

    fn enter(&mut self, client: Client) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // Handles run out long before indices do.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index)) {
            slot.client = Some(client);
            generation = slot.generation;
        }
        u64::from(generation) << 32 | u64::from(index)
    }

    fn leave(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.client.take().is_some() {
            // 31 bits, so that a token never has the mark of a single look.
            slot.generation = slot.generation.wrapping_add(1) & (u32::MAX >> 1);
            self.free.push(u32::try_from(index).unwrap_or(u32::MAX));
        }
        if !self.accepting && self.set.modify(self.listener.handle(), u32::from(POLL_IN), LISTENER).is_ok() {
            self.accepting = true;
        }
    }

    /// The client of a token, if it is still there.
    fn find(&mut self, token: u64) -> Option<(usize, &mut Client)> {
        let index = usize::try_from(token & u64::from(u32::MAX)).ok()?;
        let slot = self.slots.get_mut(index)?;
        let same = u64::from(slot.generation) == (token & !ONCE) >> 32;
        slot.client.as_mut().filter(|_| same).map(|client| (index, client))
    }

    /// Gives a client its turn.
    fn event(&mut self, token: u64, events: u32) {
        let Some(index) = self.find(token).map(|(index, _)| index) else { return };
        let Some(client) = self.slots.get_mut(index).and_then(|slot| slot.client.as_mut()) else { return };
        if events & u32::from(POLL_ERR) != 0 {
            client.machine.on_failed();
        }
        let turn = client.turn(&mut self.shared);
        if client.machine.is_lingering() {
            let deadline = client.machine.deadline(&self.shared.parameters);
            self.expiry.enter(self.shared.now, deadline, token | ONCE);
        }
        let watched = match turn {
            Turn::Gone => Err(Errno::CANCELED),
            Turn::More => {
                self.more.push_back(token);
                Ok(())
            }
            Turn::Wait(interest) if client.watched == Some(interest) => Ok(()),
            Turn::Wait(interest) => {
                let handle = client.stream.handle();
                let events = u32::from(if interest == Interest::Send { POLL_OUT } else { POLL_IN });
                match client.watched.replace(interest) {
                    Some(_) => self.set.modify(handle, events, token),
                    None => self.set.add(handle, events, token),
                }
            }
        };
        if watched.is_err() {
            self.leave(index);
        }
    }

    /// Looks at a client's deadline.
    fn look(&mut self, token: u64) {
        let (now, parameters) = (self.shared.now, self.shared.parameters);
        let Some((_, client)) = self.find(token) else { return };
        if client.machine.deadline(&parameters).is_some_and(|deadline| deadline <= now) {
            client.machine.on_timeout(&parameters, now);
            self.event(token & !ONCE, 0);
        }
        if token & ONCE == 0
            && let Some((_, client)) = self.find(token)
        {
            let deadline = client.machine.deadline(&parameters);
            self.expiry.enter(now, deadline, token);
        }
    }
}
