//! Longer runs on stable: mutates seeds and kept inputs until time is up or something breaks.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::PathBuf;
use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use swos_fuzz::{Answer, Mutator, TARGETS, Target, calls_made, crash_name, find, folder, load, take_answers};

/// Runs a fuzz target on mutated inputs. A failing input is saved in the target's folder of the corpus.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which target; `list` prints them, `all` runs one after the other.
    target: String,
    /// How long to run each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Goes on until scripts have made so many system calls, however long that takes.
    #[arg(long, default_value_t = 0)]
    calls: u64,
    /// Puts so many mutated inputs into one, for targets of which a run costs much before it begins.
    #[arg(long, default_value_t = 1)]
    join: u32,
    /// Writes inputs whose system calls had an answer that no input before had into the corpus, as short as they can be made.
    #[arg(long)]
    keep: bool,
    /// Decides every mutation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs this one input and nothing else.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Writes the seeds into this folder, for another fuzzer to start from, and runs nothing.
    #[arg(long)]
    write_seeds: Option<PathBuf>,
}

/// A run that takes longer is taken for a hang.
const HANG: Duration = Duration::from_secs(30);

/// The target and input under way.
static CURRENT: Mutex<Option<(&'static str, Vec<u8>)>> = Mutex::new(None);
/// Runs begun.
static RUNS: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.target == "list" {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return Ok(());
    }
    if let Some(folder) = arguments.write_seeds {
        let target = find(&arguments.target).context("no such target")?;
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
        return Ok(());
    }
    report_failures();
    if let Some(path) = arguments.input {
        let target = find(&arguments.target).context("no such target")?;
        (target.run)(&fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        println!("{}: fine", target.name);
        return Ok(());
    }
    let chosen: Vec<Target> =
        TARGETS.iter().filter(|target| ["all", target.name].contains(&&*arguments.target)).copied().collect();
    if chosen.is_empty() {
        bail!("no target is called {:?}; `list` prints their names", arguments.target);
    }
    chosen.into_iter().for_each(|target| search(target, &arguments));
    Ok(())
}

fn search(target: Target, arguments: &Arguments) {
    let mut corpus = (target.seeds)();
    corpus.extend(load(target.name).into_iter().map(|(_, input)| input));
    let mut known: BTreeSet<Answer> = BTreeSet::new();
    for input in &corpus {
        known.extend(run(target, input));
    }
    let (before, made) = (known.len(), calls_made());
    let mutator = Mutator::new(arguments.seed);
    let start = Instant::now();
    let (mut runs, mut kept) = (0_u64, 0);
    while start.elapsed() < Duration::from_secs(arguments.seconds) || calls_made() - made < arguments.calls {
        let input: Vec<u8> = (0..arguments.join).flat_map(|_| mutator.next(&corpus)).collect();
        let answers = run(target, &input);
        runs += 1;
        let new: BTreeSet<Answer> = answers.difference(&known).copied().collect();
        if new.is_empty() {
            continue;
        }
        kept += 1;
        if arguments.keep {
            let short = shorten(target, input, &new);
            store(target.name, "answer", &short);
            corpus.push(short);
        }
        known.extend(new);
    }
    println!("{}: {runs} runs in {} s, seed {}", target.name, start.elapsed().as_secs(), arguments.seed);
    if !known.is_empty() {
        let calls = calls_made() - made;
        println!(
            "{}: {calls} calls, {} answers, {} of them new by {kept} inputs",
            target.name,
            known.len(),
            known.len() - before
        );
    }
}

/// One run, during which the input is known to whoever reports failures.
fn run(target: Target, input: &[u8]) -> BTreeSet<Answer> {
    // A panic while the lock was held ends the process.
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some((target.name, input.to_vec()));
    RUNS.fetch_add(1, Ordering::Relaxed);
    (target.run)(input);
    take_answers()
}

/// Leaves out parts as long as these answers come, in a bounded number of runs.
fn shorten(target: Target, mut input: Vec<u8>, needed: &BTreeSet<Answer>) -> Vec<u8> {
    const MOST_RUNS: u32 = 150;
    let mut runs = 0;
    let mut length = input.len() / 2;
    while length > 0 {
        let mut at = 0;
        while at < input.len() {
            if runs == MOST_RUNS {
                return input;
            }
            runs += 1;
            let mut shorter = input.clone();
            shorter.drain(at..(at + length).min(input.len()));
            if run(target, &shorter).is_superset(needed) {
                input = shorter;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    input
}

/// Saves the input of a run that panics or does not end, and ends the process. Works with either panic strategy.
fn report_failures() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |place| {
        print(place);
        save("crash");
    }));
    thread::spawn(|| {
        loop {
            let before = RUNS.load(Ordering::Relaxed);
            thread::sleep(HANG);
            if before > 0 && RUNS.load(Ordering::Relaxed) == before {
                save("hang");
            }
        }
    });
}

fn save(kind: &str) {
    if let Ok(Some((target, input))) = CURRENT.try_lock().as_deref() {
        store(target, kind, input);
        eprintln!("after {} runs, {} calls", RUNS.load(Ordering::Relaxed), calls_made());
    }
    exit(101)
}

fn store(target: &str, kind: &str, input: &[u8]) {
    let folder = folder(target);
    let path = folder.join(crash_name(kind, input));
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)) {
        Ok(()) => eprintln!("{kind} of {target}: input saved as {}", path.display()),
        Err(error) => eprintln!("{kind} of {target}: {error} saving {}", input.escape_ascii()),
    }
}
