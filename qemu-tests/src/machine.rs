//! What is plugged together for one boot, and the QEMU command line that says so.

use core::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Version of the interrupt controller of the `virt` board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gic {
    /// GICv2: memory-mapped CPU interface, at most eight CPUs.
    V2,
    /// GICv3: system registers, redistributors.
    V3,
    /// The one the host's hypervisor has.
    Host,
}

/// Who executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// QEMU's translator: works everywhere.
    Tcg,
    /// Linux's hypervisor on an aarch64 host.
    Kvm,
    /// macOS's hypervisor on an Apple silicon host.
    Hvf,
}

impl Accel {
    /// The quickest that this host offers.
    #[must_use]
    pub fn of_this_host() -> Self {
        if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
            return Self::Hvf;
        }
        let kvm = Path::new("/dev/kvm");
        let usable = cfg!(all(target_os = "linux", target_arch = "aarch64"))
            && std::fs::OpenOptions::new().read(true).write(true).open(kvm).is_ok();
        if usable { Self::Kvm } else { Self::Tcg }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
        })
    }
}

/// Where the serial port and QEMU's monitor go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// A person's terminal: serial port and monitor share it, Ctrl-A X ends.
    Interactive,
    /// A program reads standard output and writes standard input; no monitor.
    Piped,
}

/// How the guest ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitBy {
    /// PSCI power-off: QEMU's exit code is always 0.
    PowerOff,
    /// Arm semihosting, which carries an exit code; the kernel is told by `swos.exit=semihosting`.
    Semihosting,
}

/// One TCP port of the host's loopback address that leads to a port of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Port on 127.0.0.1 of the host.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

/// A `virt` board with its kernel, disk and network, described but not yet started.
///
/// ```
/// use swos_qemu_tests::{Gic, Machine};
/// let machine = Machine::new("build/Image").smp(4).memory_mib(64).gic(Gic::V3);
/// assert!(machine.command_line().contains("-smp 4 -m 64M"));
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    kernel: PathBuf,
    smp: u32,
    memory_mib: u32,
    gic: Gic,
    cpu: String,
    accel: Accel,
    append: Vec<String>,
    init: String,
    disk: Option<PathBuf>,
    disks_before: Vec<PathBuf>,
    unreadable: Vec<u64>,
    forwards: Option<Vec<Forward>>,
    console: Console,
    exit_by: ExitBy,
    extra: Vec<String>,
}

impl Machine {
    /// One CPU, 256 MiB, GICv2, Cortex-A72, no disk, no network, a piped console, for the given kernel image.
    #[must_use]
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self {
            kernel: kernel.into(),
            smp: 1,
            memory_mib: 256,
            gic: Gic::V2,
            cpu: "cortex-a72".into(),
            accel: Accel::Tcg,
            append: Vec::new(),
            init: String::new(),
            disk: None,
            disks_before: Vec::new(),
            unreadable: Vec::new(),
            forwards: None,
            console: Console::Piped,
            exit_by: ExitBy::PowerOff,
            extra: Vec::new(),
        }
    }

    /// Number of CPUs.
    #[must_use]
    pub fn smp(mut self, cpus: u32) -> Self {
        self.smp = cpus;
        self
    }

    /// RAM in MiB.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Interrupt controller.
    #[must_use]
    pub fn gic(mut self, gic: Gic) -> Self {
        self.gic = gic;
        self
    }

    /// CPU model, by QEMU's name (`cortex-a72`, `max`, `host`).
    #[must_use]
    pub fn cpu(mut self, model: &str) -> Self {
        self.cpu = model.into();
        self
    }

    /// Who executes the guest's instructions.
    #[must_use]
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = accel;
        self
    }

    /// Adds a word to the kernel command line.
    #[must_use]
    pub fn append(mut self, word: &str) -> Self {
        self.append.push(word.into());
        self
    }

    /// Lets `init` run this program (with arguments) to its end instead of the services, and then power off.
    #[must_use]
    pub fn only(mut self, program: &str) -> Self {
        self.init = program.into();
        self
    }

    /// Puts a raw image on a virtio block device, read-only.
    #[must_use]
    pub fn disk(mut self, image: impl Into<PathBuf>) -> Self {
        self.disk = Some(image.into());
        self
    }

    /// Puts another disk before it, which is somebody else's.
    #[must_use]
    pub fn disk_before(mut self, foreign: impl Into<PathBuf>) -> Self {
        self.disks_before.push(foreign.into());
        self
    }

    /// Lets every read fail that touches one of these sectors of 512 bytes of the disk.
    #[must_use]
    pub fn unreadable(mut self, sectors: impl IntoIterator<Item = u64>) -> Self {
        self.unreadable.extend(sectors);
        self
    }

    /// Plugs in a virtio network card behind QEMU's user-mode network, with these ports led in.
    #[must_use]
    pub fn network(mut self, forwards: &[Forward]) -> Self {
        self.forwards = Some(forwards.to_vec());
        self
    }

    /// Where the serial port goes.
    #[must_use]
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// How the guest ends the run.
    #[must_use]
    pub fn exit_by(mut self, exit_by: ExitBy) -> Self {
        self.exit_by = exit_by;
        self
    }

    /// Adds arguments of QEMU that have no method here (`-icount`, `-plugin`, `-s`).
    #[must_use]
    pub fn extra<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.extra.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The host port that leads to `guest`, if one does.
    #[must_use]
    pub fn host_port(&self, guest: u16) -> Option<u16> {
        self.forwards.iter().flatten().find(|forward| forward.guest == guest).map(|forward| forward.host)
    }

    /// The arguments, without the program's name.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut push = |words: &[&str]| out.extend(words.iter().map(|word| (*word).to_owned()));
        let gic = match self.gic {
            Gic::V2 => "2",
            Gic::V3 => "3",
            Gic::Host => "host",
        };
        push(&["-M", &format!("virt,gic-version={gic}"), "-cpu", &self.cpu]);
        push(&["-accel", &self.accel.to_string()]);
        push(&["-smp", &self.smp.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        match self.console {
            Console::Interactive => push(&["-nographic"]),
            Console::Piped => push(&["-display", "none", "-monitor", "none", "-serial", "stdio"]),
        }
        push(&["-nodefaults", "-global", "virtio-mmio.force-legacy=false"]);
        match self.console {
            // `-nodefaults` also takes the serial port that `-nographic` would have made.
            Console::Interactive => push(&["-serial", "mon:stdio"]),
            // A person who types `reboot` wants the machine back; a program that watches wants to know that it went.
            Console::Piped => push(&["-no-reboot"]),
        }
        for (number, disk) in self.disks_before.iter().enumerate() {
            let drive = format!("file={},if=none,id=before{number},format=raw,readonly=on", escaped(disk));
            push(&["-drive", &drive, "-device", &format!("virtio-blk-device,drive=before{number}")]);
        }
        if let Some(disk) = &self.disk {
            let drive = drive(disk, &self.unreadable);
            push(&["-drive", &drive, "-device", "virtio-blk-device,drive=base"]);
        }
        if let Some(forwards) = &self.forwards {
            let mut user = String::from("user,id=net0");
            for Forward { host, guest } in forwards {
                user.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
            }
            push(&["-netdev", &user, "-device", "virtio-net-device,netdev=net0"]);
        }
        push(&["-device", "virtio-rng-device"]);
        let mut append = Vec::new();
        if self.exit_by == ExitBy::Semihosting {
            push(&["-semihosting-config", "enable=on,target=native"]);
            append.push("swos.exit=semihosting".into());
        }
        append.extend(self.append.iter().cloned());
        if !self.init.is_empty() {
            append.push(format!("-- {}", self.init));
        }
        push(&["-kernel", &self.kernel.to_string_lossy()]);
        if !append.is_empty() {
            push(&["-append", &append.join(" ")]);
        }
        out.extend(self.extra.iter().cloned());
        out
    }

    /// The process to start.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(self.arguments());
        command
    }

    /// The same as one line that a shell understands.
    #[must_use]
    pub fn command_line(&self) -> String {
        let quoted = self.arguments().into_iter().map(|word| quote(&word));
        core::iter::once(PROGRAM.to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// Name of the emulator.
pub const PROGRAM: &str = "qemu-system-aarch64";

/// A raw image, read-only; QEMU's `blkdebug` stands before it if reads of it shall fail.
fn drive(disk: &Path, unreadable: &[u64]) -> String {
    let file = escaped(disk);
    if unreadable.is_empty() {
        return format!("file={file},if=none,id=base,format=raw,readonly=on");
    }
    let below = format!("file.driver=blkdebug,file.image.driver=file,file.image.filename={file}");
    let mut words = format!("driver=raw,{below},if=none,id=base,readonly=on");
    for (number, sector) in unreadable.iter().enumerate() {
        let rule = format!("file.inject-error.{number}");
        words.push_str(&format!(",{rule}.event=read_aio,{rule}.sector={sector},{rule}.errno=5"));
    }
    words
}

/// A comma separates options for QEMU; doubled it stands for itself.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
