//! The steps, cheapest first: what is wrong shows early.

use super::count::Count;
use crate::cargo::{self, KERNEL_TARGET, USER_TARGET};
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{bench, docs, process, qemu_test, tidy};
use anyhow::{Context, Result, bail, ensure};
use std::process::{Command, Stdio};

/// One step.
pub(super) struct Step {
    /// Name, by which a filter finds it; also that of its log.
    pub(super) name: &'static str,
    /// What it checks.
    pub(super) what: &'static str,
    /// Runs it.
    pub(super) run: fn(&Workspace) -> Result<Count>,
}

pub(super) fn all() -> Vec<Step> {
    let step = |name, what, run| Step { name, what, run };
    vec![
        step("fmt", "every source is formatted", fmt),
        step("tidy", "the rules of the workspace", |workspace| {
            tidy::check(workspace).map(|()| Count::SUCCESS)
        }),
        step("clippy-host", "no lint, host", clippy_host),
        step("clippy-kernel", "no lint, kernel and crates without an FPU", clippy_kernel),
        step("clippy-user", "no lint, programs and crates", clippy_user),
        step("host", "unit, property and simulation tests", host),
        step("loom", "every interleaving of the locks", loom),
        step("doc", "documentation of the code", doc),
        step("book", "documentation for readers", |workspace| {
            docs::render(workspace).map(|_| Count::SUCCESS)
        }),
        step("deny", "licences, sources and advisories of dependencies", deny),
        step("stretch", "no piece of kernel work is too long", |workspace| {
            setup::ensure(workspace, &[Need::Emulator])?;
            let passed = bench::stretch::check(workspace)?;
            Ok(Count { passed, ..Count::default() })
        }),
        step("qemu", "the whole system, booted", |workspace| {
            qemu_test::scenarios(workspace, "").map(Count::from)
        }),
    ]
}

fn fmt(workspace: &Workspace) -> Result<Count> {
    setup::ensure(workspace, &[Need::Components])?;
    let mut command = cargo::cargo(workspace, "fmt");
    command.args(["--all", "--check"]);
    logged(workspace, "fmt", &mut command).map(|_| Count::SUCCESS)
}

fn clippy_host(workspace: &Workspace) -> Result<Count> {
    clippy(workspace, "clippy-host", &["--all-targets"])
}

fn clippy_kernel(workspace: &Workspace) -> Result<Count> {
    clippy_for(workspace, "clippy-kernel", KERNEL_TARGET, |folder| folder == "bins/kernel")
}

fn clippy_user(workspace: &Workspace) -> Result<Count> {
    clippy_for(workspace, "clippy-user", USER_TARGET, |folder| folder.starts_with("bins/user/"))
}

/// Lints every crate and the chosen binaries for a bare-metal target: a library that needs a host shows here.
fn clippy_for(workspace: &Workspace, name: &str, target: &str, binary: fn(&str) -> bool) -> Result<Count> {
    setup::ensure(workspace, &[Need::Targets])?;
    let mut arguments = vec!["--target".to_owned(), target.to_owned()];
    for member in cargo::members(workspace)? {
        let folder = member.folder.strip_prefix(workspace.root()).context("a member lies in the checkout")?;
        let folder = folder.to_string_lossy();
        if folder.starts_with("crates/") || binary(&folder) {
            arguments.extend(["--package".to_owned(), member.name]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    clippy(workspace, name, &arguments)
}

fn clippy(workspace: &Workspace, name: &str, arguments: &[&str]) -> Result<Count> {
    setup::ensure(workspace, &[Need::Components])?;
    let mut command = cargo::cargo(workspace, "clippy");
    command.args(arguments).args(["--", "-D", "warnings"]);
    logged(workspace, name, &mut command).map(|_| Count::SUCCESS)
}

/// What a plain `cargo test` runs, examples in the documentation included. All of it runs even if some fails.
fn host(workspace: &Workspace) -> Result<Count> {
    counted(workspace, "host", cargo::cargo(workspace, "test").arg("--no-fail-fast"))
}

/// The locks once more over loom's atomics. A folder of its own, because the flag would rebuild everything else.
fn loom(workspace: &Workspace) -> Result<Count> {
    let mut command = cargo::cargo(workspace, "test");
    command.args(["--release", "--test", "loom"]);
    let modelled = |member: &cargo::Member| {
        ["tests/loom.rs", "tests/loom/main.rs"].iter().any(|file| member.folder.join(file).exists())
    };
    for member in cargo::members(workspace)?.into_iter().filter(modelled) {
        command.args(["--package", &member.name]);
    }
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace.target().join("loom"));
    counted(workspace, "loom", &mut command)
}

fn doc(workspace: &Workspace) -> Result<Count> {
    let mut command = cargo::cargo(workspace, "doc");
    command.args(["--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    logged(workspace, "doc", &mut command).map(|_| Count::SUCCESS)
}

/// Advisories only where their database can be had: a machine without it can still judge everything else.
fn deny(workspace: &Workspace) -> Result<Count> {
    let program = setup::deny(workspace)?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(workspace.root()).args(["--log-level", "error", "check"]).args(what);
        logged(workspace, "deny", &mut command)
    };
    check(&["licenses", "bans", "sources"])?;
    let mut count = Count::SUCCESS;
    let mut fetch = Command::new(&program);
    fetch.current_dir(workspace.root()).args(["fetch", "db"]).stdout(Stdio::null()).stderr(Stdio::null());
    if fetch.status().is_ok_and(|status| status.success()) {
        check(&["advisories"])?;
        count += Count::SUCCESS;
    } else {
        process::say("deny: the database of advisories cannot be reached; not checked");
    }
    Ok(count)
}

/// Runs a test command and counts; no test at all is a failure.
fn counted(workspace: &Workspace, name: &str, command: &mut Command) -> Result<Count> {
    let output = logged(workspace, name, command)?;
    let count = Count::of_cargo_test(&output);
    ensure!(count.passed > 0, "no test ran");
    Ok(count)
}

/// Runs a command with its output in `build/test/NAME.log`, which is shown when it fails. What a person watches (a
/// progress bar) goes to the terminal.
fn logged(workspace: &Workspace, name: &str, command: &mut Command) -> Result<String> {
    if process::watched() {
        command.stderr(Stdio::inherit());
    }
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot start"))?;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let log = workspace.build().join("test").join(format!("{name}.log"));
    crate::build::write_if_changed(&log, text.as_bytes())?;
    if !output.status.success() {
        print!("{text}");
        bail!("{} (log: {})", output.status, log.display());
    }
    Ok(text)
}
