//! Endpoints: the ends that handles name, who waits at them, and how a dead one is emptied.

use alloc::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};
use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use swos_endpoint::{CallId, Closed, Drained, Endpoint, Limits, Message, Room, Wake};
use swos_handles::{Grant, Lease};
use swos_sync::Lock;

use crate::{
    Kernel, Machine,
    object::{Object, OpenCount},
    ranks,
    ready::Watchers,
    thread::Thread,
    wait::WaitKey,
    work::Work,
};

/// A handle on its way.
pub(crate) type Travelling<M> = Grant<Object<M>>;
/// A message of the kernel's.
pub(crate) type Letter<M> = Message<Travelling<M>>;

/// One end of an endpoint, which handles name.
pub(crate) struct EndpointEnd<M: Machine> {
    pub(crate) role: Role,
    pub(crate) nonblock: AtomicBool,
    pub(crate) count: OpenCount,
    pub(crate) shared: Arc<SharedEndpoint<M>>,
    pub(crate) watchers: Lock<Watchers<M>>,
}

/// What an end is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Sender { badge: u64 },
    Receiver,
}

/// The ends of one kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

impl Side {
    const fn has(self, role: Role) -> bool {
        matches!((self, role), (Self::Senders, Role::Sender { .. }) | (Self::Receivers, Role::Receiver))
    }
}

/// What the ends share.
pub(crate) struct SharedEndpoint<M: Machine> {
    id: u64,
    pub(crate) inner: Lock<Inner<M>>,
}

/// What changes of it.
pub(crate) struct Inner<M: Machine> {
    pub(crate) core: Endpoint<Travelling<M>, Arc<Thread<M>>>,
    /// A receiver that waits. It is found without the table of waiters, in which further ones are.
    pub(crate) idle: Option<Arc<Thread<M>>>,
    /// Further ones may be there.
    pub(crate) crowd: bool,
    senders_seen: Seen,
    receivers_seen: Seen,
    /// Ends that sets watch, by where they are in memory, which is nobody else's as long as they are here.
    watched: BTreeMap<usize, Weak<EndpointEnd<M>>>,
    next_dead: Option<Arc<SharedEndpoint<M>>>,
}

/// Who looks at the readiness of a side, so that a message nobody looks for costs no search.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Somebody polled since all were last woken.
    polled: bool,
    /// A set has watched it.
    watched: bool,
}

impl Seen {
    const fn any(self) -> bool {
        self.polled || self.watched
    }

    /// Takes note that those who polled will be woken.
    const fn take(&mut self) -> Self {
        let seen = *self;
        self.polled = false;
        seen
    }
}

/// Who is to hear of a message.
pub(crate) struct News<M: Machine> {
    pub(crate) idle: Option<Arc<Thread<M>>>,
    crowd: bool,
    seen: Seen,
}

/// Where a thread is in a call on an endpoint, kept over its restarts.
pub(crate) enum Ipc<M: Machine> {
    /// It waits for a message.
    Receiving(Arc<EndpointEnd<M>>, Option<Lease>, Asked),
    /// It waits for an answer.
    Calling(Arc<SharedEndpoint<M>>, CallId, Option<Lease>, Asked),
}

/// What a program has room for, as it said when its call began, and where it is told what came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) into: u64,
    pub(crate) bytes: u64,
    pub(crate) handles: u64,
    pub(crate) room: Room,
}

impl<M: Machine> Ipc<M> {
    /// The loan by which the thread has its end: its end is the end of the call.
    pub(crate) const fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Receiving(_, lease, _) | Self::Calling(_, _, lease, _) => lease.as_ref(),
        }
    }
}

impl<M: Machine> fmt::Debug for Ipc<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receiving(..) => "Receiving",
            Self::Calling(..) => "Calling",
        })
    }
}

/// Endpoints without a receiver that hold messages or callers still, as a list through themselves: none needs memory to be in it.
pub(crate) struct Dead<M: Machine> {
    /// The list is not empty. Changed with it locked.
    some: AtomicBool,
    first: Lock<Option<Arc<SharedEndpoint<M>>>>,
}

impl<M: Machine> Dead<M> {
    pub(crate) const fn new() -> Self {
        Self { some: AtomicBool::new(false), first: Lock::new(ranks::DEAD_ENDPOINTS, None) }
    }

    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.some.load(Ordering::Relaxed)
    }

    fn push(&self, shared: Arc<SharedEndpoint<M>>) {
        let mut first = self.first.lock();
        shared.inner.lock().next_dead = first.take();
        *first = Some(shared);
        self.some.store(true, Ordering::Relaxed);
    }

    fn pop(&self) -> Option<Arc<SharedEndpoint<M>>> {
        let mut first = self.first.lock();
        let popped = first.take();
        *first = popped.as_ref().and_then(|shared| shared.inner.lock().next_dead.take());
        self.some.store(first.is_some(), Ordering::Relaxed);
        popped
    }
}

/// Ends looked at, and sets told of them, in one slice.
const TOLD_PER_SLICE: usize = 48;
/// Messages and callers of dead endpoints, and handles in those messages, that one slice of work disposes of.
const DRAINED_PER_SLICE: usize = 32;

impl<M: Machine> Inner<M> {
    /// Takes note of who is to hear that a message came, and that those will have heard.
    #[inline]
    pub(crate) const fn news(&mut self) -> News<M> {
        News { idle: self.idle.take(), crowd: self.crowd, seen: self.receivers_seen.take() }
    }

    /// The thread does not wait as the idle receiver any more. Whether it did.
    pub(crate) fn leave_idle(&mut self, thread: &Arc<Thread<M>>) -> bool {
        let idle = self.idle.as_ref().is_some_and(|idle| Arc::ptr_eq(idle, thread));
        if idle {
            self.idle = None;
        }
        idle
    }
}

impl<M: Machine> SharedEndpoint<M> {
    /// Its number among what threads wait for.
    pub(crate) const fn wait_key(&self, who: Who) -> WaitKey {
        WaitKey::Endpoint { id: self.id * 4 + who as u64 }
    }
}

/// Who waits at an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// For a message, beside the idle one.
    Receivers,
    /// For room.
    Senders,
    /// For readiness of the receiving side.
    ReceiverPolls,
    /// For readiness of the sending side.
    SenderPolls,
}

impl<M: Machine> EndpointEnd<M> {
    pub(crate) fn new(shared: Arc<SharedEndpoint<M>>, role: Role, nonblock: bool) -> Arc<Self> {
        Arc::new(Self {
            role,
            nonblock: AtomicBool::new(nonblock),
            count: OpenCount::one(),
            shared,
            watchers: Lock::new(ranks::WATCHERS, Watchers::new()),
        })
    }

    /// What a poll waits for.
    pub(crate) fn wait_key(&self) -> WaitKey {
        self.shared.wait_key(match self.role {
            Role::Sender { .. } => Who::SenderPolls,
            Role::Receiver => Who::ReceiverPolls,
        })
    }

    /// What holds now. Who asks is told when it changes.
    pub(crate) fn readiness(&self) -> u16 {
        let mut inner = self.shared.inner.lock();
        match self.role {
            Role::Sender { .. } => {
                inner.senders_seen.polled = true;
                inner.core.sender_readiness()
            }
            Role::Receiver => {
                inner.receivers_seen.polled = true;
                inner.core.receiver_readiness()
            }
        }
    }

    /// A set watches it from now on.
    pub(crate) fn on_watched(self: &Arc<Self>) {
        let mut inner = self.shared.inner.lock();
        inner.watched.entry(Arc::as_ptr(self).addr()).or_insert_with(|| Arc::downgrade(self));
        match self.role {
            Role::Sender { .. } => inner.senders_seen.watched = true,
            Role::Receiver => inner.receivers_seen.watched = true,
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The two ends of a new endpoint, the sender first.
    pub(crate) fn new_endpoint(&self, limits: Limits, nonblock: bool) -> [Arc<EndpointEnd<M>>; 2] {
        let shared = Arc::new(SharedEndpoint {
            id: self.last_endpoint.fetch_add(1, Ordering::Relaxed) + 1,
            inner: Lock::new(
                ranks::ENDPOINT,
                Inner {
                    core: Endpoint::new(limits),
                    idle: None,
                    crowd: false,
                    senders_seen: Seen::default(),
                    receivers_seen: Seen::default(),
                    watched: BTreeMap::new(),
                    next_dead: None,
                },
            ),
        });
        self.objects_open.fetch_add(2, Ordering::Relaxed);
        let sender = EndpointEnd::new(shared.clone(), Role::Sender { badge: 0 }, nonblock);
        [sender, EndpointEnd::new(shared, Role::Receiver, nonblock)]
    }

    /// A further sender, with a badge.
    pub(crate) fn new_sender(
        &self,
        shared: &Arc<SharedEndpoint<M>>,
        badge: u64,
        nonblock: bool,
    ) -> Object<M> {
        shared.inner.lock().core.add_sender();
        self.objects_open.fetch_add(1, Ordering::Relaxed);
        Object::Endpoint(EndpointEnd::new(shared.clone(), Role::Sender { badge }, nonblock))
    }

    /// One receiver goes on, and all who look for readiness. The endpoint's lock is not held.
    #[inline]
    pub(crate) fn announce(&self, shared: &Arc<SharedEndpoint<M>>, news: News<M>) {
        if let Some(idle) = news.idle {
            self.make_ready(&idle);
        } else if news.crowd {
            self.wake_crowd(shared);
        }
        if news.seen.any() {
            self.tell_receivers(shared, news.seen);
        }
    }

    #[inline(never)]
    fn wake_crowd(&self, shared: &SharedEndpoint<M>) {
        let key = shared.wait_key(Who::Receivers);
        if self.wake(key, 1) == 0 {
            let mut inner = shared.inner.lock();
            // Who joins it does so with the endpoint locked.
            inner.crowd = self.waits.lock().waiting(&key.place()) > 0;
        }
    }

    #[inline(never)]
    fn tell_receivers(&self, shared: &Arc<SharedEndpoint<M>>, seen: Seen) {
        if seen.polled {
            self.wake_all(shared.wait_key(Who::ReceiverPolls));
        }
        if seen.watched {
            self.tell_sets(shared, Side::Receivers);
        }
    }

    /// Senders that wait for room go on, and all who look for it. The endpoint's lock is not held.
    #[inline]
    pub(crate) fn wake_senders(&self, shared: &Arc<SharedEndpoint<M>>, wake: Wake) {
        if wake == Wake::Senders {
            self.tell_senders(shared);
        }
    }

    #[inline(never)]
    fn tell_senders(&self, shared: &Arc<SharedEndpoint<M>>) {
        self.wake_all(shared.wait_key(Who::Senders));
        let seen = shared.inner.lock().senders_seen.take();
        if seen.polled {
            self.wake_all(shared.wait_key(Who::SenderPolls));
        }
        if seen.watched {
            self.tell_sets(shared, Side::Senders);
        }
    }

    /// Tells the sets that watch ends of a side what holds of those now. Those beyond what one slice allows are told later.
    fn tell_sets(&self, shared: &Arc<SharedEndpoint<M>>, side: Side) {
        if let Some(from) = self.tell_some_sets(shared, side, 0) {
            self.do_later(Work::Tell { shared: shared.clone(), side, from });
        }
    }

    /// The same for those from `from` on; returns where to go on.
    pub(crate) fn tell_some_sets(
        &self,
        shared: &SharedEndpoint<M>,
        side: Side,
        mut from: usize,
    ) -> Option<usize> {
        let mut left = TOLD_PER_SLICE;
        loop {
            // One at a time, because a set's lock comes before the endpoint's.
            let (at, end) = {
                let inner = shared.inner.lock();
                let (at, end) = inner.watched.range(from..).next()?;
                (*at, end.upgrade())
            };
            if left == 0 {
                return Some(at);
            }
            let sets = match end.filter(|end| side.has(end.role)) {
                Some(end) => {
                    self.notify(&end.watchers, end.readiness());
                    end.watchers.lock().len()
                }
                None => 0,
            };
            left = left.saturating_sub(1 + sets);
            from = at + 1;
        }
    }

    /// The last handle to an end is gone.
    pub(crate) fn close_endpoint_end(&self, end: &EndpointEnd<M>) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        self.unwatch(&end.watchers);
        let shared = &end.shared;
        let (closed, idle, seen) = {
            let mut inner = shared.inner.lock();
            inner.watched.remove(&core::ptr::from_ref(end).addr());
            let closed = match end.role {
                Role::Sender { .. } => inner.core.close_sender(),
                Role::Receiver => inner.core.close_receiver(),
            };
            if closed == Closed::OneOfMany {
                return;
            }
            (closed, inner.idle.take(), inner.receivers_seen.take())
        };
        // Also receivers when the receiver closed: another thread may have closed the handle at which they wait.
        if let Some(idle) = idle {
            self.make_ready(&idle);
        }
        self.wake_all(shared.wait_key(Who::Receivers));
        self.tell_receivers(shared, seen);
        if end.role == Role::Receiver && closed == Closed::Last {
            self.tell_senders(shared);
            self.dead_endpoints.push(shared.clone());
            self.add_chore();
        }
    }

    /// Disposes of a slice of what dead endpoints hold. True = there is more.
    #[inline]
    pub(crate) fn bury(&self) -> bool {
        self.dead_endpoints.any() && self.bury_some()
    }

    #[inline(never)]
    fn bury_some(&self) -> bool {
        let Some(shared) = self.dead_endpoints.pop() else { return false };
        let mut left = DRAINED_PER_SLICE;
        while left > 0 {
            let drained = shared.inner.lock().core.drain();
            let cost = match drained {
                Some(Drained::Message(message)) => {
                    let handles = message.handles().len();
                    self.dispose(message);
                    1 + handles
                }
                Some(Drained::Waiter(caller)) => {
                    self.make_ready(&caller);
                    1
                }
                None => return self.dead_endpoints.any(),
            };
            left = left.saturating_sub(cost);
        }
        self.dead_endpoints.push(shared);
        self.add_chore();
        true
    }

    /// Closes what a message brought.
    pub(crate) fn dispose(&self, message: Letter<M>) {
        let queued = message.receivers() > 0;
        for grant in message.into_handles() {
            if queued && let Some(end) = receiver_in(&grant) {
                end.shared.inner.lock().core.arrive();
            }
            let object = grant.into_object();
            if object.ends_slowly() {
                self.do_later(Work::Close { object });
            } else {
                self.close_object(object);
            }
        }
    }

    /// A thread ends, or its call failed, in the middle of a call on an endpoint.
    #[inline(never)]
    pub(crate) fn leave_endpoint(&self, thread: &Arc<Thread<M>>, ipc: Ipc<M>) {
        match ipc {
            Ipc::Receiving(end, ..) => self.pass_on(&end.shared, thread),
            Ipc::Calling(shared, id, ..) => self.give_up_call(&shared, id),
        }
    }

    /// A receiver goes that may have been woken for a message which it did not take: then another one is.
    pub(crate) fn pass_on(&self, shared: &Arc<SharedEndpoint<M>>, thread: &Arc<Thread<M>>) {
        let news = {
            let mut inner = shared.inner.lock();
            if inner.leave_idle(thread) || inner.core.is_empty() {
                return;
            }
            inner.news()
        };
        self.announce(shared, news);
    }

    fn give_up_call(&self, shared: &Arc<SharedEndpoint<M>>, id: CallId) {
        let (answer, wake) = {
            let mut inner = shared.inner.lock();
            (inner.core.abandon(id), inner.core.call_over())
        };
        if let Some(answer) = answer {
            self.dispose(answer);
        }
        self.wake_senders(shared, wake);
    }
}

/// The end, if the handle is to a receiver.
pub(crate) fn receiver_in<M: Machine>(grant: &Travelling<M>) -> Option<&Arc<EndpointEnd<M>>> {
    match grant.object() {
        Object::Endpoint(end) if end.role == Role::Receiver => Some(end),
        _ => None,
    }
}

impl<M: Machine> fmt::Debug for EndpointEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointEnd")
            .field("id", &self.shared.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
