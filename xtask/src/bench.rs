//! `xtask bench`: the figures of docs/src/performance.md.
//!
//! Guest instructions where that is the question, because they repeat; wall time only for requests per second, and then
//! beside another system in the same run.

mod boot;
mod image;
mod load;
mod memory;
mod micro;
mod plugin;
mod profile;
mod requests;
pub(crate) mod stretch;

use crate::build;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use swos_qemu_tests::{Machine, forward_to};

/// Measures: instructions to boot, for a call, a fault, a request; the smallest memory; sizes; requests per second.
#[derive(Debug, Args)]
#[command(after_help = "\
Names:
  boot_userland boot_http            instructions from reset to the first program, to a web server that listens
  min_ram_mib kernel_image           smallest machine that serves; size of the kernel
  kernel_stretch                     longest piece of kernel work without a chance for an interrupt, in all and by case
  getpid page_fault_anon             instructions for a call that does nothing, for the first touch of a page
  read1_zero pread4k_cached open_close stat pipe_pingpong pipe_bw_KiB ipc_call yield_2procs spawn_wait
  fork_exit_wait fork_exec_wait thread_create_join futex_handoff_rt epoll_wait_ready mmap_munmap
  malloc_free_64 malloc_free_64_4threads
                                     instructions for other calls, two processes or two threads in some
  http1k http1k_close http64k http1m instructions for a request
  rps_1 rps_16 rps_64                requests per second over so many connections (wall time)

Examples:
  cargo xtask bench
  cargo xtask bench boot_http http1k --json
  cargo xtask bench rps_64 --peer nginx.args        beside another system, in turns
  cargo xtask bench --profile http1k                where the instructions of a request go")]
pub(crate) struct Options {
    /// Which figures [default: all].
    names: Vec<String>,
    /// Print one JSON object a line: name, value, unit.
    #[arg(long)]
    json: bool,
    /// How often instructions per request are measured; the median is given.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A file with arguments of QEMU, one a line, that boot another system with a web server on port 80 which has /1k.bin:
    /// it takes turns with ours.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Print the functions of the kernel in which a figure's instructions are spent; not of sizes and rates.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// One measured figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }

    fn print(&self, options: &Options) {
        // Counts are whole; what is not is worth a digit.
        let value = if self.value.fract() == 0.0 || self.value > 1000.0 {
            format!("{:.0}", self.value)
        } else {
            format!("{:.1}", self.value)
        };
        if options.json {
            let value: serde_json::Value = value.parse().unwrap_or_default();
            println!("{}", json!({ "name": self.name, "value": value, "unit": self.unit }));
        } else {
            println!("{:16} {value:>12} {}", self.name, self.unit);
        }
    }
}

/// What is booted to measure.
pub(crate) struct Subject {
    kernel: PathBuf,
    image: PathBuf,
    scratch: PathBuf,
}

impl Subject {
    fn new(workspace: &Workspace) -> Result<Self> {
        let scratch = workspace.build().join("bench");
        std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
        Ok(Self { kernel: build::kernel(workspace)?, image: image::serving(workspace)?, scratch })
    }

    /// One CPU, 256 MiB, Cortex-A72: what the figures of others were taken on.
    fn machine(&self) -> Result<Machine> {
        Ok(Machine::new(&self.kernel).disk(&self.image).network(&[forward_to(80)?]))
    }
}

const INSTRUCTIONS: &str = "instructions";
/// What the web server prints when it can be connected to.
const LISTENING: &str = "httpd: listening";

type Measure = fn(&Workspace, &Subject, &Options, &[&str]) -> Result<Vec<Figure>>;

/// Names that are measured together, and how.
const GROUPS: [(&[&str], Measure); 6] = [
    (&["kernel_image"], |_, subject, _, _| memory::kernel_image(subject)),
    (&["boot_userland", "boot_http"], |_, subject, _, _| boot::measure(subject)),
    (micro::NAMES, |workspace, subject, _, names| micro::measure(workspace, subject, names)),
    (&["http1k", "http1k_close", "http64k", "http1m"], |_, subject, options, names| {
        requests::measure(subject, options, names)
    }),
    (&["min_ram_mib"], |_, subject, _, _| memory::smallest(subject)),
    (&[stretch::NAME], |workspace, subject, _, _| stretch::measure(workspace, subject)),
];
const LOADS: &[&str] = &["rps_1", "rps_16", "rps_64"];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let known = |name: &str| LOADS.contains(&name) || GROUPS.iter().any(|(names, _)| names.contains(&name));
    if let Some(unknown) = options.names.iter().find(|name| !known(name)) {
        bail!("{unknown} is no figure (cargo xtask bench --help lists them)");
    }
    setup::ensure(workspace, &[Need::Emulator])?;
    let subject = Subject::new(workspace)?;
    if let Some(name) = &options.profile {
        return profile::print(workspace, &subject, name);
    }
    let wanted = |names: &[&'static str]| -> Vec<&'static str> {
        let asked = |name: &&str| options.names.is_empty() || options.names.iter().any(|asked| asked == name);
        names.iter().copied().filter(asked).collect()
    };
    for (names, measure) in GROUPS {
        let names = wanted(names);
        if !names.is_empty() {
            let figures = measure(workspace, &subject, options, &names)?;
            figures
                .iter()
                .filter(|figure| names.iter().any(|name| figure.name.split('/').next() == Some(name)))
                .for_each(|figure| figure.print(options));
        }
    }
    let loads = wanted(LOADS);
    if !loads.is_empty() {
        setup::ensure(workspace, &[Need::LoadGenerator])?;
        load::measure(&subject, options.peer.as_deref(), &loads)?
            .iter()
            .for_each(|figure| figure.print(options));
    }
    Ok(())
}
