//! Arguments, environment, and the endpoints of a service.

use alloc::vec::Vec;

use swos_abi::{Errno, Handle, PATH_MAX};
use swos_rt::start;

use crate::ipc::{Receiver, Sender};

/// The handle of the receiver that `init` gives to a service which `receives`.
pub const RECEIVER: u32 = 3;
/// The handle of the first sender that it gives to one which `sends` or `registers`. Others follow, in the order of [`SENDERS`].
pub const FIRST_SENDER: u32 = 4;
/// The name in the environment under which their endpoints are listed.
pub const SENDERS: &str = "SENDERS";

/// Arguments of the program, its own name first; those that are not UTF-8 are left out (see [`args_bytes`]).
pub fn args() -> impl Iterator<Item = &'static str> {
    args_bytes().filter_map(|argument| core::str::from_utf8(argument).ok())
}

/// Arguments of the program as they are.
#[must_use]
pub fn args_bytes() -> start::Strings {
    start::arguments()
}

/// Environment of the program as names and values.
pub fn vars() -> impl Iterator<Item = (&'static str, &'static str)> {
    start::environment().filter_map(|entry| core::str::from_utf8(entry).ok()?.split_once('='))
}

/// Value of one name in the environment.
#[must_use]
pub fn var(name: &str) -> Option<&'static str> {
    vars().find_map(|(known, value)| (known == name).then_some(value))
}

/// The receiver that `init` gave to this service. To be taken once.
#[must_use]
pub const fn receiver() -> Receiver {
    Receiver::from_handle(Handle(RECEIVER as u64))
}

/// The sender to an endpoint that `init` gave to this service; `None` = it gave none, because the description names none or the receiving
/// service is done. To be taken once.
#[must_use]
pub fn sender(endpoint: &str) -> Option<Sender> {
    let place =
        (u64::from(FIRST_SENDER)..).zip(var(SENDERS)?.split(' ')).find(|(_, known)| *known == endpoint);
    place.map(|(number, _)| Sender::from_handle(Handle(number)))
}

/// Path of the current directory.
///
/// # Errors
///
/// [`Errno::NOENT`] if it was removed.
pub fn current_dir() -> Result<Vec<u8>, Errno> {
    let mut path = alloc::vec![0; PATH_MAX];
    let length = swos_sys::getcwd(&mut path)?;
    path.truncate(length);
    Ok(path)
}

/// Changes the current directory.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_current_dir(path: impl AsRef<[u8]>) -> Result<(), Errno> {
    swos_sys::chdir(Handle::CWD, path.as_ref())
}
