//! A small HTTP client that can also misbehave.

use crate::guest::Guest;
use anyhow::{Context, Result, bail, ensure};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

/// How long one read or write may take. The server has no reason to be slower even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Exactly as many bytes as were announced.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A connection to the guest's web server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buffered: Vec<u8>,
}

impl Client {
    /// Connects to a port of the host that is led into the guest.
    ///
    /// # Errors
    /// Nobody accepts.
    pub fn connect(port: u16) -> Result<Self> {
        Self::connect_with(port, PATIENCE)
    }

    /// As [`Client::connect`], with less patience for this and for every read and write.
    ///
    /// # Errors
    /// Nobody accepts in time.
    pub(crate) fn connect_with(port: u16, patience: Duration) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, patience).context("cannot connect")?;
        stream.set_read_timeout(Some(patience)).context("cannot set a time limit")?;
        stream.set_write_timeout(Some(patience)).context("cannot set a time limit")?;
        stream.set_nodelay(true).context("cannot switch Nagle's algorithm off")?;
        Ok(Self { stream, buffered: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("cannot send")
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn finish(&mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write).context("cannot shut down")
    }

    /// One GET on this connection, which stays open.
    ///
    /// # Errors
    /// No well-formed answer came.
    pub fn get(&mut self, path: &str) -> Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: swos\r\n\r\n").as_bytes())?;
        self.response(Body::Announced).with_context(|| format!("GET {path}"))
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// No well-formed answer came.
    pub fn response(&mut self, body: Body) -> Result<Response> {
        let end = loop {
            if let Some(at) = find(&self.buffered, b"\r\n\r\n") {
                break at;
            }
            ensure!(self.buffered.len() < 64 << 10, "a head without an end");
            if self.read_more()? == 0 {
                bail!("closed after {} bytes of a head", self.buffered.len());
            }
        };
        let head: Vec<u8> = self.buffered.drain(..end + 4).collect();
        let (status, headers) = parse_head(core::str::from_utf8(&head).context("a head that is not text")?)?;
        let mut response = Response { status, headers, body: Vec::new() };
        let none = body == Body::None || matches!(status, 100..=199 | 204 | 304);
        let length = match response.header("content-length") {
            _ if none => 0,
            Some(text) => text.parse().context("content-length")?,
            None => bail!("an answer without a content-length"),
        };
        while self.buffered.len() < length {
            if self.read_more()? == 0 {
                bail!("closed after {} of {length} body bytes", self.buffered.len());
            }
        }
        response.body = self.buffered.drain(..length).collect();
        Ok(response)
    }

    /// Reads until the server closes; returns what came.
    ///
    /// # Errors
    /// It does not close, or resets.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        while self.read_more()? > 0 {}
        Ok(core::mem::take(&mut self.buffered))
    }

    /// Reads at most `count` bytes, as a slow reader does.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn sip(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let got = self.stream.read(&mut bytes).context("cannot read")?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// The connection itself, between two answers.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn read_more(&mut self) -> Result<usize> {
        let mut chunk = [0; 16 << 10];
        let count = self.stream.read(&mut chunk).context("cannot read")?;
        self.buffered.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Whether an answer has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// As its head announces.
    Announced,
    /// None, whatever the head announces: the answer to HEAD.
    None,
}

/// Waits until the guest's web server answers a request for `/`; returns that answer.
///
/// # Errors
/// It does not within `limit`; the guest panicked or ended.
pub fn wait_until_served(guest: &mut Guest, port: u16, limit: Duration) -> Result<Response> {
    let deadline = Instant::now() + limit;
    loop {
        guest.check_alive()?;
        // The emulator accepts long before the guest does: short attempts, many of them.
        let attempt =
            Client::connect_with(port, Duration::from_secs(1)).and_then(|mut client| client.get("/"));
        match attempt {
            Ok(response) => return Ok(response),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context("nothing was served in time"));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// A head: status and headers.
fn parse_head(head: &str) -> Result<(u16, Vec<(String, String)>)> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let code =
        first.strip_prefix("HTTP/1.1 ").with_context(|| format!("not an HTTP/1.1 answer: {first:?}"))?;
    let status = code.get(..3).and_then(|code| code.parse().ok()).context("a status of three digits")?;
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok((status, headers))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests;
