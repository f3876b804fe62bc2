//! Many clients, slow clients, and nothing left of them afterwards.

use super::boot::with_site;
use super::site::files_below;
use crate::figures::Figures;
use crate::guest::Guest;
use crate::http::{Body, Client};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::fs;

const TOGETHER: usize = 200;
const ROUNDS: usize = 5;
const IN_SEQUENCE: usize = 10_000;
/// What the kernel's log may have grown by meanwhile. A leak of the smallest record per connection would be ten times that.
const GROWTH_BYTES: u64 = 64 << 10;
/// More than the buffers of guest, emulator and host hold together.
const UNREAD_BYTES: usize = 32 << 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("load/keep-alive-200-1cpu", |bench| keep_alive(bench, 1)),
        Scenario::new("load/keep-alive-200-4cpu", |bench| keep_alive(bench, 4)),
        Scenario::new("load/slow-reader", slow_reader),
        Scenario::new("load/sequential-10000", sequential),
    ]
}

/// All connections stay open, all ask in turn, all get the right page.
fn keep_alive(bench: &Bench, cpus: u32) -> Result<()> {
    with_site(bench, bench.probed()?.smp(cpus), |guest, port| {
        let paths = ["/", "/swos.css", "/swos.svg", "/book/index.html"];
        let mut one = Client::connect(port)?;
        let expected = paths.iter().map(|path| Ok(one.get(path)?.body)).collect::<Result<Vec<_>>>()?;
        drop(one);
        leaves_nothing(guest, |_| {
            let mut clients = (0..TOGETHER).map(|_| reached(port)).collect::<Result<Vec<_>>>()?;
            for round in 0..ROUNDS {
                for (number, client) in clients.iter_mut().enumerate() {
                    let choice = (round + number) % paths.len();
                    let path = paths.get(choice).context("a path")?;
                    let answer =
                        client.get(path).with_context(|| format!("client {number}, round {round}"))?;
                    ensure!(
                        Some(&answer.body) == expected.get(choice),
                        "client {number} got another page than {path}"
                    );
                }
            }
            Ok(())
        })
    })
}

/// A connection that has reached the guest. The emulator lets only one wait before it; a crowd at its door would be told to
/// come back after a second, which says nothing about the guest.
fn reached(port: u16) -> Result<Client> {
    let mut client = Client::connect(port)?;
    client.get("/swos.svg")?;
    Ok(client)
}

/// A client that does not read costs the others nothing, and still gets every byte in the end.
fn slow_reader(bench: &Bench) -> Result<()> {
    let (path, page) = largest(bench)?;
    let times = UNREAD_BYTES / page.len() + 1;
    with_site(bench, bench.served()?, |_, port| {
        let mut slow = Client::connect(port)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: swos\r\n\r\n");
        slow.send(request.repeat(times).as_bytes())?;
        let mut quick = Client::connect(port)?;
        for number in 0..100 {
            let answer =
                quick.get("/").with_context(|| format!("request {number} beside the slow reader"))?;
            ensure!(answer.status == 200, "request {number} beside the slow reader: {}", answer.status);
        }
        for number in 0..times {
            let answer = slow.response(Body::Announced).with_context(|| format!("slow answer {number}"))?;
            ensure!(answer.body == page, "slow answer {number} differs");
        }
        Ok(())
    })
}

/// The largest file of the site.
fn largest(bench: &Bench) -> Result<(String, Vec<u8>)> {
    let root = bench.artefacts().stage.join("www");
    let mut files = Vec::new();
    for file in files_below(&root)? {
        files.push((fs::metadata(&file)?.len(), file));
    }
    let (_, file) = files.into_iter().max().context("the site has files")?;
    let path = format!("/{}", file.strip_prefix(&root)?.to_string_lossy());
    Ok((path, fs::read(&file)?))
}

/// Ten thousand connections, one after another, each with one request.
fn sequential(bench: &Bench) -> Result<()> {
    with_site(bench, bench.probed()?.smp(4), |guest, port| {
        let expected = Client::connect(port)?.get("/swos.svg")?.body;
        leaves_nothing(guest, |_| {
            for number in 0..IN_SEQUENCE {
                let answer = Client::connect(port).and_then(|mut client| client.get("/swos.svg"));
                let answer = answer.with_context(|| format!("connection {number}"))?;
                ensure!(answer.body == expected, "connection {number} got something else");
            }
            Ok(())
        })
    })
}

/// Runs `work` and waits until sockets and objects are as few, and memory is as much, as before.
fn leaves_nothing(guest: &mut Guest, work: impl Fn(&mut Guest) -> Result<()>) -> Result<()> {
    // Once before, so that what is allocated once and kept is there.
    work(guest)?;
    let before = settled(guest, None)?;
    work(guest)?;
    let after = settled(guest, Some(before))?;
    let lost = before.available.saturating_sub(after.available);
    ensure!(lost <= GROWTH_BYTES, "{lost} bytes are gone: {before:?}, then {after:?}");
    Ok(())
}

/// Figures after the connections of the past have been forgotten; as few sockets as in `like`, if given.
fn settled(guest: &mut Guest, like: Option<Figures>) -> Result<Figures> {
    let limit = Duration::from_secs(90);
    match like {
        None => Figures::wait_until(guest, limit, |now| now.sockets <= 2),
        Some(like) => Figures::wait_until(guest, limit, |now| {
            now.sockets <= like.sockets && now.objects <= like.objects
        }),
    }
}
