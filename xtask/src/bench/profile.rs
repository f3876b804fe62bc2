//! Where instructions go: a figure's count by function of the kernel.

use super::plugin::{Account, Counter};
use super::{LISTENING, Subject, micro, requests};
use crate::workspace::Workspace;
use addr2line::{Loader, demangle_auto};
use anyhow::{Context, Result, anyhow, bail};
use std::borrow::Cow;
use std::collections::HashMap;
use swos_qemu_tests::Guest;

const SHOWN: usize = 40;

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
    let mut functions: HashMap<String, u64> = HashMap::new();
    for (address, count) in counts {
        *functions.entry(function(&loader, address)).or_default() += count;
    }
    let mut sorted: Vec<_> = functions.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let total: u64 = sorted.iter().map(|(_, count)| count).sum();
    println!("{:>12.0} instructions for one {name}", total as f64 / divisor);
    for (function, count) in sorted.iter().take(SHOWN) {
        println!(
            "{:>12.1} {:>5.1} %  {function}",
            *count as f64 / divisor,
            *count as f64 * 100.0 / total as f64
        );
    }
    sorted.first().map(|_| ()).context("nothing was executed")
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
