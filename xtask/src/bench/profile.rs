//! Where instructions go: a figure's count by function of the kernel.

use super::plugin::{Account, Counter};
use super::{LISTENING, Subject, micro, requests};
use crate::workspace::Workspace;
use addr2line::{Loader, demangle_auto};
use anyhow::{Result, anyhow, bail, ensure};
use std::borrow::Cow;
use std::collections::HashMap;
use swos_qemu_tests::Guest;

const SHOWN: usize = 40;
/// A function is shown if it is at least one in so many instructions.
const LEAST: u64 = 2000;
/// What was inlined into a function is shown if it is at least one in so many instructions.
const SMALLEST_PART: u64 = 100;

pub(super) fn print(workspace: &Workspace, subject: &Subject, name: &str) -> Result<()> {
    let (counts, divisor) = match requests::kind(name) {
        Some(kind) => {
            let (few, mut many) = requests::both(subject, kind, Account::Profile)?;
            for (address, count) in &mut many.by_address {
                *count = count.saturating_sub(few.by_address.get(address).copied().unwrap_or(0));
            }
            (many.by_address, f64::from(kind.difference()))
        }
        None if micro::NAMES.contains(&name) => micro::profile(workspace, subject, name)?,
        None if name != "boot_http" => bail!("{name} has no profile"),
        None => {
            let counter = Counter::new(subject, Account::Profile)?;
            let mut guest = Guest::start(counter.load(subject.machine()?))?;
            guest.expect(LISTENING)?;
            (counter.finish(guest)?.by_address, 1.0)
        }
    };
    let kernel = workspace.kernel_elf();
    let loader =
        Loader::new(&kernel).map_err(|error| anyhow!("cannot read {}: {error}", kernel.display()))?;
    let mut functions: HashMap<String, (u64, HashMap<String, u64>)> = HashMap::new();
    for (address, count) in counts {
        let (all, parts) = functions.entry(function(&loader, address)).or_default();
        *all += count;
        if let Some(part) = inlined(&loader, address) {
            *parts.entry(part).or_default() += count;
        }
    }
    let mut sorted: Vec<_> = functions.into_iter().map(|(name, (all, parts))| (name, all, parts)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let total: u64 = sorted.iter().map(|(_, count, _)| count).sum();
    let line = |indent: &str, name: &str, count: u64| {
        let share = count as f64 * 100.0 / total as f64;
        println!("{:>12.1} {share:>5.1} %  {indent}{name}", count as f64 / divisor);
    };
    println!("{:>12.0} instructions for one {name}", total as f64 / divisor);
    let shown = sorted.into_iter().take_while(|(_, count, _)| count * LEAST >= total).take(SHOWN);
    for (function, count, parts) in shown {
        line("", &function, count);
        let mut parts: Vec<_> = parts.into_iter().filter(|(_, part)| part * SMALLEST_PART >= total).collect();
        parts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        parts.iter().for_each(|(name, count)| line("    inlined ", name, *count));
    }
    ensure!(total > 0, "nothing was executed");
    Ok(())
}

/// The function at an address of the kernel. Programs lie elsewhere in each run, so they are one item.
fn function(loader: &Loader, address: u64) -> String {
    if address >> 63 == 0 {
        return if address >> 30 == 1 { "(before the kernel moved up)" } else { "(programs)" }.into();
    }
    match loader.find_symbol(address) {
        Some(symbol) => demangle_auto(Cow::Borrowed(symbol), None).into_owned(),
        None => format!("{address:#x}"),
    }
}

/// What was inlined there; `None` = the function's own code. Atomics and locks count for who uses them.
fn inlined(loader: &Loader, address: u64) -> Option<String> {
    let mut frames = loader.find_frames(address).ok()?;
    let mut found = None;
    while let Some(frame) = frames.next().ok()? {
        let file = frame.location.and_then(|location| location.file).unwrap_or_default();
        if found.is_none() && !["/library/", "crates/sync/"].iter().any(|part| file.contains(part)) {
            found = Some(frame.function);
            continue;
        }
        if let Some(Some(name)) = &found {
            // There is one further out, so it is inlined.
            return Some(demangle_auto(name.raw_name().ok()?, name.language).into_owned());
        }
    }
    None
}
