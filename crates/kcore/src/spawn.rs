//! `spawn`: a process of another program. `exec` makes its successor in the same way.
//!
//! Both may be given long lists of arguments, and `spawn` one of handles, so both go in slices. First what the caller's memory
//! says is read ([`Order`]); only that may wait or fault. Then space, stack and handles are made ([`Body`]). The caller's other
//! threads run in between: a handle that one of them closes is missing, and the call fails, as if that had come before.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use swos_abi::{
    Capabilities, Errno, Handle, Rights, SPAWN_GROUP, SPAWN_LEND, SPAWN_ROOT, SPAWN_TRACE, SpawnArgs,
    SpawnHandle,
};
use swos_handles::{Grant, HandleTable};
use swos_pipe::End;
use swos_signals::{ProcessSignals, ThreadSignals};
use swos_units::PAGE_SIZE;

use crate::{
    Kernel, Machine,
    account::Charge,
    calls::{handle_errno, limits_of, refused_errno},
    load::{Loading, STRINGS_MAX, Strings},
    machine::Start,
    object::Object,
    process::{Ending, Identity, Limits, NAME_LEN, NewProcess, Process, Teardown, View},
    slice::Credit,
    space::Space,
    thread::Thread,
    trace::Sink,
    unborn::Unborn,
    usage::Usage,
    user::user_range,
    wait::{CallResult, Stop, Why},
};

/// Handles that one spawn can pass on.
const SPAWN_HANDLES_MAX: usize = 1024;

/// What a page costs that is copied in, a handle's record, a handle, a slot that it makes, and a page that is not there yet; in
/// instructions.
const COPY_COST: u32 = 1500;
const RECORD_COST: u32 = 8;
const HANDLE_COST: u32 = 500;
const SLOT_COST: u32 = 30;
const FAULT_COST: u32 = 2000;

/// What a call asks for, as far as it was read.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) args: SpawnArgs,
    texts: Vec<u8>,
    handles: Vec<SpawnHandle>,
    credit: Credit,
}

/// What is made of an order: nobody knows of it yet.
pub(crate) struct Body<M: Machine> {
    pub(crate) args: SpawnArgs,
    pub(crate) name: [u8; NAME_LEN],
    pub(crate) limits: Limits,
    /// A successor has its predecessor's.
    charge: Option<Charge>,
    view: View,
    pub(crate) loading: Loading,
    /// What it is to get, of which it has the first `passed`.
    wanted: Vec<SpawnHandle>,
    passed: usize,
    handles: HandleTable<Object<M>>,
    sink: Option<Arc<Sink<M>>>,
    credit: Credit,
}

/// What a new process starts with, besides its program.
pub(crate) struct Birth<M: Machine> {
    pub(crate) parent: u32,
    pub(crate) charge: Charge,
    pub(crate) name: [u8; NAME_LEN],
    pub(crate) identity: Identity,
    pub(crate) capabilities: Capabilities,
    pub(crate) limits: Limits,
    pub(crate) view: View,
    /// Process group that it enters, 0 = one of its own; without one, its parent's.
    pub(crate) group: Option<u32>,
    pub(crate) signals: ProcessSignals,
    pub(crate) handles: HandleTable<Object<M>>,
    /// Where its calls are told.
    pub(crate) sink: Option<Arc<Sink<M>>>,
    pub(crate) space: Arc<Space>,
    pub(crate) start: Start,
}

impl Order {
    fn new(args: SpawnArgs) -> Result<Self, Stop> {
        let total = args.args_len.saturating_add(args.env_len);
        let total = usize::try_from(total).ok().filter(|total| *total <= STRINGS_MAX).ok_or(Errno::TOOBIG)?;
        user_range(args.args, args.args_len)?;
        user_range(args.env, args.env_len)?;
        if args.handle_count as usize > SPAWN_HANDLES_MAX {
            return Err(Errno::INVAL.into());
        }
        let mut texts = Vec::new();
        texts.try_reserve_exact(total).map_err(|_| Errno::NOMEM)?;
        Ok(Self { args, texts, handles: Vec::new(), credit: Credit::new() })
    }

    /// Where in the caller's memory the next bytes of the strings are, and how many.
    fn next(&self) -> Option<(u64, usize)> {
        let done = self.texts.len() as u64;
        let (from, rest) = match done.checked_sub(self.args.args_len) {
            None => (self.args.args + done, self.args.args_len - done),
            Some(done) => (self.args.env + done, self.args.env_len - done),
        };
        let count = usize::try_from(rest).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
        (count > 0).then_some((from, count))
    }

    /// Whether both lists end with their last string.
    fn is_ended(&self) -> bool {
        let args = usize::try_from(self.args.args_len).unwrap_or(0);
        [self.texts.get(..args), self.texts.get(args..)]
            .into_iter()
            .flatten()
            .all(|list| list.last().is_none_or(|&byte| byte == 0))
    }
}

impl<M: Machine> Kernel<M> {
    /// Does the next piece of a `spawn`.
    pub(crate) fn spawn(&self, thread: &Arc<Thread<M>>, args: u64, size: u64) -> CallResult {
        let process = &thread.process;
        let begin = || {
            if !process.has(Capabilities::SPAWN) {
                return Err(Errno::ACCES.into());
            }
            let args: SpawnArgs = self.read_record(args, size)?;
            let reserved = args.flags & !(SPAWN_GROUP | SPAWN_ROOT) | args.reserved_limit;
            let grouped = args.flags & SPAWN_GROUP != 0 || args.group == 0;
            if reserved != 0 || !grouped || u64::from(args.size) != size {
                return Err(Errno::INVAL.into());
            }
            Ok(args)
        };
        let (body, start) = self.embody(thread, begin, |order| {
            let view = self.child_view(thread, &order.args)?;
            let limit = order.args.process_limit;
            self.begin_body(thread, order, view, || {
                self.account_of(process.pid)?.limited(limit)?.charge().map(Some)
            })
        })?;
        let Body { args, name, limits, charge, view, loading, handles, sink, .. } = *body;
        let Some(charge) = charge else { return Err(Errno::AGAIN.into()) };
        let birth = Birth {
            parent: process.pid,
            charge,
            name,
            identity: process.identity(),
            capabilities: process.capabilities() & Capabilities::from_bits_retain(args.capabilities),
            limits,
            view,
            group: (args.flags & SPAWN_GROUP != 0).then_some(args.group),
            signals: ProcessSignals::new(),
            handles,
            sink,
            space: loading.space,
            start,
        };
        match self.give_birth(birth) {
            Ok(pid) => Ok(u64::from(pid)),
            Err((teardown, errno)) => Err(Self::refuse(thread, teardown, errno)),
        }
    }

    /// Gets together what a program starts with, a slice at each try of the call: what `begin` reads first, what `prepare`
    /// makes of it when all is read, and what is added to that.
    pub(crate) fn embody(
        &self,
        thread: &Arc<Thread<M>>,
        begin: impl FnOnce() -> Result<SpawnArgs, Stop>,
        prepare: impl FnOnce(&mut Order) -> Result<Body<M>, Stop>,
    ) -> Result<(Box<Body<M>>, Start), Stop> {
        let mut body = match thread.progress.take_unborn() {
            Some(Unborn::Refused(teardown, errno)) => {
                return Err(self.go_on_refusing(thread, teardown, errno));
            }
            Some(Unborn::Body(body)) => body,
            Some(Unborn::Order(order)) => self.go_on_reading(thread, order, prepare)?,
            // No other call leaves anything here.
            Some(Unborn::Draft(_)) | None => {
                let order = Box::new(Order::new(begin()?)?);
                self.go_on_reading(thread, order, prepare)?
            }
        };
        match self.go_on_making(&thread.process, &mut body) {
            Ok(Some(start)) => Ok((body, start)),
            Ok(None) => {
                body.credit = Credit::new();
                Err(Self::keep(thread, Unborn::Body(body), Stop::AGAIN))
            }
            Err(errno) => Err(Self::refuse(thread, self.unmake_body(&thread.process, *body), errno)),
        }
    }

    fn go_on_reading(
        &self,
        thread: &Thread<M>,
        mut order: Box<Order>,
        prepare: impl FnOnce(&mut Order) -> Result<Body<M>, Stop>,
    ) -> Result<Box<Body<M>>, Stop> {
        let read = self.read_order(&mut order).and_then(|()| prepare(&mut order));
        let stop = match read {
            Ok(body) => return Ok(Box::new(body)),
            Err(stop) => stop,
        };
        match stop.why() {
            Why::Errno(_) => return Err(stop),
            Why::Again => order.credit = Credit::new(),
            // Many pages that are not there make it long as well.
            Why::Fault(_) => {
                order.credit.take(FAULT_COST);
            }
            Why::Wait | Why::GiveWay | Why::Exit => {}
        }
        Err(Self::keep(thread, Unborn::Order(order), stop))
    }

    /// Reads more of what the call asks for, until all is there.
    fn read_order(&self, order: &mut Order) -> Result<(), Stop> {
        while let Some((from, count)) = order.next() {
            if !order.credit.take(COPY_COST) {
                return Err(Stop::AGAIN);
            }
            let done = order.texts.len();
            order.texts.resize(done + count, 0);
            let part = order.texts.get_mut(done..).unwrap_or_default();
            if let Err(stop) = self.copy_in(from, part) {
                order.texts.truncate(done);
                return Err(stop);
            }
        }
        let args = &order.args;
        if order.handles.len() < args.handle_count as usize {
            if !order.credit.take(RECORD_COST * args.handle_count) {
                return Err(Stop::AGAIN);
            }
            order.handles =
                self.read_array(args.handles, u64::from(args.handle_count), SPAWN_HANDLES_MAX as u64)?;
        }
        if order.is_ended() { Ok(()) } else { Err(Errno::INVAL.into()) }
    }

    /// Finds the program of an order and begins to load it. Nothing was changed before, and nothing after it waits or faults.
    pub(crate) fn begin_body(
        &self,
        thread: &Arc<Thread<M>>,
        order: &mut Order,
        view: View,
        charge: impl FnOnce() -> Result<Option<Charge>, Errno>,
    ) -> Result<Body<M>, Stop> {
        let args = order.args;
        let (vnode, name) = self.program(thread, &args)?;
        let plan = self.load_plan(Some(thread), vnode)?;
        let limits = limits_of(&args, *thread.process.limits.lock());
        let charge = charge()?;
        let strings = Strings {
            texts: core::mem::take(&mut order.texts),
            args_len: usize::try_from(args.args_len).unwrap_or(0),
        };
        let loading = self.begin_load(&plan, vnode, strings, limits.memory)?;
        Ok(Body {
            args,
            name,
            limits,
            charge,
            view,
            loading,
            wanted: core::mem::take(&mut order.handles),
            passed: 0,
            handles: HandleTable::new(limits.handles),
            sink: None,
            credit: core::mem::replace(&mut order.credit, Credit::new()),
        })
    }

    /// Adds to a body; `None` = there is more to do.
    fn go_on_making(&self, maker: &Process<M>, body: &mut Body<M>) -> Result<Option<Start>, Errno> {
        let Some(start) = self.load_slice(&mut body.loading, &mut body.credit)? else { return Ok(None) };
        Ok(Self::pass_handles(maker, body)?.then_some(start))
    }

    /// Passes handles on; false = not all yet.
    fn pass_handles(maker: &Process<M>, body: &mut Body<M>) -> Result<bool, Errno> {
        let mut table = maker.handles.lock();
        while let Some(&wanted) = body.wanted.get(body.passed) {
            let new_slots = (u64::from(wanted.target) + 1).saturating_sub(body.handles.slots() as u64);
            let new_slots = u32::try_from(new_slots.min(SPAWN_HANDLES_MAX as u64)).unwrap_or(0);
            if !body.credit.take(HANDLE_COST + SLOT_COST * new_slots) {
                return Ok(false);
            }
            Self::pass_handle(&mut table, body, wanted)?;
            body.passed += 1;
        }
        Ok(true)
    }

    fn pass_handle(
        table: &mut HandleTable<Object<M>>,
        body: &mut Body<M>,
        wanted: SpawnHandle,
    ) -> Result<(), Errno> {
        let rights = Rights::from_bits_retain(wanted.rights);
        let grant = table.share(wanted.source, rights).map_err(handle_errno)?;
        if wanted.flags == SPAWN_TRACE {
            // Nothing would end it with the loan.
            if table.get_leased(wanted.source, Rights::WRITE).map_err(handle_errno)?.1.is_some() {
                return Err(Errno::PERM);
            }
            let fits = body.sink.is_none() && wanted.target == 0 && wanted.reserved == 0;
            return match grant.into_object() {
                Object::Pipe(pipe) if fits && pipe.end == End::Writer => {
                    if let Object::Pipe(pipe) = Object::Pipe(pipe).opened() {
                        body.sink = Some(Arc::new(Sink::new(pipe)));
                    }
                    Ok(())
                }
                _ => Err(Errno::INVAL),
            };
        }
        if wanted.flags & !SPAWN_LEND != 0
            || wanted.reserved != 0
            || wanted.target as usize >= SPAWN_HANDLES_MAX
        {
            return Err(Errno::INVAL);
        }
        let grant: Grant<_> = match wanted.flags {
            SPAWN_LEND => table.lend(wanted.source, rights).map_err(handle_errno)?,
            _ => grant,
        };
        let target = Handle(u64::from(wanted.target));
        body.handles.reserve_at(target).map_err(|error| match error {
            // Two for one number.
            swos_handles::Error::SlotTaken => Errno::INVAL,
            _ => handle_errno(error),
        })?;
        // Only now does it count as open, so that a refusal leaves nothing to close; and with the caller's table still locked, or
        // another thread might close the last handle of the object before.
        body.handles.accept_at(target, grant.map(Object::opened)).map_err(|_| Errno::NOMEM)?;
        Ok(())
    }

    /// What was made of a body, as something that can be taken apart.
    pub(crate) fn unmake_body(&self, maker: &Process<M>, body: Body<M>) -> Teardown<M> {
        let Body { loading, handles, sink, .. } = body;
        let process = self.relative(maker, 0, loading.space, handles, ProcessSignals::new());
        if let Some(sink) = sink {
            process.set_sink(sink);
        }
        Teardown::new(process, Ending::Silent)
    }

    /// Makes a process of a loaded program and lets it run.
    ///
    /// # Errors
    ///
    /// With what is there of it, to take apart.
    pub(crate) fn give_birth(&self, birth: Birth<M>) -> Result<u32, (Teardown<M>, Errno)> {
        let started = self.machine.now();
        let placed = self.reserve_thread().and_then(|()| {
            let placed = self.processes.lock().new_pid(birth.parent, birth.group);
            placed.map_err(refused_errno).inspect_err(|_| {
                self.forget_thread();
            })
        });
        let process = Process::new(NewProcess {
            pid: placed.unwrap_or(0),
            name: birth.name,
            identity: birth.identity,
            capabilities: birth.capabilities,
            limits: birth.limits,
            usage: Arc::new(Usage::default()),
            space: birth.space,
            started,
            view: birth.view,
            signals: birth.signals,
        });
        *process.handles.lock() = birth.handles;
        if let Some(sink) = birth.sink {
            process.set_sink(sink);
        }
        let process = Arc::new(process);
        match placed {
            Ok(pid) => {
                self.processes.lock().add(process.clone(), birth.parent, birth.charge);
                self.start_thread(&process, birth.start, ThreadSignals::default());
                Ok(pid)
            }
            Err(errno) => Err((Teardown::new(process, Ending::Silent), errno)),
        }
    }
}
