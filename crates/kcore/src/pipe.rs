//! Pipes: the ends that handles name, and who hears of a change.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use swos_abi::Errno;
use swos_pipe::{End, Pipe};
use swos_sync::Lock;
use swos_vfs::VnodeId;

use crate::{
    Kernel, Machine,
    object::OpenCount,
    ranks,
    ready::Watchers,
    thread::Thread,
    wait::{Stop, WaitKey},
};

/// In a thread's progress: its call to open has waited for the other end.
const WAITED: u64 = 1;

/// One end of a pipe, which handles name.
pub(crate) struct PipeEnd<M: Machine> {
    pub(crate) end: End,
    pub(crate) nonblock: AtomicBool,
    pub(crate) count: OpenCount,
    pub(crate) shared: Arc<SharedPipe<M>>,
    /// The name at which it was found, if it has one.
    name: Option<VnodeId>,
}

/// One end of a socket pair, which is two pipes back to back.
pub(crate) struct PairEnd<M: Machine> {
    pub(crate) incoming: Arc<PipeEnd<M>>,
    pub(crate) outgoing: Arc<PipeEnd<M>>,
    pub(crate) borders: Borders,
    pub(crate) count: OpenCount,
}

/// Whether what was written at once is read at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Borders {
    /// Bytes are bytes.
    None,
    /// A message stays one: it lies in the pipe behind its length.
    Kept,
}

/// Who waits at one end, and the sets that watch it. Of a pair, an end of either pipe has the same.
struct Audience<M: Machine> {
    /// Its number among what threads wait for. The two ends have two numbers, so that readers are not woken for writers.
    id: u64,
    watchers: Lock<Watchers<M>>,
}

/// A pipe, and who waits to read from it.
pub(crate) struct Awaited<M: Machine> {
    pipe: Pipe<M::Pinned>,
    /// The first thread that waits in a read. The others, and who waits in a poll, are in the table of waiters.
    idle: Option<Arc<Thread<M>>>,
    /// Somebody is or was there since all were last woken.
    crowd: bool,
}

/// Readers that are to hear of a write.
#[must_use]
pub(crate) struct News<M: Machine> {
    idle: Option<Arc<Thread<M>>>,
    crowd: bool,
}

impl<M: Machine> Deref for Awaited<M> {
    type Target = Pipe<M::Pinned>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.pipe
    }
}

impl<M: Machine> DerefMut for Awaited<M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.pipe
    }
}

impl<M: Machine> Awaited<M> {
    /// Takes note of who is to hear that there is something to read, and that those will have heard.
    #[inline]
    pub(crate) const fn news(&mut self) -> News<M> {
        News { idle: self.idle.take(), crowd: core::mem::replace(&mut self.crowd, false) }
    }

    /// The thread waits in a read no more.
    #[inline]
    pub(crate) fn leave(&mut self, thread: &Arc<Thread<M>>) {
        if self.idle.as_ref().is_some_and(|idle| Arc::ptr_eq(idle, thread)) {
            self.idle = None;
        }
    }
}

/// What both ends share.
pub(crate) struct SharedPipe<M: Machine> {
    pub(crate) pipe: Lock<Awaited<M>>,
    /// One reader at a time, so that what was looked at is what is taken.
    pub(crate) reading: AtomicBool,
    readers: Arc<Audience<M>>,
    writers: Arc<Audience<M>>,
    /// How often each end is open, of a pipe with a name: the reader's, the writer's. Changed with the table of those locked.
    opens: [AtomicU32; 2],
}

/// The pipes with a name that are open, by name.
pub(crate) type Fifos<M> = Vec<(VnodeId, Arc<SharedPipe<M>>)>;

impl<M: Machine> SharedPipe<M> {
    fn audience(&self, end: End) -> &Audience<M> {
        match end {
            End::Reader => &self.readers,
            End::Writer => &self.writers,
        }
    }

    const fn opens(&self, end: End) -> &AtomicU32 {
        let [reader, writer] = &self.opens;
        match end {
            End::Reader => reader,
            End::Writer => writer,
        }
    }

    fn wait_key(&self, end: End) -> WaitKey {
        WaitKey::Pipe { id: self.audience(end).id }
    }

    fn watchers(&self, end: End) -> &Lock<Watchers<M>> {
        &self.audience(end).watchers
    }
}

impl<M: Machine> PairEnd<M> {
    /// What holds now: of the one pipe what a reader sees, of the other what a writer does.
    pub(crate) fn readiness(&self) -> u16 {
        self.incoming.readiness() | self.outgoing.readiness()
    }

    pub(crate) fn is_nonblock(&self) -> bool {
        self.incoming.nonblock.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblock(&self, nonblock: bool) {
        self.incoming.nonblock.store(nonblock, Ordering::Relaxed);
        self.outgoing.nonblock.store(nonblock, Ordering::Relaxed);
    }
}

impl<M: Machine> PipeEnd<M> {
    pub(crate) fn wait_key(&self) -> WaitKey {
        self.shared.wait_key(self.end)
    }

    pub(crate) fn watchers(&self) -> &Lock<Watchers<M>> {
        self.shared.watchers(self.end)
    }

    pub(crate) fn readiness(&self) -> u16 {
        self.shared.pipe.lock().readiness(self.end)
    }

    /// Somebody has registered in the table for what holds, and looks at that next.
    pub(crate) fn on_polled(&self) {
        if self.end == End::Reader {
            self.shared.pipe.lock().crowd = true;
        }
    }

    fn new(shared: &Arc<SharedPipe<M>>, end: End, nonblock: bool, name: Option<VnodeId>) -> Arc<Self> {
        let shared = shared.clone();
        Arc::new(Self { end, nonblock: AtomicBool::new(nonblock), count: OpenCount::one(), shared, name })
    }
}

impl<M: Machine> Kernel<M> {
    /// The two ends of a new pipe, the reader's first.
    pub(crate) fn new_pipe(&self, nonblock: bool) -> [Arc<PipeEnd<M>>; 2] {
        let [readers, writers] = self.audiences();
        self.pipe_between(&readers, &writers, nonblock)
    }

    /// The two ends of a new socket pair.
    pub(crate) fn new_pair(&self, nonblock: bool, borders: Borders) -> [Arc<PairEnd<M>>; 2] {
        let [first, second] = self.audiences();
        let [second_reads, first_writes] = self.pipe_between(&second, &first, nonblock);
        let [first_reads, second_writes] = self.pipe_between(&first, &second, nonblock);
        [(first_reads, first_writes), (second_reads, second_writes)].map(|(incoming, outgoing)| {
            Arc::new(PairEnd { incoming, outgoing, borders, count: OpenCount::one() })
        })
    }

    fn audiences(&self) -> [Arc<Audience<M>>; 2] {
        [(); 2].map(|()| {
            let id = self.last_pipe.fetch_add(1, Ordering::Relaxed) + 1;
            Arc::new(Audience { id, watchers: Lock::new(ranks::WATCHERS, Watchers::new()) })
        })
    }

    fn pipe_between(
        &self,
        readers: &Arc<Audience<M>>,
        writers: &Arc<Audience<M>>,
        nonblock: bool,
    ) -> [Arc<PipeEnd<M>>; 2] {
        let shared = Self::new_shared_pipe(readers, writers);
        self.objects_open.fetch_add(2, Ordering::Relaxed);
        [End::Reader, End::Writer].map(|end| PipeEnd::new(&shared, end, nonblock, None))
    }

    fn new_shared_pipe(readers: &Arc<Audience<M>>, writers: &Arc<Audience<M>>) -> Arc<SharedPipe<M>> {
        Arc::new(SharedPipe {
            pipe: Lock::new(
                ranks::PIPE,
                Awaited { pipe: Pipe::with_pages(swos_pipe::CAPACITY), idle: None, crowd: false },
            ),
            reading: AtomicBool::new(false),
            readers: readers.clone(),
            writers: writers.clone(),
            opens: [AtomicU32::new(0), AtomicU32::new(0)],
        })
    }

    /// Opens an end of the pipe with a name, of which the caller holds the node. It waits for somebody at the other end. A
    /// reader goes on when a writer waits; the writer when the reader has it open, so that nothing is written, and the
    /// end closed again, before the reader is there.
    pub(crate) fn open_fifo(
        &self,
        thread: &Arc<Thread<M>>,
        vnode: VnodeId,
        end: End,
        nonblock: bool,
    ) -> Result<Arc<PipeEnd<M>>, Stop> {
        let other = match end {
            End::Reader => End::Writer,
            End::Writer => End::Reader,
        };
        let mut fifos = self.fifos.lock();
        let at = fifos.binary_search_by_key(&vnode, |&(name, _)| name);
        let known = at.ok().and_then(|at| fifos.get(at)).map(|(_, shared)| shared.clone());
        let theirs = WaitKey::Fifo { vnode, end: other };
        let open = known.as_ref().is_some_and(|shared| shared.opens(other).load(Ordering::Relaxed) > 0);
        // They were there while this thread waited, and may be gone again.
        let came = thread.progress.done() == WAITED && thread.progress.fired();
        let met = open || came || end == End::Reader && self.waits.lock().waiting(&theirs.place()) > 0;
        if !met && nonblock && end == End::Writer {
            return Err(Errno::NXIO.into());
        }
        if !met && !nonblock {
            let stop = self.wait_for(thread, WaitKey::Fifo { vnode, end });
            thread.progress.lock().done = WAITED;
            if end == End::Writer {
                self.wake_all(theirs);
            }
            return Err(stop);
        }
        let shared = match known {
            Some(shared) => shared,
            None => {
                fifos.try_reserve(1).map_err(|_| Errno::NOMEM)?;
                let [readers, writers] = self.audiences();
                let shared = Self::new_shared_pipe(&readers, &writers);
                let at = at.unwrap_or_else(|at| at);
                fifos.insert(at, (vnode, shared.clone()));
                shared
            }
        };
        if shared.opens(end).fetch_add(1, Ordering::Relaxed) == 0 {
            shared.pipe.lock().open(end);
        }
        if end == End::Writer && !open && came {
            // The reader that it waited for is gone: this is to be told to who writes.
            shared.pipe.lock().close(End::Reader);
        }
        self.objects_open.fetch_add(1, Ordering::Relaxed);
        self.wake_all(theirs);
        Ok(PipeEnd::new(&shared, end, nonblock, Some(vnode)))
    }

    /// Whether the last of those who found a pipe by its name and have this end open is gone.
    fn leave_fifo(&self, vnode: VnodeId, end: &PipeEnd<M>) -> bool {
        let mut fifos = self.fifos.lock();
        let shared = &end.shared;
        let last = shared.opens(end.end).fetch_sub(1, Ordering::Relaxed) == 1;
        if last {
            shared.pipe.lock().close(end.end);
        }
        if shared.opens.iter().all(|opens| opens.load(Ordering::Relaxed) == 0)
            && let Ok(at) = fifos.binary_search_by_key(&vnode, |&(name, _)| name)
        {
            fifos.remove(at);
        }
        last
    }

    /// Tells the sets that watch an end what holds of it now. The pipe's lock is not held.
    pub(crate) fn notify_pipe(&self, shared: &SharedPipe<M>, end: End) {
        let watchers = shared.watchers(end);
        if !watchers.lock().is_empty() {
            let bits = shared.pipe.lock().readiness(end);
            self.notify(watchers, bits);
        }
    }

    /// Lets those go on who wait at an end. The pipe's lock is not held.
    pub(crate) fn wake_pipe(&self, shared: &SharedPipe<M>, end: End) {
        match end {
            End::Reader => {
                let news = shared.pipe.lock().news();
                self.announce_bytes(shared, news);
            }
            End::Writer => self.wake_all(shared.wait_key(end)),
        }
    }

    /// Lets those go on who wait to read. The pipe's lock is not held.
    #[inline]
    pub(crate) fn announce_bytes(&self, shared: &SharedPipe<M>, news: News<M>) {
        if let Some(idle) = news.idle {
            self.make_ready(&idle);
        }
        if news.crowd {
            self.wake_all(shared.wait_key(End::Reader));
        }
    }

    /// Waits at an end of a pipe, unless it never waits. `pipe` is what its lock holds.
    #[inline]
    pub(crate) fn wait_pipe(&self, thread: &Arc<Thread<M>>, end: &PipeEnd<M>, pipe: &mut Awaited<M>) -> Stop {
        if end.nonblock.load(Ordering::Relaxed) {
            return Errno::AGAIN.into();
        }
        pipe.crowd |= end.end == End::Reader;
        self.wait_for(thread, end.wait_key())
    }

    /// The same in a read, which goes on with this end when it is woken: if nobody waits so already, and no loan ends it.
    #[inline]
    pub(crate) fn wait_to_read(
        &self,
        thread: &Arc<Thread<M>>,
        end: &Arc<PipeEnd<M>>,
        pipe: &mut Awaited<M>,
    ) -> Stop {
        pipe.leave(thread);
        let mut progress = thread.progress.lock();
        if pipe.idle.is_some() || !progress.leases.is_empty() || end.nonblock.load(Ordering::Relaxed) {
            drop(progress);
            return self.wait_pipe(thread, end, pipe);
        }
        pipe.idle = Some(thread.clone());
        progress.reading = Some(end.clone());
        Stop::WAIT
    }

    /// The last handle to an end is gone.
    pub(crate) fn close_pipe_end(&self, end: &PipeEnd<M>) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        let shared = &end.shared;
        match end.name {
            Some(vnode) => {
                let last = self.leave_fifo(vnode, end);
                self.release_node(vnode);
                if !last {
                    return;
                }
            }
            None => shared.pipe.lock().close(end.end),
        }
        self.unwatch(end.watchers());
        self.tell_both(shared);
    }

    /// The last handle to an end of a pair is gone.
    pub(crate) fn close_pair_end(&self, end: &PairEnd<M>) {
        self.close_pipe_end(&end.incoming);
        self.close_pipe_end(&end.outgoing);
    }

    /// Nobody reads, or writes, any more, whoever holds the end.
    pub(crate) fn hang_up(&self, shared: &SharedPipe<M>, end: End) {
        shared.pipe.lock().close(end);
        self.tell_both(shared);
    }

    /// An end was closed.
    fn tell_both(&self, shared: &SharedPipe<M>) {
        // Also those at this end: another thread may have closed the handle at which they wait.
        for side in [End::Reader, End::Writer] {
            self.wake_pipe(shared, side);
            self.notify_pipe(shared, side);
        }
    }
}

impl<M: Machine> fmt::Debug for PipeEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd")
            .field("id", &self.shared.audience(self.end).id)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<M: Machine> fmt::Debug for PairEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairEnd").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
