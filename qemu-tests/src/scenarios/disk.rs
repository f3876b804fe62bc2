//! A disk with sectors that can't be read costs what lies there, says which block it was, and nothing else.

use crate::guest::{Guest, PANIC_MARKER};
use crate::http::Client;
use crate::machine::{ExitBy, Machine};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, bail, ensure};
use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Instant;

const BLOCK: usize = 4096;
const SECTORS_PER_BLOCK: u64 = 8;
/// How many sectors the long run takes, evenly from the whole image.
const SECTORS: u64 = 200;
/// Time to come up, or to say why not.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn scenarios() -> Vec<Scenario> {
    let block = |name: &str, which: fn(&Layout) -> Result<u64>| {
        Scenario::new(format!("disk/unreadable-{name}"), move |bench| {
            let layout = Layout::of(bench)?;
            one_sector(bench, &layout, which(&layout)? * SECTORS_PER_BLOCK + 3)
        })
    };
    vec![
        Scenario::new("disk/unreadable-files", files),
        Scenario::new("disk/found-behind-others", behind_others),
        Scenario::new("disk/only-foreign", only_foreign),
        Scenario::new("disk/silent", silent),
        block("superblock", |_| Ok(0)),
        block("metadata", |_| Ok(1)),
        block("hashes", |layout| Ok(layout.first_data - 1)),
        block("init", |layout| layout.first_block("bin/init")),
        block("httpd", |layout| layout.first_block("bin/httpd")),
        block("console", |layout| layout.first_block("bin/console")),
        block("network-configuration", |layout| layout.first_block("etc/swos/net")),
        block("services", |layout| layout.first_block("etc/swos/services")),
        // Two, since two run at a time.
        Scenario::new("long/disk-200-even", |bench| many(bench, 0)),
        Scenario::new("long/disk-200-odd", |bench| many(bench, 1)),
    ]
}

/// Where the files lie in the base image.
struct Layout {
    /// Path below the root and blocks, in the order of the image.
    files: Vec<(String, Range<u64>)>,
    first_data: u64,
    total: u64,
    /// Pages of the website.
    site: Vec<String>,
}

impl Layout {
    /// Works it out from the rule of the format (breadth first, by name, every file in blocks of its own, nothing behind
    /// the last) and compares the bytes, so that a test never blames the wrong file.
    fn of(bench: &Bench) -> Result<Self> {
        let root = &bench.artefacts().stage;
        let image = fs::read(&bench.artefacts().base_image).context("cannot read the base image")?;
        let contents = breadth_first(root)?;
        let blocks = |bytes: &[u8]| bytes.len().div_ceil(BLOCK) as u64;
        let total = blocks(&image);
        let data: u64 = contents.iter().map(|(_, bytes)| blocks(bytes)).sum();
        let first_data = total.checked_sub(data).context("an image smaller than its files")?;
        let (mut files, mut at) = (Vec::new(), first_data);
        for (name, bytes) in contents {
            let start = usize::try_from(at)? * BLOCK;
            ensure!(image.get(start..start + bytes.len()) == Some(&bytes), "{name} is not at block {at}");
            let end = at + blocks(&bytes);
            files.push((name, at..end));
            at = end;
        }
        let site = files.iter().filter_map(|(name, _)| name.strip_prefix("www").map(str::to_owned)).collect();
        Ok(Self { files, first_data, total, site })
    }

    fn first_block(&self, file: &str) -> Result<u64> {
        let found = self.files.iter().find(|(name, _)| name == file);
        found.map(|(_, blocks)| blocks.start).with_context(|| format!("{file} is not in the image"))
    }

    /// Whose block it is; `None` for what describes the files.
    fn owner(&self, block: u64) -> Option<&str> {
        self.files.iter().find(|(_, blocks)| blocks.contains(&block)).map(|(name, _)| name.as_str())
    }
}

/// Names and contents of all files below `root`, directory after directory.
fn breadth_first(root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut directories = VecDeque::from([PathBuf::new()]);
    let mut files = Vec::new();
    while let Some(directory) = directories.pop_front() {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(root.join(&directory)).context("cannot list the staged files")? {
            names.insert(entry?.file_name());
        }
        for name in names {
            let path = directory.join(name);
            if root.join(&path).is_dir() {
                directories.push_back(path);
            } else {
                let bytes = fs::read(root.join(&path)).context("cannot read a staged file")?;
                files.push((path.to_string_lossy().into_owned(), bytes));
            }
        }
    }
    Ok(files)
}

/// How far a machine came.
#[derive(Debug)]
enum Came {
    /// The web server answers.
    Serving,
    /// It says why there is no web server.
    WithoutServer,
    /// It switched itself off.
    Off(ExitStatus),
}

/// Disks that hold no image: text, nothing, and less than a block.
fn foreign() -> Result<[tempfile::NamedTempFile; 3]> {
    let contents = [b"somebody's notes ".repeat(10_000), vec![0; 1 << 20], vec![7; 512]];
    let mut files = Vec::new();
    for bytes in contents {
        let file = tempfile::NamedTempFile::new().context("cannot make a disk")?;
        fs::write(file.path(), &bytes)?;
        files.push(file);
    }
    files.try_into().ok().context("three disks")
}

/// Which disk is the system's is decided by what is on it, not by where it is plugged in.
fn behind_others(bench: &Bench) -> Result<()> {
    let disks = foreign()?;
    let machine = disks.iter().fold(bench.served()?, |machine, disk| machine.disk_before(disk.path()));
    let layout = Layout::of(bench)?;
    let port = machine.host_port(80).context("the web server's port is led in")?;
    bench.boot_and_outlive(machine, |guest| {
        guest.expect("httpd: listening")?;
        ensure!(refused(bench, &layout, port)?.is_empty(), "not all pages are served");
        Ok(())
    })
}

/// With no image on any disk the machine says so and ends.
fn only_foreign(bench: &Bench) -> Result<()> {
    let [text, zeros, short] = foreign()?;
    let machine = Machine::new(&bench.artefacts().kernel).disk(zeros.path());
    let machine = machine.disk_before(text.path()).disk_before(short.path());
    bench.boot(machine.exit_by(ExitBy::Semihosting), |guest| {
        guest.expect("base image refused: ")?;
        let status = guest.exit(LIMIT)?;
        ensure!(!status.success(), "ended with {status}");
        Ok(())
    })
}

/// A sector in the middle of each eighth page of the site: those pages are refused, to a program as an error of its call and
/// to a client as an error or an early end, and every other page is served.
fn files(bench: &Bench) -> Result<()> {
    let layout = Layout::of(bench)?;
    let bad: Vec<&(String, Range<u64>)> =
        layout.files.iter().filter(|(name, _)| name.starts_with("www/")).step_by(8).collect();
    let middle = |blocks: &Range<u64>| blocks.start + (blocks.end - blocks.start) / 2;
    let sectors = bad.iter().map(|(_, blocks)| middle(blocks) * SECTORS_PER_BLOCK);
    let machine = bench.served()?.smp(4).unreadable(sectors);
    let port = machine.host_port(80).context("the web server's port is led in")?;
    bench.boot_and_outlive(machine, |guest| {
        guest.expect("httpd: listening")?;
        let refused = refused(bench, &layout, port)?;
        let expected: BTreeSet<&str> = bad.iter().filter_map(|(name, _)| name.strip_prefix("www")).collect();
        ensure!(
            refused.iter().map(String::as_str).eq(expected.iter().copied()),
            "refused {refused:?} instead of {expected:?}"
        );
        for (name, blocks) in bad {
            let line = format!("block {} can't be read", middle(blocks));
            guest.expect_anywhere(&line).with_context(|| name.clone())?;
            guest.send(&format!("cat /{name}\n"))?;
            guest.expect("cat: The device failed")?;
        }
        Ok(())
    })
}

/// A disk that does not answer costs its readers an error each, and when it answers again it is read.
fn silent(bench: &Bench) -> Result<()> {
    let socket = bench.artefacts().scratch.join(format!("silent-{}.qmp", std::process::id()));
    let monitor = format!("unix:{},server=on,wait=off", socket.display());
    let machine = bench.served()?.append("swos.disk-timeout=2").extra(["-qmp", monitor.as_str()]);
    let driven = bench.boot_and_outlive(machine, |guest| {
        guest.expect("httpd: listening")?;
        limit_reads(&socket, 1)?;
        guest.send("cat /www/swos.css\n")?;
        guest.expect("[E] disk: no answer to")?;
        guest.expect("can't be read")?;
        guest.expect("cat: The device failed")?;
        guest.send("free\n")?;
        guest.expect("total ")?;
        // A file of many pages, of which all are given up together.
        guest.send("cat /www/book/index.html\n")?;
        guest.expect("cat: The device failed")?;
        limit_reads(&socket, 0)?;
        guest.send("cat /www/swos.css\n")?;
        guest.expect("color-scheme")?;
        Ok(())
    });
    let _ = fs::remove_file(&socket);
    driven
}

/// Tells QEMU how many bytes of the disk it may read in a second; 0 = as many as it can.
/// Source: QEMU QMP Reference Manual, `block_set_io_throttle`.
fn limit_reads(monitor: &Path, bytes: u64) -> Result<()> {
    let mut stream = UnixStream::connect(monitor).context("QEMU's monitor")?;
    let mut answers = BufReader::new(stream.try_clone()?).lines();
    let limits = format!(r#""bps":0,"bps_rd":{bytes},"bps_wr":0,"iops":0,"iops_rd":0,"iops_wr":0"#);
    let limit = format!(r#"{{"execute":"block_set_io_throttle","arguments":{{"device":"base",{limits}}}}}"#);
    for command in [r#"{"execute":"qmp_capabilities"}"#, &limit] {
        writeln!(stream, "{command}")?;
        let answer = answers.by_ref().find(|line| !line.as_ref().is_ok_and(|line| line.contains("\"QMP\"")));
        let answer = answer.context("QEMU's monitor closed")??;
        ensure!(answer.contains("return"), "QEMU answers {answer}");
    }
    Ok(())
}

/// One bad sector somewhere.
fn one_sector(bench: &Bench, layout: &Layout, sector: u64) -> Result<()> {
    let block = sector / SECTORS_PER_BLOCK;
    let machine = bench.served()?.unreadable([sector]).exit_by(ExitBy::Semihosting);
    let port = machine.host_port(80).context("the web server's port is led in")?;
    let owner = layout.owner(block);
    let context = || format!("sector {sector}, block {block}, of {}", owner.unwrap_or("the metadata"));
    bench.boot(machine, |guest| judge(bench, guest, layout, block, port)).with_context(context)
}

fn judge(bench: &Bench, guest: &mut Guest, layout: &Layout, block: u64, port: u16) -> Result<()> {
    let owner = layout.owner(block);
    let came = come_up(guest, port, if owner == Some("www/swos.svg") { "/swos.css" } else { "/swos.svg" })?;
    let mut unhurt = false;
    match (owner, &came) {
        // What describes the files, and the first program, are needed; but not every page of them.
        (None | Some("bin/init"), Came::Off(status)) => {
            ensure!(status.code().is_some_and(|code| code != 0), "ended with {status}");
        }
        (None, Came::WithoutServer) => ensure!(block > 1, "came up without its metadata"),
        (None, Came::Serving) => {
            ensure!(block > 1, "came up without its metadata");
            unhurt = refused(bench, layout, port)?.is_empty();
        }
        (Some("bin/httpd"), Came::Serving) => unhurt = refused(bench, layout, port)?.is_empty(),
        (Some("bin/httpd" | "etc/swos/net" | "etc/swos/services"), Came::WithoutServer) => {}
        (Some(owner), Came::Serving) => {
            let refused = refused(bench, layout, port)?;
            let page = owner.strip_prefix("www");
            ensure!(refused.iter().map(String::as_str).eq(page), "refused {refused:?}");
            // Nobody may have looked at the others.
            unhurt = page.is_none();
        }
        _ => bail!("{came:?}"),
    }
    let line = format!("block {block} can't be read");
    ensure!(guest.position_of(PANIC_MARKER).is_none(), "the kernel panicked");
    match came {
        _ if unhurt => {}
        Came::Off(_) => ensure!(guest.position_of(&line).is_some(), "no word of it: {line}"),
        Came::Serving | Came::WithoutServer => guest.expect_anywhere(&line)?,
    }
    if !matches!(came, Came::Off(_)) {
        if !matches!(owner, None | Some("bin/console" | "bin/init" | "etc/swos/services")) {
            guest.send("free\n")?;
            guest.expect("total ")?;
        }
        guest.check_alive()?;
    }
    Ok(())
}

/// Waits until the machine serves `page`, says why it can't, or is off.
fn come_up(guest: &mut Guest, port: u16, page: &str) -> Result<Came> {
    const REASONS: [&str; 4] =
        ["/etc/swos/net: ", "/etc/swos/services: ", "httpd: /bin/httpd: ", " httpd ended with "];
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Ok(status) = guest.exit(Duration::from_millis(5)) {
            return Ok(Came::Off(status));
        }
        ensure!(guest.position_of(PANIC_MARKER).is_none(), "the kernel panicked");
        if REASONS.iter().any(|reason| guest.position_of(reason).is_some()) {
            return Ok(Came::WithoutServer);
        }
        if guest.position_of("httpd: listening").is_some()
            && Client::connect_with(port, Duration::from_secs(5))
                .and_then(|mut client| client.get(page))
                .is_ok()
        {
            return Ok(Came::Serving);
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("neither up nor off after {} s", LIMIT.as_secs())
}

/// Fetches the whole site; the pages that were refused. What is served must be right.
fn refused(bench: &Bench, layout: &Layout, port: u16) -> Result<BTreeSet<String>> {
    let mut refused = BTreeSet::new();
    let mut client = Client::connect(port)?;
    for page in &layout.site {
        let expected = fs::read(bench.artefacts().stage.join("www").join(page.trim_start_matches('/')))?;
        match client.get(page) {
            Ok(answer) if answer.status == 200 => {
                ensure!(answer.body == expected, "{page} differs from what was rendered");
            }
            Ok(answer) => {
                ensure!(answer.status >= 500, "{page} answers {}", answer.status);
                refused.insert(page.clone());
            }
            Err(error) => {
                let text = format!("{error:#}");
                ensure!(text.contains("closed after") || text.contains("reset"), "{page}: {text}");
                refused.insert(page.clone());
                client = Client::connect(port)?;
            }
        }
    }
    Ok(refused)
}

/// Every second of the sectors of the long run, one to a boot.
fn many(bench: &Bench, first: u64) -> Result<()> {
    let layout = Layout::of(bench)?;
    for number in (first..SECTORS).step_by(2) {
        one_sector(bench, &layout, number * layout.total * SECTORS_PER_BLOCK / SECTORS)?;
    }
    Ok(())
}
