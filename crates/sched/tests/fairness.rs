//! Several CPUs simulated in virtual time: every thread gets its share, nobody waits for ever, nothing is lost or doubled.

#![expect(clippy::unwrap_used, reason = "a simulation that fails is a failed test")]

use proptest::prelude::*;
use swos_sched::{Enter, Entity, Load, RunQueue, Weight, place};
use swos_units::Duration;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
/// Virtual time of one random case.
const SPAN: u64 = 500 * MS;

/// xorshift64*: the same seed gives the same run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % limit
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Runs whenever it can.
    Hog,
    /// Runs for up to `run` nanoseconds, then sleeps for up to `sleep`.
    Sleeper { run: u64, sleep: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Queued(usize),
    Running(usize),
    Asleep(u64),
}

struct Thread {
    entity: Entity,
    kind: Kind,
    state: State,
    /// What is left of this burst of a sleeper.
    burst: u64,
    ran: u64,
    ready_since: u64,
    longest_wait: u64,
}

struct Cpu {
    queue: RunQueue<usize>,
    current: Option<usize>,
    /// When the current thread was last charged, and when its slice ends.
    charged: u64,
    until: u64,
}

/// A machine that does with the queues what a kernel does.
struct Machine {
    now: u64,
    cpus: Vec<Cpu>,
    threads: Vec<Thread>,
    random: Random,
}

impl Machine {
    fn new(cpus: u32, threads: &[(i32, Kind)], seed: u64) -> Self {
        let cpus = (0..cpus).map(|id| Cpu { queue: RunQueue::new(id), current: None, charged: 0, until: 0 });
        let threads = threads.iter().map(|&(nice, kind)| Thread {
            entity: Entity::new(Weight::from_nice(nice)),
            kind,
            state: State::Asleep(0),
            burst: 0,
            ran: 0,
            ready_since: 0,
            longest_wait: 0,
        });
        let mut machine =
            Self { now: 0, cpus: cpus.collect(), threads: threads.collect(), random: Random(seed | 1) };
        for thread in 0..machine.threads.len() {
            let cpu = thread % machine.cpus.len();
            machine.ready(cpu, thread, Enter::New);
        }
        machine
    }

    fn ready(&mut self, cpu: usize, thread: usize, why: Enter) {
        let t = &mut self.threads[thread];
        t.state = State::Queued(cpu);
        t.ready_since = self.now;
        self.cpus[cpu].queue.enqueue(&mut t.entity, thread, why);
    }

    /// Accounts what the current thread of `cpu` ran until now.
    fn charge(&mut self, cpu: usize) {
        let c = &mut self.cpus[cpu];
        if let Some(current) = c.current {
            let ran = self.now - c.charged;
            let t = &mut self.threads[current];
            c.queue.charge(&mut t.entity, Duration::from_nanos(ran));
            t.ran += ran;
            t.burst = t.burst.saturating_sub(ran);
        }
        c.charged = self.now;
    }

    /// Gives the CPU to the next thread, stealing one if none waits here.
    fn dispatch(&mut self, cpu: usize) {
        if self.cpus[cpu].queue.is_empty() {
            let victim = (0..self.cpus.len()).max_by_key(|&other| self.cpus[other].queue.len()).unwrap();
            if let Some(stolen) = self.cpus[victim].queue.steal(|_| true) {
                let thread = *stolen.item();
                assert_eq!(self.threads[thread].state, State::Queued(victim));
                self.threads[thread].state = State::Queued(cpu);
                self.cpus[cpu].queue.enqueue_stolen(&mut self.threads[thread].entity, stolen);
            }
        }
        let next = self.cpus[cpu].queue.pick();
        self.cpus[cpu].current = next;
        self.cpus[cpu].charged = self.now;
        let Some(next) = next else {
            return;
        };
        let t = &mut self.threads[next];
        assert_eq!(t.state, State::Queued(cpu), "picked where it does not wait");
        t.state = State::Running(cpu);
        t.longest_wait = t.longest_wait.max(self.now - t.ready_since);
        if let Kind::Sleeper { run, .. } = t.kind
            && t.burst == 0
        {
            t.burst = 1 + self.random.below(run);
        }
    }

    /// Sets when `cpu` must act next.
    fn set_deadline(&mut self, cpu: usize) {
        let c = &mut self.cpus[cpu];
        let slice = c.current.and_then(|current| c.queue.slice(&self.threads[current].entity));
        c.until = slice.map_or(u64::MAX, |slice| self.now + slice.as_nanos());
    }

    /// Puts the current thread back or to sleep, and goes on with the next.
    fn switch(&mut self, cpu: usize) {
        if let Some(current) = self.cpus[cpu].current.take() {
            match self.threads[current].kind {
                Kind::Sleeper { sleep, .. } if self.threads[current].burst == 0 => {
                    let until = self.now + 1 + self.random.below(sleep);
                    self.threads[current].state = State::Asleep(until);
                }
                Kind::Hog | Kind::Sleeper { .. } => self.ready(cpu, current, Enter::Preempted),
            }
        }
        self.dispatch(cpu);
    }

    fn wake(&mut self, thread: usize) {
        let last = self.threads[thread].entity.queue().map_or(0, |queue| queue as usize);
        let cpu = place(last, self.cpus.len(), |cpu| {
            match self.cpus[cpu].queue.len() + usize::from(self.cpus[cpu].current.is_some()) {
                0 => Load::Idle,
                threads => Load::Busy(threads),
            }
        });
        let cpu = cpu.unwrap();
        self.ready(cpu, thread, Enter::Woken);
        self.charge(cpu);
        let preempt = match self.cpus[cpu].current {
            Some(current) => self.cpus[cpu].queue.preempts(&self.threads[current].entity),
            None => true,
        };
        if preempt {
            self.switch(cpu);
        }
        self.set_deadline(cpu);
    }

    fn run_until(&mut self, end: u64) {
        while self.now < end {
            let asleep = self.threads.iter().filter_map(|t| match t.state {
                State::Asleep(until) => Some(until),
                State::Queued(_) | State::Running(_) => None,
            });
            let bursts = self.cpus.iter().filter_map(|c| {
                let t = &self.threads[c.current?];
                matches!(t.kind, Kind::Sleeper { .. }).then(|| c.charged + t.burst)
            });
            let slices = self.cpus.iter().map(|c| c.until);
            let next = asleep.chain(bursts).chain(slices).chain([end]).min().unwrap();
            self.now = next.max(self.now);
            for cpu in 0..self.cpus.len() {
                self.charge(cpu);
                let c = &self.cpus[cpu];
                let idle = c.current.is_none();
                let done = c.current.is_some_and(|t| {
                    matches!(self.threads[t].kind, Kind::Sleeper { .. }) && self.threads[t].burst == 0
                });
                if idle || done || c.until <= self.now {
                    self.switch(cpu);
                    self.set_deadline(cpu);
                }
            }
            for thread in 0..self.threads.len() {
                if matches!(self.threads[thread].state, State::Asleep(until) if until <= self.now) {
                    self.wake(thread);
                }
            }
            self.check();
        }
    }

    /// Every thread is in exactly one place, and no CPU is idle while another keeps one waiting.
    fn check(&self) {
        for (cpu, c) in self.cpus.iter().enumerate() {
            let queued = self.threads.iter().filter(|t| t.state == State::Queued(cpu)).count();
            let running = self.threads.iter().filter(|t| t.state == State::Running(cpu)).count();
            assert_eq!((c.queue.len(), usize::from(c.current.is_some())), (queued, running));
        }
        let idle = self.cpus.iter().any(|c| c.current.is_none());
        assert!(!idle || self.cpus.iter().all(|c| c.queue.is_empty()), "idle beside waiting threads");
    }
}

#[test]
fn hogs_share_one_cpu_by_weight() {
    let nices = [-10, -5, 0, 0, 5, 10];
    let threads: Vec<_> = nices.iter().map(|&nice| (nice, Kind::Hog)).collect();
    let mut machine = Machine::new(1, &threads, 1);
    let end = 20_000 * MS;
    machine.run_until(end);
    let total: u64 = nices.iter().map(|&nice| u64::from(Weight::from_nice(nice).get())).sum();
    for (t, nice) in machine.threads.iter().zip(nices) {
        let fair = end * u64::from(Weight::from_nice(nice).get()) / total;
        // A slice of its own, and what the slices of the others make of it.
        assert!(t.ran.abs_diff(fair) <= 12 * MS, "nice {nice}: ran {} of {fair}", t.ran);
    }
    assert_eq!(machine.threads.iter().map(|t| t.ran).sum::<u64>(), end);
}

#[test]
fn threads_that_sleep_are_served_promptly_and_take_no_more_than_their_share() {
    let io = Kind::Sleeper { run: 200 * US, sleep: 5 * MS };
    let mut machine = Machine::new(1, &[(0, Kind::Hog), (0, Kind::Hog), (0, io)], 7);
    machine.run_until(10_000 * MS);
    let [first, second, io] = &machine.threads[..] else { unreachable!() };
    assert!(io.longest_wait <= 10 * MS, "waited {}", io.longest_wait);
    assert!(first.ran.abs_diff(second.ran) <= 20 * MS, "{} {}", first.ran, second.ran);
    assert!(io.ran > 200 * MS && io.ran < 10_000 * MS / 3);
}

#[test]
fn a_sleeper_that_games_its_credit_gets_at_most_its_share_and_the_credit() {
    // Runs for 6 ms at a time, sleeps for a moment: as much credit as can be had.
    let gamer = Kind::Sleeper { run: 6 * MS, sleep: 2 * US };
    let mut machine = Machine::new(1, &[(0, Kind::Hog), (0, gamer)], 3);
    machine.run_until(10_000 * MS);
    let [hog, gamer] = &machine.threads[..] else { unreachable!() };
    assert!(gamer.ran <= hog.ran + 20 * MS, "gamer {} hog {}", gamer.ran, hog.ran);
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Hog),
        (1..3_000_u64, 1..20_000_u64)
            .prop_map(|(run, sleep)| Kind::Sleeper { run: run * US, sleep: sleep * US }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_starves_or_is_lost(
        threads in prop::collection::vec((-20..20_i32, kind()), 1..14),
        cpus in 1..5_u32,
        seed in any::<u64>(),
    ) {
        let mut machine = Machine::new(cpus, &threads, seed);
        machine.run_until(SPAN);
        let busy = machine.threads.iter().filter(|t| t.kind == Kind::Hog).count();
        let ran: u64 = machine.threads.iter().map(|t| t.ran).sum();
        // Work-conserving: CPUs with enough hogs never stand still.
        let least = u64::from(cpus).min(busy as u64) * SPAN;
        prop_assert!(ran >= least.saturating_sub(u64::from(cpus) * MS), "ran {ran} of {least}");
        // Bounded wait: all others may run until their virtual time has passed this one's. The lightest weight makes
        // the longest lag, a slice of at least 1 ms at weight 15; the heaviest others take the longest to pass it.
        for t in &machine.threads {
            let waiting = match t.state { State::Queued(_) => machine.now - t.ready_since, State::Running(_) | State::Asleep(_) => 0 };
            let own = u64::from(t.entity.weight().get());
            let others: u64 = threads.iter().map(|&(nice, _)| u64::from(Weight::from_nice(nice).get())).sum();
            let bound = 12 * MS * threads.len() as u64 + (10 * MS + 6 * MS) * others / own.min(1024);
            prop_assert!(waiting.max(t.longest_wait) <= bound, "waited {} of {bound}", waiting.max(t.longest_wait));
        }
    }

    #[test]
    fn equal_hogs_on_one_cpu_stay_within_a_slice(count in 2..12_usize, millis in 50..3_000_u64) {
        let mut machine = Machine::new(1, &vec![(0, Kind::Hog); count], 1);
        machine.run_until(millis * MS);
        let most = machine.threads.iter().map(|t| t.ran).max().unwrap();
        let least = machine.threads.iter().map(|t| t.ran).min().unwrap();
        prop_assert!(most - least <= 6 * MS, "{most} {least}");
    }
}
