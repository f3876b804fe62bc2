//! The counting plugin: compiled when it is needed, loaded into a machine, its account read.

use super::Subject;
use crate::process;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use swos_qemu_tests::{Guest, Machine, PROGRAM};

const SOURCE: &str = include_str!("../../plugin/count.c");
/// Data register of the `virt` board's serial port.
const UART: u64 = 0x900_0000;

/// What the plugin keeps account of, beside the total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// The total alone.
    Total,
    /// The count at each byte of console output.
    Console,
    /// The count of each instruction's address.
    Profile,
    /// At each byte of console output the longest stretch since the one before, between executions of these instructions or
    /// any of a program.
    Stretches(Vec<u64>),
}

/// A compiled plugin and where its account goes.
pub(super) struct Counter {
    object: PathBuf,
    out: PathBuf,
    account: Account,
}

/// What was counted in one run.
pub(super) struct Counts {
    /// Instructions in all.
    pub(super) total: u64,
    /// Instructions before the first of a program; 0 when none ran.
    pub(super) before_programs: u64,
    at_bytes: Vec<u64>,
    longest: Vec<u64>,
    /// Executions by address.
    pub(super) by_address: HashMap<u64, u64>,
}

impl Counter {
    pub(super) fn new(subject: &Subject, account: Account) -> Result<Self> {
        let version = interface()?;
        let source = subject.scratch.join("count.c");
        let library = subject.scratch.join(format!("count-{version}.so"));
        if !library.exists() || fs::read_to_string(&source).ok().as_deref() != Some(SOURCE) {
            fs::write(&source, SOURCE).with_context(|| format!("cannot write {}", source.display()))?;
            let mut compiler = Command::new("cc");
            compiler.args(["-O2", "-shared", "-fPIC", "-Wall", &format!("-DAPI={version}"), "-o"]);
            // QEMU itself has the functions that are missing here.
            if cfg!(target_os = "macos") {
                compiler.args(["-undefined", "dynamic_lookup"]);
            }
            process::run(compiler.arg(&library).arg(&source))?;
        }
        let out = subject.scratch.join(format!("counts-{}", std::process::id()));
        Ok(Self { object: library, out, account })
    }

    /// The machine with the plugin loaded.
    pub(super) fn load(&self, machine: Machine) -> Machine {
        let mut argument = format!("{},out={}", self.object.display(), self.out.display());
        match &self.account {
            Account::Total => {}
            Account::Stretches(chances) => {
                argument.push_str(&format!(",uart={UART:#x}"));
                chances.iter().for_each(|at| argument.push_str(&format!(",chance={at:#x}")));
            }
            Account::Console => argument.push_str(&format!(",uart={UART:#x}")),
            Account::Profile => argument.push_str(&format!(",profile={}", self.extra("profile").display())),
        }
        machine.extra(["-plugin".to_owned(), argument])
    }

    /// Ends the guest and reads what was counted.
    pub(super) fn finish(&self, mut guest: Guest) -> Result<Counts> {
        guest.stop()?;
        let text =
            fs::read_to_string(&self.out).with_context(|| format!("no account in {}", self.out.display()))?;
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).with_context(|| format!("no {name} in the account"))
        };
        let mut counts = Counts {
            total: number("total")?,
            before_programs: number("user")?,
            at_bytes: Vec::new(),
            longest: Vec::new(),
            by_address: HashMap::new(),
        };
        match &self.account {
            Account::Total => {}
            Account::Console | Account::Stretches(_) => {
                let lines = fs::read_to_string(self.extra("bytes"))?;
                for (count, longest) in lines.lines().filter_map(|line| line.split_once(' ')) {
                    counts.at_bytes.push(count.parse().context("a count")?);
                    counts.longest.push(longest.parse().context("a count")?);
                }
            }
            Account::Profile => {
                let lines = fs::read_to_string(self.extra("profile"))?;
                counts.by_address = lines.lines().filter_map(address_and_count).collect();
            }
        }
        Ok(counts)
    }

    fn extra(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.out.display()))
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        for file in [self.out.clone(), self.extra("bytes"), self.extra("profile")] {
            // Those that were never written are not there.
            let _ = fs::remove_file(file);
        }
    }
}

impl Counts {
    /// The count when the byte at `offset` of the console's output was printed.
    pub(super) fn at_byte(&self, offset: usize) -> Result<u64> {
        self.at_bytes.get(offset).copied().context("the console printed less than that")
    }

    /// The longest stretch that ended between two bytes of the console's output.
    pub(super) fn longest_between(&self, begin: usize, end: usize) -> Result<u64> {
        let between = self.longest.get(begin + 1..=end).context("the console printed less than that")?;
        Ok(between.iter().copied().max().unwrap_or(0))
    }
}

fn address_and_count(line: &str) -> Option<(u64, u64)> {
    let (address, count) = line.split_once(' ')?;
    Some((u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?, count.parse().ok()?))
}

/// The version of the plugin interface to claim: QEMU 9 raised the lowest that it takes.
fn interface() -> Result<u32> {
    let text = process::output(Command::new(PROGRAM).arg("--version"))?;
    match major_version(&text) {
        None => bail!("not a version of QEMU: {text}"),
        Some(major) => Ok(if major < 9 { 1 } else { 2 }),
    }
}

fn major_version(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_lines_are_read() {
        assert_eq!(major_version("QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopyright"), Some(7));
        assert_eq!(major_version("QEMU emulator version 10.0.2"), Some(10));
        assert_eq!(major_version("something else"), None);
        assert_eq!(address_and_count("0xffff800000001330 2256"), Some((0xffff_8000_0000_1330, 2256)));
        assert_eq!(address_and_count("1330 x"), None);
    }
}
