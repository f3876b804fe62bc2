//! Tools that are built from source into `target/tools`, so that nothing of the user's own is touched.

use super::{Need, ensure, starts};
use crate::process;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// A tool on crates.io at the version that we know to work.
pub(super) struct Tool {
    name: &'static str,
    version: &'static str,
    features: &'static [&'static str],
    minutes: u32,
}

/// Without its server and watcher, which the guest replaces.
pub(super) const MDBOOK: Tool = Tool { name: "mdbook", version: "0.5.4", features: &["search"], minutes: 2 };
pub(super) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", features: &[], minutes: 3 };

impl Tool {
    pub(super) fn remedy(&self) -> String {
        format!("cargo install --locked {}@{}", self.name, self.version)
    }
}

pub(super) fn present(workspace: &Workspace, tool: &Tool) -> bool {
    find(workspace, tool).is_some()
}

fn find(workspace: &Workspace, tool: &Tool) -> Option<PathBuf> {
    [own(workspace, tool), PathBuf::from(tool.name)].into_iter().find(|program| starts(program))
}

fn own(workspace: &Workspace, tool: &Tool) -> PathBuf {
    workspace.tools().join("bin").join(tool.name)
}

pub(super) fn install(workspace: &Workspace, tool: &Tool) -> Result<()> {
    process::say(&format!(
        "building {} {} from source, once (about {} minutes on 2 cores)",
        tool.name, tool.version, tool.minutes
    ));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["install", "--locked", "--no-default-features", "--features", &tool.features.join(",")]);
    command.arg("--root").arg(workspace.tools()).args(["--version", tool.version, tool.name]);
    // Its own folder: beside ours, each would make the other rebuild what they share.
    command.env("CARGO_TARGET_DIR", workspace.tools().join("build"));
    if !process::watched() {
        command.arg("--quiet");
    }
    process::run(&mut command)
}

/// mdBook, installed if need be.
pub(crate) fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    ensure(workspace, &[Need::Mdbook])?;
    Ok(find(workspace, &MDBOOK).unwrap_or_else(|| own(workspace, &MDBOOK)))
}

/// cargo-deny, installed if need be.
pub(crate) fn deny(workspace: &Workspace) -> Result<PathBuf> {
    ensure(workspace, &[Need::Deny])?;
    Ok(find(workspace, &DENY).unwrap_or_else(|| own(workspace, &DENY)))
}
