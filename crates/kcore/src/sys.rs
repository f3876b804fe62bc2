//! `/sys`: what its texts say, and who may see them.

use alloc::{sync::Arc, vec::Vec};
use core::{net::SocketAddrV4, sync::atomic::Ordering};

use swos_abi::{Capabilities, Errno, Rights};
use swos_log_record::LINE_MAX;
use swos_sysfs::{About, Counters, Decimal, Entry, Lines};
use swos_vfs::{Child, Cursor, Kind, VnodeId};

use crate::{
    Kernel, Machine,
    calls::{ENTRIES_MAX, push_entry},
    family::Life,
    net::SocketKind,
    object::{File, Object},
    process::Process,
    thread::Thread,
    wait::{CallResult, Stop},
};

/// Longest text.
const TEXT_MAX: usize = 16 << 10;
/// Texts that open files hold all together, in bytes: who reads a text to its end gives it back.
const TEXTS_MAX: usize = 1 << 20;
/// Records of the log that its text has at most.
const LOG_TAIL: u64 = 32;
/// Handles or sockets that a text lists: their table is locked meanwhile.
const LISTED_MAX: usize = 128;
/// Slots of a table that are looked at for them.
const SLOTS_MAX: usize = 4096;

/// A file whose bytes are made on demand.
#[derive(Debug)]
pub(crate) struct Made {
    entry: Entry,
    /// The text as it was when the file was last read from its start.
    text: Option<Arc<Vec<u8>>>,
}

impl<M: Machine> Kernel<M> {
    /// The entry of `/sys` that a node is.
    #[inline]
    pub(crate) fn sys_entry(&self, vnode: VnodeId) -> Option<Entry> {
        // No mount has the number 0.
        let sys = self.files.sys.load(Ordering::Relaxed);
        if vnode.mount.get() == sys { Entry::from_node(vnode.node) } else { None }
    }

    /// Whether a thread may know of a node that a path led to. Names of processes say nothing, so it is asked here.
    pub(crate) fn check_visible(&self, thread: &Thread<M>, vnode: VnodeId) -> Result<(), Errno> {
        match self.sys_entry(vnode) {
            Some(entry) => self.check_entry(thread, entry),
            None => Ok(()),
        }
    }

    #[cold]
    fn check_entry(&self, thread: &Thread<M>, entry: Entry) -> Result<(), Errno> {
        let Some(pid) = entry.process() else { return Ok(()) };
        let visible = pid == thread.process.pid
            || thread.process.has(Capabilities::PROCESS_INSPECT)
                && self.processes.lock().table.contains_key(&pid);
        if visible { Ok(()) } else { Err(Errno::NOENT) }
    }

    /// What an open file has beyond others if its bytes are made on demand; whether the thread may open it.
    #[inline]
    pub(crate) fn made(&self, thread: &Thread<M>, vnode: VnodeId) -> Result<Option<Made>, Errno> {
        match self.sys_entry(vnode) {
            Some(entry) => self.check_opened(thread, entry).map(Some),
            None => Ok(None),
        }
    }

    #[cold]
    fn check_opened(&self, thread: &Thread<M>, entry: Entry) -> Result<Made, Errno> {
        self.check_entry(thread, entry)?;
        let needed = match entry {
            Entry::Log => Capabilities::LOG_EXPORT,
            // One of two is enough.
            Entry::Sockets => Capabilities::NET | Capabilities::PROCESS_INSPECT,
            _ => return Ok(Made { entry, text: None }),
        };
        let may = thread.process.capabilities().intersects(needed);
        if may { Ok(Made { entry, text: None }) } else { Err(Errno::ACCES) }
    }

    /// Lists the processes that a thread may see, from the one at `cursor` on. Whether not all had room.
    #[cold]
    pub(crate) fn list_processes(
        &self,
        thread: &Thread<M>,
        entries: &mut Vec<u8>,
        room: usize,
        cursor: &mut Cursor,
    ) -> bool {
        let own = thread.process.pid;
        let sees_all = thread.process.has(Capabilities::PROCESS_INSPECT);
        for _ in 0..ENTRIES_MAX {
            let from = u32::try_from(cursor.0).unwrap_or(u32::MAX);
            let next = if sees_all {
                self.processes.lock().table.range(from..).next().map(|(&pid, _)| pid)
            } else {
                (own >= from).then_some(own)
            };
            let Some(pid) = next else { return false };
            let child = Child { node: Entry::Process(pid).node(), kind: Kind::Directory };
            let after = Cursor(u64::from(pid) + 1);
            if !push_entry(entries, room, Decimal::new(u64::from(pid)).as_bytes(), child, after) {
                return true;
            }
            *cursor = after;
        }
        true
    }

    /// Reads a text that is made on demand: anew from its start, and as it was then beyond.
    #[cold]
    pub(crate) fn read_made(&self, file: &File, buffer: u64, length: u64, offset: u64) -> CallResult {
        let (entry, held) = match &file.open.lock().made {
            Some(made) => (made.entry, made.text.clone()),
            None => return Err(Errno::INVAL.into()),
        };
        let text = match held {
            Some(text) if offset > 0 => text,
            Some(_) | None => {
                self.room_for_objects()?;
                let text: Arc<Vec<u8>> = Arc::new(self.sys_text(entry)?);
                self.hold_text(file, Some(text.clone()))?;
                text
            }
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        let rest = text.get(start..).unwrap_or_default();
        let part = rest.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or(rest);
        if part.is_empty() && length > 0 {
            self.hold_text(file, None)?;
        }
        self.copy_out(buffer, part)?;
        Ok(part.len() as u64)
    }

    /// Keeps a text with its file, instead of the one before, within the bound of all.
    #[cold]
    fn hold_text(&self, file: &File, text: Option<Arc<Vec<u8>>>) -> Result<(), Stop> {
        let new = text.as_ref().map_or(0, |text| text.len());
        let held = self.texts_held.fetch_add(new, Ordering::Relaxed) + new;
        let text = if held > TEXTS_MAX { None } else { text };
        let refused = new > 0 && text.is_none();
        let old = match &mut file.open.lock().made {
            Some(made) => core::mem::replace(&mut made.text, text),
            None => None,
        };
        let gone = old.map_or(0, |old| old.len()) + if refused { new } else { 0 };
        self.texts_held.fetch_sub(gone, Ordering::Relaxed);
        if refused { Err(Errno::NOMEM.into()) } else { Ok(()) }
    }

    /// The last handle to a file is gone, and with it its text.
    pub(crate) fn drop_text(&self, file: &File) {
        // Nothing new is held, so nothing is refused.
        let _ = self.hold_text(file, None);
    }

    #[cold]
    fn sys_text(&self, entry: Entry) -> Result<Vec<u8>, Errno> {
        let mut lines = Lines::new(TEXT_MAX);
        match entry {
            Entry::Version => {
                lines.text("name", b"swos");
                lines.text("version", env!("CARGO_PKG_VERSION").as_bytes());
                lines.number("abi", u64::from(swos_abi::ABI_VERSION));
            }
            Entry::Memory => self.memory_lines(&mut lines),
            Entry::Cpus => self.cpu_lines(&mut lines),
            Entry::Mounts => self.mount_lines(&mut lines),
            Entry::Sockets => self.socket_lines(&mut lines),
            Entry::Log => {
                let written = self.log.lock().ring.stats().written;
                let cursor = written.saturating_sub(LOG_TAIL);
                let tail = self.log_lines(cursor, LINE_MAX, swos_log_record::text);
                lines.append(&tail.map_err(|_| Errno::NOMEM)?.0);
            }
            Entry::Counter(counters) => self.counter_lines(counters, &mut lines),
            Entry::Of(pid, about) => self.process_lines(pid, about, &mut lines)?,
            Entry::Root | Entry::Counters | Entry::Processes | Entry::Process(_) => {
                return Err(Errno::ISDIR);
            }
        }
        lines.finish().map_err(|_| Errno::NOMEM)
    }

    #[cold]
    fn memory_lines(&self, lines: &mut Lines) {
        let frames = self.machine.frames();
        lines.number("total_bytes", frames.total * 4096);
        lines.number("free_bytes", frames.free * 4096);
        lines.number("cached_bytes", self.cached_pages() * 4096);
        lines.number("kernel_bytes", frames.kernel * 4096);
    }

    #[cold]
    fn cpu_lines(&self, lines: &mut Lines) {
        lines.number("count", self.cpus.len() as u64);
        let now = self.machine.now().as_nanos();
        for (cpu, shared) in self.cpus.iter().enumerate() {
            let flags = &shared.flags;
            let cpu = Decimal::new(cpu as u64);
            for (key, value) in [
                ("online", u64::from(flags.online.load(Ordering::Relaxed))),
                ("calls", flags.calls.load(Ordering::Relaxed)),
                ("idle_ns", flags.idle_until(now)),
                ("queued", flags.queued.load(Ordering::Relaxed) as u64),
            ] {
                let value = Decimal::new(value);
                lines.line(&[b"cpu.", cpu.as_bytes(), b".", key.as_bytes(), b" ", value.as_bytes()]);
            }
        }
    }

    #[cold]
    fn mount_lines(&self, lines: &mut Lines) {
        let names = self.files.names.lock();
        let Some(names) = names.as_ref() else { return };
        let [tmp, run, dev] = names.writable;
        for (path, kind, mount) in [
            ("/", "base", Some(names.root.mount)),
            ("/dev", "dev", dev),
            ("/run", "tmp", run),
            ("/tmp", "tmp", tmp),
        ] {
            let usage = mount.and_then(|mount| Some(names.vfs.file_system(mount).ok()?.usage()));
            let Some(usage) = usage else { continue };
            let [pages, of_pages] = [usage.pages_used, usage.pages].map(Decimal::new);
            let [nodes, of_nodes] = [usage.nodes_used, usage.nodes].map(Decimal::new);
            lines.line(&[
                path.as_bytes(),
                b" ",
                kind.as_bytes(),
                b" pages ",
                pages.as_bytes(),
                b"/",
                of_pages.as_bytes(),
                b" nodes ",
                nodes.as_bytes(),
                b"/",
                of_nodes.as_bytes(),
            ]);
        }
        lines.text("/sys", b"sys pages 0/0 nodes 0/0");
    }

    #[cold]
    fn socket_lines(&self, lines: &mut Lines) {
        let net = self.net.lock();
        let Some(stack) = &net.stack else { return };
        let mut listed = 0;
        for socket in net.sockets() {
            let (kind, state) = match socket.kind {
                SocketKind::Stream => ("stream", stack.tcp_state(socket.id).ok().map_or("-", state_name)),
                SocketKind::Datagram => ("datagram", "-"),
            };
            let local = Address::new(stack.local(socket.id).ok());
            let peer = Address::new(stack.peer(socket.id).ok());
            lines.line(&[
                kind.as_bytes(),
                b" ",
                local.as_bytes(),
                b" ",
                peer.as_bytes(),
                b" ",
                state.as_bytes(),
            ]);
            listed += 1;
            if listed == LISTED_MAX || lines.is_full() {
                break;
            }
        }
        lines.number("sockets", u64::from(net.count()));
    }

    #[cold]
    fn counter_lines(&self, counters: Counters, lines: &mut Lines) {
        match counters {
            Counters::Calls => {
                let calls = self.cpus.iter().map(|cpu| cpu.flags.calls.load(Ordering::Relaxed)).sum();
                lines.number("calls", calls);
                lines.number("processes", self.processes.lock().table.len() as u64);
                lines.number("threads", u64::from(self.threads_alive.load(Ordering::Relaxed)));
                lines.number("objects", u64::from(self.objects_open.load(Ordering::Relaxed)));
                lines.number("last_session", u64::from(self.last_session.load(Ordering::Relaxed)));
            }
            Counters::Disk => {
                lines.number("verified", self.counters.blocks_verified.load(Ordering::Relaxed));
                lines.number("refused", self.counters.blocks_refused.load(Ordering::Relaxed));
            }
            Counters::Log => {
                let stats = self.log.lock().stats();
                lines.number("capacity_bytes", stats.capacity);
                lines.number("available", stats.available);
                lines.number("written", stats.written);
                lines.number("overwritten", stats.overwritten);
            }
            Counters::Pages => {
                let counts = self.page_counts();
                for (key, value) in [
                    ("pages", counts.pages),
                    ("hits", counts.hits),
                    ("misses", counts.misses),
                    ("evicted", counts.evicted),
                    ("rejected", counts.rejected),
                    ("failed", counts.failed),
                ] {
                    lines.number(key, value);
                }
            }
            Counters::Waits => lines.number("registered", self.waits.lock().len() as u64),
            Counters::Network => self.network_lines(lines),
        }
    }

    #[cold]
    fn network_lines(&self, lines: &mut Lines) {
        let net = self.net.lock();
        let Some(stack) = &net.stack else { return };
        let (counters, usage) = (*stack.counters(), stack.usage());
        drop(net);
        for (key, value) in [
            ("frames_received", counters.frames_received),
            ("frames_sent", counters.frames_sent),
            ("dropped", counters.dropped),
            ("address_conflicts", counters.address_conflicts),
            ("segments_received", counters.segments_received),
            ("segments_sent", counters.segments_sent),
            ("resets_sent", counters.resets_sent),
            ("datagrams_dropped", counters.datagrams_dropped),
            ("icmp_errors_sent", counters.icmp_errors_sent),
            ("rate_limited", counters.rate_limited),
            ("loopback_dropped", counters.loopback_dropped),
            ("connections_refused", counters.connections_refused),
            ("sockets", usage.sockets as u64),
            ("flows", usage.flows as u64),
            ("half_open", usage.half_open as u64),
            ("time_wait", usage.time_wait as u64),
            ("send_pieces", usage.send_pieces as u64),
            ("send_bytes", usage.send_bytes as u64),
            ("receive_bytes", usage.receive_bytes as u64),
        ] {
            lines.number(key, value);
        }
    }

    #[cold]
    fn process_lines(&self, pid: u32, about: About, lines: &mut Lines) -> Result<(), Errno> {
        let (parent, process) = {
            let processes = self.processes.lock();
            let entry = processes.table.get(&pid).ok_or(Errno::NOENT)?;
            match &entry.life {
                Life::Alive(process) => (entry.parent, Some(process.clone())),
                Life::Ended(..) => (entry.parent, None),
            }
        };
        let Some(process) = process else {
            if about == About::Status {
                lines.number("pid", u64::from(pid));
                lines.number("parent", u64::from(parent));
                lines.text("state", b"ended");
            }
            return Ok(());
        };
        match about {
            About::Status => status_lines(&process, parent, lines),
            About::Limits => {
                let limits = *process.limits.lock();
                lines.number("memory_bytes", limits.memory);
                lines.number("handles", limits.handles as u64);
                lines.number("threads", limits.threads as u64);
                lines.number("cpu_ns", limits.cpu_ns);
                lines.number("processes", u64::from(self.account_of(pid)?.limit()));
            }
            About::Memory => {
                let (mapped, resident, faults) = {
                    let inner = process.space.inner.lock();
                    (inner.areas.pages() * 4096, inner.resident * 4096, inner.faults)
                };
                lines.number("mapped_bytes", mapped);
                lines.number("resident_bytes", resident);
                lines.number("faults", process.usage.faults() + faults);
            }
            About::Handles => {
                let table = process.handles.lock();
                for (handle, object, rights) in table.within(SLOTS_MAX).take(LISTED_MAX) {
                    let number = Decimal::new(handle.0);
                    let mut letters = [b'-'; 8];
                    let bits = (0..).zip(b"rwxmdtgs");
                    for (letter, (bit, shown)) in letters.iter_mut().zip(bits) {
                        if rights.contains(Rights::from_bits_retain(1 << bit)) {
                            *letter = *shown;
                        }
                    }
                    lines.line(&[number.as_bytes(), b" ", kind_name(object).as_bytes(), b" ", &letters]);
                }
                lines.number("handles", table.len() as u64);
            }
        }
        Ok(())
    }
}

#[cold]
fn status_lines<M: Machine>(process: &Process<M>, parent: u32, lines: &mut Lines) {
    let identity = process.identity();
    lines.number("pid", u64::from(process.pid));
    lines.number("parent", u64::from(parent));
    lines.text("name", process.name().as_bytes());
    lines.text("state", b"alive");
    lines.number("principal", u64::from(identity.principal));
    lines.number("session", u64::from(identity.session));
    for (name, _) in process.capabilities().iter_names() {
        lines.text("capability", name.as_bytes());
    }
    lines.number("threads", process.threads.lock().list.len() as u64);
    lines.number("handles", process.handles.lock().len() as u64);
    lines.number("cpu_ns", process.usage.cpu_ns());
    lines.number("started_ns", process.started.as_nanos());
}

/// What a handle names, in a word.
const fn kind_name<M: Machine>(object: &Object<M>) -> &'static str {
    match object {
        Object::File(_) => "file",
        Object::Console(_) => "console",
        Object::Socket(_) => "socket",
        Object::Pipe(_) => "pipe",
        Object::Ready(_) => "set",
        Object::Endpoint(_) => "endpoint",
        Object::Memory(_) => "memory",
        Object::Pair(_) => "pair",
        Object::Counter(_) => "counter",
        Object::Device(_) => "device",
    }
}

/// The states of RFC 9293 §3.3.2 as they are usually written.
const fn state_name(state: swos_netstack::State) -> &'static str {
    use swos_netstack::State;
    match state {
        State::SynSent => "syn-sent",
        State::SynReceived => "syn-received",
        State::Established => "established",
        State::FinWait1 => "fin-wait-1",
        State::FinWait2 => "fin-wait-2",
        State::CloseWait => "close-wait",
        State::Closing => "closing",
        State::LastAck => "last-ack",
        State::TimeWait => "time-wait",
        State::Closed => "closed",
    }
}

/// An address as text, `-` for none.
struct Address {
    text: [u8; 21],
    len: usize,
}

impl Address {
    #[cold]
    fn new(address: Option<SocketAddrV4>) -> Self {
        let mut this = Self { text: [b'-'; 21], len: 0 };
        let Some(address) = address else {
            this.len = 1;
            return this;
        };
        for (octet, end) in address.ip().octets().into_iter().zip(*b"...:") {
            this.put(Decimal::new(u64::from(octet)).as_bytes());
            this.put(&[end]);
        }
        this.put(Decimal::new(u64::from(address.port())).as_bytes());
        this
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.text.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}
