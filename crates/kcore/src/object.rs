//! What a handle can name.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use swos_abi::{Errno, POLL_IN, POLL_OUT};
use swos_blockio::ReadAhead;
use swos_devfs::Device;
use swos_sync::Lock;
use swos_vfs::{Extent, OpenFile, VnodeId};

use crate::{
    Kernel, Machine,
    counter::Counter,
    endpoint::{EndpointEnd, Role},
    memory::MemoryObject,
    net::Socket,
    pipe::{PairEnd, PipeEnd},
    ready::ReadySet,
    sys::Made,
    wait::WaitKey,
};

/// An open object. Copies name the same object; the last handle closes it.
pub(crate) enum Object<M: Machine> {
    /// A file or directory.
    File(Arc<File>),
    /// The console.
    Console(Arc<Console>),
    /// A socket.
    Socket(Arc<Socket<M>>),
    /// An end of a pipe.
    Pipe(Arc<PipeEnd<M>>),
    /// An end of a socket pair.
    Pair(Arc<PairEnd<M>>),
    /// An event or a timer.
    Counter(Arc<Counter<M>>),
    /// An end of an endpoint.
    Endpoint(Arc<EndpointEnd<M>>),
    /// A readiness set.
    Ready(Arc<ReadySet<M>>),
    /// A memory object.
    Memory(Arc<MemoryObject>),
    /// A device of bytes.
    Device(Arc<OpenDevice>),
}

impl<M: Machine> Clone for Object<M> {
    fn clone(&self) -> Self {
        match self {
            Self::File(file) => Self::File(file.clone()),
            Self::Console(console) => Self::Console(console.clone()),
            Self::Socket(socket) => Self::Socket(socket.clone()),
            Self::Pipe(end) => Self::Pipe(end.clone()),
            Self::Pair(end) => Self::Pair(end.clone()),
            Self::Counter(counter) => Self::Counter(counter.clone()),
            Self::Endpoint(end) => Self::Endpoint(end.clone()),
            Self::Ready(set) => Self::Ready(set.clone()),
            Self::Memory(memory) => Self::Memory(memory.clone()),
            Self::Device(device) => Self::Device(device.clone()),
        }
    }
}

/// How many handles name an object. Calls under way hold the object, but not open.
#[derive(Debug)]
pub(crate) struct OpenCount(AtomicU32);

impl OpenCount {
    pub(crate) const fn one() -> Self {
        Self(AtomicU32::new(1))
    }

    fn is_one(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this was the last one.
    fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// An open file or directory.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) open: Lock<OpenState>,
    pub(crate) count: OpenCount,
}

/// Where an open file is read.
#[derive(Debug)]
pub(crate) struct OpenState {
    pub(crate) open: OpenFile,
    pub(crate) read_ahead: ReadAhead,
    /// Its bytes are made on demand.
    pub(crate) made: Option<Made>,
    pub(crate) lasting: Lasting,
}

/// Whether the bytes of an open file are in one place for ever. Asked for at the first read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lasting {
    NotAsked,
    No,
    Yes(Extent),
}

/// An open device that never waits.
#[derive(Debug)]
pub(crate) struct OpenDevice {
    pub(crate) device: Device,
    pub(crate) vnode: VnodeId,
    pub(crate) count: OpenCount,
}

/// An open console.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) nonblock: AtomicBool,
    /// The name at which it was opened, if it was.
    pub(crate) vnode: Option<VnodeId>,
    pub(crate) count: OpenCount,
}

impl<M: Machine> Object<M> {
    fn count(&self) -> &OpenCount {
        match self {
            Self::File(file) => &file.count,
            Self::Console(console) => &console.count,
            Self::Socket(socket) => &socket.count,
            Self::Pipe(end) => &end.count,
            Self::Pair(end) => &end.count,
            Self::Counter(counter) => &counter.count,
            Self::Endpoint(end) => &end.count,
            Self::Ready(set) => &set.count,
            Self::Memory(memory) => &memory.count,
            Self::Device(device) => &device.count,
        }
    }

    /// Whether calls on it don't wait.
    pub(crate) fn is_nonblock(&self) -> bool {
        match self {
            Self::Console(console) => console.nonblock.load(Ordering::Relaxed),
            Self::Socket(socket) => socket.nonblock.load(Ordering::Relaxed),
            Self::Pipe(end) => end.nonblock.load(Ordering::Relaxed),
            Self::Pair(end) => end.is_nonblock(),
            Self::Counter(counter) => counter.nonblock.load(Ordering::Relaxed),
            Self::Endpoint(end) => end.nonblock.load(Ordering::Relaxed),
            Self::File(_) | Self::Ready(_) | Self::Memory(_) | Self::Device(_) => false,
        }
    }

    /// Whether its end, which is the end of this handle, takes about a slice of work.
    pub(crate) fn ends_slowly(&self) -> bool {
        self.count().is_one()
            && match self {
                Self::Ready(_) | Self::Socket(_) => true,
                Self::Pipe(end) => end.watchers().lock().are_many(),
                Self::Pair(end) => end.incoming.watchers().lock().are_many(),
                Self::Counter(counter) => counter.watchers.lock().are_many(),
                Self::Endpoint(end) => end.watchers.lock().are_many() || end.role == Role::Receiver,
                Self::File(_) | Self::Console(_) | Self::Memory(_) | Self::Device(_) => false,
            }
    }

    /// Counts a further handle, which holds a copy.
    pub(crate) fn opened(self) -> Self {
        self.count().add();
        self
    }
}

impl<M: Machine> Kernel<M> {
    /// Drops what a handle held.
    pub(crate) fn close_object(&self, object: Object<M>) {
        if !object.count().remove() {
            return;
        }
        match object {
            Object::File(file) => self.close_file(&file),
            Object::Console(console) => {
                if let Some(vnode) = console.vnode {
                    self.objects_open.fetch_sub(1, Ordering::Relaxed);
                    self.release_node(vnode);
                }
            }
            Object::Device(device) => {
                self.objects_open.fetch_sub(1, Ordering::Relaxed);
                self.release_node(device.vnode);
            }
            Object::Socket(socket) => self.close_socket(&socket),
            Object::Pipe(end) => self.close_pipe_end(&end),
            Object::Pair(end) => self.close_pair_end(&end),
            Object::Counter(counter) => self.close_counter(&counter),
            Object::Endpoint(end) => self.close_endpoint_end(&end),
            Object::Ready(set) => self.close_set(&set),
            Object::Memory(memory) => self.close_memory(&memory),
        }
    }

    /// What holds of an object now, as `POLL_*` bits.
    pub(crate) fn readiness(&self, object: &Object<M>) -> u16 {
        match object {
            Object::File(_) | Object::Memory(_) | Object::Device(_) => POLL_IN | POLL_OUT,
            Object::Console(_) => POLL_OUT | if self.console.lock().is_empty() { 0 } else { POLL_IN },
            Object::Socket(socket) => self.socket_readiness(socket),
            Object::Pipe(end) => end.readiness(),
            Object::Pair(end) => end.readiness(),
            Object::Counter(counter) => counter.readiness(self.machine.now()),
            Object::Endpoint(end) => end.readiness(),
            // A source that reported may be ready no more; then the wait that follows finds out.
            Object::Ready(set) => {
                if set.inner.lock().has_reports() {
                    POLL_IN
                } else {
                    0
                }
            }
        }
    }

    /// What a thread that waits for a change of this object registers for; `None` = it never changes.
    pub(crate) fn wait_key(object: &Object<M>) -> Option<WaitKey> {
        match object {
            Object::File(_) | Object::Memory(_) | Object::Device(_) => None,
            Object::Console(_) => Some(WaitKey::Console),
            Object::Socket(socket) => Some(WaitKey::Socket { id: socket.wait_id() }),
            Object::Pipe(end) => Some(end.wait_key()),
            Object::Pair(end) => Some(end.incoming.wait_key()),
            Object::Counter(counter) => Some(counter.wait_key()),
            Object::Endpoint(end) => Some(end.wait_key()),
            Object::Ready(set) => Some(WaitKey::Ready { set: set.id }),
        }
    }

    /// A thread has registered for that, and looks at what holds next.
    pub(crate) fn on_polled(object: &Object<M>) {
        match object {
            Object::Pipe(end) => end.on_polled(),
            Object::Pair(end) => end.incoming.on_polled(),
            Object::File(_)
            | Object::Console(_)
            | Object::Socket(_)
            | Object::Counter(_)
            | Object::Endpoint(_)
            | Object::Ready(_)
            | Object::Memory(_)
            | Object::Device(_) => {}
        }
    }

    /// Chooses whether calls on an object may wait.
    pub(crate) fn set_nonblock(object: &Object<M>, nonblock: bool) -> Result<(), Errno> {
        match object {
            Object::Console(console) => console.nonblock.store(nonblock, Ordering::Relaxed),
            Object::Socket(socket) => socket.nonblock.store(nonblock, Ordering::Relaxed),
            Object::Pipe(end) => end.nonblock.store(nonblock, Ordering::Relaxed),
            Object::Pair(end) => end.set_nonblock(nonblock),
            Object::Counter(counter) => counter.nonblock.store(nonblock, Ordering::Relaxed),
            Object::Endpoint(end) => end.nonblock.store(nonblock, Ordering::Relaxed),
            // It has no effect there.
            Object::Device(_) => {}
            Object::File(_) | Object::Ready(_) | Object::Memory(_) => return Err(Errno::NOTTY),
        }
        Ok(())
    }
}
