//! Endpoints.

use core::mem::size_of;

use swos_abi::{EndpointConfig, EndpointEnds, Errno, Handle, MessageHandle, MessageIn, MessageOut};

use crate::{address, files::handle, raw, register};

/// What came with a message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Received {
    /// Its bytes; with [`Errno::RANGE`], how many it would have.
    pub length: usize,
    /// Its handles, likewise.
    pub handle_count: usize,
    /// Badge of the sender that it came through; 0 = none.
    pub badge: u64,
    /// What answers it; 0 = it is no call.
    pub token: u64,
}

/// Makes an endpoint.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_CREATE`].
pub fn endpoint_create(config: &EndpointConfig) -> Result<EndpointEnds, Errno> {
    let mut ends = EndpointEnds::NONE;
    let (config_size, size) = (register(size_of::<EndpointConfig>()), register(size_of::<EndpointEnds>()));
    // SAFETY: the kernel reads the one record and fills the other; every bit pattern is a valid one.
    unsafe { raw::endpoint_create(address(config), config_size, address(&raw mut ends), size) }?;
    Ok(ends)
}

/// Makes a further sender with a badge; `flags`: [`CLOSE_ON_EXEC`](swos_abi::CLOSE_ON_EXEC).
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_MINT`].
pub fn endpoint_mint(sender: Handle, badge: u64, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::endpoint_mint(sender, badge, flags) })
}

#[inline]
fn outgoing(bytes: &[u8], handles: &[MessageHandle]) -> Result<MessageOut, Errno> {
    Ok(MessageOut {
        bytes: address(bytes),
        handles: address(handles),
        length: u32::try_from(bytes.len()).map_err(|_| Errno::MSGSIZE)?,
        handle_count: u32::try_from(handles.len()).map_err(|_| Errno::MSGSIZE)?,
    })
}

#[inline]
fn incoming(bytes: &mut [u8], handles: &mut [MessageHandle]) -> MessageIn {
    MessageIn {
        bytes: address(&raw mut *bytes),
        handles: address(&raw mut *handles),
        capacity: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        handle_capacity: u32::try_from(handles.len()).unwrap_or(u32::MAX),
        ..MessageIn::default()
    }
}

#[inline]
const fn received(into: &MessageIn) -> Received {
    Received {
        length: into.length as usize,
        handle_count: into.handle_count as usize,
        badge: into.badge,
        token: into.token,
    }
}

/// Sends a message.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_SEND`].
#[inline]
pub fn endpoint_send(
    sender: Handle,
    bytes: &[u8],
    handles: &[MessageHandle],
    timeout_ns: u64,
) -> Result<(), Errno> {
    let message = outgoing(bytes, handles)?;
    // SAFETY: the kernel reads the record and what it names, both within their bounds.
    unsafe { raw::endpoint_send(sender, address(&raw const message), timeout_ns) }.map(drop)
}

/// Receives a message.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_RECEIVE`]. With [`Errno::RANGE`] what it would take.
#[inline]
pub fn endpoint_receive(
    receiver: Handle,
    bytes: &mut [u8],
    handles: &mut [MessageHandle],
    timeout_ns: u64,
) -> Result<Received, (Errno, Received)> {
    let mut into = incoming(bytes, handles);
    // SAFETY: the kernel reads the record, fills its end and what it names, within their bounds; every bit pattern is a valid one.
    let came = unsafe { raw::endpoint_receive(receiver, address(&raw mut into), timeout_ns) };
    came.map(|_| received(&into)).map_err(|errno| (errno, received(&into)))
}

/// Sends a message and waits for its answer. Returns how many bytes and handles came.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_CALL`].
#[inline]
pub fn endpoint_call(
    sender: Handle,
    (bytes, handles): (&[u8], &[MessageHandle]),
    (answer, answer_handles): (&mut [u8], &mut [MessageHandle]),
    timeout_ns: u64,
) -> Result<(usize, usize), Errno> {
    let message = outgoing(bytes, handles)?;
    let mut into = incoming(answer, answer_handles);
    // SAFETY: as for sending and receiving.
    let counts = unsafe {
        raw::endpoint_call(sender, address(&raw const message), address(&raw mut into), timeout_ns)
    }?;
    Ok((crate::size(counts & 0xFFFF_FFFF), crate::size(counts >> 32)))
}

/// Answers a call.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_REPLY`].
#[inline]
pub fn endpoint_reply(
    receiver: Handle,
    token: u64,
    bytes: &[u8],
    handles: &[MessageHandle],
) -> Result<(), Errno> {
    let message = outgoing(bytes, handles)?;
    // SAFETY: as for sending.
    unsafe { raw::endpoint_reply(receiver, token, address(&raw const message)) }.map(drop)
}

/// Ends all calls that were received and not answered.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_HANG_UP`].
pub fn endpoint_hang_up(receiver: Handle) -> Result<(), Errno> {
    // SAFETY: the call takes no addresses.
    unsafe { raw::endpoint_hang_up(receiver) }.map(drop)
}

/// Answers a call and receives the next message.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ENDPOINT_REPLY_RECEIVE`].
#[inline]
pub fn endpoint_reply_receive(
    receiver: Handle,
    (token, bytes, handles): (u64, &[u8], &[MessageHandle]),
    (into, into_handles): (&mut [u8], &mut [MessageHandle]),
    timeout_ns: u64,
) -> Result<Received, (Errno, Received)> {
    let mut into = incoming(into, into_handles);
    let message = outgoing(bytes, handles).map_err(|errno| (errno, Received::default()))?;
    // SAFETY: as for sending and receiving.
    let came = unsafe {
        raw::endpoint_reply_receive(
            receiver,
            token,
            address(&raw const message),
            address(&raw mut into),
            timeout_ns,
        )
    };
    came.map(|_| received(&into)).map_err(|errno| (errno, received(&into)))
}
