//! `xtask run`: swos on the screen of whoever asked.

use crate::setup::Need;
use crate::workspace::Workspace;
use crate::{build, image, process, setup};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;
use swos_qemu_tests::{Accel, Console, Forward, Gic, Machine};

/// Builds what is missing, boots swos under QEMU, prints the address of its website, leaves its console in this
/// terminal. Ctrl-A X ends it, Ctrl-A C switches to QEMU's monitor.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask run                          4 CPUs, 256 MiB, http://127.0.0.1:8080/
  cargo xtask run --smp 1 --mem 32 --gic 3
  cargo xtask run --append 'log=debug' --dry-run")]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) board: Board,
    /// Boot the kernel alone: no base image is built or plugged in.
    #[arg(long)]
    no_disk: bool,
    /// Print QEMU's command line and do nothing else.
    #[arg(long)]
    dry_run: bool,
}

/// The machine to boot.
#[derive(Debug, Args)]
pub(crate) struct Board {
    /// Number of CPUs.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=512))]
    smp: u32,
    /// RAM in MiB.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    mem: u32,
    /// Port on 127.0.0.1 that leads to the guest's port 80; the next free one is taken when it is busy.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// CPU model [default: cortex-a72, or the host's under a hypervisor].
    #[arg(long)]
    cpu: Option<String>,
    /// Interrupt controller [default: 2, or the host's under KVM].
    #[arg(long, value_parser = ["2", "3"])]
    gic: Option<String>,
    /// Who executes the guest's instructions.
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    accel: Choice,
    /// More words for the kernel command line.
    #[arg(long, default_value = "")]
    append: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// A hypervisor where the host is an aarch64 machine that has one, else the translator.
    Auto,
    Tcg,
    Hvf,
    Kvm,
}

impl Board {
    /// The machine with this checkout's kernel.
    pub(crate) fn machine(&self, workspace: &Workspace) -> Result<Machine> {
        let accel = match self.accel {
            Choice::Auto => Accel::of_this_host(),
            Choice::Tcg => Accel::Tcg,
            Choice::Hvf => Accel::Hvf,
            Choice::Kvm => Accel::Kvm,
        };
        let gic = match (self.gic.as_deref(), accel) {
            (Some("3"), _) => Gic::V3,
            (None, Accel::Kvm) => Gic::Host,
            _ => Gic::V2,
        };
        let cpu = self.cpu.as_deref().unwrap_or(if accel == Accel::Tcg { "cortex-a72" } else { "host" });
        let port = free_port_from(self.port)?;
        let mut machine = Machine::new(workspace.kernel_image())
            .smp(self.smp)
            .memory_mib(self.mem)
            .gic(gic)
            .cpu(cpu)
            .accel(accel)
            .console(Console::Interactive)
            .network(&[Forward { host: port, guest: HTTP_PORT }]);
        if !self.append.is_empty() {
            machine = machine.append(&self.append);
        }
        Ok(machine)
    }
}

const HTTP_PORT: u16 = 80;

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut machine = options.board.machine(workspace)?;
    if !options.no_disk {
        machine = machine.disk(workspace.base_image());
    }
    if options.dry_run {
        println!("{}", machine.command_line());
        return Ok(());
    }
    setup::ensure(workspace, &[Need::Emulator])?;
    process::say("building what is missing");
    build::kernel(workspace)?;
    if !options.no_disk {
        image::base(workspace)?;
    }
    if let Some(port) = machine.host_port(HTTP_PORT) {
        if port != options.board.port {
            process::say(&format!("port {} is taken, so it is {port}", options.board.port));
        }
        process::say("booting; Ctrl-A X ends it");
        thread::spawn(move || announce(port));
    }
    process::run(&mut machine.command())
}

/// Prints the address of the website as soon as it answers. The line ends in a carriage return as well, because the
/// terminal is in the emulator's hands by then.
fn announce(port: u16) {
    let limit = Instant::now() + Duration::from_secs(120);
    while Instant::now() < limit {
        if answers(port) {
            eprint!("\r\nxtask: the website of swos is at http://127.0.0.1:{port}/\r\n");
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    eprint!("\r\nxtask: nothing answers at http://127.0.0.1:{port}/ yet\r\n");
}

/// True when an HTTP answer begins within a second. A connection alone says nothing: the emulator accepts it.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"HEAD / HTTP/1.1\r\nHost: swos\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/")
    };
    ask().unwrap_or(false)
}

/// The first port from `wanted` on that nobody listens to.
fn free_port_from(wanted: u16) -> Result<u16> {
    for port in wanted..=wanted.saturating_add(99) {
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free on 127.0.0.1 from {wanted} on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_passed_over() {
        let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = busy.local_addr().unwrap().port();
        let found = free_port_from(taken).unwrap();
        assert!(found > taken);
    }

    #[test]
    fn a_listener_that_says_nothing_does_not_answer() {
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!answers(silent.local_addr().unwrap().port()));
    }
}
