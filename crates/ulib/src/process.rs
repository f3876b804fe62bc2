//! Processes: started with exactly what they are given.

use alloc::vec::Vec;
use core::time::Duration;

use swos_abi::{
    Capabilities, EXIT_CONTINUED, EXIT_FAULT, EXIT_STOPPED, Errno, ExitRecord, Handle, PID_GROUP, Rights,
    SIGKILL, SPAWN_LEND, SPAWN_TRACE, SpawnHandle, TIMEOUT_NEVER, WAIT_ANY, WAIT_CONTINUED, WAIT_NO_HANG,
    WAIT_TIMEOUT, WAIT_UNTRACED,
};
pub use swos_abi::{ProcessLimits, ProcessUsage};
pub use swos_sys::{exit, limits, lower_limits, usage};

/// Id of this process.
#[must_use]
pub fn id() -> u32 {
    swos_sys::getpid().unwrap_or(0)
}

/// A program to start. It gets no handle and no capability but those named here.
#[derive(Clone, Debug)]
pub struct Command {
    program: Option<Handle>,
    path: Vec<u8>,
    args: Vec<u8>,
    env: Vec<u8>,
    handles: Vec<SpawnHandle>,
    capabilities: Capabilities,
    memory_limit: u64,
    handle_limit: u32,
    thread_limit: u32,
    root: Option<Handle>,
    cpu_limit_ns: u64,
    process_limit: u32,
    group: Option<u32>,
}

impl Command {
    /// The program at `path`, which is also its first argument.
    pub fn new(path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref().to_vec();
        let mut command = Self {
            program: None,
            path: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            handles: Vec::new(),
            capabilities: Capabilities::empty(),
            memory_limit: 0,
            handle_limit: 0,
            thread_limit: 0,
            root: None,
            cpu_limit_ns: 0,
            process_limit: 0,
            group: None,
        };
        command.arg(&path);
        command.path = path;
        command
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<[u8]>) -> &mut Self {
        push_string(&mut self.args, argument.as_ref());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<[u8]>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        arguments.into_iter().for_each(|argument| {
            self.arg(argument);
        });
        self
    }

    /// Adds `entry`, a `NAME=value`, to the environment.
    pub fn env(&mut self, entry: impl AsRef<[u8]>) -> &mut Self {
        push_string(&mut self.env, entry.as_ref());
        self
    }

    /// Gives `source` with at most `rights`, under the number `target`.
    pub fn handle(&mut self, target: u32, source: Handle, rights: Rights) -> &mut Self {
        self.handles.push(SpawnHandle { source, target, rights: rights.bits(), flags: 0, reserved: 0 });
        self
    }

    /// Lends `source` with at most `rights`, under the number `target`: `revoke` of `source` takes it back.
    pub fn loan(&mut self, target: u32, source: Handle, rights: Rights) -> &mut Self {
        let flags = SPAWN_LEND;
        self.handles.push(SpawnHandle { source, target, rights: rights.bits(), flags, reserved: 0 });
        self
    }

    /// The open program, with the right to execute it; then the path is only a name.
    pub const fn program(&mut self, program: Handle) -> &mut Self {
        self.program = Some(program);
        self
    }

    /// Tells each of its calls to `writer`, the writing end of a pipe, as a record: see [`crate::trace`].
    pub fn trace(&mut self, writer: Handle) -> &mut Self {
        let (rights, flags) = (Rights::WRITE.bits(), SPAWN_TRACE);
        self.handles.push(SpawnHandle { source: writer, target: 0, rights, flags, reserved: 0 });
        self
    }

    /// Makes `directory` its root: it can name nothing outside.
    pub const fn root(&mut self, directory: Handle) -> &mut Self {
        self.root = Some(directory);
        self
    }

    /// Gives this process's standard streams: those that it has and may give.
    pub fn inherit_streams(&mut self) -> &mut Self {
        for (target, stream) in (0..).zip([Handle::STDIN, Handle::STDOUT, Handle::STDERR]) {
            if swos_sys::handle_rights(stream).is_ok_and(|rights| rights.contains(Rights::TRANSFER)) {
                self.handle(target, stream, Rights::all());
            }
        }
        self
    }

    /// Gives at most these capabilities.
    pub const fn capabilities(&mut self, capabilities: Capabilities) -> &mut Self {
        self.capabilities = capabilities;
        self
    }

    /// Limits memory (bytes), open handles and threads; 0 = as this process.
    pub const fn limits(&mut self, memory: u64, handles: u32, threads: u32) -> &mut Self {
        (self.memory_limit, self.handle_limit, self.thread_limit) = (memory, handles, threads);
        self
    }

    /// Puts it into process group `group` of this session, 0 = a new one of its own.
    pub const fn process_group(&mut self, group: u32) -> &mut Self {
        self.group = Some(group);
        self
    }

    /// Limits how many processes it may be, together with all that it starts; 0 = no limit but this process's own. Those
    /// count that ended and were not waited for.
    pub const fn process_limit(&mut self, processes: u32) -> &mut Self {
        self.process_limit = processes;
        self
    }

    /// Limits its CPU time: once it has used so much it is ended by signal 24. Zero = as this process.
    pub fn cpu_limit(&mut self, time: Duration) -> &mut Self {
        self.cpu_limit_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// What the kernel answers: [`Errno::NOENT`], [`Errno::NOEXEC`], [`Errno::ACCES`], [`Errno::NOMEM`].
    pub fn spawn(&self) -> Result<Child, Errno> {
        Ok(Child { pid: swos_sys::spawn(&self.record())? })
    }

    /// Replaces the program of this process by it; returns only if that can't be, and why. All handles stay open but those
    /// marked [`OpenFlags::CLOSE_ON_EXEC`](swos_abi::OpenFlags::CLOSE_ON_EXEC), so the command lists none. Capabilities and
    /// limits become those of the command, never more than they were. Other threads end.
    #[must_use]
    pub fn exec(&self) -> Errno {
        swos_sys::exec(&self.record())
    }

    fn record(&self) -> swos_sys::Spawn<'_> {
        swos_sys::Spawn {
            program: self.program.unwrap_or(Handle::NONE),
            path: &self.path,
            args: &self.args,
            env: &self.env,
            handles: &self.handles,
            capabilities: self.capabilities,
            memory_limit: self.memory_limit,
            handle_limit: self.handle_limit,
            thread_limit: self.thread_limit,
            root: self.root,
            cpu_limit_ns: self.cpu_limit_ns,
            process_limit: self.process_limit,
            group: self.group,
        }
    }

    /// Starts it and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    pub fn status(&self) -> Result<ExitStatus, Errno> {
        self.spawn()?.wait()
    }
}

/// Appends `string` up to its first zero byte, and a zero byte: a longer one could smuggle in a further argument.
fn push_string(list: &mut Vec<u8>, string: &[u8]) {
    list.extend(string.iter().take_while(|&&byte| byte != 0));
    list.push(0);
}

/// A started process. Dropped, it goes on and can still be waited for by [`wait_any`].
#[derive(Debug, Eq, PartialEq)]
pub struct Child {
    pid: u32,
}

impl Child {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// [`Errno::CHILD`] if somebody else waited for it.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, Errno> {
        Ok(swos_sys::wait(u64::from(self.pid), WAIT_NO_HANG)?.map(ExitStatus))
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// [`Errno::CHILD`] if somebody else waited for it.
    pub fn wait(&self) -> Result<ExitStatus, Errno> {
        wait_whole(u64::from(self.pid))
    }

    /// Waits for its end, at most so long.
    ///
    /// # Errors
    ///
    /// [`Errno::TIMEDOUT`]; [`Errno::INTR`] if a signal's handler ran; [`Errno::CHILD`] as [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<ExitStatus, Errno> {
        wait_timed(u64::from(self.pid), WAIT_TIMEOUT, timeout)
    }

    /// Waits for its end, or for it to stop or to go on, at most so long.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    pub fn wait_change(&self, timeout: Duration) -> Result<ExitStatus, Errno> {
        wait_timed(u64::from(self.pid), WAIT_TIMEOUT | WAIT_UNTRACED | WAIT_CONTINUED, timeout)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// [`Errno::SRCH`] if it is gone.
    pub fn kill(&self) -> Result<(), Errno> {
        self.signal(SIGKILL)
    }

    /// Sends it `signal`, one of `SIG*`.
    ///
    /// # Errors
    ///
    /// [`Errno::SRCH`] if it is gone, [`Errno::INVAL`] if there is no such signal.
    pub fn signal(&self, signal: u32) -> Result<(), Errno> {
        swos_sys::kill(u64::from(self.pid), signal)
    }
}

/// Which side of a fork.
#[derive(Debug)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one, with the new one.
    Parent(Child),
}

/// Makes a second process that goes on from here, with a copy of the memory, and of the handles that have the right
/// `DUPLICATE`, under the same numbers. [`Command::spawn`] is what most want instead.
///
/// Only the calling thread exists in the child. The heap works there, but a lock that another thread held at that moment is
/// held for ever, and a thread that is joined never ends: a process with several threads does little there but [`exit`]
/// or [`Command::exec`].
///
/// # Errors
///
/// [`Errno::ACCES`] without the capability `SPAWN`, [`Errno::AGAIN`] at the limit of processes, [`Errno::NOMEM`].
pub fn fork() -> Result<Fork, Errno> {
    Ok(match swos_rt::fork::fork()? {
        0 => Fork::Child,
        pid => Fork::Parent(Child { pid }),
    })
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExitStatus(pub ExitRecord);

impl ExitStatus {
    /// Its status, if it ended by itself.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        if self.0.cause == 0 { Some(self.0.code) } else { None }
    }

    /// The signal's number, if it was ended.
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        if self.0.cause == EXIT_FAULT { Some(self.0.code) } else { None }
    }

    /// The signal that stopped it, if it has not ended but stopped.
    #[must_use]
    pub const fn stopped(&self) -> Option<i32> {
        if self.0.cause == EXIT_STOPPED { Some(self.0.code) } else { None }
    }

    /// Whether it has not ended, but went on after a stop.
    #[must_use]
    pub const fn continued(&self) -> bool {
        self.0.cause == EXIT_CONTINUED
    }

    /// Whether it ended by itself with status 0.
    #[must_use]
    pub const fn success(&self) -> bool {
        matches!(self.code(), Some(0))
    }
}

impl core::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.code() {
            Some(code) => write!(f, "status {code}"),
            None => write!(f, "signal {} at {:#x}", self.0.code, self.0.fault_address),
        }
    }
}

/// Waits, also if handlers of signals run meanwhile.
fn wait_whole(pid: u64) -> Result<ExitStatus, Errno> {
    loop {
        match swos_sys::wait(pid, 0) {
            Err(Errno::INTR) => {}
            other => return other?.map(ExitStatus).ok_or(Errno::CHILD),
        }
    }
}

fn wait_timed(pid: u64, flags: u32, timeout: Duration) -> Result<ExitStatus, Errno> {
    let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(TIMEOUT_NEVER);
    swos_sys::wait_until(pid, flags, timeout_ns)?.map(ExitStatus).ok_or(Errno::CHILD)
}

/// Waits for any child to end.
///
/// # Errors
///
/// [`Errno::CHILD`] if there is none.
pub fn wait_any() -> Result<ExitStatus, Errno> {
    wait_whole(WAIT_ANY)
}

/// Waits for any child to end, at most so long.
///
/// # Errors
///
/// [`Errno::TIMEDOUT`]; [`Errno::CHILD`] if there is none; [`Errno::INTR`] if a signal's handler ran.
pub fn wait_any_timeout(timeout: Duration) -> Result<ExitStatus, Errno> {
    wait_timed(WAIT_ANY, WAIT_TIMEOUT, timeout)
}

/// Waits for a child in a process group (0 = the own one) to end.
///
/// # Errors
///
/// [`Errno::CHILD`] if there is none.
pub fn wait_group(group: u32) -> Result<ExitStatus, Errno> {
    wait_whole(PID_GROUP | u64::from(group))
}

/// The process group of a process (0 = this one).
///
/// # Errors
///
/// [`Errno::SRCH`] if there is none, or it is out of reach.
pub fn group_of(pid: u32) -> Result<u32, Errno> {
    swos_sys::getpgid(pid)
}

/// Moves this process or a child to a process group of its session (0 = one of its own).
///
/// # Errors
///
/// [`Errno::SRCH`] if it is neither; [`Errno::PERM`] if it leads its session or is in another, or the group is.
pub fn set_group(pid: u32, group: u32) -> Result<(), Errno> {
    swos_sys::setpgid(pid, group)
}

/// The session of a process (0 = this one).
///
/// # Errors
///
/// [`Errno::SRCH`] if there is none, or it is out of reach.
pub fn session_of(pid: u32) -> Result<u32, Errno> {
    swos_sys::getsid(pid)
}

/// Starts a session, with a process group, that this process leads.
///
/// # Errors
///
/// [`Errno::PERM`] if it leads a group already.
pub fn start_session() -> Result<u32, Errno> {
    swos_sys::setsid()
}

/// A child that has ended, without waiting.
///
/// # Errors
///
/// [`Errno::CHILD`] if there is no child.
pub fn try_wait_any() -> Result<Option<ExitStatus>, Errno> {
    Ok(swos_sys::wait(WAIT_ANY, WAIT_NO_HANG)?.map(ExitStatus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_packed_with_zeros_and_can_not_smuggle_more_in() {
        let mut command = Command::new("/bin/x");
        command.arg("one").arg("t\0wo").args(["", "4"]).env("A=1");
        assert_eq!(command.args, b"/bin/x\0one\0t\0\x004\0");
        assert_eq!(
            (command.env.as_slice(), command.path.as_slice()),
            (b"A=1\0".as_slice(), b"/bin/x".as_slice())
        );
        assert_eq!(command.spawn(), Err(Errno::NOSYS));
    }
}
