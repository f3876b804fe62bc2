//! Which connection a segment belongs to, by its four-tuple.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use hashbrown::{HashTable, TryReserveError};
use swos_tcp::Flow;

/// The two ends of a TCP connection over IPv4, seen from us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FlowKey {
    local: u32,
    remote: u32,
    /// Local port above, remote below.
    ports: u32,
}

impl FlowKey {
    pub(crate) const fn of(local: Ipv4Addr, local_port: u16, remote: Ipv4Addr, remote_port: u16) -> Self {
        let ports = (local_port as u32) << 16 | remote_port as u32;
        Self { local: local.to_bits(), remote: remote.to_bits(), ports }
    }

    pub(crate) const fn local_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.local)
    }

    pub(crate) const fn remote_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.remote)
    }

    pub(crate) const fn local_port(&self) -> u16 {
        (self.ports >> 16) as u16
    }

    pub(crate) const fn remote_port(&self) -> u16 {
        (self.ports & 0xffff) as u16
    }

    pub(crate) const fn local_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.local_ip(), self.local_port())
    }

    pub(crate) const fn remote_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.remote_ip(), self.remote_port())
    }

    pub(crate) const fn flow(&self) -> Flow {
        Flow { local: SocketAddr::V4(self.local_address()), remote: SocketAddr::V4(self.remote_address()) }
    }

    /// The key of a flow that came from [`Self::flow`].
    pub(crate) const fn from_flow(flow: &Flow) -> Option<Self> {
        match (flow.local.ip(), flow.remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                Some(Self::of(local, flow.local.port(), remote, flow.remote.port()))
            }
            _ => None,
        }
    }
}

/// Who has a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holder {
    /// The connection with this slot number.
    Connection(u32),
    /// The entry with this number among those in TIME-WAIT.
    TimeWait(u32),
}

/// Tables that grow each for itself: a larger one takes all its flows over at once, which for tens of thousands takes long.
const TABLES: usize = 64;
/// Room that an empty table keeps.
const KEPT: usize = 14;

/// Gives the room of a table that is empty back, if it had to grow.
pub(crate) fn give_back<T>(table: &mut HashTable<T>) {
    if table.is_empty() && table.capacity() > KEPT {
        *table = HashTable::new();
    }
}

/// Flows by keyed hash.
#[derive(Debug)]
pub(crate) struct Flows {
    tables: [HashTable<(FlowKey, Holder)>; TABLES],
    key: [u64; 2],
}

impl Flows {
    /// An empty table; `key` is secret, so that nobody outside can aim at one bucket.
    pub(crate) const fn new(key: [u64; 2]) -> Self {
        Self { tables: [const { HashTable::new() }; TABLES], key }
    }

    pub(crate) fn get(&self, flow: &FlowKey) -> Option<Holder> {
        let hash = hash(self.key, flow);
        self.tables[place(hash)].find(hash, |entry| entry.0 == *flow).map(|entry| entry.1)
    }

    /// Makes room for a flow.
    pub(crate) fn reserve(&mut self, flow: &FlowKey) -> Result<(), TryReserveError> {
        let key = self.key;
        self.tables[place(hash(key, flow))].try_reserve(1, |entry| hash(key, &entry.0))
    }

    /// Adds a flow or changes its holder, which needs no memory.
    pub(crate) fn set(&mut self, flow: FlowKey, holder: Holder) -> Result<(), TryReserveError> {
        let (key, at) = (self.key, hash(self.key, &flow));
        let table = &mut self.tables[place(at)];
        match table.find_mut(at, |entry| entry.0 == flow) {
            Some(entry) => entry.1 = holder,
            None => {
                let again = |entry: &(FlowKey, Holder)| hash(key, &entry.0);
                table.try_reserve(1, again)?;
                table.insert_unique(at, (flow, holder), again);
            }
        }
        Ok(())
    }

    /// Removes a flow if `holder` still has it.
    pub(crate) fn remove(&mut self, flow: &FlowKey, holder: Holder) {
        let hash = hash(self.key, flow);
        let table = &mut self.tables[place(hash)];
        if let Ok(entry) = table.find_entry(hash, |entry| *entry == (*flow, holder)) {
            entry.remove();
            give_back(table);
        }
    }

    /// Walks the tables.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(HashTable::len).sum()
    }
}

/// Which table: by bits that choose no place inside of it.
const fn place(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

fn hash(key: [u64; 2], flow: &FlowKey) -> u64 {
    let first = fold(u64::from(flow.local) << 32 | u64::from(flow.remote), key[0], key[1]);
    fold(first ^ u64::from(flow.ports), key[1], key[0])
}

const fn fold(value: u64, xor: u64, by: u64) -> u64 {
    let product = (value ^ xor) as u128 * (by | 1) as u128;
    #[expect(clippy::cast_possible_truncation, reason = "takes the product apart")]
    {
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests;
