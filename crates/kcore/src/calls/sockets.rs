//! Sockets, and sending files.

use alloc::{sync::Arc, vec::Vec};
use core::{
    net::{Ipv4Addr, SocketAddrV4},
    sync::atomic::Ordering,
};

use arrayvec::ArrayVec;
use swos_abi::{
    CLOSE_ON_EXEC, Capabilities, DOMAIN_IPV4, Errno, Handle, MemoryPiece, NetworkConfig, OPTION_KEEP_ALIVE,
    OPTION_NO_DELAY, OPTION_RECEIVE_BUFFER, OPTION_REUSE_ADDRESS, OPTION_SEND_BUFFER, OPTION_SOCKET_ERROR,
    Rights, SEND_MORE, SHUTDOWN_BOTH, SHUTDOWN_READ, SHUTDOWN_WRITE, SOCKET_DATAGRAM, SOCKET_NONBLOCK,
    SOCKET_STREAM, SocketAddress,
};
use swos_netstack::{
    Direction, ETHERNET_MTU, Error, OptionName, Push, Readiness, SocketOption, Stack, Switch,
};
use swos_units::{Duration, PAGE_SIZE};
use swos_vfs::Kind;

use super::{Reading, handle_errno, on_exec_of};
use crate::{
    Kernel, Machine,
    files::PageWanted,
    log::Level,
    net::{Device, Net, PagePin, Socket, SocketKind},
    object::Object,
    thread::Thread,
    wait::{CallResult, Stop, WaitKey},
};

/// Bytes that one step copies between a program and the stack.
const STEP: usize = 2048;
/// The same for short messages.
const SHORT_STEP: usize = 512;
/// Bytes that one call takes before interrupts get their turn.
const SENT_AT_ONCE: u64 = 8 * STEP as u64;
/// Bytes of a file that one call queues before that: they are copied later, with their segments.
const QUEUED_AT_ONCE: u64 = 64 * 1024;
/// Bytes that one call gives: whoever wants more asks again.
const RECEIVED_AT_ONCE: u64 = 16 * STEP as u64;
/// Bytes of receive window that opened before the peer is told: a segment.
const WORTH_TELLING: u64 = 1460;

/// Handles to sockets can do everything but be mapped or executed.
fn socket_rights() -> Rights {
    Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER | Rights::GETATTR | Rights::SETATTR
}

impl<M: Machine> Kernel<M> {
    fn socket_of(thread: &Thread<M>, handle: Handle, needed: Rights) -> Result<Arc<Socket<M>>, Stop> {
        match Self::object(thread, handle, needed)? {
            Object::Socket(socket) => Ok(socket),
            _ => Err(Errno::NOTSOCK.into()),
        }
    }

    /// Waits for a change of the socket, unless it never waits. The caller holds the stack's lock.
    fn wait_socket(&self, thread: &Arc<Thread<M>>, socket: &Socket<M>, net: &Net<M>) -> Stop {
        debug_assert!(net.stack.is_some(), "a socket without a stack");
        if socket.nonblock.load(Ordering::Relaxed) {
            return Errno::AGAIN.into();
        }
        self.wait_for(thread, WaitKey::Socket { id: socket.wait_id() })
    }

    pub(super) fn socket(&self, thread: &Thread<M>, domain: u32, kind: u32) -> CallResult {
        if !thread.process.has(Capabilities::NET) {
            return Err(Errno::ACCES.into());
        }
        if domain != DOMAIN_IPV4 {
            return Err(Errno::AFNOSUPPORT.into());
        }
        let nonblock = kind & SOCKET_NONBLOCK != 0;
        let socket = {
            let mut net = self.net.lock();
            let stack = stack_of(&mut net)?;
            let (id, kind) = match kind & !(SOCKET_NONBLOCK | CLOSE_ON_EXEC) {
                SOCKET_STREAM => (stack.tcp_open(), SocketKind::Stream),
                SOCKET_DATAGRAM => (stack.udp_open(), SocketKind::Datagram),
                _ => return Err(Errno::PROTONOSUPPORT.into()),
            };
            let socket = Socket::new(id.map_err(Errno::from)?, kind, nonblock);
            net.add(&socket);
            socket
        };
        self.install_as(thread, Object::Socket(socket), socket_rights(), None, on_exec_of(kind))
    }

    pub(super) fn bind(&self, thread: &Thread<M>, socket: Handle, address: u64, size: u64) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::WRITE)?;
        let local = self.read_address(address, size)?;
        let mut net = self.net.lock();
        stack_of(&mut net)?.bind(socket.id, local).map_err(Errno::from)?;
        Ok(0)
    }

    pub(super) fn listen(&self, thread: &Thread<M>, socket: Handle, backlog: u32) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::WRITE)?;
        let mut net = self.net.lock();
        stack_of(&mut net)?.listen(socket.id, backlog as usize).map_err(Errno::from)?;
        Ok(0)
    }

    pub(super) fn accept(
        &self,
        thread: &Arc<Thread<M>>,
        socket: Handle,
        address: u64,
        size: u64,
        flags: u32,
    ) -> CallResult {
        if flags & !(SOCKET_NONBLOCK | CLOSE_ON_EXEC) != 0 {
            return Err(Errno::INVAL.into());
        }
        let listener = Self::socket_of(thread, socket, Rights::READ)?;
        // Neither a bad pointer nor want of room may cost a connection: both are tried before one is taken.
        if address != 0 {
            self.write_record(address, size, &SocketAddress::default())?;
        }
        let room = self.room_for_objects();
        let room = room.and_then(|()| thread.process.handles.lock().reserve(1).map_err(handle_errno));
        let (accepted, peer) = {
            let mut net = self.net.lock();
            let stack = stack_of(&mut net)?;
            if stack.readiness(listener.id).is_ok_and(|bits| bits.contains(Readiness::IN)) {
                room?;
            }
            let (id, peer) = match stack.accept(listener.id) {
                Err(Error::WouldBlock) => return Err(self.wait_socket(thread, &listener, &net)),
                other => other.map_err(Errno::from)?,
            };
            let socket = Socket::new(id, SocketKind::Stream, flags & SOCKET_NONBLOCK != 0);
            net.add(&socket);
            (socket, peer)
        };
        // A connection that came through a borrowed listener ends with the loan.
        let lease = thread.progress.lease();
        let (accepted, on_exec) = (Object::Socket(accepted), on_exec_of(flags));
        let handle = self.install_in_room(thread, accepted, socket_rights(), lease, on_exec)?;
        if address != 0 {
            // It was writable just now. If another thread unmapped it since, the connection is still good.
            let _ = self.write_record(address, size, &from_address(peer));
        }
        Ok(handle)
    }

    pub(super) fn connect(
        &self,
        cpu: usize,
        thread: &Arc<Thread<M>>,
        socket: Handle,
        address: u64,
        size: u64,
    ) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::WRITE)?;
        let remote = self.read_address(address, size)?;
        let now = self.machine.now();
        if thread.progress.done() == 0 {
            self.room_for_objects()?;
        }
        let mut net = self.net.lock();
        let stack = stack_of(&mut net)?;
        if thread.progress.done() == 1 {
            // Restarted: the attempt is under way, or over.
            if let Some(error) = stack.take_error(socket.id).map_err(Errno::from)? {
                return Err(Errno::from(error).into());
            }
        }
        match stack.connect(now, socket.id, remote) {
            Ok(()) if socket.kind == SocketKind::Datagram => Ok(0),
            Err(Error::AlreadyConnected) if thread.progress.done() == 1 => Ok(0),
            started @ (Ok(()) | Err(Error::InProgress)) => {
                if socket.nonblock.load(Ordering::Relaxed) {
                    let errno = if started.is_ok() { Errno::INPROGRESS } else { Errno::ALREADY };
                    self.net_turn(cpu, now, net);
                    return Err(errno.into());
                }
                let stop = self.wait_socket(thread, &socket, &net);
                thread.progress.lock().done = 1;
                self.net_turn(cpu, now, net);
                Err(stop)
            }
            Err(error) => Err(Errno::from(error).into()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the call has six")]
    pub(super) fn send_to(
        &self,
        cpu: usize,
        thread: &Arc<Thread<M>>,
        socket: Handle,
        buffer: u64,
        length: u64,
        (address, size): (u64, u64),
        flags: u32,
    ) -> CallResult {
        if flags & !SEND_MORE != 0 {
            return Err(Errno::INVAL.into());
        }
        let object = match Self::object(thread, socket, Rights::WRITE) {
            Ok(object) => object,
            // What was taken before the handle went was taken.
            Err(_) if thread.progress.done() > 0 => return Ok(thread.progress.done()),
            Err(stop) => return Err(stop),
        };
        let socket = match object {
            Object::Socket(socket) => socket,
            Object::Pair(_) if address != 0 => return Err(Errno::ISCONN.into()),
            Object::Pair(end) => {
                return self.write_pair(thread, &end, &[MemoryPiece { address: buffer, length }], length);
            }
            _ => return Err(Errno::NOTSOCK.into()),
        };
        if socket.kind == SocketKind::Stream {
            if address != 0 {
                return Err(Errno::ISCONN.into());
            }
            return self.send(thread, &socket, buffer, length, flags);
        }
        let to = if address == 0 { None } else { Some(self.read_address(address, size)?) };
        self.send_datagram(cpu, thread, &socket, (buffer, length), to)
    }

    /// Sends stream bytes, in steps. What was taken before a wait is kept in the thread's progress.
    pub(super) fn send(
        &self,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        buffer: u64,
        length: u64,
        flags: u32,
    ) -> CallResult {
        if socket.kind == SocketKind::Datagram {
            return self.send_datagram(self.machine.cpu_index(), thread, socket, (buffer, length), None);
        }
        let push = if flags & SEND_MORE == 0 { Push::Now } else { Push::More };
        let mut done = thread.progress.done();
        let pause = done + SENT_AT_ONCE;
        while done < length {
            if done >= pause {
                return Err(Stop::AGAIN);
            }
            // What is queued is a copy in the kernel's own memory.
            match self.room_for_objects() {
                Err(_) if done > 0 => break,
                room => room?,
            }
            match self.send_step(thread, socket, buffer, (done, length), push)? {
                0 => return self.stalled(self.machine.cpu_index(), thread, socket, self.net.lock(), done),
                taken => done += taken,
            }
        }
        if push == Push::Now {
            self.net_turn(self.machine.cpu_index(), self.machine.now(), self.net.lock());
        }
        Ok(done)
    }

    /// Queues the next bytes of a buffer, of which `done` of `length` were taken. 0 = the queue is full, and so that no
    /// room that comes in between is missed, the stack was told that we want some.
    fn send_step(
        &self,
        thread: &Thread<M>,
        socket: &Socket<M>,
        buffer: u64,
        (done, length): (u64, u64),
        push: Push,
    ) -> CallResult {
        if length - done <= SHORT_STEP as u64 {
            self.send_step_of::<SHORT_STEP>(thread, socket, buffer, (done, length), push)
        } else {
            self.send_step_of::<STEP>(thread, socket, buffer, (done, length), push)
        }
    }

    fn send_step_of<const N: usize>(
        &self,
        thread: &Thread<M>,
        socket: &Socket<M>,
        buffer: u64,
        (done, length): (u64, u64),
        push: Push,
    ) -> CallResult {
        let mut bytes = [0; N];
        let count = usize::try_from(length - done).unwrap_or(N).min(N);
        let part = bytes.get_mut(..count).unwrap_or(&mut []);
        self.copy_in(buffer.saturating_add(done), part)?;
        let now = self.machine.now();
        let mut net = self.net.lock();
        let last = done + count as u64 == length;
        match stack_of(&mut net)?.send_bytes(now, socket.id, part, if last { push } else { Push::More }) {
            Ok(taken) => {
                thread.progress.lock().done = done + taken as u64;
                Ok(taken as u64)
            }
            Err(Error::WouldBlock) => Ok(0),
            Err(error) => Err(Errno::from(error).into()),
        }
    }

    /// Sends a datagram; `to` = `None`: to the peer.
    fn send_datagram(
        &self,
        cpu: usize,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        (buffer, length): (u64, u64),
        to: Option<SocketAddrV4>,
    ) -> CallResult {
        const { assert!(STEP >= ETHERNET_MTU as usize, "whatever the link carries") };
        self.room_for_objects()?;
        let mut room = [0; STEP];
        let data = usize::try_from(length).ok().and_then(|length| room.get_mut(..length));
        let data = data.ok_or(Errno::MSGSIZE)?;
        self.copy_in(buffer, data)?;
        let now = self.machine.now();
        let mut net = self.net.lock();
        match stack_of(&mut net)?.send_to(now, socket.id, data, to, &mut Device::new(self)) {
            Ok(count) => {
                self.net_turn(cpu, now, net);
                Ok(count as u64)
            }
            Err(Error::WouldBlock) => Err(self.wait_socket(thread, socket, &net)),
            Err(error) => Err(Errno::from(error).into()),
        }
    }

    pub(super) fn receive_from(
        &self,
        thread: &Arc<Thread<M>>,
        socket: Handle,
        buffer: u64,
        length: u64,
        (address, size): (u64, u64),
        flags: u32,
    ) -> CallResult {
        if flags != 0 {
            return Err(Errno::INVAL.into());
        }
        let socket = match Self::object(thread, socket, Rights::READ)? {
            Object::Socket(socket) => socket,
            Object::Pair(end) => {
                if address != 0 {
                    // The other end has none.
                    self.write_record(address, size, &SocketAddress::default())?;
                }
                return self.read_pair(thread, &end, buffer, length);
            }
            _ => return Err(Errno::NOTSOCK.into()),
        };
        if socket.kind == SocketKind::Datagram {
            return self.receive_datagram(thread, &socket, (buffer, length), (address, size));
        }
        let count = self.receive(thread, &socket, buffer, length)?;
        if address != 0 {
            let peer = {
                let mut net = self.net.lock();
                stack_of(&mut net)?.peer(socket.id).map_err(Errno::from)
            };
            if let Ok(peer) = peer {
                let _ = self.write_record(address, size, &from_address(peer));
            }
        }
        Ok(count)
    }

    /// Receives stream bytes: looks at them, copies them out, and only then takes them.
    pub(super) fn receive(
        &self,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        buffer: u64,
        length: u64,
    ) -> CallResult {
        if socket.kind == SocketKind::Datagram {
            return self.receive_datagram(thread, socket, (buffer, length), (0, 0));
        }
        let length = length.min(RECEIVED_AT_ONCE);
        let _reading = Reading::start(&socket.reading)?;
        // Most messages are short, and a short buffer on the stack is cheap to clear.
        let mut done = self.receive_step::<SHORT_STEP>(thread, socket, buffer, (0, length))?;
        if done == SHORT_STEP as u64 {
            while done < length {
                match self.receive_step::<STEP>(thread, socket, buffer, (done, length)) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => done += count,
                }
            }
        }
        // The peer hears of the room when that is worth a segment (RFC 9293 §3.8.6.2.2), or when something is sent anyway.
        let unannounced = socket.unannounced.fetch_add(done, Ordering::Relaxed) + done;
        if unannounced >= WORTH_TELLING {
            socket.unannounced.store(0, Ordering::Relaxed);
            self.net_turn(self.machine.cpu_index(), self.machine.now(), self.net.lock());
        }
        Ok(done)
    }

    /// Receives what lies at hand, at most `N` bytes; `done` of `length` were received before.
    fn receive_step<const N: usize>(
        &self,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        buffer: u64,
        (done, length): (u64, u64),
    ) -> CallResult {
        let mut bytes = ArrayVec::<u8, N>::new();
        {
            let mut net = self.net.lock();
            match stack_of(&mut net)?.peek(socket.id) {
                Ok(piece) => {
                    let room = usize::try_from(length - done).unwrap_or(N).min(N);
                    // As much as goes: the piece is cut to the room.
                    let _ = bytes.try_extend_from_slice(piece.get(..room).unwrap_or(piece));
                }
                Err(Error::WouldBlock) if done > 0 => {}
                Err(Error::WouldBlock) => return Err(self.wait_socket(thread, socket, &net)),
                Err(error) => return Err(Errno::from(error).into()),
            }
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        self.copy_out(buffer.saturating_add(done), &bytes)?;
        let mut net = self.net.lock();
        stack_of(&mut net)?.consume(socket.id, bytes.len()).map_err(Errno::from)?;
        Ok(bytes.len() as u64)
    }

    /// Receives a datagram: looks at it, copies it out, and only then drops it. What has no room is lost.
    fn receive_datagram(
        &self,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        (buffer, length): (u64, u64),
        (address, size): (u64, u64),
    ) -> CallResult {
        let _reading = Reading::start(&socket.reading)?;
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        let (mut short, mut long) = (ArrayVec::<u8, STEP>::new(), Vec::new());
        let from = {
            let mut net = self.net.lock();
            let (datagram, mut pieces) = match stack_of(&mut net)?.peek_from(socket.id) {
                Err(Error::WouldBlock) => return Err(self.wait_socket(thread, socket, &net)),
                other => other.map_err(Errno::from)?,
            };
            let mut left = room;
            for piece in &mut pieces {
                *piece = piece.get(..left).unwrap_or(piece);
                left -= piece.len();
            }
            let whole = pieces.iter().all(|piece| short.try_extend_from_slice(piece).is_ok());
            if !whole {
                // It came in fragments.
                long.try_reserve_exact(room - left).map_err(|_| Errno::NOMEM)?;
                pieces.iter().for_each(|piece| long.extend_from_slice(piece));
            }
            datagram.from
        };
        let data = if long.is_empty() { short.as_slice() } else { long.as_slice() };
        self.copy_out(buffer, data)?;
        if address != 0 {
            self.write_record(address, size, &from_address(from))?;
        }
        let mut net = self.net.lock();
        stack_of(&mut net)?.drop_datagram(socket.id).map_err(Errno::from)?;
        Ok(data.len() as u64)
    }

    /// Queues pages of a file on a stream: no byte passes through the program, and each is copied once, into a segment.
    pub(super) fn sendfile(
        &self,
        cpu: usize,
        thread: &Arc<Thread<M>>,
        socket: Handle,
        file: Handle,
        (offset, length): (u64, u64),
        head: (u64, u64),
    ) -> CallResult {
        let to = Self::object(thread, socket, Rights::WRITE)?;
        let Object::File(file) = Self::object(thread, file, Rights::READ)? else {
            return Err(Errno::INVAL.into());
        };
        let Object::Socket(socket) = to else {
            return self.copy_file(thread, &to, &file, (offset, length), head.1);
        };
        let vnode = file.open.lock().open.vnode;
        let attributes = self.attributes(vnode)?;
        if attributes.kind != Kind::File || socket.kind != SocketKind::Stream {
            return Err(Errno::INVAL.into());
        }
        let head_len = head.1;
        let length = head_len.saturating_add(length.min(attributes.size.saturating_sub(offset)));
        let mut done = thread.progress.done();
        let pause = done + SENT_AT_ONCE;
        while done < head_len.min(length) {
            if done >= pause {
                return Err(Stop::AGAIN);
            }
            let push = if head_len == length { Push::Now } else { Push::More };
            match self.send_step(thread, &socket, head.0, (done, head_len), push)? {
                0 => return self.stalled(cpu, thread, &socket, self.net.lock(), done),
                taken => done += taken,
            }
        }
        let pause = done + QUEUED_AT_ONCE;
        // What the stack takes for certain, less what it took.
        let mut room = 0;
        while done < length {
            if done >= pause {
                return Err(Stop::AGAIN);
            }
            let at = offset + (done - head_len);
            let within = usize::try_from(at % PAGE_SIZE as u64).unwrap_or(0);
            let count = (PAGE_SIZE - within).min(usize::try_from(length - done).unwrap_or(PAGE_SIZE));
            // Room is asked for first, so that a full queue reads no page.
            if room == 0 {
                let mut net = self.net.lock();
                match stack_of(&mut net)?.send_room(socket.id).map_err(Errno::from) {
                    Ok(0) => return self.stalled(cpu, thread, &socket, net, done),
                    Ok(some) => room = some,
                    Err(_) if done > 0 => return Ok(done),
                    Err(errno) => return Err(errno.into()),
                }
            }
            if done == head_len {
                self.read_ahead(&file, vnode, offset, (room as u64).min(length - done), attributes.size);
            }
            let page = match self.node_page(Some(thread), vnode, at / PAGE_SIZE as u64) {
                PageWanted::Ready(frame) => PagePin(self.machine.adopt(frame)),
                PageWanted::Wait => {
                    self.net_turn(cpu, self.machine.now(), self.net.lock());
                    return Err(Stop::WAIT);
                }
                PageWanted::Failed | PageWanted::NoMemory if done > 0 => break,
                PageWanted::Failed => return Err(Errno::IO.into()),
                PageWanted::NoMemory => return Err(Errno::NOMEM.into()),
            };
            let now = self.machine.now();
            let mut net = self.net.lock();
            let push = if done + count as u64 == length { Push::Now } else { Push::More };
            match stack_of(&mut net)?.send_page(now, socket.id, page, within..within + count, push) {
                Ok(0) | Err(Error::WouldBlock) => return self.stalled(cpu, thread, &socket, net, done),
                Ok(taken) => {
                    done += taken as u64;
                    room = room.saturating_sub(taken);
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(Errno::from(error).into()),
            }
            thread.progress.lock().done = done;
        }
        self.net_turn(cpu, self.machine.now(), self.net.lock());
        Ok(done)
    }

    /// The send queue is full: what was taken leaves, and the call ends or waits.
    fn stalled<'a>(
        &'a self,
        cpu: usize,
        thread: &Arc<Thread<M>>,
        socket: &Socket<M>,
        net: swos_sync::LockGuard<'a, Net<M>>,
        done: u64,
    ) -> CallResult {
        let result = if done > 0 { Ok(done) } else { Err(self.wait_socket(thread, socket, &net)) };
        self.net_turn(cpu, self.machine.now(), net);
        result
    }

    pub(super) fn shutdown(&self, cpu: usize, thread: &Thread<M>, socket: Handle, how: u32) -> CallResult {
        let direction = match how {
            SHUTDOWN_READ => Direction::Read,
            SHUTDOWN_WRITE => Direction::Write,
            SHUTDOWN_BOTH => Direction::Both,
            _ => return Err(Errno::INVAL.into()),
        };
        if let Object::Pair(end) = Self::object(thread, socket, Rights::WRITE)? {
            return self.shutdown_pair(&end, how);
        }
        let socket = Self::socket_of(thread, socket, Rights::WRITE)?;
        let now = self.machine.now();
        let mut net = self.net.lock();
        stack_of(&mut net)?.shutdown(socket.id, direction).map_err(Errno::from)?;
        self.net_turn(cpu, now, net);
        Ok(0)
    }

    pub(super) fn socket_option_set(
        &self,
        thread: &Thread<M>,
        socket: Handle,
        option: u32,
        value: u64,
    ) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::SETATTR)?;
        let switch = match value {
            0 => Ok(Switch::Off),
            1 => Ok(Switch::On),
            _ => Err(Errno::INVAL),
        };
        let bytes = usize::try_from(value).map_err(|_| Errno::INVAL);
        let option = match option {
            OPTION_NO_DELAY => SocketOption::NoDelay(switch?),
            OPTION_KEEP_ALIVE => SocketOption::KeepAlive((value != 0).then(|| Duration::from_secs(value))),
            OPTION_REUSE_ADDRESS => SocketOption::ReuseAddress(switch?),
            OPTION_SEND_BUFFER => SocketOption::SendBuffer(bytes?),
            OPTION_RECEIVE_BUFFER => SocketOption::ReceiveBuffer(bytes?),
            _ => return Err(Errno::INVAL.into()),
        };
        let mut net = self.net.lock();
        stack_of(&mut net)?.set_option(self.machine.now(), socket.id, option).map_err(Errno::from)?;
        Ok(0)
    }

    pub(super) fn socket_option_get(&self, thread: &Thread<M>, socket: Handle, option: u32) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::GETATTR)?;
        let mut net = self.net.lock();
        let stack = stack_of(&mut net)?;
        let name = match option {
            OPTION_SOCKET_ERROR => {
                let error = stack.take_error(socket.id).map_err(Errno::from)?;
                return Ok(error.map_or(0, |error| u64::from(Errno::from(error).get())));
            }
            OPTION_NO_DELAY => OptionName::NoDelay,
            OPTION_KEEP_ALIVE => OptionName::KeepAlive,
            OPTION_REUSE_ADDRESS => OptionName::ReuseAddress,
            OPTION_SEND_BUFFER => OptionName::SendBuffer,
            OPTION_RECEIVE_BUFFER => OptionName::ReceiveBuffer,
            _ => return Err(Errno::INVAL.into()),
        };
        Ok(stack.option(socket.id, name).map_err(Errno::from)?)
    }

    pub(super) fn socket_address(
        &self,
        thread: &Thread<M>,
        socket: Handle,
        peer: u32,
        address: u64,
        size: u64,
    ) -> CallResult {
        let socket = Self::socket_of(thread, socket, Rights::GETATTR)?;
        let found = {
            let mut net = self.net.lock();
            let stack = stack_of(&mut net)?;
            match peer {
                0 => stack.local(socket.id),
                1 => stack.peer(socket.id),
                _ => return Err(Errno::INVAL.into()),
            }
        };
        self.write_record(address, size, &from_address(found.map_err(Errno::from)?))?;
        Ok(0)
    }

    pub(super) fn net_configure(&self, cpu: usize, thread: &Thread<M>, config: u64, size: u64) -> CallResult {
        if !thread.process.has(Capabilities::NET_ADMIN) {
            return Err(Errno::ACCES.into());
        }
        let config: NetworkConfig = self.read_record(config, size)?;
        // Who started the machine has the last word.
        if self.config.network.is_some() {
            return Err(Errno::EXIST.into());
        }
        self.configure_network(cpu, &config)?;
        Ok(0)
    }

    /// Sets the interface's address.
    pub(crate) fn configure_network(&self, cpu: usize, config: &NetworkConfig) -> Result<(), Errno> {
        let gateway = (config.gateway != [0; 4]).then(|| Ipv4Addr::from(config.gateway));
        let prefix = u8::try_from(config.prefix).map_err(|_| Errno::INVAL)?;
        let address = Ipv4Addr::from(config.address);
        if prefix > 32 || address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
            return Err(Errno::INVAL);
        }
        let ipv4 = swos_ipv4::Config { address, prefix_len: prefix, gateway };
        let now = self.machine.now();
        let mut net = self.net.lock();
        stack_of(&mut net).map_err(|_| Errno::NETDOWN)?.set_ipv4(now, Some(ipv4));
        self.net_turn(cpu, now, net);
        match gateway {
            Some(gateway) => self.log(Level::Info, "net", format_args!("{address}/{prefix} via {gateway}")),
            None => self.log(Level::Info, "net", format_args!("{address}/{prefix}")),
        }
        Ok(())
    }

    fn read_address(&self, address: u64, size: u64) -> Result<SocketAddrV4, Stop> {
        let address: SocketAddress = self.read_record(address, size)?;
        if u32::from(address.domain) != DOMAIN_IPV4 {
            return Err(Errno::AFNOSUPPORT.into());
        }
        Ok(SocketAddrV4::new(Ipv4Addr::from(address.ipv4_octets()), address.port))
    }
}

fn stack_of<M: Machine>(net: &mut Net<M>) -> Result<&mut Stack<PagePin<M>>, Stop> {
    net.stack.as_mut().ok_or(Stop::errno(Errno::NETDOWN))
}

fn from_address(address: SocketAddrV4) -> SocketAddress {
    SocketAddress::ipv4(address.ip().octets(), address.port())
}
