//! What comes from the distribution.

use super::{first_that_starts, starts};
use crate::process;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that the distribution packages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Package {
    Emulator,
    Firmware,
    Browser,
    LoadGenerator,
}

impl Package {
    /// Name of Debian's package, and what Homebrew calls it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Emulator => ("qemu-system-arm", "qemu"),
            // Homebrew's QEMU brings its firmware along.
            Self::Firmware => ("qemu-efi-aarch64", "qemu"),
            Self::Browser => ("chromium", "--cask chromium"),
            Self::LoadGenerator => ("wrk", "wrk"),
        }
    }

    pub(super) fn present(self) -> bool {
        match self {
            Self::Emulator => starts(swos_qemu_tests::PROGRAM),
            Self::Firmware => FIRMWARE.iter().any(|file| Path::new(file).exists()),
            Self::Browser => browser().is_some(),
            // It knows no `--version` that succeeds.
            Self::LoadGenerator => Command::new("wrk").arg("-v").output().is_ok(),
        }
    }

    pub(super) fn remedy(self) -> String {
        let (debian, homebrew) = self.names();
        match Installer::of_this_machine() {
            Installer::Homebrew => format!("brew install {homebrew}"),
            Installer::Apt { .. } => format!("sudo apt-get install {debian}"),
            Installer::Unknown => format!("install what Debian calls {debian}"),
        }
    }

    pub(super) fn install(self) -> Result<()> {
        let (debian, _) = self.names();
        let Installer::Apt { prefix } = Installer::of_this_machine() else {
            bail!("not on a machine with apt-get");
        };
        let Some(prefix) = prefix else {
            bail!("neither root nor allowed to use sudo without a password");
        };
        process::say(&format!("installing Debian's package {debian}"));
        let apt = |arguments: &[&str]| {
            let words: Vec<&str> = prefix.iter().copied().chain(["apt-get", "-qq"]).collect();
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            process::run(command.stdin(Stdio::null()).stdout(Stdio::null()))
        };
        apt(&["update"])?;
        apt(&["install", "--yes", "--no-install-recommends", debian])
    }
}

const FIRMWARE: [&str; 4] = [
    "/usr/share/AAVMF/AAVMF_CODE.fd",
    "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    "/opt/homebrew/share/qemu/edk2-aarch64-code.fd",
    "/usr/local/share/qemu/edk2-aarch64-code.fd",
];

/// The Chromium of this machine.
pub(crate) fn browser() -> Option<PathBuf> {
    first_that_starts(&[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ])
}

/// Who installs packages here.
enum Installer {
    /// Debian and its relatives; `prefix` gets the right to install, `None` when nothing does.
    Apt {
        prefix: Option<&'static [&'static str]>,
    },
    /// macOS. Homebrew is a person's own, so its commands are only printed.
    Homebrew,
    Unknown,
}

impl Installer {
    fn of_this_machine() -> Self {
        if cfg!(target_os = "macos") {
            return Self::Homebrew;
        }
        if !starts("apt-get") {
            return Self::Unknown;
        }
        let silent = |program: &str, arguments: &[&str]| {
            Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output()
        };
        let root = silent("id", &["-u"]).is_ok_and(|output| output.stdout.trim_ascii() == b"0");
        let sudo = || silent("sudo", &["-n", "true"]).is_ok_and(|output| output.status.success());
        let prefix: Option<&[&str]> = if root {
            Some(&["env"])
        } else if sudo() {
            Some(&["sudo", "-n"])
        } else {
            None
        };
        Self::Apt { prefix }
    }
}
