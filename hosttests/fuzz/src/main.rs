//! Longer runs on stable: mutates seeds and kept inputs until time is up or something breaks.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::fs;
use std::panic;
use std::path::PathBuf;
use std::process::exit;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use swos_fuzz::{Mutator, TARGETS, Target, crash_name, find, folder, load};

/// Runs a fuzz target on mutated inputs. A failing input is saved in the target's folder of the corpus.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which target; `list` prints them, `all` runs one after the other.
    target: String,
    /// How long to run each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
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
    let mutator = Mutator::new(arguments.seed);
    let start = Instant::now();
    let mut runs = 0_u64;
    while start.elapsed() < Duration::from_secs(arguments.seconds) {
        let input = mutator.next(&corpus);
        // A panic while the lock was held ends the process.
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some((target.name, input.clone()));
        RUNS.fetch_add(1, Ordering::Relaxed);
        (target.run)(&input);
        runs += 1;
    }
    println!("{}: {runs} runs in {} s, seed {}", target.name, start.elapsed().as_secs(), arguments.seed);
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
        let folder = folder(target);
        let path = folder.join(crash_name(kind, input));
        match fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input)) {
            Ok(()) => eprintln!("{kind} of {target}: input saved as {}", path.display()),
            Err(error) => eprintln!("{kind} of {target}: {error} saving {}", input.escape_ascii()),
        }
    }
    exit(101)
}
