//! Instructions of one request: the same guest with few and with many requests; the difference belongs to the requests,
//! and what booting, idling and warming up cost falls out.

use super::plugin::{Account, Counter, Counts};
use super::{Figure, INSTRUCTIONS, Options, Subject};
use anyhow::{Context, Result, ensure};
use core::time::Duration;
use swos_qemu_tests::Guest;
use swos_qemu_tests::http::{self, Client};

const LIMIT: Duration = Duration::from_secs(120);

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    name: &'static str,
    path: &'static str,
    keep_alive: bool,
    few: u32,
    many: u32,
}

const KINDS: [Kind; 4] = [
    Kind { name: "http1k", path: "/1k.bin", keep_alive: true, few: 200, many: 2200 },
    Kind { name: "http1k_close", path: "/1k.bin", keep_alive: false, few: 50, many: 450 },
    Kind { name: "http64k", path: "/64k.bin", keep_alive: true, few: 10, many: 110 },
    Kind { name: "http1m", path: "/1m.bin", keep_alive: true, few: 2, many: 22 },
];

pub(super) fn kind(name: &str) -> Option<Kind> {
    KINDS.into_iter().find(|kind| kind.name == name)
}

impl Kind {
    /// How many requests lie between a run with few and one with many.
    pub(super) fn difference(self) -> u32 {
        self.many - self.few
    }
}

pub(super) fn measure(subject: &Subject, options: &Options, names: &[&str]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for kind in names.iter().filter_map(|name| kind(name)) {
        let mut each = Vec::new();
        for _ in 0..options.rounds {
            let (few, many) = both(subject, kind, Account::Total)?;
            each.push(many.total.saturating_sub(few.total) as f64 / f64::from(kind.difference()));
        }
        figures.push(Figure::new(kind.name, median(&each).context("a round")?, INSTRUCTIONS));
    }
    Ok(figures)
}

/// A run with few requests and one with many.
pub(super) fn both(subject: &Subject, kind: Kind, account: Account) -> Result<(Counts, Counts)> {
    Ok((counted(subject, kind, kind.few, account.clone())?, counted(subject, kind, kind.many, account)?))
}

fn counted(subject: &Subject, kind: Kind, requests: u32, account: Account) -> Result<Counts> {
    let counter = Counter::new(subject, account)?;
    let machine = counter.load(subject.machine()?);
    let port = machine.host_port(80).context("the web server's port is led in")?;
    let mut guest = Guest::start(machine)?;
    http::wait_until_served(&mut guest, port, LIMIT)?;
    let mut kept = Client::connect(port)?;
    // Pages and caches are warm before the counted ones begin.
    for _ in 0..5 {
        kept.get(kind.path)?;
    }
    for number in 0..requests {
        let answer = if kind.keep_alive {
            kept.get(kind.path)
        } else {
            Client::connect(port).and_then(|mut client| {
                let request =
                    format!("GET {} HTTP/1.1\r\nHost: swos\r\nConnection: close\r\n\r\n", kind.path);
                client.send(request.as_bytes())?;
                let answer = client.response(http::Body::Announced)?;
                client.rest()?;
                Ok(answer)
            })
        };
        let answer = answer.with_context(|| format!("request {number}"))?;
        ensure!(answer.status == 200, "request {number} answered {}", answer.status);
    }
    drop(kept);
    counter.finish(guest)
}

/// The middle one.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_no_mean() {
        assert_eq!(median(&[100.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
