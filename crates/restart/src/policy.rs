//! The policy and its state machine.

use swos_units::{Duration, Instant};

use crate::history::History;

/// Failures that [`Policy::failures`] can count.
pub const FAILURES_MAX: usize = 16;

/// Which ends of an instance call for another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// All but success.
    OnFailure,
    /// None.
    Never,
}

/// How a service is restarted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Which ends call for another instance.
    pub when: When,
    /// Wait before the first restart.
    pub first_wait: Duration,
    /// The waits double up to this.
    pub longest_wait: Duration,
    /// An instance that ran this long ended the trouble: the waits start over.
    pub stable_after: Duration,
    /// So many failures within `window` hold the service, 1..=[`FAILURES_MAX`]; values beyond count as these.
    pub failures: usize,
    /// See `failures`.
    pub window: Duration,
}

impl Policy {
    /// What suits a service: back after 100 ms, then 200, 400 .. 30 s; held after 10 failures in 5 minutes.
    pub const SERVICE: Self = Self {
        when: When::Always,
        first_wait: Duration::from_millis(100),
        longest_wait: Duration::from_secs(30),
        stable_after: Duration::from_secs(10),
        failures: 10,
        window: Duration::from_secs(300),
    };
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It exited and reported success.
    Success,
    /// It reported failure, was ended by a fault, or could not be started at all.
    Failure,
}

/// What the driver must do next.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Start the service; report its end, or that it could not be started, through [`Restart::on_exit`].
    Spawn,
    /// Leave it down and tell the operator that it fails too often.
    Hold,
    /// Leave it down: it is done.
    Finish,
}

/// An event that the current state does not accept. The state is unchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// An exit was reported while no instance was running.
    NotRunning,
    /// A service that is neither held nor finished can't be resumed.
    NotDown,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Starting,
    Running {
        since: Instant,
    },
    Waiting {
        due: Instant,
    },
    /// The order to leave it was not taken yet.
    Leaving(Action),
    Down,
}

/// Restarts one service.
#[derive(Clone, Debug)]
pub struct Restart {
    policy: Policy,
    state: State,
    /// Wait before the next restart.
    wait: Duration,
    history: History,
    /// The latest time the machine was told.
    now: Instant,
}

impl Restart {
    /// A machine that asks for a spawn at once, which is `now`.
    #[must_use]
    pub const fn new(policy: Policy, now: Instant) -> Self {
        Self { policy, state: State::Starting, wait: policy.first_wait, history: History::new(), now }
    }

    /// Records that the instance ended at `now`, or that it could not be started.
    ///
    /// An end within [`Policy::stable_after`] of the start counts as a failure whatever its outcome, if it
    /// calls for a restart: a service that exits at once for ever is no better for exiting politely.
    ///
    /// # Errors
    ///
    /// [`Error::NotRunning`] if no instance was running.
    pub fn on_exit(&mut self, now: Instant, outcome: Outcome) -> Result<(), Error> {
        let State::Running { since } = self.state else {
            return Err(Error::NotRunning);
        };
        self.now = self.now.max(now);
        let restart = match self.policy.when {
            When::Always => true,
            When::OnFailure => outcome == Outcome::Failure,
            When::Never => false,
        };
        if !restart {
            self.state = State::Leaving(Action::Finish);
            return Ok(());
        }
        let stable = self.now.since(since) >= self.policy.stable_after;
        if stable {
            self.wait = self.policy.first_wait;
        }
        let failed = !stable || outcome == Outcome::Failure;
        if failed && self.history.note(self.now, self.policy.failures, self.policy.window) {
            self.state = State::Leaving(Action::Hold);
            return Ok(());
        }
        self.state = State::Waiting { due: self.now + self.wait };
        self.wait = self.wait.saturating_mul(2).min(self.policy.longest_wait);
        Ok(())
    }

    /// Advances time to `now`. Early and repeated calls change nothing.
    pub fn on_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if matches!(self.state, State::Waiting { due } if due <= self.now) {
            self.state = State::Starting;
        }
    }

    /// Starts a service that was left down, with its failures forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::NotDown`] if it runs, will be started anyway, or the order to leave it was not taken yet.
    pub fn resume(&mut self, now: Instant) -> Result<(), Error> {
        if self.state != State::Down {
            return Err(Error::NotDown);
        }
        *self = Self::new(self.policy, self.now.max(now));
        Ok(())
    }

    /// Takes the next order. Call until `None` after every input.
    pub const fn poll(&mut self) -> Option<Action> {
        match self.state {
            State::Starting => {
                self.state = State::Running { since: self.now };
                Some(Action::Spawn)
            }
            State::Leaving(action) => {
                self.state = State::Down;
                Some(action)
            }
            State::Running { .. } | State::Waiting { .. } | State::Down => None,
        }
    }

    /// When [`on_timeout`](Self::on_timeout) is due; `None` if only an event helps.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Starting | State::Running { .. } | State::Leaving(_) | State::Down => None,
        }
    }
}

#[cfg(test)]
mod tests;
