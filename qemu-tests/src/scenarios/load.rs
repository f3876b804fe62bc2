//! Many clients, slow clients, and nothing left of them afterwards.

mod siege;

use super::boot::with_site;
use super::site::files_below;
use crate::figures::Figures;
use crate::guest::Guest;
use crate::http::{Body, Client};
use crate::machine::Machine;
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::net::Ipv4Addr;
use core::time::Duration;
use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Instant;

const TOGETHER: usize = 200;
const ROUNDS: usize = 5;
const IN_SEQUENCE: usize = 10_000;
/// By how much less may be available: how many of a thing there are at the same moment is a matter of timing, in the kernel, whose
/// heap keeps a page or two of each size, and in the server. Less than a byte for each answer of the load generator, and than
/// twenty for each of thousands of connections.
const GROWTH_BYTES: u64 = 64 << 10;
/// In how many rounds at most one must leave everything.
const LEAK_ROUNDS: u32 = 3;
/// More than the buffers of guest, emulator and host hold together.
const UNREAD_BYTES: usize = 32 << 20;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("load/keep-alive-200-1cpu", |bench| keep_alive(bench, 1)),
        Scenario::new("load/keep-alive-200-4cpu", |bench| keep_alive(bench, 4)),
        Scenario::new("load/slow-reader", slow_reader),
        Scenario::new("load/sequential-10000", sequential),
        Scenario::new("load/more-than-handles", more_than_handles),
        Scenario::new("load/fork-bomb-beside-site-1cpu", |bench| siege::beside_a_bomb(bench, 1)),
        Scenario::new("load/fork-bomb-beside-site-4cpu", |bench| siege::beside_a_bomb(bench, 4)),
        // More would be idle for too long before they are asked: the emulator looks at all for each.
        Scenario::new("long/connections-4000", |bench| {
            with_site(bench, bench.probed()?.smp(4), |guest, port| {
                leaves_nothing(guest, |_| kept(port, 4_000, 1))
            })
        }),
        Scenario::new("long/wrk", wrk),
    ]
}

/// All connections stay open, all ask in turn, all get the right page.
fn keep_alive(bench: &Bench, cpus: u32) -> Result<()> {
    with_site(bench, bench.probed()?.smp(cpus), |guest, port| {
        leaves_nothing(guest, |_| kept(port, TOGETHER, ROUNDS))
    })
}

/// So many connections at once, each asked so many times in turn.
fn kept(port: u16, connections: usize, rounds: usize) -> Result<()> {
    let paths = ["/", "/swos.css", "/swos.svg", "/book/index.html"];
    let mut one = Client::connect(port)?;
    let expected = paths.iter().map(|path| Ok(one.get(path)?.body)).collect::<Result<Vec<_>>>()?;
    drop(one);
    let reach =
        |number: usize| reached(port).with_context(|| format!("connection {number} of {connections}"));
    let mut clients = (0..connections).map(reach).collect::<Result<Vec<_>>>()?;
    for round in 0..rounds {
        for (number, client) in clients.iter_mut().enumerate() {
            let choice = (round + number) % paths.len();
            let path = paths.get(choice).context("a path")?;
            let answer = client.get(path).with_context(|| format!("client {number}, round {round}"))?;
            ensure!(
                Some(&answer.body) == expected.get(choice),
                "client {number} got another page than {path}"
            );
        }
    }
    Ok(())
}

/// More connections than the server has handles: it does not die and does not spin, and whoever waits is served when others
/// have gone.
fn more_than_handles(bench: &Bench) -> Result<()> {
    const HANDLES: usize = 24;
    let forward = crate::ports::forward_to(80)?;
    let machine = Machine::new(&bench.artefacts().kernel).disk(&bench.artefacts().test_image);
    let machine = machine.network(&[forward]).only(&format!("/bin/stress serve {HANDLES}"));
    with_site(bench, machine, |guest, port| {
        let request = b"GET /swos.svg HTTP/1.1\r\nHost: swos\r\n\r\n";
        let expected = Client::connect(port)?.get("/swos.svg")?.body;
        // These stop in the middle of a request, so none is idle and can be sent away.
        let mut busy = Vec::new();
        for number in 0..HANDLES + 12 {
            // The first have reached the server; whether the last ones do is for it to say.
            let mut client = if number < HANDLES / 2 { reached(port)? } else { Client::connect(port)? };
            client.send(request.get(..20).context("a part")?)?;
            busy.push(client);
        }
        // Nothing to do: it must notice.
        let idle = |line: &str| line.split_once("@idle ")?.1.trim_end().parse::<u32>().ok();
        let deadline = Instant::now() + Duration::from_secs(60);
        while idle(&guest.expect_fresh("@idle ")?).is_none_or(|idle| idle < 500) {
            ensure!(Instant::now() < deadline, "busy with nothing to do");
        }
        // 503: there was no handle for the file. 408: the host had no time for us, and we were too slow. A connection on which
        // nothing of a request had arrived yet may have been closed to make room.
        let mut served = 0;
        for (number, mut client) in busy.into_iter().enumerate() {
            let answer = client
                .send(request.get(20..).unwrap_or_default())
                .and_then(|()| client.response(Body::Announced));
            match answer {
                Ok(answer) if answer.status == 200 => {
                    ensure!(answer.body == expected, "client {number} got something else");
                    served += 1;
                }
                Ok(answer) => {
                    ensure!(matches!(answer.status, 408 | 503), "client {number} got {}", answer.status)
                }
                Err(_) => {}
            }
        }
        ensure!(served > 0, "nobody was served");
        ensure!(Client::connect(port)?.get("/")?.status == 200, "a late client got nothing");
        Ok(())
    })
}

/// A port of the host behind which so many connections to the guest stand open already: a crowd at the emulator's own door
/// would wait for seconds.
fn relay(port: u16, connections: usize) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let door = listener.local_addr()?.port();
    let inside = (0..connections).map(|_| reached(port)).collect::<Result<Vec<_>>>()?;
    thread::spawn(move || {
        for inside in inside {
            let inside = inside.into_stream();
            // Whatever goes wrong here the load generator reports.
            let Ok((outside, _)) = listener.accept() else { return };
            let (Ok(from), Ok(to)) = (inside.try_clone(), outside.try_clone()) else { return };
            for (mut from, mut to) in [(from, to), (outside, inside)] {
                thread::spawn(move || {
                    let _ended = io::copy(&mut from, &mut to);
                    let _gone = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    Ok(door)
}

/// What the load generator does with each answer: counts those that are not the expected page.
const COUNT_WRONG: &str = "\
local threads, expected = {}, nil
function setup(thread) table.insert(threads, thread) end
function init(args) wrong, right = 0, 0; expected = io.open(args[1], 'rb'):read('*a') end
function response(status, headers, body)
  if status == 200 and body == expected then right = right + 1 else wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local wrong, right, e = 0, 0, summary.errors
  for _, thread in ipairs(threads) do wrong = wrong + thread:get('wrong'); right = right + thread:get('right') end
  print(string.format('@wrk right=%d wrong=%d connect=%d read=%d write=%d status=%d timeout=%d',
    right, wrong, e.connect, e.read, e.write, e.status, e.timeout))
end
";

/// Two minutes of 64 connections that ask as fast as they can: every answer is the page, and nothing is left. How the second
/// minute compares with the first is told; a machine shared with others decides that as well, so it fails nothing.
fn wrk(bench: &Bench) -> Result<()> {
    let script = bench.artefacts().scratch.join("wrk.lua");
    fs::write(&script, COUNT_WRONG).context("cannot write the load generator's script")?;
    let page = bench.artefacts().stage.join("www/index.html");
    with_site(bench, bench.probed()?.smp(4), |guest, port| {
        let load = |seconds: u32| -> Result<f64> {
            let mut command = Command::new("wrk");
            command.args(["-t", "1", "-c", "64", "-d", &seconds.to_string(), "--timeout", "30", "-s"]);
            // One more, with which it looks whether anybody is there.
            let door = relay(port, 64 + 1)?;
            command.arg(&script).arg(format!("http://127.0.0.1:{door}/")).arg("--").arg(&page);
            let output = command.output().context("cannot start wrk (cargo xtask setup installs it)")?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find(|line| line.starts_with("@wrk ")).with_context(|| text.clone())?;
            println!("        {line} in {seconds} s");
            let clean = line.ends_with("wrong=0 connect=0 read=0 write=0 status=0 timeout=0");
            let right = line.split_once("right=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            let right: f64 = right.context("how many were right")?;
            ensure!(clean && right > 0.0, "{text}");
            Ok(right)
        };
        load(5)?;
        let first = load(60)?;
        let before = settled(guest, None)?;
        let second = load(60)?;
        println!("        the second minute had {:.2} of the answers of the first", second / first);
        nothing_gone(guest, before)
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

/// Runs `work` and waits until sockets, objects, processes and threads are as few, and memory is as much, as before.
fn leaves_nothing(guest: &mut Guest, work: impl Fn(&mut Guest) -> Result<()>) -> Result<()> {
    // Once before, so that what is allocated once and kept is there.
    work(guest)?;
    let mut before = settled(guest, None)?;
    // More at the same moment than ever before makes a heap grow, once; what leaks is gone after every round.
    for _ in 1..LEAK_ROUNDS {
        work(guest)?;
        match nothing_gone(guest, before) {
            Ok(()) => return Ok(()),
            Err(_) => before = settled(guest, None)?,
        }
    }
    work(guest)?;
    nothing_gone(guest, before)
}

/// Waits until sockets, objects, processes and threads are as few as before; at most [`GROWTH_BYTES`] less may be available.
fn nothing_gone(guest: &mut Guest, before: Figures) -> Result<()> {
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
            now.sockets <= like.sockets
                && now.objects <= like.objects
                && now.processes <= like.processes
                && now.threads <= like.threads
        }),
    }
}
