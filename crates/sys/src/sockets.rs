//! Sockets.

use core::mem::size_of;

use swos_abi::{Errno, Handle, SocketAddress};

use crate::{address, files::handle, raw, register, size};

const ADDRESS_SIZE: u64 = size_of::<SocketAddress>() as u64;

/// Makes a socket; `kind` may have `SOCKET_NONBLOCK` or-ed to it.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET`].
pub fn socket(domain: u32, kind: u32) -> Result<Handle, Errno> {
    // SAFETY: no addresses.
    handle(unsafe { raw::socket(domain, kind) })
}

/// Gives a socket a local address.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_BIND`].
pub fn bind(socket: Handle, local: &SocketAddress) -> Result<(), Errno> {
    // SAFETY: the kernel reads the address record.
    unsafe { raw::bind(socket, address(local), ADDRESS_SIZE) }.map(drop)
}

/// Starts to take connections.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_LISTEN`].
pub fn listen(socket: Handle, backlog: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::listen(socket, backlog) }.map(drop)
}

/// Takes the next connection; `flags` is 0 or `SOCKET_NONBLOCK`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ACCEPT`].
pub fn accept(socket: Handle, flags: u32) -> Result<Handle, Errno> {
    // SAFETY: address 0 = the kernel stores nothing.
    handle(unsafe { raw::accept(socket, 0, 0, flags) })
}

/// Takes the next connection and tells who the peer is.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_ACCEPT`].
pub fn accept_from(socket: Handle, flags: u32) -> Result<(Handle, SocketAddress), Errno> {
    let mut peer = SocketAddress::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    let taken = handle(unsafe { raw::accept(socket, address(&raw mut peer), ADDRESS_SIZE, flags) })?;
    Ok((taken, peer))
}

/// Connects.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_CONNECT`].
pub fn connect(socket: Handle, peer: &SocketAddress) -> Result<(), Errno> {
    // SAFETY: the kernel reads the address record.
    unsafe { raw::connect(socket, address(peer), ADDRESS_SIZE) }.map(drop)
}

/// Sends stream bytes, or a datagram to the peer that the socket is connected to; `flags` is 0 or `SEND_MORE`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SEND_TO`].
#[inline]
pub fn send(socket: Handle, bytes: &[u8], flags: u32) -> Result<usize, Errno> {
    // SAFETY: the kernel reads `bytes` within their bounds.
    unsafe { raw::send_to(socket, address(bytes), register(bytes.len()), 0, 0, flags) }.map(size)
}

/// Sends a datagram to `peer`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SEND_TO`].
pub fn send_to(socket: Handle, bytes: &[u8], peer: &SocketAddress) -> Result<usize, Errno> {
    let (from, length) = (address(bytes), register(bytes.len()));
    // SAFETY: the kernel reads `bytes` and the address record within their bounds.
    unsafe { raw::send_to(socket, from, length, address(peer), ADDRESS_SIZE, 0) }.map(size)
}

/// Receives stream bytes (0 = the peer finished) or a datagram.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_RECEIVE_FROM`].
#[inline]
pub fn receive(socket: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes `buffer` within its bounds, borrowed mutably here.
    unsafe { raw::receive_from(socket, address(buffer), register(buffer.len()), 0, 0, 0) }.map(size)
}

/// Receives a datagram and tells who sent it.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_RECEIVE_FROM`].
pub fn receive_from(socket: Handle, buffer: &mut [u8]) -> Result<(usize, SocketAddress), Errno> {
    let mut peer = SocketAddress::default();
    let (into, length, from) = (address(buffer), register(buffer.len()), address(&raw mut peer));
    // SAFETY: the kernel writes `buffer` within its bounds and fills the record.
    let count = unsafe { raw::receive_from(socket, into, length, from, ADDRESS_SIZE, 0) }?;
    Ok((size(count), peer))
}

/// Ends one or both directions; `how` is one of `SHUTDOWN_*`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SHUTDOWN`].
pub fn shutdown(socket: Handle, how: u32) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::shutdown(socket, how) }.map(drop)
}

/// Sets an option, one of `OPTION_*`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET_OPTION_SET`].
pub fn socket_set_option(socket: Handle, option: u32, value: u64) -> Result<(), Errno> {
    // SAFETY: no addresses.
    unsafe { raw::socket_option_set(socket, option, value) }.map(drop)
}

/// Reads an option, one of `OPTION_*`.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET_OPTION_GET`].
pub fn socket_option(socket: Handle, option: u32) -> Result<u64, Errno> {
    // SAFETY: no addresses.
    unsafe { raw::socket_option_get(socket, option) }
}

/// The socket's own address.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET_ADDRESS`].
pub fn socket_local(socket: Handle) -> Result<SocketAddress, Errno> {
    endpoint(socket, 0)
}

/// The peer's address.
///
/// # Errors
///
/// What the kernel answers; [`swos_abi::NR_SOCKET_ADDRESS`].
pub fn socket_peer(socket: Handle) -> Result<SocketAddress, Errno> {
    endpoint(socket, 1)
}

fn endpoint(socket: Handle, peer: u32) -> Result<SocketAddress, Errno> {
    let mut record = SocketAddress::default();
    // SAFETY: the kernel fills the record; every bit pattern is a valid one.
    unsafe { raw::socket_address(socket, peer, address(&raw mut record), ADDRESS_SIZE) }?;
    Ok(record)
}
