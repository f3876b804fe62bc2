//! Instructions of small things, measured by a program inside: one instruction is one nanosecond of the guest's time.

use super::{Figure, INSTRUCTIONS, Subject};
use crate::image;
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use swos_qemu_tests::{Guest, Machine};

pub(super) fn measure(workspace: &Workspace, subject: &Subject, names: &[&str]) -> Result<Vec<Figure>> {
    // The program's own groups: `mm` is calls and faults of memory.
    let machine = Machine::new(&subject.kernel)
        .disk(image::with_tests(workspace)?)
        .only("/bin/bench getpid mm")
        .extra(["-icount", "shift=0,sleep=off"]);
    let mut guest = Guest::start(machine)?;
    let mut seen: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    loop {
        let line = guest.expect("BENCH")?;
        if line.starts_with("BENCH-DONE") {
            break;
        }
        if let Some((name, each)) = parse(&line) {
            seen.entry(name).or_default().push(each);
        }
    }
    let figure = |name: &&str| {
        let Some(values) = seen.get(*name) else { bail!("/bin/bench does not measure {name}") };
        Ok(Figure::new(*name, super::requests::median(values).context("a value")?, INSTRUCTIONS))
    };
    names.iter().map(figure).collect()
}

/// `BENCH name operations total_ns ns_per_operation`.
fn parse(line: &str) -> Option<(String, f64)> {
    let mut words = line.trim_end().strip_prefix("BENCH ")?.split(' ');
    let name = words.next()?.to_owned();
    let operations: f64 = words.next()?.parse().ok()?;
    let total: f64 = words.next()?.parse().ok()?;
    (operations > 0.0).then(|| (name, total / operations))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_of_the_guest_are_read() {
        assert_eq!(parse("BENCH getpid 1000 75000 75.0\r"), Some(("getpid".into(), 75.0)));
        for other in ["BENCH getpid", "BENCH getpid 0 5 1", "BENCHgetpid 1 1 1", "BENCH getpid x 1 1"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
