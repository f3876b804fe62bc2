//! On which CPU a thread that wakes should run.

/// What a CPU has to do, as far as placing a thread goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Load {
    /// It is off, or the thread may not run there.
    Closed,
    /// Nothing runs and nothing waits.
    Idle,
    /// This many threads run or wait.
    Busy(usize),
}

/// Chooses a CPU: the last one if it is idle (its cache may still be warm), else the first idle one after it, else
/// the last one unless another has at least two threads less. `None` if all are closed.
///
/// Looks at one CPU in the usual case, at each once at most. Starting after `last` spreads wake-ups over idle CPUs.
#[must_use]
pub fn place(last: usize, cpus: usize, mut load: impl FnMut(usize) -> Load) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    let start = if last < cpus { last } else { 0 };
    for cpu in (start..cpus).chain(0..start) {
        match load(cpu) {
            Load::Closed => {}
            Load::Idle => return Some(cpu),
            Load::Busy(threads) => {
                // A move costs cold caches: it must leave both CPUs better balanced, not swap their roles.
                if best.is_none_or(|(at, fewest)| {
                    if at == start { threads.saturating_add(1) < fewest } else { threads < fewest }
                }) {
                    best = Some((cpu, threads));
                }
            }
        }
    }
    best.map(|(cpu, _)| cpu)
}

#[cfg(test)]
mod tests;
