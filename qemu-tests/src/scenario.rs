//! A named boot with its assertions, and what it is given.

use crate::guest::Guest;
use crate::machine::Machine;
use crate::ports;
use anyhow::Result;
use core::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What every scenario boots.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// The flat kernel.
    pub kernel: PathBuf,
    /// The kernel with assertions on and the order of locks checked, where scenarios want it.
    pub checked_kernel: Option<PathBuf>,
    /// The base image as users get it.
    pub base_image: PathBuf,
    /// The base image as version 3 of the format.
    pub v3_image: PathBuf,
    /// The base image with the test programs.
    pub test_image: PathBuf,
    /// The public key that the kernel trusts: 32 bytes.
    pub trusted_key: PathBuf,
    /// The tree that was packed into the base image.
    pub stage: PathBuf,
    /// A browser, where one is installed.
    pub browser: Option<PathBuf>,
    /// Where scenarios keep files of their own, and where transcripts of failures stay.
    pub scratch: PathBuf,
}

type Body = Box<dyn Fn(&Bench) -> Result<()> + Send + Sync>;

/// One or more boots with what must come of them.
pub struct Scenario {
    name: String,
    body: Body,
}

impl Scenario {
    /// `name` is `subject/detail`, by which a filter finds it.
    pub fn new(name: impl Into<String>, body: impl Fn(&Bench) -> Result<()> + Send + Sync + 'static) -> Self {
        Self { name: name.into(), body: Box::new(body) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drives and asserts.
    ///
    /// # Errors
    /// Whatever is not as it must be.
    pub fn run(&self, bench: &Bench) -> Result<()> {
        (self.body)(bench)
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The place where one scenario runs: makes machines and keeps what they said.
#[derive(Debug)]
pub struct Bench {
    artefacts: Artefacts,
    said: Mutex<Vec<String>>,
}

impl Bench {
    /// A fresh one.
    #[must_use]
    pub fn new(artefacts: &Artefacts) -> Self {
        Self { artefacts: artefacts.clone(), said: Mutex::default() }
    }

    /// What there is to boot.
    #[must_use]
    pub fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// Kernel and base image with a network card whose port 80 is reachable.
    ///
    /// # Errors
    /// No free port.
    pub fn served(&self) -> Result<Machine> {
        let forward = ports::forward_to(80)?;
        Ok(Machine::new(&self.artefacts.kernel).disk(&self.artefacts.base_image).network(&[forward]))
    }

    /// As [`Bench::served`], with the test programs.
    ///
    /// # Errors
    /// No free port.
    pub fn probed(&self) -> Result<Machine> {
        Ok(self.served()?.disk(&self.artefacts.test_image))
    }

    /// Starts a machine, lets `drive` do its work, keeps the transcript.
    ///
    /// # Errors
    /// Those of `drive`.
    pub fn boot<T>(&self, machine: Machine, drive: impl FnOnce(&mut Guest) -> Result<T>) -> Result<T> {
        let mut guest = Guest::start(machine)?;
        let result = drive(&mut guest);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(guest.transcript());
        result
    }

    /// As [`Bench::boot`]; the guest must still run, without a panic, when `drive` is through.
    ///
    /// # Errors
    /// Those of `drive`; the guest ended or panicked.
    pub fn boot_and_outlive<T>(
        &self,
        machine: Machine,
        drive: impl FnOnce(&mut Guest) -> Result<T>,
    ) -> Result<T> {
        self.boot(machine, |guest| {
            let value = drive(guest)?;
            guest.check_alive()?;
            Ok(value)
        })
    }

    /// What all machines of this scenario said.
    #[must_use]
    pub fn transcript(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).join("\n---\n")
    }
}
