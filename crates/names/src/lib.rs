//! Names of services: which sender has which name, who may say so, and who waits for a name.
//!
//! In go requests with the badge of who asks; out come services and those who waited for them. The program `names` does what this says, over
//! messages whose bytes are a [`Request`] and an answer ([`answer`], [`parse_answer`]).
//!
//! **Invariant:** a name belongs to the badge that registered it: others can neither take nor remove it. **Invariant:** only badges with
//! [`MAY_REGISTER`] register. **Invariant:** at most [`NAMES_MAX`] names and [`WATCHES_MAX`] who wait are kept, of one badge
//! [`WATCHES_EACH`]. **Invariant:** one waits for the end of a name. **Invariant:** no service and nobody who waits is dropped here: each comes
//! out.
//!
//! Deliberately absent: handles, messages, what a badge stands for: whoever mints the senders decides.
//!
//! ```
//! use swos_names::{Error, MAY_REGISTER, Names, Request, Watched};
//! let mut names = Names::<&str, u32>::new();
//! assert_eq!(Request::parse(b"\x02log"), Some(Request::LookUp(b"log")));
//! assert!(matches!(names.watch(5, b"log", 77), Watched::Waits));
//! let waiting = names.register(MAY_REGISTER | 1, b"log", "its sender").map_err(|(error, _)| error)?.waiting;
//! assert_eq!(waiting, [77]);
//! assert_eq!(names.look_up(b"log"), Ok(&"its sender"));
//! # Ok::<(), Error>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};

use swos_abi::Errno;

/// In a badge: its holder may register names.
pub const MAY_REGISTER: u64 = 1 << 63;
/// Longest name in bytes.
pub const NAME_MAX: usize = 32;
/// Names at once.
pub const NAMES_MAX: usize = 64;
/// Who waits at once.
pub const WATCHES_MAX: usize = 256;
/// Of one badge.
pub const WATCHES_EACH: usize = 16;

/// What is asked. On the wire: a byte that says what, then the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    /// This name is the service whose sender comes with it.
    Register(&'a [u8]),
    /// Which service has this name?
    LookUp(&'a [u8]),
    /// The same, but waits until there is one.
    Watch(&'a [u8]),
    /// This name is nobody any more.
    Remove(&'a [u8]),
    /// Waits as long as this name is one's own.
    Hold(&'a [u8]),
}

impl<'a> Request<'a> {
    /// Reads the bytes of a request; `None` = it is none.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&what, name) = bytes.split_first()?;
        if name.is_empty() || name.len() > NAME_MAX || name.iter().any(|byte| !byte.is_ascii_graphic()) {
            return None;
        }
        match what {
            1 => Some(Self::Register(name)),
            2 => Some(Self::LookUp(name)),
            3 => Some(Self::Watch(name)),
            4 => Some(Self::Remove(name)),
            5 => Some(Self::Hold(name)),
            _ => None,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let (what, name) = match self {
            Self::Register(name) => (1, name),
            Self::LookUp(name) => (2, name),
            Self::Watch(name) => (3, name),
            Self::Remove(name) => (4, name),
            Self::Hold(name) => (5, name),
        };
        [&[what], name].concat()
    }
}

/// The bytes of an answer.
#[must_use]
pub const fn answer(result: Result<(), Errno>) -> [u8; 2] {
    match result {
        Ok(()) => [0; 2],
        Err(errno) => errno.get().to_le_bytes(),
    }
}

/// Reads an answer.
///
/// # Errors
///
/// What it says; [`Errno::PROTO`] if it is none.
pub fn parse_answer(bytes: &[u8]) -> Result<(), Errno> {
    let bytes: [u8; 2] = bytes.try_into().map_err(|_| Errno::PROTO)?;
    match u16::from_le_bytes(bytes) {
        0 => Ok(()),
        number => {
            let known = Errno::TABLE.iter().find(|(errno, ..)| errno.get() == number);
            Err(known.map_or(Errno::PROTO, |&(errno, ..)| errno))
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The badge does not allow it.
    Forbidden,
    /// The name is another's.
    Taken,
    /// Nobody has the name.
    Unknown,
    /// There is no room for more.
    Full,
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        match error {
            Error::Forbidden => Self::ACCES,
            Error::Taken => Self::EXIST,
            Error::Unknown => Self::NOENT,
            Error::Full => Self::NOSPC,
        }
    }
}

/// What a registration brings about.
#[derive(Debug, Eq, PartialEq)]
pub struct Registered<H, W> {
    /// What had the name before.
    pub replaced: Option<H>,
    /// Those who waited for it.
    pub waiting: Vec<W>,
}

/// What comes out with a name that is nobody's any more.
#[derive(Debug, Eq, PartialEq)]
pub struct Removed<H, W> {
    /// The service that had it.
    pub service: H,
    /// Who waited as long as it had.
    pub holder: Option<W>,
}

/// What becomes of one who would wait.
#[derive(Debug, Eq, PartialEq)]
pub enum Watched<W> {
    /// There is such a service already: look it up.
    Known(W),
    /// It waits, and comes out when the name is registered.
    Waits,
    /// The same, in the place of this one, the oldest of so many with its badge: who was started again waits, and who waited before may be gone.
    WaitsInstead(W),
    /// Too many wait.
    Refused(W),
}

#[derive(Debug)]
struct Entry<H, W> {
    name: Box<[u8]>,
    owner: u64,
    service: H,
    holder: Option<W>,
}

impl<H, W> Entry<H, W> {
    fn removed(self) -> Removed<H, W> {
        Removed { service: self.service, holder: self.holder }
    }
}

#[derive(Debug)]
struct Watch<W> {
    name: Box<[u8]>,
    badge: u64,
    waiter: W,
}

/// The names, of services `H`, and who waits, `W`.
#[derive(Debug)]
pub struct Names<H, W> {
    entries: Vec<Entry<H, W>>,
    watches: Vec<Watch<W>>,
}

impl<H, W> Default for Names<H, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H, W> Names<H, W> {
    /// No names.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), watches: Vec::new() }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.entries.iter().position(|entry| *entry.name == *name)
    }

    /// Gives a name to a service, or another service to a name that one has.
    ///
    /// # Errors
    ///
    /// With the service back: [`Error::Forbidden`], [`Error::Taken`], [`Error::Full`].
    pub fn register(&mut self, badge: u64, name: &[u8], service: H) -> Result<Registered<H, W>, (Error, H)> {
        if badge & MAY_REGISTER == 0 {
            return Err((Error::Forbidden, service));
        }
        let mut replaced = None;
        let names = self.entries.len();
        match self.entries.iter_mut().find(|entry| *entry.name == *name) {
            Some(entry) if entry.owner != badge => return Err((Error::Taken, service)),
            Some(entry) => replaced = Some(core::mem::replace(&mut entry.service, service)),
            None if names >= NAMES_MAX => return Err((Error::Full, service)),
            None => self.entries.push(Entry { name: name.into(), owner: badge, service, holder: None }),
        }
        let waiting =
            self.watches.extract_if(.., |watch| *watch.name == *name).map(|watch| watch.waiter).collect();
        Ok(Registered { replaced, waiting })
    }

    /// The service that has a name.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`].
    pub fn look_up(&self, name: &[u8]) -> Result<&H, Error> {
        self.find(name).and_then(|at| self.entries.get(at)).map(|entry| &entry.service).ok_or(Error::Unknown)
    }

    /// Waits for a name, unless it is known.
    pub fn watch(&mut self, badge: u64, name: &[u8], waiter: W) -> Watched<W> {
        if self.find(name).is_some() {
            return Watched::Known(waiter);
        }
        let mut own = (0..).zip(&self.watches).filter(|(_, watch)| watch.badge == badge);
        let oldest = own.next().map(|(at, _)| at).filter(|_| own.count() + 1 >= WATCHES_EACH);
        if oldest.is_none() && self.watches.len() >= WATCHES_MAX {
            return Watched::Refused(waiter);
        }
        let oldest = oldest.map(|at: usize| self.watches.remove(at));
        self.watches.push(Watch { name: name.into(), badge, waiter });
        oldest.map_or(Watched::Waits, |oldest| Watched::WaitsInstead(oldest.waiter))
    }

    /// Waits as long as a name is one's own; one waits for each name. Returns who did before.
    ///
    /// # Errors
    ///
    /// With who would wait: [`Error::Unknown`]; [`Error::Taken`] if it is another's.
    pub fn hold(&mut self, badge: u64, name: &[u8], waiter: W) -> Result<Option<W>, (Error, W)> {
        match self.entries.iter_mut().find(|entry| *entry.name == *name) {
            None => Err((Error::Unknown, waiter)),
            Some(entry) if entry.owner != badge => Err((Error::Taken, waiter)),
            Some(entry) => Ok(entry.holder.replace(waiter)),
        }
    }

    /// Takes a name away from one's own service.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`]; [`Error::Taken`] if it is another's.
    pub fn remove(&mut self, badge: u64, name: &[u8]) -> Result<Removed<H, W>, Error> {
        let at = self.find(name).ok_or(Error::Unknown)?;
        if self.entries.get(at).is_some_and(|entry| entry.owner != badge) {
            return Err(Error::Taken);
        }
        Ok(self.entries.swap_remove(at).removed())
    }

    /// Forgets a name whose service is gone, whoever had it.
    pub fn forget(&mut self, name: &[u8]) -> Option<Removed<H, W>> {
        self.find(name).map(|at| self.entries.swap_remove(at).removed())
    }
}

#[cfg(test)]
mod tests;
