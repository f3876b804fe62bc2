//! A server that sends back what it gets, and a client of it.

use swos_ulib::{
    io::{Read, Result, Write},
    net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream},
    println, thread,
};

/// Sends back what comes until the peer has sent all.
fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

pub(crate) fn main() -> Result<()> {
    // Port 0: any that is free.
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0), 16)?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> Result<()> {
        for _ in 0..2 {
            let (stream, _peer) = listener.accept()?;
            echo(stream)?;
        }
        Ok(())
    })?;
    for text in ["hello", "hello again"] {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(text.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = [0; 64];
        let mut length = 0;
        while let count @ 1.. = stream.read(answer.get_mut(length..).unwrap_or_default())? {
            length += count;
        }
        println!("sent {text:?}, got {} bytes back", length);
    }
    server.join()
}
