//! Calls of cargo: what the workspace holds, and builds for the two bare-metal targets.

use crate::process;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Target of the kernel: no FP registers.
pub(crate) const KERNEL_TARGET: &str = "aarch64-unknown-none-softfloat";
/// Target of the programs.
pub(crate) const USER_TARGET: &str = "aarch64-unknown-none";

/// A call of cargo in the workspace, quiet when nobody watches.
pub(crate) fn cargo(workspace: &Workspace, verb: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root()).arg(verb).env("CARGO_TARGET_DIR", workspace.target());
    if !process::watched() {
        command.arg("--quiet");
    }
    command
}

/// One package of the workspace, as far as the door needs to know it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Package name.
    pub(crate) name: String,
    /// Folder of its manifest.
    pub(crate) folder: PathBuf,
    /// `[package.metadata.swos]`.
    pub(crate) metadata: Value,
}

/// The packages of the workspace in the order of their names.
pub(crate) fn members(workspace: &Workspace) -> Result<Vec<Member>> {
    let metadata = metadata(workspace, &["--no-deps"])?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let mut members = Vec::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().with_context(|| format!("a package has a {key}"));
        let folder =
            Path::new(text("manifest_path")?).parent().context("a manifest has a folder")?.to_path_buf();
        members.push(Member {
            name: text("name")?.to_owned(),
            folder,
            metadata: package["metadata"]["swos"].clone(),
        });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

/// `cargo metadata` as JSON.
pub(crate) fn metadata(workspace: &Workspace, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root()).args(["metadata", "--format-version", "1"]).args(arguments);
    serde_json::from_str(&process::output(&mut command)?).context("cargo metadata prints JSON")
}

/// How a bare-metal target is built: a profile of the workspace's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// What is shipped.
    Release,
    /// With assertions, overflow checks and the order of locks checked.
    Checked,
}

/// Builds packages for a bare-metal target; returns name and path of each executable.
pub(crate) fn build(
    workspace: &Workspace,
    target: &str,
    profile: Profile,
    packages: &[&str],
    environment: &[(&str, &Path)],
) -> Result<Vec<(String, PathBuf)>> {
    setup::ensure(workspace, &[Need::Targets])?;
    let mut command = cargo(workspace, "build");
    command.args([
        "--profile",
        match profile {
            Profile::Release => "release",
            Profile::Checked => "checked",
        },
        "--locked",
        "--target",
        target,
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.arg("--config").arg(remapping(workspace, target)?);
    for package in packages {
        command.args(["--package", package]);
    }
    command.envs(environment.iter().copied());
    let child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.wait_with_output().context("cannot wait for cargo")?;
    if !output.status.success() {
        bail!("cargo build for {target} ended with {}", output.status);
    }
    let mut executables = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("cargo prints JSON messages")?;
        if let Some(path) = message["executable"].as_str() {
            let name = message["target"]["name"].as_str().context("a target has a name")?;
            executables.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    executables.sort();
    Ok(executables)
}

/// Flags that take this machine's folders out of the binaries, as one `--config` value: the same sources give the
/// same bytes wherever they were built. On the command line and not in `.cargo/config.toml`, which knows no folders.
fn remapping(workspace: &Workspace, target: &str) -> Result<String> {
    let rustc = |arguments: &[&str]| {
        process::output(Command::new("rustc").current_dir(workspace.root()).args(arguments))
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let version = rustc(&["--version", "--verbose"])?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    let home = env::var_os("CARGO_HOME")
        .map_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"), PathBuf::from);
    // Later ones win: the longest prefix last.
    let prefixes = [
        (workspace.root().to_path_buf(), "/swos".to_owned()),
        (workspace.target().to_path_buf(), "/swos/target".to_owned()),
        (home, "/cargo".to_owned()),
        (PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")),
    ];
    let prefixes = prefixes.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    // Lints are the business of `xtask test`; whoever only wants to run swos is spared them.
    let flags: Vec<String> = prefixes.chain(["-Awarnings".to_owned()]).collect();
    Ok(format!("target.{target}.rustflags={}", serde_json::to_string(&flags)?))
}
