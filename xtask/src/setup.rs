//! `xtask setup`: installs what is missing, and says so.

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use swos_qemu_tests::PROGRAM;

/// True when a program can be started.
pub(crate) fn starts(program: impl AsRef<std::ffi::OsStr>) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Makes sure that QEMU is there.
pub(crate) fn emulator() -> Result<()> {
    if starts(PROGRAM) {
        return Ok(());
    }
    bail!("QEMU is missing: apt-get install qemu-system-arm")
}

/// Path of mdBook, which is built from source when it is missing.
pub(crate) fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    let own = workspace.tools().join("bin/mdbook");
    if starts(&own) {
        return Ok(own);
    }
    if starts("mdbook") {
        return Ok("mdbook".into());
    }
    process::say("building mdBook, once (about two minutes)");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["install", "--locked", "--no-default-features", "--features", "search", "--root"]);
    command.arg(workspace.tools()).arg("mdbook@0.5.4");
    if !process::watched() {
        command.arg("--quiet");
    }
    process::run(&mut command)?;
    Ok(own)
}
