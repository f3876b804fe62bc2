//! Which socket has a local port, and which ports are in use.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::ops::RangeInclusive;

use hashbrown::{HashTable, TryReserveError};

use crate::entropy::Entropy;
use crate::flows::give_back;

/// Which port space.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Space {
    Tcp,
    Udp,
}

/// A socket that has a local address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Binding {
    space: Space,
    port: u16,
    /// Unspecified: all of ours.
    pub(crate) address: Ipv4Addr,
    pub(crate) index: u32,
}

/// Tables that grow each for itself, as those of the flows do.
const TABLES: usize = 64;

/// Bound sockets by port, and how many connections use each port.
#[derive(Debug)]
pub(crate) struct Ports {
    bindings: HashTable<Binding>,
    connections: [HashTable<(u16, u32)>; TABLES],
    key: u64,
}

impl Ports {
    pub(crate) const fn new(key: u64) -> Self {
        let connections = [const { HashTable::new() }; TABLES];
        Self { bindings: HashTable::new(), connections, key }
    }

    pub(crate) fn bind(
        &mut self,
        space: Space,
        local: SocketAddrV4,
        index: u32,
    ) -> Result<(), TryReserveError> {
        let binding = Binding { space, port: local.port(), address: *local.ip(), index };
        let key = self.key;
        let again = |entry: &Binding| hash(key, entry.space, entry.port);
        self.bindings.try_reserve(1, again)?;
        self.bindings.insert_unique(again(&binding), binding, again);
        Ok(())
    }

    pub(crate) fn unbind(&mut self, space: Space, local: SocketAddrV4, index: u32) {
        let found = self.bindings.find_entry(hash(self.key, space, local.port()), |entry| {
            entry.index == index && entry.space == space && entry.port == local.port()
        });
        if let Ok(entry) = found {
            entry.remove();
            give_back(&mut self.bindings);
        }
    }

    /// The bindings of a port that take packets to `address`.
    pub(crate) fn matching(
        &self,
        space: Space,
        port: u16,
        address: Ipv4Addr,
    ) -> impl Iterator<Item = Binding> + '_ {
        self.bindings.iter_hash(hash(self.key, space, port)).copied().filter(move |entry| {
            entry.space == space
                && entry.port == port
                && (entry.address == address || entry.address.is_unspecified() || address.is_unspecified())
        })
    }

    /// Makes room for a connection.
    pub(crate) fn reserve(&mut self, port: u16) -> Result<(), TryReserveError> {
        let (key, at) = (self.key, hash(self.key, Space::Tcp, port));
        self.connections[place(at)].try_reserve(1, |entry| hash(key, Space::Tcp, entry.0))
    }

    /// Notes that one more connection, half-open ones apart, has local `port`.
    pub(crate) fn connection_began(&mut self, port: u16) -> Result<(), TryReserveError> {
        let (key, at) = (self.key, hash(self.key, Space::Tcp, port));
        let table = &mut self.connections[place(at)];
        match table.find_mut(at, |entry| entry.0 == port) {
            Some(entry) => entry.1 += 1,
            None => {
                let again = |entry: &(u16, u32)| hash(key, Space::Tcp, entry.0);
                table.try_reserve(1, again)?;
                table.insert_unique(at, (port, 1), again);
            }
        }
        Ok(())
    }

    /// Notes that one is gone, TIME-WAIT included.
    pub(crate) fn connection_ended(&mut self, port: u16) {
        let at = hash(self.key, Space::Tcp, port);
        let table = &mut self.connections[place(at)];
        if let Ok(mut entry) = table.find_entry(at, |entry| entry.0 == port) {
            let count = &mut entry.get_mut().1;
            *count = count.saturating_sub(1);
            if *count == 0 {
                entry.remove();
                give_back(table);
            }
        }
    }

    /// Whether some connection has local `port`.
    pub(crate) fn has_connections(&self, port: u16) -> bool {
        let at = hash(self.key, Space::Tcp, port);
        self.connections[place(at)].find(at, |entry| entry.0 == port).is_some()
    }

    /// A port of `range` for which `is_free` holds, starting anywhere in it.
    ///
    /// Source: RFC 6056 §3.3.1 (algorithm 1).
    pub(crate) fn choose(
        entropy: &mut Entropy,
        range: &RangeInclusive<u16>,
        is_free: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let (first, last) = (*range.start(), *range.end());
        let count = u32::from(last.checked_sub(first)?) + 1;
        let start = entropy.below(count);
        (0..count)
            .map(|step| first + u16::try_from((start + step) % count).unwrap_or(0))
            .find(|port| *port != 0 && is_free(*port))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.bindings.is_empty() && self.connections.iter().all(HashTable::is_empty)
    }
}

/// Which table: by bits that choose no place inside of it.
const fn place(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

fn hash(key: u64, space: Space, port: u16) -> u64 {
    let value = u64::from(port) << 1 | u64::from(space == Space::Udp);
    let mixed = (value ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests;
