//! The website in a browser: what a reader sees, not what a protocol says.

use super::boot::with_site;
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

/// Time for one page, on a machine that also runs the guest.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new("page/in-browser", in_browser)]
}

/// Front page and book: title, navigation and search work, and no script complains.
fn in_browser(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?.smp(4), |_, port| {
        let front = open(bench, port, "/")?;
        ensure!(front.contains("<title>swos"), "the front page has another title");
        ensure!(front.contains("href=\"book/quick-start.html\""), "the front page leads nowhere");

        let book = open(bench, port, "/book/index.html")?;
        ensure!(book.contains("- swos</title>"), "the book has another title");
        // The list of chapters is put there by a script.
        let chapters = book.matches("class=\"chapter-item").count();
        ensure!(chapters >= 8, "the navigation has {chapters} chapters");

        let found = open(bench, port, "/book/index.html?search=handle")?;
        let results = found.split_once("searchresults\">").context("the book has no search")?.1;
        let results = results.split("</ul>").next().unwrap_or_default();
        ensure!(results.contains("?highlight=handle"), "searching for `handle` found nothing");
        Ok(())
    })
}

/// The document after its scripts have run.
fn open(bench: &Bench, port: u16, path: &str) -> Result<String> {
    let browser = bench.artefacts().browser.as_ref().context("no browser (cargo xtask setup)")?;
    let profile = bench.artefacts().scratch.join("browser");
    let mut command = Command::new(browser);
    command.args(["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]);
    // The page is ours, and a container's root has no sandbox to give.
    command.args(["--no-sandbox", "--virtual-time-budget=20000", "--dump-dom"]);
    command
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://127.0.0.1:{port}{path}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the browser")?;
    let watched = crate::transcript::Transcript::collect(child.stdout.take().context("a piped output")?);
    let errors = crate::transcript::Transcript::collect(child.stderr.take().context("a piped output")?);
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().context("cannot wait for the browser")?.is_none() {
        if Instant::now() > deadline {
            // It may end at this very moment.
            let _ = child.kill();
            let _ = child.wait();
        }
        thread::sleep(Duration::from_millis(20));
    }
    let log = errors.text();
    let complaint = log.lines().find(|line| line.contains("CONSOLE"));
    ensure!(complaint.is_none(), "{path}: a script complains: {}", complaint.unwrap_or_default());
    let document = watched.text();
    ensure!(
        document.contains("</html>"),
        "{path}: no document; {}",
        log.lines().next_back().unwrap_or_default()
    );
    Ok(document)
}
