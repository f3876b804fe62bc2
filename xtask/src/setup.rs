//! `xtask setup` and `xtask doctor`: what the other verbs need on this machine, and how it gets there.
//!
//! **Invariant:** nothing is installed silently. What this process may not install, it names with the command that does.

mod packages;
mod targets;
mod tools;

use crate::process;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) use packages::browser;
pub(crate) use tools::{deny, mdbook};

/// Installs what is missing: emulator, firmware and browser from the distribution's packages, bare-metal targets by
/// rustup (else built from the sources of Rust's library), mdBook and cargo-deny from source into target/tools. Where
/// it may not install, it prints the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask setup
  SWOS_RUST_SRC=rust-src-1.95.0.tar.xz cargo xtask setup    where rustup can download nothing")]
pub(crate) struct SetupOptions {}

/// Lists what is needed, whether it is there, what for, and how to get it. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask doctor")]
pub(crate) struct DoctorOptions {}

/// Something that a verb needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// `rustfmt` and `clippy` of the toolchain.
    Components,
    /// Rust's core library for the kernel and the programs.
    Targets,
    /// QEMU for aarch64.
    Emulator,
    /// UEFI firmware for QEMU.
    Firmware,
    /// Chromium.
    Browser,
    /// wrk.
    LoadGenerator,
    /// mdBook.
    Mdbook,
    /// cargo-deny.
    Deny,
}

impl Need {
    const ALL: [Self; 8] = [
        Self::Components,
        Self::Targets,
        Self::Emulator,
        Self::Firmware,
        Self::Browser,
        Self::LoadGenerator,
        Self::Mdbook,
        Self::Deny,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Components => "rustfmt and clippy",
            Self::Targets => "bare-metal targets",
            Self::Emulator => "QEMU",
            Self::Firmware => "UEFI firmware",
            Self::Browser => "Chromium",
            Self::LoadGenerator => "wrk",
            Self::Mdbook => "mdBook",
            Self::Deny => "cargo-deny",
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Components => "`test` checks format and lints",
            Self::Targets => "`build` compiles kernel and programs",
            Self::Emulator => "`run`, `qemu-test`, `debug` and `bench` boot",
            Self::Firmware => "boots through UEFI",
            Self::Browser => "`qemu-test page` opens the website as a reader does",
            Self::LoadGenerator => "`bench` puts the web server under load",
            Self::Mdbook => "`docs` and `image` render the book",
            Self::Deny => "`test` checks licences, sources and advisories of dependencies",
        }
    }

    fn present(self, workspace: &Workspace) -> bool {
        match self {
            Self::Components => targets::components_present(),
            Self::Targets => targets::missing().is_ok_and(|missing| missing.is_empty()),
            Self::Emulator => packages::Package::Emulator.present(),
            Self::Firmware => packages::Package::Firmware.present(),
            Self::Browser => browser().is_some(),
            Self::LoadGenerator => packages::Package::LoadGenerator.present(),
            Self::Mdbook => tools::present(workspace, &tools::MDBOOK),
            Self::Deny => tools::present(workspace, &tools::DENY),
        }
    }

    /// The command by which a person gets it.
    fn remedy(self) -> String {
        match self {
            Self::Components => "rustup component add rustfmt clippy".into(),
            Self::Targets => format!("rustup target add {}", targets::TARGETS.join(" ")),
            Self::Emulator => packages::Package::Emulator.remedy(),
            Self::Firmware => packages::Package::Firmware.remedy(),
            Self::Browser => packages::Package::Browser.remedy(),
            Self::LoadGenerator => packages::Package::LoadGenerator.remedy(),
            Self::Mdbook => tools::MDBOOK.remedy(),
            Self::Deny => tools::DENY.remedy(),
        }
    }

    fn install(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Components => targets::install_components(),
            Self::Targets => targets::install(workspace),
            Self::Emulator => packages::Package::Emulator.install(),
            Self::Firmware => packages::Package::Firmware.install(),
            Self::Browser => packages::Package::Browser.install(),
            Self::LoadGenerator => packages::Package::LoadGenerator.install(),
            Self::Mdbook => tools::install(workspace, &tools::MDBOOK),
            Self::Deny => tools::install(workspace, &tools::DENY),
        }
    }
}

/// Installs each need that is not met.
pub(crate) fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    for &need in needs {
        if !need.present(workspace) {
            process::say(&format!("missing: {} ({})", need.name(), need.purpose()));
            need.install(workspace).with_context(|| {
                format!("{} could not be installed; by hand: {}", need.name(), need.remedy())
            })?;
        }
    }
    Ok(())
}

pub(crate) fn setup(workspace: &Workspace, _options: &SetupOptions) -> Result<()> {
    ensure(workspace, &Need::ALL)?;
    process::say("everything is there");
    Ok(())
}

pub(crate) fn doctor(workspace: &Workspace, _options: &DoctorOptions) -> Result<()> {
    let mut missing = 0;
    for need in Need::ALL {
        let present = need.present(workspace);
        println!("{:8} {:20} {}", if present { "ok" } else { "missing" }, need.name(), need.purpose());
        if !present {
            missing += 1;
            println!("{:8} {:20} get it: {}", "", "", need.remedy());
        }
    }
    if missing > 0 {
        println!("`cargo xtask setup` installs what it may.");
    }
    Ok(())
}

/// True when a program can be started.
pub(crate) fn starts(program: impl AsRef<std::ffi::OsStr>) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The first of these programs that can be started.
fn first_that_starts(programs: &[&str]) -> Option<PathBuf> {
    programs.iter().find(|program| starts(program)).map(PathBuf::from)
}
