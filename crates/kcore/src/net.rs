//! The network: the stack behind its lock, its timer, and the sockets that handles name.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use swos_netstack::{Config, PageRef, Readiness, SocketId, Stack, Transmit};
use swos_sync::{Lock, LockGuard};
use swos_units::{Duration, Instant};
use swos_wire::MacAddr;

use crate::{
    Kernel, Machine, log::Level, object::OpenCount, random::Random, ranks, ready::Watchers, wait::WaitKey,
};

/// Received frames handled before interrupts get their turn.
const FRAMES_PER_BATCH: u32 = 12;
/// Between two words in the log about the same trouble with our address.
const CONFLICT_INTERVAL: Duration = Duration::from_secs(10);

/// The stack and the sockets by the stack's index.
pub(crate) struct Net<M: Machine> {
    pub(crate) stack: Option<Stack<PagePin<M>>>,
    sockets: Vec<Option<Arc<Socket<M>>>>,
    count: u32,
    /// Conflicts about our address of which the log knows, and when it was told last.
    conflicts: (u64, Option<Instant>),
}

/// When the stack wants to be polled, and by which CPU: the one that polled it last.
#[derive(Debug)]
pub(crate) struct NetTimer {
    at: AtomicU64,
    cpu: AtomicUsize,
    /// Whether received frames were left for the next turn. Until they are taken the device does not interrupt for more.
    backlog: AtomicBool,
}

impl Default for NetTimer {
    fn default() -> Self {
        Self { at: AtomicU64::new(u64::MAX), cpu: AtomicUsize::new(0), backlog: AtomicBool::new(false) }
    }
}

/// A socket that handles name.
pub(crate) struct Socket<M: Machine> {
    pub(crate) id: SocketId,
    pub(crate) kind: SocketKind,
    pub(crate) nonblock: AtomicBool,
    pub(crate) count: OpenCount,
    /// One reader at a time, so that what was looked at is what is taken.
    pub(crate) reading: AtomicBool,
    /// Bytes taken since the peer was last told of the room.
    pub(crate) unannounced: AtomicU64,
    pub(crate) watchers: Lock<Watchers<M>>,
}

/// What kind of socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SocketKind {
    Stream,
    Datagram,
}

impl<M: Machine> Socket<M> {
    pub(crate) fn new(id: SocketId, kind: SocketKind, nonblock: bool) -> Arc<Self> {
        Arc::new(Self {
            id,
            kind,
            nonblock: AtomicBool::new(nonblock),
            count: OpenCount::one(),
            reading: AtomicBool::new(false),
            unannounced: AtomicU64::new(0),
            watchers: Lock::new(ranks::WATCHERS, Watchers::new()),
        })
    }

    /// Its number among what threads wait for.
    pub(crate) fn wait_id(&self) -> u64 {
        self.id.to_bits()
    }
}

/// A page of a file on its way out.
pub(crate) struct PagePin<M: Machine>(pub(crate) M::Pinned);

impl<M: Machine> Clone for PagePin<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Machine> PageRef for PagePin<M> {
    fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl<M: Machine> fmt::Debug for PagePin<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PagePin")
    }
}

/// The network device, seen by the stack.
pub(crate) struct Device<'a, M: Machine> {
    kernel: &'a Kernel<M>,
    /// Frames for which there is room for certain: nobody else sends while the stack is locked.
    room: usize,
}

impl<'a, M: Machine> Device<'a, M> {
    /// For one turn under the stack's lock.
    pub(crate) const fn new(kernel: &'a Kernel<M>) -> Self {
        Self { kernel, room: 0 }
    }
}

impl<M: Machine> Transmit for Device<'_, M> {
    #[inline]
    fn has_room(&mut self) -> bool {
        if self.room == 0 {
            self.room = self.kernel.machine.net_room();
        }
        self.room > 0
    }

    #[inline]
    fn transmit(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.room = self.room.saturating_sub(1);
        self.kernel.counters.frames_sent.fetch_add(1, Ordering::Relaxed);
        self.kernel.machine.net_transmit(len, fill);
    }
}

impl<M: Machine> Net<M> {
    /// The sockets that handles name.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Arc<Socket<M>>> {
        self.sockets.iter().flatten()
    }

    /// How many.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// The stack of this machine's interface. Without entropy there is none: its numbers could be guessed.
    pub(crate) fn new(machine: &M, random: &mut Random) -> Self {
        let mut secret = [0; 32];
        let stack = machine
            .net_address()
            .filter(|_| random.fill(&mut secret))
            .map(|mac| Stack::new(machine.now(), Config::new(MacAddr(mac), None, secret)));
        Self { stack, sockets: Vec::new(), count: 0, conflicts: (0, None) }
    }

    /// Remembers which object answers for a socket of the stack.
    pub(crate) fn add(&mut self, socket: &Arc<Socket<M>>) {
        let index = socket.id.index();
        if index >= self.sockets.len() {
            self.sockets.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.sockets.get_mut(index) {
            *slot = Some(socket.clone());
            self.count += 1;
        }
    }

    fn remove(&mut self, id: SocketId) {
        if let Some(slot) = self.sockets.get_mut(id.index())
            && slot.as_ref().is_some_and(|socket| socket.id == id)
        {
            *slot = None;
            self.count -= 1;
        }
        while matches!(self.sockets.last(), Some(None)) {
            self.sockets.pop();
        }
        if self.sockets.is_empty() {
            self.sockets = Vec::new();
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Frames came in, or the device has room again.
    pub(crate) fn on_net(&self, cpu: usize) {
        let now = self.machine.now();
        let scarce = self.is_scarce();
        let mut net = self.net.lock();
        let Some(stack) = &mut net.stack else {
            while self.machine.net_receive(|_| {}) {}
            return;
        };
        stack.set_scarce(scarce);
        let mut device = Device::new(self);
        let mut received = 0;
        while received < FRAMES_PER_BATCH
            && self.machine.net_receive(|frame| stack.on_frame(now, frame, &mut device))
        {
            received += 1;
        }
        self.counters.frames_received.fetch_add(u64::from(received), Ordering::Relaxed);
        // More may wait; then somebody comes back after whatever else is due. Written under the lock, so that no turn of another
        // CPU forgets it.
        self.net_timer.backlog.store(received == FRAMES_PER_BATCH, Ordering::Relaxed);
        self.net_turn(cpu, now, net);
    }

    /// Whether what somebody sends us would be kept in the last frames, which are not for that.
    fn is_scarce(&self) -> bool {
        if !self.machine.is_short() {
            return false;
        }
        self.shrink_page_cache(FRAMES_PER_BATCH);
        self.machine.is_short()
    }

    /// Lets the stack send, tells who waits for what changed, and sets its timer. After every input to the stack.
    pub(crate) fn net_turn<'a>(&'a self, cpu: usize, now: Instant, mut net: LockGuard<'a, Net<M>>) {
        let Some(stack) = &mut net.stack else { return };
        let progress = stack.poll(now, &mut Device::new(self));
        self.machine.net_flush();
        let deadline = match progress {
            _ if self.net_timer.backlog.load(Ordering::Relaxed) => now.as_nanos(),
            swos_netstack::Progress::More => now.as_nanos(),
            swos_netstack::Progress::Done | swos_netstack::Progress::DeviceFull => {
                stack.deadline().map_or(u64::MAX, Instant::as_nanos)
            }
        };
        self.net_timer.at.store(deadline, Ordering::Relaxed);
        self.net_timer.cpu.store(cpu, Ordering::Relaxed);
        // Not only when this CPU next sets its timer: a program that makes no calls may have it until then.
        self.set_timer_by(cpu, deadline);
        if stack.counters().address_conflicts != net.conflicts.0 {
            net = self.on_conflict(now, net);
        }
        loop {
            if self.wakes_left() == 0 {
                // The others hear of theirs after interrupts had their turn.
                self.net_timer.at.store(now.as_nanos(), Ordering::Relaxed);
                self.set_timer_by(cpu, now.as_nanos());
                break;
            }
            let event = net.stack.as_mut().and_then(Stack::poll_event);
            let Some((id, bits)) = event else { break };
            self.count_wakes(1);
            let Some(socket) = net.sockets.get(id.index()).and_then(Option::clone) else { continue };
            self.wake_all(WaitKey::Socket { id: socket.wait_id() });
            if !socket.watchers.lock().is_empty() {
                // The sets are taken in the order of their ranks: without the stack.
                drop(net);
                self.notify(&socket.watchers, bits.bits());
                net = self.net.lock();
            }
        }
    }

    /// Another station claims our address: the operator has to know, but not of every packet.
    #[cold]
    fn on_conflict<'a>(&'a self, now: Instant, mut net: LockGuard<'a, Net<M>>) -> LockGuard<'a, Net<M>> {
        let address = net.stack.as_ref().and_then(|stack| stack.ipv4().map(|ipv4| ipv4.address));
        net.conflicts.0 = net.stack.as_ref().map_or(0, |stack| stack.counters().address_conflicts);
        let told = net.conflicts.1.is_some_and(|told| now.since(told) < CONFLICT_INTERVAL);
        let Some(address) = address.filter(|_| !told) else { return net };
        net.conflicts.1 = Some(now);
        drop(net);
        self.log(Level::Warning, "net", format_args!("another station uses {address}"));
        self.net.lock()
    }

    /// The timer of this CPU fired.
    pub(crate) fn net_timer(&self, cpu: usize, now: Instant) {
        if self.net_deadline(cpu) <= now.as_nanos() {
            self.on_net(cpu);
        }
    }

    /// When this CPU must poll the stack, in nanoseconds; `u64::MAX` = another does, or nothing is due.
    pub(crate) fn net_deadline(&self, cpu: usize) -> u64 {
        if self.net_timer.cpu.load(Ordering::Relaxed) == cpu {
            self.net_timer.at.load(Ordering::Relaxed)
        } else {
            u64::MAX
        }
    }

    /// The last handle to a socket is gone.
    pub(crate) fn close_socket(&self, socket: &Socket<M>) {
        self.unwatch(&socket.watchers);
        let now = self.machine.now();
        let mut net = self.net.lock();
        net.remove(socket.id);
        if let Some(stack) = &mut net.stack {
            // A socket that the stack no longer knows is as closed as can be.
            let _ = stack.close(now, socket.id);
        }
        self.net_turn(self.machine.cpu_index(), now, net);
    }

    pub(crate) fn socket_readiness(&self, socket: &Socket<M>) -> u16 {
        let net = self.net.lock();
        let readiness = net.stack.as_ref().and_then(|stack| stack.readiness(socket.id).ok());
        readiness.unwrap_or(Readiness::HUP).bits()
    }

    /// Sockets that handles name, and those that only finish their connection.
    pub(crate) fn socket_count(&self) -> u32 {
        let net = self.net.lock();
        let in_stack = net.stack.as_ref().map_or(0, |stack| stack.usage().sockets);
        u32::try_from(in_stack).unwrap_or(u32::MAX).max(net.count)
    }
}

impl<M: Machine> fmt::Debug for Net<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("sockets", &self.count).finish_non_exhaustive()
    }
}
