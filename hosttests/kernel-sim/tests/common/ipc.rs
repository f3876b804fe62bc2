//! Endpoints as simulated programs use them.

use super::*;
use zerocopy::{FromBytes as _, IntoBytes as _};

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub struct Got {
    pub bytes: Vec<u8>,
    /// Numbers and rights.
    pub handles: Vec<(u64, u32)>,
    pub badge: u64,
    pub token: u64,
}

/// Room for bytes that come, see [`scratch`].
const ROOM: u32 = 2_048;

/// Where a thread puts its records: below its stack pointer, nothing else is there.
fn scratch(user: &User) -> u64 {
    user.stack() - 8192
}

pub fn endpoint(user: &mut User) -> (u64, u64) {
    endpoint_of_calls(user, 0)
}

/// An endpoint with so many calls at most, 0 = as usual.
pub fn endpoint_of_calls(user: &mut User, calls: u32) -> (u64, u64) {
    let at = scratch(user);
    user.store(at, EndpointConfig { calls, ..EndpointConfig::default() }.as_bytes());
    assert_eq!(user.call(NR_ENDPOINT_CREATE, &[at, 16, at + 16, 16]), Ok(0));
    (user.load_u64(at + 16), user.load_u64(at + 24))
}

pub fn mint(user: &mut User, sender: u64, badge: u64) -> Result<u64, Errno> {
    user.call(NR_ENDPOINT_MINT, &[sender, badge])
}

/// Stores a message and returns where its record is.
fn outgoing(user: &mut User, bytes: &[u8], handles: &[(u64, u32)]) -> u64 {
    let at = scratch(user);
    let listed: Vec<u8> = handles
        .iter()
        .flat_map(|&(handle, rights)| {
            MessageHandle { handle: Handle(handle), rights, reserved: 0 }.as_bytes().to_vec()
        })
        .collect();
    let place = if bytes.len() > 2_000 { map(user, bytes.len() as u64 + 4_096) } else { at + 1024 };
    if !bytes.is_empty() {
        user.store(place, bytes);
    }
    if !listed.is_empty() {
        user.store(at + 128, &listed);
    }
    let record = MessageOut {
        bytes: place,
        handles: at + 128,
        length: bytes.len() as u32,
        handle_count: handles.len() as u32,
    };
    user.store(at, record.as_bytes());
    at
}

/// Stores a record of where a message goes, and returns where it is.
fn incoming(user: &mut User) -> u64 {
    let at = scratch(user);
    let into = MessageIn {
        bytes: at + 4096,
        handles: at + 512,
        capacity: ROOM,
        handle_capacity: MESSAGE_HANDLES_MAX as u32,
        ..MessageIn::default()
    };
    user.store(at + 64, into.as_bytes());
    at + 64
}

fn came(user: &mut User, counts: u64) -> Got {
    let at = scratch(user);
    let bytes = user.load(at + 4096, counts as u32 as usize);
    let handles = (0..counts >> 32)
        .map(|index| {
            let entry = user.load(at + 512 + 16 * index, 16);
            let entry = MessageHandle::read_from_bytes(&entry).unwrap();
            (entry.handle.0, entry.rights)
        })
        .collect();
    let into = MessageIn::read_from_bytes(&user.load(at + 64, 48)).unwrap();
    Got { bytes, handles, badge: into.badge, token: into.token }
}

pub fn send(
    user: &mut User,
    sender: u64,
    bytes: &[u8],
    handles: &[(u64, u32)],
    timeout: u64,
) -> Result<u64, Errno> {
    let message = outgoing(user, bytes, handles);
    user.call(NR_ENDPOINT_SEND, &[sender, message, timeout])
}

pub fn receive(user: &mut User, receiver: u64, timeout: u64) -> Result<Got, Errno> {
    let into = incoming(user);
    let counts = user.call(NR_ENDPOINT_RECEIVE, &[receiver, into, timeout])?;
    Ok(came(user, counts))
}

pub fn call(
    user: &mut User,
    sender: u64,
    bytes: &[u8],
    handles: &[(u64, u32)],
    timeout: u64,
) -> Result<Got, Errno> {
    let message = outgoing(user, bytes, handles);
    let into = incoming(user);
    let counts = user.call(NR_ENDPOINT_CALL, &[sender, message, into, timeout])?;
    Ok(came(user, counts))
}

pub fn reply(
    user: &mut User,
    receiver: u64,
    token: u64,
    bytes: &[u8],
    handles: &[(u64, u32)],
) -> Result<u64, Errno> {
    let message = outgoing(user, bytes, handles);
    user.call(NR_ENDPOINT_REPLY, &[receiver, token, message])
}

pub fn reply_receive(
    user: &mut User,
    receiver: u64,
    token: u64,
    bytes: &[u8],
    timeout: u64,
) -> Result<Got, Errno> {
    let message = outgoing(user, bytes, &[]);
    let into = incoming(user);
    let counts = user.call(NR_ENDPOINT_REPLY_RECEIVE, &[receiver, token, message, into, timeout])?;
    Ok(came(user, counts))
}
