//! Test program: does what no program may do, and looks who dies of it.
//!
//! Each deed runs in a process of its own. The deed must end that process with the right signal, the calls must answer with the
//! right error, and bystanders must go on. Speaks the protocol of the guest tests on standard output.
//!
//! `hostile calls COUNT SEED` makes so many calls with random arguments instead, and looks what is left of it.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "breaks rules on purpose, in processes that are there to die")]

extern crate alloc;

mod calls;
mod deeds;
mod fuzz;
mod random;

use alloc::vec::Vec;

use swos_ulib::{
    abi::{Capabilities, Handle, Rights},
    env,
    process::{self, Child, Command},
    testing::{self, Report},
    thread,
    time::Duration,
};

swos_ulib::main!(run);

const SELF: &str = "/bin/hostile";
/// Processes that only count, and must still be there at the end.
const BYSTANDERS: usize = 3;

fn run() -> i32 {
    let mut args = env::args().skip(1);
    match (args.next(), args.next()) {
        (None, _) => all(),
        (Some("deed"), Some(name)) => deeds::run(name),
        (Some("calls"), Some(count)) => long(count, args.next().unwrap_or("1")),
        (Some("fuzz"), Some(number)) => {
            let mut next = || args.next().unwrap_or("");
            random::run(number, next(), next(), next())
        }
        (Some("powerless"), _) => calls::powerless(),
        (Some("bystander"), Some("")) => loop {
            thread::yield_now();
        },
        // Where much is to be done, they do not want most of the CPU for themselves.
        (Some("bystander"), _) => loop {
            thread::sleep(Duration::from_millis(1));
        },
        _ => 2,
    }
}

/// This program again, with no authority but to say how it went.
fn child(arguments: [&str; 2]) -> Command {
    let mut command = Command::new(SELF);
    command.args(arguments).handle(2, Handle::STDERR, Rights::WRITE);
    command
}

fn all() -> i32 {
    let mut report = Report::default();
    let bystanders = start(&mut report, "");
    for deed in deeds::DEEDS {
        report.test(deed.name, || {
            let mut command = child(["deed", deed.name]);
            let status = command.capabilities(Capabilities::FS_READ).status().map_err(testing::text)?;
            match deed.signal {
                Some(signal) => testing::equal(status.signal(), Some(signal)),
                None => testing::equal(status.code(), Some(0)),
            }
        });
    }
    calls::all(&mut report);
    report.test("a program without capabilities is refused", || {
        testing::equal(child(["powerless", ""]).status().map_err(testing::text)?.code(), Some(0))
    });
    match fuzz::Search::new(&bystanders) {
        Ok(mut search) => search.each_once(&mut report),
        Err(errno) => report.test("a tally", || Err(testing::text(errno))),
    }
    end(report, &bystanders)
}

/// So many random calls in all, by these dice.
fn long(count: &str, seed: &str) -> i32 {
    let (Ok(count), Ok(seed)) = (count.parse(), seed.parse()) else { return 2 };
    let mut report = Report::default();
    let bystanders = start(&mut report, "calm");
    fuzz::long(&mut report, &bystanders, count, seed);
    end(report, &bystanders)
}

/// Those whom nothing must hurt.
fn start(report: &mut Report, how: &str) -> Vec<Child> {
    let bystanders: Vec<Child> =
        (0..BYSTANDERS).filter_map(|_| child(["bystander", how]).spawn().ok()).collect();
    report.test("bystanders start", || testing::equal(bystanders.len(), BYSTANDERS));
    bystanders
}

/// Nothing has.
fn end(mut report: Report, bystanders: &[Child]) -> i32 {
    report.test("bystanders are unhurt", || {
        thread::sleep(Duration::from_millis(10));
        testing::equal(process::try_wait_any().map(|ended| ended.is_some()), Ok(false))?;
        for bystander in bystanders {
            bystander.kill().map_err(testing::text)?;
            testing::equal(bystander.wait().map_err(testing::text)?.signal(), Some(9))?;
        }
        Ok(())
    });
    report.done()
}
