//! Pages of the book that are made from the code, so that they cannot disagree with it.

use super::Finding;
use super::facts::Facts;
use crate::build::write_if_changed;
use crate::workspace::Workspace;
use anyhow::Result;
use core::fmt::Write;
use swos_abi::{CALLS, Errno};

/// Path and text of every generated page.
fn pages(facts: &Facts) -> [(&'static str, String); 2] {
    [("docs/src/crates.md", crates(facts)), ("docs/src/reference/abi.md", calls())]
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let stale = pages(facts).into_iter().filter(|(path, text)| facts.files.get(*path) != Some(text));
    stale
        .map(|(path, _)| Finding::new(path, "is not what the code says (cargo xtask tidy --bless)"))
        .collect()
}

pub(super) fn write(workspace: &Workspace, facts: &Facts) -> Result<()> {
    for (path, text) in pages(facts) {
        write_if_changed(&workspace.root().join(path), text.as_bytes())?;
    }
    Ok(())
}

const CRATES_HEAD: &str = "\
# Crates

<!-- Made by `cargo xtask tidy --bless` from the manifests. -->

One crate per subject, one bare noun per name. A dependency points to the same or a lower layer. The README of each crate
says what it is for, what it promises and how it is tested; `cargo doc --open` has the details.
";

const LAYERS: [&str; 7] = [
    "vocabulary",
    "formats",
    "cores",
    "compositions and unsafe helpers",
    "the CPU",
    "program runtime",
    "programs and tools",
];

fn crates(facts: &Facts) -> String {
    let mut page = CRATES_HEAD.to_owned();
    for (number, title) in LAYERS.iter().enumerate() {
        let mut members: Vec<_> =
            facts.packages.iter().filter(|package| package.layer == u64::try_from(number).ok()).collect();
        if members.is_empty() {
            continue;
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        // Writing to a String cannot fail.
        let _ =
            write!(page, "\n## Layer {number}: {title}\n\n| package | where | what for |\n|---|---|---|\n");
        for package in members {
            let _ = writeln!(page, "| `{}` | `{}` | {} |", package.name, package.folder, package.description);
        }
    }
    page
}

const CALLS_HEAD: &str = "\
# System calls

<!-- Made by `cargo xtask tidy --bless` from crates/abi. -->

`svc #0` with the number in x8 and arguments in x0 to x5; the result comes back in x0, negative for an error. All other
registers keep their values. Numbers are never reused, and an unknown number gives `ENOSYS`. A bad pointer gives `EFAULT`,
a missing right `EACCES`. *Needs* names the capability of the process or the right of the handle.

| number | call | returns | needs | what it does |
|---:|---|---|---|---|
";

fn calls() -> String {
    let mut page = CALLS_HEAD.to_owned();
    for call in CALLS {
        let arguments: Vec<String> =
            call.arguments.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
        let _ = writeln!(
            page,
            "| {} | `{}({})` | {} | {} | {} |",
            call.number,
            call.name,
            arguments.join(", "),
            call.returns,
            call.needs,
            call.text.replace('|', "\\|")
        );
    }
    page.push_str("\n## Errors\n\n| number | name | meaning |\n|---:|---|---|\n");
    for (errno, name, meaning) in Errno::TABLE {
        let _ = writeln!(page, "| {} | `E{name}` | {meaning} |", errno.get());
    }
    page
}
