//! A machine that runs: its console, its end.

use crate::machine::Machine;
use crate::protocol::{Plan, Report};
use crate::transcript::{Next, Transcript};
use anyhow::{Context, Result, anyhow, bail};
use core::time::Duration;
use std::io::Write;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

/// How long a guest may stay silent before a wait for a line fails. Generous: the translator shares a small machine
/// with another guest, and a passing test never waits it out.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the first line of a kernel panic begins. Every wait fails at once when it appears.
pub const PANIC_MARKER: &str = "panic: ";

/// The last line of a kernel panic.
const PANIC_END: &str = "end of panic";

/// A running guest. Dropping it ends the emulator.
#[derive(Debug)]
pub struct Guest {
    child: Child,
    input: Option<ChildStdin>,
    output: Output,
    machine: Machine,
}

struct Output {
    console: Transcript,
    errors: Transcript,
    read: usize,
}

impl core::fmt::Debug for Output {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Output").field("read", &self.read).finish_non_exhaustive()
    }
}

impl Guest {
    /// Starts the emulator.
    ///
    /// # Errors
    /// It is not installed.
    pub fn start(machine: Machine) -> Result<Self> {
        let mut command = machine.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start QEMU (cargo xtask setup installs it)")?;
        let console = Transcript::collect(child.stdout.take().context("a piped output")?);
        let errors = Transcript::collect(child.stderr.take().context("a piped output")?);
        let input = child.stdin.take();
        Ok(Self { child, input, output: Output { console, errors, read: 0 }, machine })
    }

    /// The machine as it was described.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Process number of the emulator.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`; returns the line.
    ///
    /// # Errors
    /// The guest panicked, ended, or said nothing of the kind for two minutes.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        self.expect_within(text, PATIENCE)
    }

    /// As [`Guest::expect`], with a limit of one's own.
    ///
    /// # Errors
    /// As [`Guest::expect`].
    pub fn expect_within(&mut self, text: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let line = self.line(deadline).with_context(|| format!("while waiting for {text:?}"))?;
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Waits for a line that contains `text` and was not there yet when the wait began.
    ///
    /// # Errors
    /// As [`Guest::expect`].
    pub fn expect_fresh(&mut self, text: &str) -> Result<String> {
        self.check_alive()?;
        self.output.read = self.output.console.length();
        // The line that was being written at that moment may be an old one.
        let deadline = Instant::now() + PATIENCE;
        self.line(deadline)?;
        self.expect(text)
    }

    /// Runs guest tests to their `@done` and judges them.
    ///
    /// # Errors
    /// Any [`Defect`](crate::Defect), or as [`Guest::expect`].
    pub fn expect_tests(&mut self, plan: Plan<'_>) -> Result<()> {
        let mut report = Report::default();
        while !report.is_done() {
            // Patience with each line and not with all of them: a long list of tests may take its time.
            match self.line(Instant::now() + PATIENCE) {
                Ok(line) => report.line(&line),
                Err(error) => {
                    let defects = join(&report.defects(plan));
                    return Err(error.context(format!("guest tests: {defects}")));
                }
            }
        }
        let defects = report.defects(plan);
        if !defects.is_empty() {
            bail!("guest tests: {}", join(&defects));
        }
        Ok(())
    }

    /// The next whole line, whatever it is, before `deadline`.
    ///
    /// # Errors
    /// The guest panicked, ended, or was late.
    pub fn line(&mut self, deadline: Instant) -> Result<String> {
        match self.output.console.next_line(&mut self.output.read, deadline) {
            Next::Line(line) if line.starts_with(PANIC_MARKER) => {
                self.let_panic_finish();
                Err(anyhow!("kernel {line}"))
            }
            Next::Line(line) => Ok(line),
            Next::Closed => {
                let status = self.child.wait().context("cannot wait for QEMU")?;
                Err(anyhow!("QEMU ended ({status}): {}", self.output.errors.text().trim()))
            }
            Next::Late => Err(anyhow!("the guest said nothing in time")),
        }
    }

    /// Types into the serial port.
    ///
    /// # Errors
    /// The emulator has gone.
    pub fn send(&mut self, text: &str) -> Result<()> {
        let input = self.input.as_mut().context("a piped input")?;
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).context("cannot type into the guest")
    }

    /// Waits for the guest to end the emulator by itself.
    ///
    /// # Errors
    /// It is still running after `limit`.
    pub fn exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
                // What it said last may still be on its way through the pipe.
                self.output.console.wait_closed(deadline);
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the guest still runs after {} s", limit.as_secs())
    }

    /// Everything that the guest printed, and what QEMU had to say.
    #[must_use]
    pub fn transcript(&self) -> String {
        let (console, errors) = (self.output.console.text(), self.output.errors.text());
        format!("$ {}\n{console}\n{errors}", self.machine.command_line())
    }

    /// Offset of the last byte of `text` where it first stands in the console's output.
    #[must_use]
    pub fn position_of(&self, text: &str) -> Option<usize> {
        self.output.console.position_of(text.as_bytes())
    }

    /// Waits until `text` stands anywhere in the console's output, read or not: what the guest says may come later than what it
    /// does.
    ///
    /// # Errors
    /// The guest panicked, ended, or said nothing of the kind for two minutes.
    pub fn expect_anywhere(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.position_of(text).is_none() {
            self.check_alive().with_context(|| format!("while waiting for {text:?}"))?;
            if Instant::now() >= deadline {
                bail!("the guest did not say {text:?} in time");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Fails if the guest panicked at any time, read or not.
    ///
    /// # Errors
    /// It did.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
            bail!("QEMU ended ({status}): {}", self.output.errors.text().trim());
        }
        match self.output.console.text().lines().find(|line| line.starts_with(PANIC_MARKER)) {
            Some(line) => bail!("kernel {line}"),
            None => Ok(()),
        }
    }

    /// A panic prints registers and a backtrace behind its first line; they belong into the transcript.
    fn let_panic_finish(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Next::Line(line) = self.output.console.next_line(&mut self.output.read, deadline) {
            if line == PANIC_END {
                return;
            }
        }
    }

    /// Ends the emulator as a user would, so that plugins write their last lines.
    ///
    /// # Errors
    /// It did not end.
    pub fn stop(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let asked = std::process::Command::new("kill").args(["-TERM", &pid]).status();
        if asked.is_ok_and(|status| status.success()) {
            self.exit(Duration::from_secs(20))?;
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn join(defects: &[crate::Defect]) -> String {
    defects.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
