//! The one errno table.

/// Why a call failed. The number is what a program sees, negated, in x0.
///
/// One meaning each (no call uses another number for the same cause): a bad user pointer is [`Errno::FAULT`], a
/// handle without the needed right or a principal without the capability is [`Errno::ACCES`], a number that names no
/// handle is [`Errno::BADF`], a full handle table is [`Errno::MFILE`], a buffer too small for the answer is
/// [`Errno::RANGE`].
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Errno(u16);

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self($number);)*

            /// Every number with its name and meaning, in order: what the reference page lists.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$((Self($number), stringify!($name), $text)),*];
        }
    };
}

errnos! {
    PERM = 1, "The operation is never allowed here, whatever rights are held.";
    NOENT = 2, "No such file or directory, or it lies outside the caller's root.";
    SRCH = 3, "No such process or thread.";
    INTR = 4, "Interrupted by a signal.";
    IO = 5, "The device failed, or what it returned did not pass verification.";
    NXIO = 6, "Nobody has the other end open, and the caller was not to wait.";
    TOOBIG = 7, "Arguments and environment are too long.";
    NOEXEC = 8, "Not a program this system runs: malformed, foreign, or writable and executable at once.";
    BADF = 9, "The number names no open handle of this process.";
    CHILD = 10, "No child to wait for.";
    AGAIN = 11, "Would have to wait and was asked not to; try again when ready.";
    NOMEM = 12, "Out of memory, or over the process's memory limit.";
    ACCES = 13, "The handle lacks the right, or the process the capability.";
    FAULT = 14, "A pointer leads outside the caller's memory or to memory that forbids the access.";
    BUSY = 16, "In use.";
    EXIST = 17, "Already exists, or overlaps what exists.";
    XDEV = 18, "The two names lie in different file systems.";
    NODEV = 19, "No such device.";
    NOTDIR = 20, "A component of the path is not a directory.";
    ISDIR = 21, "Is a directory.";
    INVAL = 22, "An argument is out of its range or contradicts another.";
    NFILE = 23, "The system is out of open objects.";
    MFILE = 24, "The process is at its limit of open handles.";
    NOTTY = 25, "The object does not support this operation.";
    FBIG = 27, "The file would grow beyond its limit.";
    NOSPC = 28, "No space left.";
    SPIPE = 29, "The object has no position.";
    ROFS = 30, "The file system is read-only.";
    MLINK = 31, "Too many links.";
    PIPE = 32, "The other end is gone.";
    RANGE = 34, "The buffer is too small for the answer.";
    DEADLK = 35, "Waiting would never end.";
    NAMETOOLONG = 36, "A path or component is too long.";
    NOSYS = 38, "No such call.";
    NOTEMPTY = 39, "The directory is not empty.";
    LOOP = 40, "Too many symbolic links on the way.";
    PROTO = 71, "The peer broke the protocol.";
    OVERFLOW = 75, "A value does not fit.";
    NOTSOCK = 88, "Not a socket.";
    DESTADDRREQ = 89, "A destination address is needed.";
    MSGSIZE = 90, "The message is too long; nothing was sent.";
    PROTONOSUPPORT = 93, "The protocol is not offered.";
    OPNOTSUPP = 95, "Not supported on this kind of object.";
    AFNOSUPPORT = 97, "The address family is not offered.";
    ADDRINUSE = 98, "The address is taken.";
    ADDRNOTAVAIL = 99, "The address is not one of this machine.";
    NETDOWN = 100, "The network is not configured or has no device.";
    NETUNREACH = 101, "No route to the network.";
    CONNABORTED = 103, "The connection was aborted.";
    CONNRESET = 104, "The peer reset the connection.";
    NOBUFS = 105, "Out of buffer space.";
    ISCONN = 106, "Already connected.";
    NOTCONN = 107, "Not connected.";
    TIMEDOUT = 110, "The time ran out.";
    CONNREFUSED = 111, "Nobody listens there.";
    HOSTUNREACH = 113, "The host can't be reached.";
    ALREADY = 114, "Already in progress.";
    INPROGRESS = 115, "Under way; readiness tells when it is done.";
    CANCELED = 125, "Cancelled, for example because the handle was closed meanwhile.";
}

impl Errno {
    /// Its number, 1..=4095.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Its meaning in a sentence.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.row().map_or("Unknown error.", |row| row.2)
    }

    /// Its name without the customary E.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.1)
    }

    fn row(self) -> Option<&'static (Self, &'static str, &'static str)> {
        Self::TABLE.iter().find(|row| row.0 == self)
    }
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "E{}", self.name())
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Errno {}

/// What the kernel puts into x0. A success value has its upper bit clear.
#[must_use]
#[expect(clippy::cast_possible_wrap, reason = "success values stay below 2^63")]
pub const fn result_to_raw(result: Result<u64, Errno>) -> i64 {
    match result {
        Ok(value) => value as i64,
        Err(errno) => -(errno.0 as i64),
    }
}

/// What a program reads from x0.
///
/// # Errors
///
/// The [`Errno`] when `raw` lies in -4095..=-1.
#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the range is checked")]
pub const fn result_from_raw(raw: i64) -> Result<u64, Errno> {
    if raw < 0 && raw >= -4095 { Err(Errno((-raw) as u16)) } else { Ok(raw as u64) }
}
