//! Which connection a segment belongs to, by its four-tuple.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use hashbrown::HashTable;
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

/// Flows by keyed hash.
#[derive(Debug)]
pub(crate) struct Flows {
    table: HashTable<(FlowKey, Holder)>,
    key: [u64; 2],
}

impl Flows {
    /// An empty table; `key` is secret, so that nobody outside can aim at one bucket.
    pub(crate) const fn new(key: [u64; 2]) -> Self {
        Self { table: HashTable::new(), key }
    }

    pub(crate) fn get(&self, flow: &FlowKey) -> Option<Holder> {
        self.table.find(hash(self.key, flow), |entry| entry.0 == *flow).map(|entry| entry.1)
    }

    /// Adds a flow or changes its holder.
    pub(crate) fn set(&mut self, flow: FlowKey, holder: Holder) {
        let key = self.key;
        match self.table.find_mut(hash(key, &flow), |entry| entry.0 == flow) {
            Some(entry) => entry.1 = holder,
            None => {
                self.table.insert_unique(hash(key, &flow), (flow, holder), |entry| hash(key, &entry.0));
            }
        }
    }

    /// Removes a flow if `holder` still has it.
    pub(crate) fn remove(&mut self, flow: &FlowKey, holder: Holder) {
        if let Ok(entry) = self.table.find_entry(hash(self.key, flow), |entry| *entry == (*flow, holder)) {
            entry.remove();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Two folded multiplications by secrets: a dozen instructions, run for every segment. An attacker who sees
/// neither the key nor a hash can't choose colliding flows.
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
