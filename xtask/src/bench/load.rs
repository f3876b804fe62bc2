//! Requests per second under load, in turns with another system: wall time on one machine at one time.

use super::requests::median;
use super::{Figure, LISTENING, Subject};
use crate::process;
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use swos_qemu_tests::{Forward, Guest, Machine, forward_to, http};

const TURNS: u32 = 5;
const SECONDS: u32 = 4;
const LIMIT: Duration = Duration::from_secs(120);
/// The other system is left alone for so long after it was started: a request that comes too early can end its server. nginx 1.22
/// dies of one in the first second of a clock that begins in 1970, as that of a machine without a real-time clock does, and the
/// system behind it then resets every connection.
const SETTLING: Duration = Duration::from_secs(5);
/// How long one start of it may take from there on, and how often it is started anew: on a busy machine it may just then have
/// come to that second.
const PEER_LIMIT: Duration = Duration::from_secs(25);
const PEER_STARTS: u32 = 4;

/// A system under load.
struct Server {
    name: &'static str,
    port: u16,
    _guest: Guest,
}

pub(super) fn measure(subject: &Subject, peer: Option<&Path>, names: &[&str]) -> Result<Vec<Figure>> {
    let mut servers = vec![ours(subject)?];
    if let Some(path) = peer {
        servers.push(theirs(path)?);
    }
    let mut figures = Vec::new();
    for name in names {
        let connections = name.strip_prefix("rps_").context("a figure of load")?;
        let mut rates = vec![Vec::new(); servers.len()];
        for _ in 0..TURNS {
            for (server, rates) in servers.iter().zip(&mut rates) {
                rates.push(rate(server, connections)?);
            }
        }
        let medians: Vec<f64> = rates.iter().filter_map(|rates| median(rates)).collect();
        for (server, value) in servers.iter().zip(&medians) {
            figures.push(Figure::new(format!("{}{name}", server.name), *value, "requests/s"));
        }
        if let [ours, theirs] = medians.as_slice() {
            figures.push(Figure::new(format!("{name}_ratio"), ours / theirs, "times the peer"));
        }
    }
    Ok(figures)
}

fn ours(subject: &Subject) -> Result<Server> {
    let machine = subject.machine()?;
    let port = machine.host_port(80).context("the web server's port is led in")?;
    let mut guest = Guest::start(machine)?;
    guest.expect(LISTENING)?;
    http::wait_until_served(&mut guest, port, LIMIT)?;
    Ok(Server { name: "", port, _guest: guest })
}

/// The other system: its arguments after ours, whose kernel they replace.
fn theirs(path: &Path) -> Result<Server> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let start = || -> Result<Server> {
        let forward: Forward = forward_to(80)?;
        let machine =
            Machine::new("").network(&[forward]).extra(text.lines().filter(|line| !line.is_empty()));
        let mut guest = Guest::start(machine)?;
        thread::sleep(SETTLING);
        http::wait_until_served(&mut guest, forward.host, PEER_LIMIT).context("the peer")?;
        Ok(Server { name: "peer_", port: forward.host, _guest: guest })
    };
    let mut last = start();
    for _ in 1..PEER_STARTS {
        let Err(error) = &last else { break };
        eprintln!("xtask: {error:#}; it is started again");
        last = start();
    }
    last
}

/// One turn.
fn rate(server: &Server, connections: &str) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{SECONDS}s"), "--timeout", "10s"]);
    let report = process::output(command.arg(format!("http://127.0.0.1:{}/1k.bin", server.port)))?;
    ensure!(!report.contains("Non-2xx"), "errors under load: {report}");
    parse(&report).with_context(|| format!("no rate in: {report}"))
}

fn parse(report: &str) -> Option<f64> {
    report.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_rate_is_read() {
        assert_eq!(
            parse("Running\n  3 requests in 4s\nRequests/sec:   1234.50\nTransfer/sec: 1MB\n"),
            Some(1234.5)
        );
        assert_eq!(parse("unable to connect"), None);
    }
}
