//! Endpoints: the calls.
//!
//! A message is copied in whole, moved under the endpoint's lock, and copied out whole. Handles leave the sender's table in the step in
//! which the message enters the queue, and are in the receiver's table before the message leaves the queue.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use swos_abi::{
    CLOSE_ON_EXEC, ENDPOINT_BYTES_MAX, ENDPOINT_CALLS_MAX, ENDPOINT_MESSAGES_MAX, ENDPOINT_NONBLOCK,
    EndpointConfig, EndpointEnds, Errno, Handle, MESSAGE_BYTES_MAX, MESSAGE_HANDLES_MAX, MessageHandle,
    MessageIn, MessageOut, Rights,
};
use swos_endpoint::{Call, CallId, Error, IsCall, Limits, Message, Outcome, Room, Taken, Token, Wake};
use swos_handles::{HandleTable, Lease};
use swos_sync::CpuToken;
use zerocopy::IntoBytes as _;

use super::{handle_errno, on_exec_of, only_on_exec};
use crate::{
    Kernel, Machine,
    endpoint::{
        Asked, EndpointEnd, Inner, Ipc, Letter, News, Role, SharedEndpoint, Travelling, Who, receiver_in,
    },
    object::Object,
    thread::Thread,
    wait::{ANY_BITS, CallResult, Stop, Why},
};

/// Handles to send, as the program listed them.
type Listed = ArrayVec<MessageHandle, MESSAGE_HANDLES_MAX>;

/// What makes a message a call.
type Caller<M> = Call<Arc<Thread<M>>>;

/// Places of calls that one slice of `endpoint_hang_up` looks at.
const HUNG_UP_PER_SLICE: usize = 64;

/// What a receipt or an answer leaves in the first half of a [`MessageIn`].
const MESSAGE_IN_ASKED: usize = 24;

impl<M: Machine> Kernel<M> {
    pub(super) fn endpoint_create(
        &self,
        thread: &Thread<M>,
        config: u64,
        config_size: u64,
        ends: u64,
        size: u64,
    ) -> CallResult {
        let config: EndpointConfig = self.read_record(config, config_size)?;
        let asked = |value: u32, usual: usize, most: u32| match value {
            0 => Ok(usual),
            value if value <= most => Ok(value as usize),
            _ => Err(Errno::INVAL),
        };
        let usual = Limits::default();
        let limits = Limits {
            messages: asked(config.messages, usual.messages, ENDPOINT_MESSAGES_MAX)?,
            bytes: asked(config.bytes, usual.bytes, ENDPOINT_BYTES_MAX)?,
            calls: asked(config.calls, usual.calls, ENDPOINT_CALLS_MAX)?,
        };
        if config.flags & !(ENDPOINT_NONBLOCK | CLOSE_ON_EXEC) != 0 || size < size_of::<EndpointEnds>() as u64
        {
            return Err(Errno::INVAL.into());
        }
        // A bad pointer must not cost an endpoint: it is tried before there is one.
        self.copy_out(ends, EndpointEnds::NONE.as_bytes())?;
        let [sender, receiver] = self.new_endpoint(limits, config.flags & ENDPOINT_NONBLOCK != 0);
        let common = Rights::GETATTR | Rights::DUPLICATE | Rights::TRANSFER;
        let ends_of = |[sender, receiver]: [Handle; 2]| EndpointEnds { sender, receiver };
        self.install_two(
            thread,
            [
                (Object::Endpoint(sender), common | Rights::WRITE),
                (Object::Endpoint(receiver), common | Rights::READ),
            ],
            on_exec_of(config.flags),
            |handles| self.copy_out(ends, ends_of(handles).as_bytes()),
        )
    }

    pub(super) fn endpoint_mint(
        &self,
        thread: &Thread<M>,
        sender: Handle,
        badge: u64,
        flags: u32,
    ) -> CallResult {
        let on_exec = only_on_exec(flags)?;
        let rights = thread.process.handles.lock().get(sender).map_err(handle_errno)?.1;
        let end = Self::end_of(thread, sender, Rights::DUPLICATE)?;
        match end.role {
            Role::Sender { badge: 0 } if badge != 0 => {
                let minted = self.new_sender(&end.shared, badge, end.nonblock.load(Ordering::Relaxed));
                // What is made from a loan ends with it.
                self.install_as(thread, minted, rights, thread.progress.lease(), on_exec)
            }
            Role::Sender { badge: 0 } => Err(Errno::INVAL.into()),
            // Whom a badge names can't become somebody else.
            Role::Sender { .. } => Err(Errno::PERM.into()),
            Role::Receiver => Err(Errno::NOTTY.into()),
        }
    }

    pub(super) fn endpoint_send(
        &self,
        thread: &Arc<Thread<M>>,
        sender: Handle,
        message: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let (end, badge) = Self::sender_of(thread, sender)?;
        let (_, news) = self.post(thread, &end, badge, message, None, timeout_ns)?;
        self.announce(&end.shared, news);
        Ok(0)
    }

    pub(super) fn endpoint_receive(
        &self,
        thread: &Arc<Thread<M>>,
        receiver: Handle,
        into: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let end = Self::receiver_of(thread, receiver)?;
        let asked = self.read_asked(into)?;
        let lease = thread.progress.lease();
        self.receive_from_end(thread, end, lease, asked, timeout_ns)
    }

    /// With `here`, who is woken may be handed this CPU: this is the call's first try, and its thread leaves if it waits.
    pub(super) fn endpoint_call(
        &self,
        here: Option<&CpuToken>,
        thread: &Arc<Thread<M>>,
        sender: Handle,
        message: u64,
        into: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let (end, badge) = Self::sender_of(thread, sender)?;
        let asked = self.read_asked(into)?;
        let call = Call { waiter: thread.clone(), room: asked.room };
        let lease = thread.progress.lease();
        let (id, mut news) = self.post(thread, &end, badge, message, Some(call), timeout_ns)?;
        if let Some(id) = id {
            // From now on its time runs, if it did not before.
            self.time_is_up(thread, timeout_ns);
            thread.progress.lock().ipc = Some(Ipc::Calling(end.shared.clone(), id, lease, asked));
        }
        if let Some(cpu) = here
            && let Some(idle) = news.idle.take()
        {
            self.own.get(cpu).handed.set(Some(idle));
        }
        self.announce(&end.shared, news);
        Err(Stop::WAIT)
    }

    pub(super) fn endpoint_reply(
        &self,
        thread: &Arc<Thread<M>>,
        receiver: Handle,
        token: u64,
        message: u64,
    ) -> CallResult {
        let end = Self::receiver_of(thread, receiver)?;
        let caller = self.answer(thread, &end.shared, Token::from_raw(token), message)?;
        self.make_ready(&caller);
        Ok(0)
    }

    pub(super) fn endpoint_hang_up(&self, thread: &Arc<Thread<M>>, receiver: Handle) -> CallResult {
        let shared = &Self::receiver_of(thread, receiver)?.shared;
        let from = usize::try_from(thread.progress.done()).unwrap_or(usize::MAX);
        let places = shared.inner.lock().core.places();
        let to = places.min(from.saturating_add(HUNG_UP_PER_SLICE));
        for place in from..to {
            let caller = shared.inner.lock().core.hang_up(place);
            if let Some(caller) = caller {
                self.make_ready(&caller);
            }
        }
        if to < places {
            thread.progress.lock().done = to as u64;
            return Err(Stop::AGAIN);
        }
        let wake = shared.inner.lock().core.call_over();
        self.wake_senders(shared, wake);
        Ok(0)
    }

    /// With `here` as for [`endpoint_call`](Self::endpoint_call).
    #[expect(clippy::too_many_arguments, reason = "five are the call's")]
    pub(super) fn endpoint_reply_receive(
        &self,
        here: Option<&CpuToken>,
        thread: &Arc<Thread<M>>,
        receiver: Handle,
        token: u64,
        message: u64,
        into: u64,
        timeout_ns: u64,
    ) -> CallResult {
        let end = Self::receiver_of(thread, receiver)?;
        // Before the answer: from there on the call must not begin anew.
        let asked = self.read_asked(into)?;
        let lease = thread.progress.lease();
        let caller = self.answer(thread, &end.shared, Token::from_raw(token), message)?;
        let received = self.receive_message(thread, &end, &asked, timeout_ns);
        match here {
            Some(cpu) if received == Err(Stop::WAIT) => self.own.get(cpu).handed.set(Some(caller)),
            Some(_) | None => self.make_ready(&caller),
        }
        if received.is_err() {
            let mut progress = thread.progress.lock();
            progress.done = 1;
            progress.ipc = Some(Ipc::Receiving(end, lease, asked));
        }
        received
    }

    /// Goes on with a call that waits for a message or an answer, from where it is and with what it began with; not beyond the end of the
    /// loan by which it began. `None` = it has not come so far.
    #[inline(never)]
    pub(super) fn go_on_at_endpoint(&self, thread: &Arc<Thread<M>>, timeout_ns: u64) -> Option<CallResult> {
        let mut ipc = thread.progress.take_ipc()?;
        if ipc.lease().is_some() {
            ipc = match self.lent_still(thread, ipc) {
                Ok(ipc) => ipc,
                Err(stop) => return Some(Err(stop)),
            };
        }
        Some(match ipc {
            Ipc::Receiving(end, lease, asked) => self.receive_from_end(thread, end, lease, asked, timeout_ns),
            Ipc::Calling(shared, id, lease, asked) => {
                self.finish_call(thread, shared, id, lease, asked, timeout_ns)
            }
        })
    }

    #[cold]
    fn lent_still(&self, thread: &Arc<Thread<M>>, ipc: Ipc<M>) -> Result<Ipc<M>, Stop> {
        let alive = match ipc.lease() {
            Some(lease) if !lease.is_alive() => Err(Errno::ACCES),
            Some(lease) => thread.progress.lock().uses(lease),
            None => Ok(()),
        };
        match alive {
            Ok(()) => Ok(ipc),
            Err(errno) => {
                self.leave_endpoint(thread, ipc);
                Err(errno.into())
            }
        }
    }

    fn end_of(thread: &Thread<M>, handle: Handle, needed: Rights) -> Result<Arc<EndpointEnd<M>>, Stop> {
        match Self::object(thread, handle, needed)? {
            Object::Endpoint(end) => Ok(end),
            _ => Err(Errno::NOTTY.into()),
        }
    }

    fn sender_of(thread: &Thread<M>, handle: Handle) -> Result<(Arc<EndpointEnd<M>>, u64), Stop> {
        let end = Self::end_of(thread, handle, Rights::WRITE)?;
        match end.role {
            Role::Sender { badge } => Ok((end, badge)),
            Role::Receiver => Err(Errno::NOTTY.into()),
        }
    }

    fn receiver_of(thread: &Thread<M>, handle: Handle) -> Result<Arc<EndpointEnd<M>>, Stop> {
        let end = Self::end_of(thread, handle, Rights::READ)?;
        if end.role == Role::Receiver { Ok(end) } else { Err(Errno::NOTTY.into()) }
    }

    /// Copies the record of a message in.
    #[inline]
    fn read_outgoing(&self, from: u64) -> Result<MessageOut, Stop> {
        let mut record = MessageOut::default();
        self.copy_in(from, record.as_mut_bytes())?;
        if record.length as usize > MESSAGE_BYTES_MAX {
            return Err(Errno::MSGSIZE.into());
        }
        Ok(record)
    }

    /// Copies the bytes of a message in.
    #[inline]
    fn read_letter(&self, record: &MessageOut) -> Result<Letter<M>, Stop> {
        let mut letter = Message::zeroed(record.length as usize).map_err(|_| Errno::NOMEM)?;
        self.copy_in(record.bytes, letter.bytes_mut())?;
        Ok(letter)
    }

    #[inline(never)]
    fn read_listed(&self, record: &MessageOut) -> Result<Listed, Stop> {
        let mut listed = Listed::new_const();
        if record.handle_count as usize > MESSAGE_HANDLES_MAX {
            return Err(Errno::MSGSIZE.into());
        }
        for index in 0..u64::from(record.handle_count) {
            let mut entry = MessageHandle::NONE;
            let at = record.handles.saturating_add(index * size_of::<MessageHandle>() as u64);
            self.copy_in(at, entry.as_mut_bytes())?;
            if entry.reserved != 0 || listed.iter().any(|other| other.handle == entry.handle) {
                return Err(Errno::INVAL.into());
            }
            // There is room, see above.
            let _ = listed.try_push(entry);
        }
        Ok(listed)
    }

    /// What the program wants of a message that comes.
    #[inline]
    fn read_asked(&self, into: u64) -> Result<Asked, Stop> {
        let mut record = MessageIn::default();
        let half = record.as_mut_bytes().get_mut(..MESSAGE_IN_ASKED).unwrap_or(&mut []);
        self.copy_in(into, half)?;
        let room = Room { bytes: record.capacity as usize, handles: record.handle_capacity as usize };
        Ok(Asked { into, bytes: record.bytes, handles: record.handles, room })
    }

    /// Puts a message into the queue, or waits for room. Who calls it tells the news.
    #[inline]
    fn post(
        &self,
        thread: &Arc<Thread<M>>,
        end: &EndpointEnd<M>,
        badge: u64,
        message: u64,
        call: Option<Caller<M>>,
        timeout_ns: u64,
    ) -> Result<(Option<CallId>, News<M>), Stop> {
        let record = self.read_outgoing(message)?;
        // A letter is the kernel's memory.
        self.room_for_objects()?;
        if record.handle_count > 0 {
            return self.post_with_handles(thread, end, badge, &record, call, timeout_ns);
        }
        let letter = self.read_letter(&record)?;
        let mut inner = end.shared.inner.lock();
        match inner.core.push(letter, badge, call) {
            Ok(id) => Ok((id, inner.news())),
            Err(refused) => Err(self.not_posted(thread, end, refused.error, timeout_ns)),
        }
    }

    /// The same with handles.
    #[inline(never)]
    fn post_with_handles(
        &self,
        thread: &Arc<Thread<M>>,
        end: &EndpointEnd<M>,
        badge: u64,
        record: &MessageOut,
        call: Option<Caller<M>>,
        timeout_ns: u64,
    ) -> Result<(Option<CallId>, News<M>), Stop> {
        let mut letter = self.read_letter(record)?;
        let listed = self.read_listed(record)?;
        let mut table = thread.process.handles.lock();
        let departed = Self::may_move(&table, &listed)?;
        let mut inner = end.shared.inner.lock();
        let is_call = if call.is_some() { IsCall::Yes } else { IsCall::No };
        let pushed = inner
            .core
            .admit(letter.len(), departed.0.len(), is_call)
            .and_then(|()| Self::move_out(&mut table, &listed, &mut letter, departed.0.len()))
            // It is not refused any more: it was admitted.
            .and_then(|()| inner.core.push(letter, badge, call).map_err(|refused| refused.error));
        match pushed {
            Ok(id) => Ok((id, inner.news())),
            Err(error) => {
                let stop = self.not_posted(thread, end, error, timeout_ns);
                drop(inner);
                departed.undo();
                Err(stop)
            }
        }
    }

    /// A message was not taken: what its sender is told, or whether it waits. The endpoint is locked.
    #[inline(never)]
    fn not_posted(
        &self,
        thread: &Arc<Thread<M>>,
        end: &EndpointEnd<M>,
        error: Error,
        timeout_ns: u64,
    ) -> Stop {
        match error {
            Error::WouldBlock if end.nonblock.load(Ordering::Relaxed) => Errno::AGAIN.into(),
            Error::WouldBlock if self.time_is_up(thread, timeout_ns) => Errno::TIMEDOUT.into(),
            Error::WouldBlock => self.wait_for(thread, end.shared.wait_key(Who::Senders)),
            other => errno(other).into(),
        }
    }

    /// Whether all these handles may leave, and marks those that are receivers as travelling.
    #[inline(never)]
    fn may_move(table: &HandleTable<Object<M>>, listed: &Listed) -> Result<Departed<M>, Errno> {
        let mut departed = Departed(ArrayVec::new_const());
        for entry in listed {
            let refused = match table.get_with(entry.handle, Rights::TRANSFER) {
                Err(error) => Some(handle_errno(error)),
                Ok(Object::Endpoint(end)) if end.role == Role::Receiver => {
                    let departs = end.shared.inner.lock().core.depart();
                    match departs {
                        Ok(()) => {
                            // As many as are listed at most.
                            let _ = departed.0.try_push(Some(end.shared.clone()));
                            None
                        }
                        Err(error) => Some(errno(error)),
                    }
                }
                Ok(_) => None,
            };
            if let Some(refused) = refused {
                departed.undo();
                return Err(refused);
            }
        }
        Ok(departed)
    }

    /// Moves handles from the table into a message. All or none: that they may go was found out with the table locked since.
    #[inline(never)]
    fn move_out(
        table: &mut HandleTable<Object<M>>,
        listed: &Listed,
        letter: &mut Letter<M>,
        receivers: usize,
    ) -> Result<(), Error> {
        let mut handles = Vec::new();
        handles.try_reserve_exact(listed.len()).map_err(|_| Error::NoMemory)?;
        handles.extend(listed.iter().filter_map(|entry| {
            let taken = table.take(entry.handle).ok()?;
            Some(taken.restricted(Rights::from_bits_retain(entry.rights)))
        }));
        letter.replace_handles(handles, receivers);
        Ok(())
    }

    /// Answers a call, and returns whose: that thread is to be woken.
    #[inline]
    fn answer(
        &self,
        thread: &Thread<M>,
        shared: &Arc<SharedEndpoint<M>>,
        token: Token,
        message: u64,
    ) -> Result<Arc<Thread<M>>, Stop> {
        let record = self.read_outgoing(message)?;
        if record.handle_count > 0 {
            return self.answer_with_handles(thread, shared, token, &record);
        }
        let letter = self.read_letter(&record)?;
        let answered = shared.inner.lock().core.reply(token, letter);
        match answered {
            Ok(caller) => Ok(caller),
            Err(refused) => Err(self.not_answered(shared, refused.error)),
        }
    }

    /// The same with handles.
    #[inline(never)]
    fn answer_with_handles(
        &self,
        thread: &Thread<M>,
        shared: &Arc<SharedEndpoint<M>>,
        token: Token,
        record: &MessageOut,
    ) -> Result<Arc<Thread<M>>, Stop> {
        let mut letter = self.read_letter(record)?;
        let listed = self.read_listed(record)?;
        let mut table = thread.process.handles.lock();
        for entry in &listed {
            table.get_with(entry.handle, Rights::TRANSFER).map_err(handle_errno)?;
        }
        let answered = {
            let mut inner = shared.inner.lock();
            let size = Room { bytes: letter.len(), handles: listed.len() };
            inner
                .core
                .admit_reply(token, size)
                // An answer lies in no queue: its caller, who waits, can reach it.
                .and_then(|()| Self::move_out(&mut table, &listed, &mut letter, 0))
                .and_then(|()| inner.core.reply(token, letter).map_err(|refused| refused.error))
        };
        drop(table);
        match answered {
            Ok(caller) => Ok(caller),
            Err(error) => Err(self.not_answered(shared, error)),
        }
    }

    #[inline(never)]
    fn not_answered(&self, shared: &Arc<SharedEndpoint<M>>, error: Error) -> Stop {
        if error == Error::CallerGone {
            let wake = shared.inner.lock().core.call_over();
            self.wake_senders(shared, wake);
        }
        errno(error).into()
    }

    /// Receives a message, or waits for one. What waits or goes on later is kept in the thread's progress.
    fn receive_from_end(
        &self,
        thread: &Arc<Thread<M>>,
        end: Arc<EndpointEnd<M>>,
        lease: Option<Lease>,
        asked: Asked,
        timeout_ns: u64,
    ) -> CallResult {
        let received = self.receive_message(thread, &end, &asked, timeout_ns);
        match received {
            Ok(_) => {}
            // If it fails or ends from here on, another receiver must hear of the message that woke it.
            Err(_) => thread.progress.lock().ipc = Some(Ipc::Receiving(end, lease, asked)),
        }
        received
    }

    fn receive_message(
        &self,
        thread: &Arc<Thread<M>>,
        end: &EndpointEnd<M>,
        asked: &Asked,
        timeout_ns: u64,
    ) -> CallResult {
        let shared = &end.shared;
        let taken = {
            let mut inner = shared.inner.lock();
            inner.leave_idle(thread);
            match inner.core.take() {
                Ok(taken) => taken,
                Err(Error::Busy) => return Err(Stop::AGAIN),
                // Another thread closed the handle.
                Err(Error::NoReceiver) => return Err(Errno::BADF.into()),
                Err(Error::WouldBlock) => {
                    if end.nonblock.load(Ordering::Relaxed) {
                        return Err(Errno::AGAIN.into());
                    }
                    if self.time_is_up(thread, timeout_ns) {
                        return Err(Errno::TIMEDOUT.into());
                    }
                    return Err(self.park(thread, shared, &mut inner));
                }
                Err(error) => return Err(errno(error).into()),
            }
        };
        self.hand_over(thread, shared, taken, asked)
    }

    /// Waits for a message. The endpoint is locked.
    fn park(&self, thread: &Arc<Thread<M>>, shared: &Arc<SharedEndpoint<M>>, inner: &mut Inner<M>) -> Stop {
        if inner.idle.is_none() {
            inner.idle = Some(thread.clone());
            return Stop::WAIT;
        }
        inner.crowd = true;
        match self.register(thread, shared.wait_key(Who::Receivers), ANY_BITS) {
            Ok(()) => Stop::WAIT,
            Err(stop) => stop,
        }
    }

    /// Gives a message that was taken to the program, or back to the queue.
    fn hand_over(
        &self,
        thread: &Thread<M>,
        shared: &Arc<SharedEndpoint<M>>,
        mut taken: Taken<Travelling<M>>,
        asked: &Asked,
    ) -> CallResult {
        let length = taken.message.len();
        let handle_count = taken.message.handles().len();
        let result = MessageIn {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            handle_count: u32::try_from(handle_count).unwrap_or(u32::MAX),
            badge: taken.badge,
            token: taken.token().map_or(0, Token::get),
            ..MessageIn::default()
        };
        let told = result.as_bytes().get(MESSAGE_IN_ASKED..).unwrap_or(&[]);
        let told_at = asked.into.saturating_add(MESSAGE_IN_ASKED as u64);
        let given = if length > asked.room.bytes || handle_count > asked.room.handles {
            self.copy_out(told_at, told.get(..8).unwrap_or(told)).and(Err(Errno::RANGE.into()))
        } else if handle_count == 0 {
            self.copy_out(asked.bytes, taken.message.bytes()).and_then(|()| self.copy_out(told_at, told))
        } else {
            self.give_handles(thread, &mut taken.message, asked, (told_at, told))
        };
        let mut inner = shared.inner.lock();
        match given {
            Ok(()) => {
                let receipt = inner.core.commit(&taken);
                drop(inner);
                self.wake_senders(shared, receipt.wake);
                Ok(length as u64 | (handle_count as u64) << 32)
            }
            Err(stop) => {
                let lost = inner.core.give_back(taken);
                let news = inner.news();
                drop(inner);
                match lost {
                    Ok(()) => self.announce(shared, news),
                    Err(message) => self.dispose(message),
                }
                Err(stop)
            }
        }
    }

    /// Puts the handles of a message into the program's table and tells it all; or takes them back, as if nothing had been.
    #[inline(never)]
    fn give_handles(
        &self,
        thread: &Thread<M>,
        letter: &mut Letter<M>,
        asked: &Asked,
        (told_at, told): (u64, &[u8]),
    ) -> Result<(), Stop> {
        let marked = letter.receivers() > 0;
        let mut given = Listed::new_const();
        let mut endpoints = Departed(ArrayVec::new_const());
        let mut handles = {
            let mut table = thread.process.handles.lock();
            table.reserve(letter.handles().len()).map_err(handle_errno)?;
            let mut handles = letter.replace_handles(Vec::new(), 0);
            for grant in handles.drain(..) {
                let rights = grant.rights().bits();
                let receiver = receiver_in(&grant).filter(|_| marked).map(|end| end.shared.clone());
                // It was reserved.
                let handle = table.accept(grant).map_or(Handle::NONE, |handle| handle);
                let _ = given.try_push(MessageHandle { handle, rights, reserved: 0 });
                let _ = endpoints.0.try_push(receiver);
            }
            handles
        };
        let size = size_of::<MessageHandle>() as u64;
        let told = self
            .copy_out(asked.bytes, letter.bytes())
            .and_then(|()| {
                (0..).zip(&given).try_for_each(|(index, entry)| {
                    self.copy_out(asked.handles.saturating_add(index * size), entry.as_bytes())
                })
            })
            .and_then(|()| self.copy_out(told_at, told));
        if told.is_ok() {
            endpoints.undo();
            return Ok(());
        }
        let mut lost = Departed(ArrayVec::new_const());
        let mut receivers = 0;
        {
            let mut table = thread.process.handles.lock();
            for (entry, endpoint) in given.iter().zip(endpoints.0) {
                match table.retract(entry.handle) {
                    Ok(grant) => {
                        receivers += usize::from(endpoint.is_some());
                        handles.push(grant);
                    }
                    // Another thread of the program was quick to use what it was not told yet.
                    Err(_) => drop(lost.0.try_push(endpoint)),
                }
            }
        }
        letter.replace_handles(handles, receivers);
        lost.undo();
        told
    }

    /// Looks how a call stands that was sent, and takes its answer.
    fn finish_call(
        &self,
        thread: &Thread<M>,
        shared: Arc<SharedEndpoint<M>>,
        id: CallId,
        lease: Option<Lease>,
        asked: Asked,
        timeout_ns: u64,
    ) -> CallResult {
        let (outcome, wake) = {
            let mut inner = shared.inner.lock();
            let outcome = inner.core.outcome(id);
            let over = matches!(outcome, Outcome::Answered(_));
            (outcome, if over { inner.core.call_over() } else { Wake::Nobody })
        };
        let stop = match outcome {
            Outcome::Answered(answer) => {
                self.wake_senders(&shared, wake);
                return self.take_answer(thread, shared, lease, answer, &asked);
            }
            Outcome::Died => return Err(Errno::PIPE.into()),
            Outcome::Waiting if self.time_is_up(thread, timeout_ns) => Errno::TIMEDOUT.into(),
            Outcome::Waiting => Stop::WAIT,
        };
        // What it has of the call is left properly if it fails here.
        thread.progress.lock().ipc = Some(Ipc::Calling(shared, id, lease, asked));
        Err(stop)
    }

    fn take_answer(
        &self,
        thread: &Thread<M>,
        shared: Arc<SharedEndpoint<M>>,
        lease: Option<Lease>,
        mut answer: Letter<M>,
        asked: &Asked,
    ) -> CallResult {
        let length = answer.len();
        let handle_count = answer.handles().len();
        let given = if length > asked.room.bytes || handle_count > asked.room.handles {
            Err(Errno::RANGE.into())
        } else if handle_count == 0 {
            self.copy_out(asked.bytes, answer.bytes())
        } else {
            self.give_handles(thread, &mut answer, asked, (asked.bytes, &[]))
        };
        let lost = match given {
            Ok(()) => None,
            Err(stop) if matches!(stop.why(), Why::Fault(_)) => {
                let kept = shared.inner.lock().core.keep_answer(answer);
                match kept {
                    Ok(id) => {
                        thread.progress.lock().ipc = Some(Ipc::Calling(shared, id, lease, *asked));
                        None
                    }
                    Err(answer) => Some(answer),
                }
            }
            Err(_) => Some(answer),
        };
        if let Some(answer) = lost {
            self.dispose(answer);
        }
        given.map(|()| length as u64 | (handle_count as u64) << 32)
    }
}

/// Endpoints whose receivers were marked as lying in a queue.
struct Departed<M: Machine>(ArrayVec<Option<Arc<SharedEndpoint<M>>>, MESSAGE_HANDLES_MAX>);

impl<M: Machine> Departed<M> {
    /// They do not, or not any more.
    fn undo(self) {
        for shared in self.0.into_iter().flatten() {
            shared.inner.lock().core.arrive();
        }
    }
}

/// What a program is told.
const fn errno(error: Error) -> Errno {
    match error {
        Error::WouldBlock | Error::Busy => Errno::AGAIN,
        Error::NoReceiver | Error::NoSender | Error::CallerGone => Errno::PIPE,
        Error::TooLong => Errno::MSGSIZE,
        Error::NoMemory => Errno::NOMEM,
        Error::BadToken => Errno::INVAL,
        Error::Cycle => Errno::DEADLK,
    }
}
