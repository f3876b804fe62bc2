//! What there is in the tree, and its numbers.

use swos_vfs::{Kind, NodeId};

/// The highest number of a process.
pub const PID_MAX: u32 = u32::MAX / 2;

/// A node of the tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// The directory of all.
    Root,
    /// What runs here.
    Version,
    /// Memory of the machine.
    Memory,
    /// Each CPU.
    Cpus,
    /// What is mounted where.
    Mounts,
    /// Sockets.
    Sockets,
    /// The newest records of the log.
    Log,
    /// The directory of counters.
    Counters,
    /// Counters of one part of the kernel.
    Counter(Counters),
    /// The directory of processes.
    Processes,
    /// The directory of one process.
    Process(u32),
    /// Something about one process.
    Of(u32, About),
}

/// What can be known of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum About {
    /// Who it is and what it did.
    Status,
    /// What it may use.
    Limits,
    /// What it has open.
    Handles,
    /// Memory that it uses.
    Memory,
}

/// A part of the kernel that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counters {
    /// Calls, processes, threads, objects.
    Calls,
    /// Blocks of the system disk, and their verification.
    Disk,
    /// The log.
    Log,
    /// The network.
    Network,
    /// The page cache.
    Pages,
    /// Waiting threads and timers.
    Waits,
}

const ABOUT: [(About, &str); 4] = [
    (About::Handles, "handles"),
    (About::Limits, "limits"),
    (About::Memory, "memory"),
    (About::Status, "status"),
];

const COUNTERS: [(Counters, &str); 6] = [
    (Counters::Calls, "calls"),
    (Counters::Disk, "disk"),
    (Counters::Log, "log"),
    (Counters::Network, "network"),
    (Counters::Pages, "pages"),
    (Counters::Waits, "waits"),
];

const TOP: [(Entry, &str); 8] = [
    (Entry::Counters, "counters"),
    (Entry::Cpus, "cpus"),
    (Entry::Log, "log"),
    (Entry::Memory, "memory"),
    (Entry::Mounts, "mounts"),
    (Entry::Processes, "processes"),
    (Entry::Sockets, "sockets"),
    (Entry::Version, "version"),
];

/// Numbers: which process in the upper half; in the lower the group, and the place in its list.
const GROUP: u64 = 0x100;

impl Entry {
    /// Its number.
    #[must_use]
    pub fn node(self) -> NodeId {
        let at = |place: Option<usize>, group: u64| group * GROUP + place.unwrap_or(0) as u64;
        NodeId(match self {
            Self::Root => 0,
            Self::Counter(counters) => at(COUNTERS.iter().position(|(other, _)| *other == counters), 2),
            Self::Process(pid) => (u64::from(pid) << 32) | (3 * GROUP),
            Self::Of(pid, about) => {
                (u64::from(pid) << 32) | at(ABOUT.iter().position(|(other, _)| *other == about), 4)
            }
            top => at(TOP.iter().position(|(other, _)| *other == top), 1),
        })
    }

    /// The entry with this number.
    #[must_use]
    pub fn from_node(node: NodeId) -> Option<Self> {
        let pid = u32::try_from(node.0 >> 32).ok()?;
        let low = node.0 & u64::from(u32::MAX);
        let place = usize::try_from(low % GROUP).ok()?;
        match (low / GROUP, pid, place) {
            (0, 0, 0) => Some(Self::Root),
            (1, 0, place) => TOP.get(place).map(|(entry, _)| *entry),
            (2, 0, place) => COUNTERS.get(place).map(|(counters, _)| Self::Counter(*counters)),
            (3, 1..=PID_MAX, 0) => Some(Self::Process(pid)),
            (4, 1..=PID_MAX, place) => ABOUT.get(place).map(|(about, _)| Self::Of(pid, *about)),
            _ => None,
        }
    }

    /// The entry of this name in a directory; `None` also if it is none.
    #[must_use]
    pub fn child(self, name: &[u8]) -> Option<Self> {
        fn find<T: Copy>(list: &[(T, &str)], name: &[u8]) -> Option<T> {
            list.iter().find(|(_, known)| known.as_bytes() == name).map(|(entry, _)| *entry)
        }
        match self {
            Self::Root => find(&TOP, name),
            Self::Counters => find(&COUNTERS, name).map(Self::Counter),
            Self::Processes => pid(name).map(Self::Process),
            Self::Process(pid) => find(&ABOUT, name).map(|about| Self::Of(pid, about)),
            _ => None,
        }
    }

    /// The entry at `place` in a directory, and its name; those of processes their owner lists.
    #[must_use]
    pub fn child_at(self, place: usize) -> Option<(Self, &'static str)> {
        match self {
            Self::Root => TOP.get(place).copied(),
            Self::Counters => COUNTERS.get(place).map(|&(counters, name)| (Self::Counter(counters), name)),
            Self::Process(pid) => ABOUT.get(place).map(|&(about, name)| (Self::Of(pid, about), name)),
            _ => None,
        }
    }

    /// The directory that it is in.
    #[must_use]
    pub const fn parent(self) -> Self {
        match self {
            Self::Counter(_) => Self::Counters,
            Self::Process(_) => Self::Processes,
            Self::Of(pid, _) => Self::Process(pid),
            _ => Self::Root,
        }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Root | Self::Counters | Self::Processes | Self::Process(_) => Kind::Directory,
            _ => Kind::File,
        }
    }

    /// The process that it is about.
    #[must_use]
    pub const fn process(self) -> Option<u32> {
        match self {
            Self::Process(pid) | Self::Of(pid, _) => Some(pid),
            _ => None,
        }
    }

    /// The entry at a path below the root.
    #[must_use]
    pub fn from_path(path: &[u8]) -> Option<Self> {
        path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).try_fold(Self::Root, Self::child)
    }
}

/// A number as a process's directory is named: digits, no zero before them.
fn pid(name: &[u8]) -> Option<u32> {
    let digits = name.iter().all(u8::is_ascii_digit) && name.first() != Some(&b'0');
    let number = core::str::from_utf8(name).ok().filter(|_| digits)?.parse().ok()?;
    (number <= PID_MAX).then_some(number)
}
