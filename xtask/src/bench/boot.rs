//! Instructions from reset to the first program and to a web server that listens.

use super::plugin::{Account, Counter};
use super::{Figure, INSTRUCTIONS, LISTENING, Subject};
use anyhow::{Context, Result, ensure};
use swos_qemu_tests::Guest;

pub(super) fn measure(subject: &Subject) -> Result<Vec<Figure>> {
    let counter = Counter::new(subject, Account::Console)?;
    let mut guest = Guest::start(counter.load(subject.machine()?))?;
    guest.expect(LISTENING)?;
    let at = guest.position_of(LISTENING).context("the line was printed")?;
    let counts = counter.finish(guest)?;
    ensure!(counts.before_programs > 0, "no program ran");
    Ok(vec![
        Figure::new("boot_userland", counts.before_programs as f64, INSTRUCTIONS),
        Figure::new("boot_http", counts.at_byte(at)? as f64, INSTRUCTIONS),
    ])
}
