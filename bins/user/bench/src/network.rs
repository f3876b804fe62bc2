//! Benchmarks over the loopback address: one process, two threads where the original has two processes.

use alloc::vec;
use core::hint::black_box;

use swos_ulib::{
    abi::Errno,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, Switch, TcpListener, TcpStream, UdpSocket},
    sys, thread,
};

use crate::{report, time};

const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7001);

const fn errno(wrong: io::Error) -> Errno {
    match wrong {
        io::Error::Os(errno) => errno,
        _ => Errno::PIPE,
    }
}

fn pair(listener: &TcpListener) -> Result<(TcpStream, TcpStream), Errno> {
    let near = TcpStream::connect(ADDRESS)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(Switch::On)?;
    far.set_nodelay(Switch::On)?;
    Ok((near, far))
}

pub(crate) fn loopback() -> Result<(), Errno> {
    let listener = TcpListener::bind(ADDRESS, 64)?;

    let (mut near, mut far) = pair(&listener)?;
    let peer = thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
    })?;
    let mut byte = [0];
    let mut round = || near.write_all(&byte).and_then(|()| near.read_exact(&mut byte)).map_err(errno);
    for _ in 0..50 {
        round()?;
    }
    time("lo_tcp_pingpong", 2_000, |_| {
        let _ = black_box(round());
    });
    drop(near);
    peer.join();

    let (mut near, mut far) = pair(&listener)?;
    let peer = thread::spawn(move || {
        let buffer = vec![0; 65_536];
        for _ in 0..512 {
            if near.write_all(&buffer).is_err() {
                return;
            }
        }
    })?;
    let (mut buffer, mut got) = (vec![0; 65_536], 0);
    let start = sys::counter();
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        got += count as u64;
    }
    report("lo_tcp_bw_KiB", got >> 10, start, sys::counter());
    peer.join();

    time("lo_tcp_connect_close", 300, |_| drop(black_box(pair(&listener))));

    let far = UdpSocket::bind(ADDRESS)?;
    let near = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let peer = thread::spawn(move || {
        let mut byte = [0; 2];
        // Two bytes = the end.
        while let Ok((1, from)) = far.recv_from(&mut byte) {
            let _ = far.send_to(&[0], from);
        }
    })?;
    let mut answer = [0; 2];
    let mut round = || near.send_to(&[0], ADDRESS).and_then(|_| near.recv_from(&mut answer));
    round()?;
    time("lo_udp_pingpong", 3_000, |_| {
        let _ = black_box(round());
    });
    near.send_to(&[0, 0], ADDRESS)?;
    peer.join();
    Ok(())
}
