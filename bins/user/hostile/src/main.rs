//! Test program: does what no program may do, and looks who dies of it.
//!
//! Each deed runs in a process of its own. The deed must end that process with the right signal, the calls must answer with the
//! right error, and bystanders must go on. Speaks the protocol of the guest tests on standard output.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![expect(unsafe_code, reason = "breaks rules on purpose, in processes that are there to die")]

extern crate alloc;

mod calls;
mod deeds;

use alloc::string::String;

use swos_ulib::{
    abi::{Capabilities, Handle, Rights, SIGKILL},
    env,
    process::{self, Child, Command},
    system,
    testing::{self, Report},
    thread,
    time::{Duration, Instant},
};

swos_ulib::main!(run);

const SELF: &str = "/bin/hostile";
/// Processes that only count, and must still be there at the end.
const BYSTANDERS: usize = 3;
/// What a fuzzer may be, together with all that it starts.
const FUZZERS: u32 = 16;

fn run() -> i32 {
    let mut args = env::args().skip(1);
    match (args.next(), args.next()) {
        (None, _) => all(),
        (Some("deed"), Some(name)) => deeds::run(name),
        (Some("fuzz"), Some(number)) => calls::fuzz(number),
        (Some("powerless"), _) => calls::powerless(),
        (Some("bystander"), _) => loop {
            thread::yield_now();
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
    let bystanders: alloc::vec::Vec<Child> =
        (0..BYSTANDERS).filter_map(|_| child(["bystander", ""]).spawn().ok()).collect();
    report.test("bystanders start", || testing::equal(bystanders.len(), BYSTANDERS));

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
    for call in swos_ulib::abi::CALLS.iter().filter(|call| calls::is_fuzzed(call.number)) {
        report.test(call.name, || survive(call.number, &bystanders));
    }

    report.test("bystanders are unhurt", || {
        thread::sleep(Duration::from_millis(10));
        testing::equal(swos_ulib::process::try_wait_any().map(|ended| ended.is_some()), Ok(false))?;
        for bystander in &bystanders {
            bystander.kill().map_err(testing::text)?;
            testing::equal(bystander.wait().map_err(testing::text)?.signal(), Some(9))?;
        }
        Ok(())
    });
    report.done()
}

/// Random arguments for one call, from a process that has little. It may end, die or hang, and so may what it starts; the system
/// must not.
fn survive(number: u64, bystanders: &[Child]) -> Result<(), String> {
    let text = alloc::format!("{number}");
    let mut command = Command::new(SELF);
    // No stream that it could write into the middle of the report.
    command.args(["fuzz", &text]).handle(2, Handle::STDERR, Rights::empty());
    command.capabilities(Capabilities::FS_READ | Capabilities::NET | Capabilities::SPAWN);
    command.limits(32 << 20, 64, 8).process_limit(FUZZERS);
    let fuzzer = command.spawn().map_err(testing::text)?;
    for _ in 0..100 {
        if fuzzer.try_wait().map_err(testing::text)?.is_some() {
            return end_orphans(bystanders);
        }
        thread::sleep(Duration::from_millis(10));
    }
    // It waits for something that never comes, as it asked to.
    fuzzer.kill().map_err(testing::text)?;
    fuzzer.wait().map_err(testing::text)?;
    end_orphans(bystanders)
}

/// Ends everybody but init, this process and the bystanders: what a fuzzer left. While some are ended others are made, but never
/// more than their limit.
fn end_orphans(bystanders: &[Child]) -> Result<(), String> {
    let is_ours =
        |pid: u32| [1, process::id()].contains(&pid) || bystanders.iter().any(|child| child.id() == pid);
    let start = Instant::now();
    loop {
        let mut left = false;
        for process in system::processes() {
            let process = process.map_err(testing::text)?;
            if !is_ours(process.pid) {
                left = true;
                // One that has ended meanwhile can't be found.
                let _gone = swos_ulib::sys::kill(process.pid.into(), SIGKILL);
            }
        }
        if !left {
            return Ok(());
        }
        testing::equal(start.elapsed() < Duration::from_secs(30), true)?;
        thread::sleep(Duration::from_millis(1));
    }
}
