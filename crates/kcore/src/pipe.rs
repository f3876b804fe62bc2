//! Pipes: the ends that handles name, and who hears of a change.

use alloc::sync::Arc;
use core::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use swos_pipe::{End, Pipe};
use swos_sync::Lock;

use crate::{Kernel, Machine, object::OpenCount, ranks, ready::Watchers, wait::WaitKey};

/// One end of a pipe, which handles name.
pub(crate) struct PipeEnd<M: Machine> {
    pub(crate) end: End,
    pub(crate) nonblock: AtomicBool,
    pub(crate) count: OpenCount,
    pub(crate) shared: Arc<SharedPipe<M>>,
}

/// What both ends share.
pub(crate) struct SharedPipe<M: Machine> {
    id: u64,
    pub(crate) pipe: Lock<Pipe>,
    /// One reader at a time, so that what was looked at is what is taken.
    pub(crate) reading: AtomicBool,
    reader_watchers: Lock<Watchers<M>>,
    writer_watchers: Lock<Watchers<M>>,
}

impl<M: Machine> SharedPipe<M> {
    /// Its number among what threads wait for. The two ends have two numbers, so that readers are not woken for writers.
    const fn wait_key(&self, end: End) -> WaitKey {
        let side = match end {
            End::Reader => 0,
            End::Writer => 1,
        };
        WaitKey::Pipe { id: self.id * 2 + side }
    }

    const fn watchers(&self, end: End) -> &Lock<Watchers<M>> {
        match end {
            End::Reader => &self.reader_watchers,
            End::Writer => &self.writer_watchers,
        }
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

    fn new(shared: &Arc<SharedPipe<M>>, end: End, nonblock: bool) -> Arc<Self> {
        let shared = shared.clone();
        Arc::new(Self { end, nonblock: AtomicBool::new(nonblock), count: OpenCount::one(), shared })
    }
}

impl<M: Machine> Kernel<M> {
    /// The two ends of a new pipe, the reader's first.
    pub(crate) fn new_pipe(&self, nonblock: bool) -> [Arc<PipeEnd<M>>; 2] {
        let shared = Arc::new(SharedPipe {
            id: self.last_pipe.fetch_add(1, Ordering::Relaxed) + 1,
            pipe: Lock::new(ranks::PIPE, Pipe::new(swos_pipe::CAPACITY)),
            reading: AtomicBool::new(false),
            reader_watchers: Lock::new(ranks::WATCHERS, Watchers::new()),
            writer_watchers: Lock::new(ranks::WATCHERS, Watchers::new()),
        });
        self.objects_open.fetch_add(2, Ordering::Relaxed);
        [End::Reader, End::Writer].map(|end| PipeEnd::new(&shared, end, nonblock))
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
        self.wake_all(shared.wait_key(end));
    }

    /// The last handle to an end is gone.
    pub(crate) fn close_pipe_end(&self, end: &PipeEnd<M>) {
        self.objects_open.fetch_sub(1, Ordering::Relaxed);
        self.unwatch(end.watchers());
        let shared = &end.shared;
        shared.pipe.lock().close(end.end);
        // Also those at this end: another thread may have closed the handle at which they wait.
        for side in [End::Reader, End::Writer] {
            self.wake_pipe(shared, side);
            self.notify_pipe(shared, side);
        }
    }
}

impl<M: Machine> fmt::Debug for PipeEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeEnd").field("id", &self.shared.id).field("end", &self.end).finish_non_exhaustive()
    }
}
