//! The longest pieces of kernel work: instructions between two chances for an interrupt, while `/bin/stretch` asks for all
//! that takes long.

use super::plugin::{Account, Counter};
use super::{Figure, INSTRUCTIONS, Subject};
use crate::elf_file;
use crate::image;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail, ensure};
use core::time::Duration;
use std::fs;
use swos_qemu_tests::{Gic, Guest, Machine};

/// A thousand times an empty call.
const BOUND: u64 = 70_000;
/// No case takes so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// `mrs Xt, ICC_IAR1_EL1`, which acknowledges an interrupt, but for its register. Source: DDI 0487 L.a §D23.2.
const ACKNOWLEDGE: u32 = 0xd538_cc00;
const REGISTER: u32 = 0x1f;
/// `wfi`.
const WAIT: u32 = 0xd503_207f;

/// One figure for all cases, the longest, and then each case's.
pub(super) fn measure(workspace: &Workspace, subject: &Subject) -> Result<Vec<Figure>> {
    let cases = cases(workspace, subject, "")?;
    let longest = cases.iter().map(|(_, longest)| *longest).max().context("a case")?;
    let mut figures = vec![Figure::new(NAME, longest as f64, INSTRUCTIONS)];
    figures.extend(
        cases
            .iter()
            .map(|(case, longest)| Figure::new(format!("{NAME}/{case}"), *longest as f64, INSTRUCTIONS)),
    );
    Ok(figures)
}

pub(super) const NAME: &str = "kernel_stretch";

/// Fails if a case keeps the CPU for longer than the bound; returns how many there are.
pub(crate) fn check(workspace: &Workspace) -> Result<usize> {
    let subject = Subject::new(workspace)?;
    let cases = cases(workspace, &subject, "")?;
    let long: Vec<String> = cases
        .iter()
        .filter(|(_, longest)| *longest > BOUND)
        .map(|(case, longest)| format!("{case}: {longest}"))
        .collect();
    ensure!(long.is_empty(), "too many instructions without a chance for an interrupt: {long:?}");
    Ok(cases.len())
}

/// What `/bin/stretch` did, and the longest piece of kernel work meanwhile.
fn cases(workspace: &Workspace, subject: &Subject, names: &str) -> Result<Vec<(String, u64)>> {
    let chances = elf_file::instructions(&fs::read(workspace.kernel_elf())?, |word| {
        word & !REGISTER == ACKNOWLEDGE || word == WAIT
    })?;
    ensure!(chances.len() >= 2, "the kernel acknowledges interrupts and waits for them");
    let counter = Counter::new(subject, Account::Stretches(chances))?;
    let machine = Machine::new(&subject.kernel)
        .disk(image::with_tests(workspace)?)
        .network(&[])
        .memory_mib(512)
        .gic(Gic::V3)
        .only(&format!("/bin/stretch {names}"));
    // Time goes by instructions, so that each run is the same.
    let machine = machine.extra(["-icount", "shift=0,sleep=off"]);
    let mut guest = Guest::start(counter.load(machine))?;
    let mut cases = Vec::new();
    loop {
        let line = guest
            .expect_within("STRETCH-", PATIENCE)
            .with_context(|| format!("after {:?}", cases.last().map(|(name, ..): &(String, _, _)| name)))?;
        let mut words = line.trim_end().split(' ');
        match (words.next(), words.next()) {
            (Some("STRETCH-BEGIN"), Some(name)) => {
                cases.push((name.to_owned(), position(&guest, &line)?, 0));
            }
            (Some("STRETCH-END"), Some(_)) => {
                let end = position(&guest, &line)?;
                cases.last_mut().context("a case that began")?.2 = end;
            }
            (Some("STRETCH-DONE"), _) => break,
            _ => bail!("{}", line.trim_end()),
        }
    }
    let counts = counter.finish(guest)?;
    cases.into_iter().map(|(name, begin, end)| Ok((name, counts.longest_between(begin, end)?))).collect()
}

fn position(guest: &Guest, line: &str) -> Result<usize> {
    guest.position_of(line.trim_end()).context("the line was printed")
}
