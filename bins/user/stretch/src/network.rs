//! Sockets on the loopback address.

use alloc::{format, string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{OPTION_RECEIVE_BUFFER, OPTION_SEND_BUFFER, SHUTDOWN_READ, SHUTDOWN_WRITE},
    fs::File,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    sys,
    testing::text,
    thread,
};

use crate::{Case, child_ends};

pub(crate) const CASES: &[Case] = &[
    ("socket-write-and-read", stream),
    ("socket-read-all-at-once", read_at_once),
    ("sendfile", sendfile),
    ("datagrams", datagrams),
    ("close-a-full-listener", || listener(200)),
    ("listener-with-1000-connections", || listener(1_000)),
    ("listener-with-unread-data", unread),
    ("close-200-connections", connections),
    ("close-with-4-mib-unread", || much_unread(drop)),
    ("shutdown-with-4-mib-unread", || {
        much_unread(|far| {
            // Whatever it answers, nothing is left to read.
            let _ = sys::shutdown(far.handle(), SHUTDOWN_READ);
        })
    }),
    ("close-4-mib-unsent", unsent),
    ("sendfile-of-slivers", slivers),
    ("end-with-64-unread-connections", || child_ends("unread")),
];

const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7002);

fn pair() -> Result<(TcpStream, TcpStream), String> {
    let listener = TcpListener::bind(ADDRESS, 64).map_err(text)?;
    let near = TcpStream::connect(ADDRESS).map_err(text)?;
    let (far, _) = listener.accept().map_err(text)?;
    Ok((near, far))
}

fn stream() -> Result<(), String> {
    let (mut near, mut far) = pair()?;
    let writer = thread::spawn(move || near.write_all(&vec![1; 4 << 20]).map_err(text)).map_err(text)?;
    let mut buffer = vec![0; 1 << 20];
    while far.read(&mut buffer).map_err(text)? > 0 {}
    writer.join()
}

/// The receive buffer is full before anything is read.
fn read_at_once() -> Result<(), String> {
    let (mut near, mut far) = pair()?;
    let writer = thread::spawn(move || near.write_all(&vec![1; 1 << 20]).map_err(text)).map_err(text)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        thread::sleep(core::time::Duration::from_millis(20));
        if far.read(&mut buffer).map_err(text)? == 0 {
            return writer.join();
        }
    }
}

fn sendfile() -> Result<(), String> {
    let (near, mut far) = pair()?;
    let writer = thread::spawn(move || -> Result<(), String> {
        let file = File::open("/bin/stretch").map_err(text)?;
        for _ in 0..8 {
            sys::sendfile(near.handle(), file.handle(), 0, u64::MAX, &[7; 3000]).map_err(text)?;
        }
        sys::shutdown(near.handle(), SHUTDOWN_WRITE).map_err(text)
    })
    .map_err(text)?;
    let mut buffer = vec![0; 1 << 20];
    while far.read(&mut buffer).map_err(text)? > 0 {}
    writer.join()
}

fn datagrams() -> Result<(), String> {
    let far = UdpSocket::bind(ADDRESS).map_err(text)?;
    let near = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
    let mut buffer = vec![0; 65_507];
    for length in [1_400, 1_472] {
        near.send_to(buffer.get(..length).unwrap_or(&[]), ADDRESS).map_err(text)?;
        far.recv_from(&mut buffer).map_err(text)?;
    }
    Ok(())
}

/// Closes a listener that has so many connections which nobody accepted. Each peer hears of it, and the port is free.
fn listener(connections: usize) -> Result<(), String> {
    let listener = TcpListener::bind(ADDRESS, 1_024).map_err(text)?;
    let mut near = Vec::new();
    for _ in 0..connections {
        near.push(TcpStream::connect(ADDRESS).map_err(text)?);
    }
    drop(listener);
    let another = TcpListener::bind(ADDRESS, 1).map_err(text)?;
    for mut near in near {
        if let Ok(count) = near.read(&mut [0; 1]) {
            return Err(format!("{count} bytes where the connection should have been reset"));
        }
    }
    drop(another);
    Ok(())
}

/// The same, where each connection holds all that its buffer takes.
fn unread() -> Result<(), String> {
    let listener = TcpListener::bind(ADDRESS, 1_024).map_err(text)?;
    let mut near = Vec::new();
    let bytes = vec![1; 64 << 10];
    for _ in 0..100 {
        let mut stream = TcpStream::connect(ADDRESS).map_err(text)?;
        stream.write_all(&bytes).map_err(text)?;
        near.push(stream);
    }
    drop(listener);
    drop(near);
    Ok(())
}

fn connections() -> Result<(), String> {
    let listener = TcpListener::bind(ADDRESS, 64).map_err(text)?;
    let mut both = Vec::new();
    for _ in 0..200 {
        let near = TcpStream::connect(ADDRESS).map_err(text)?;
        both.push((near, listener.accept().map_err(text)?));
    }
    drop(both);
    Ok(())
}

/// The largest buffer that a socket may have.
const LARGEST: u64 = 4 << 20;

/// A pair whose far end has as much unread as may be.
fn much_unread(deed: fn(TcpStream)) -> Result<(), String> {
    let listener = TcpListener::bind(ADDRESS, 64).map_err(text)?;
    sys::socket_set_option(listener.handle(), OPTION_RECEIVE_BUFFER, LARGEST).map_err(text)?;
    let mut near = TcpStream::connect(ADDRESS).map_err(text)?;
    let (far, _) = listener.accept().map_err(text)?;
    near.write_all(&vec![1; 7 << 19]).map_err(text)?;
    // Until the last of it has arrived.
    thread::sleep(core::time::Duration::from_millis(200));
    deed(far);
    thread::sleep(core::time::Duration::from_millis(20));
    Ok(())
}

/// A queue full of pages that the peer does not take, thrown away.
fn unsent() -> Result<(), String> {
    let (near, far) = pair()?;
    sys::socket_set_option(near.handle(), OPTION_SEND_BUFFER, LARGEST).map_err(text)?;
    let file = File::open("/bin/stretch").map_err(text)?;
    let sender = thread::spawn(move || {
        // Ends with an error when the peer has gone.
        while sys::sendfile(near.handle(), file.handle(), 0, u64::MAX, &[]).is_ok() {}
    })
    .map_err(text)?;
    thread::sleep(core::time::Duration::from_millis(200));
    drop(far);
    sender.join();
    Ok(())
}

/// Pages in pieces of a byte.
fn slivers() -> Result<(), String> {
    let (near, far) = pair()?;
    let file = File::open("/bin/stretch").map_err(text)?;
    for at in 0..100_000 {
        sys::sendfile(near.handle(), file.handle(), at, 1, &[]).map_err(text)?;
    }
    drop(near);
    drop(far);
    Ok(())
}

/// Ends while each of its connections has what nobody read.
pub(crate) fn unread_at_the_end() -> Result<(), String> {
    let listener = TcpListener::bind(ADDRESS, 64).map_err(text)?;
    let bytes = vec![1; 64 << 10];
    let mut both = Vec::new();
    for _ in 0..64 {
        let mut near = TcpStream::connect(ADDRESS).map_err(text)?;
        near.write_all(&bytes).map_err(text)?;
        both.push((near, listener.accept().map_err(text)?));
    }
    core::mem::forget(both);
    Ok(())
}
