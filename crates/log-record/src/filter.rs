//! What is kept at all.

use alloc::vec::Vec;

use crate::{Level, record::SOURCE_MAX};

/// Sources that can have a threshold of their own.
pub const SOURCES_MAX: usize = 64;

/// From where on records are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Threshold {
    /// Those of this level and above.
    From(Level),
    /// None.
    Off,
}

/// A threshold for all, and others for sources by name. The name of a source is compared as it is stored: its first [`SOURCE_MAX`] bytes.
#[derive(Debug)]
pub struct Filter {
    all: Threshold,
    /// Sorted by name.
    sources: Vec<(Name, Threshold)>,
}

type Name = [u8; SOURCE_MAX];

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Threshold {
    fn admits(self, level: Level) -> bool {
        match self {
            Self::From(least) => level >= least,
            Self::Off => false,
        }
    }
}

impl Filter {
    /// Keeps everything.
    #[must_use]
    pub const fn new() -> Self {
        Self { all: Threshold::From(Level::Debug), sources: Vec::new() }
    }

    /// Sets the threshold of the sources that have none of their own.
    pub const fn set_all(&mut self, threshold: Threshold) {
        self.all = threshold;
    }

    /// Gives a source its own threshold; `None` takes it away. False = there are too many, or no memory.
    #[must_use]
    pub fn set(&mut self, source: &str, threshold: Option<Threshold>) -> bool {
        let name = name(source);
        match (self.sources.binary_search_by_key(&name, |(name, _)| *name), threshold) {
            (Ok(at), Some(threshold)) => {
                if let Some((_, old)) = self.sources.get_mut(at) {
                    *old = threshold;
                }
            }
            (Ok(at), None) => drop(self.sources.remove(at)),
            (Err(_), None) => {}
            (Err(at), Some(threshold)) => {
                if self.sources.len() >= SOURCES_MAX || self.sources.try_reserve(1).is_err() {
                    return false;
                }
                self.sources.insert(at, (name, threshold));
            }
        }
        true
    }

    /// Whether a record is kept.
    #[must_use]
    pub fn admits(&self, source: &str, level: Level) -> bool {
        if self.sources.is_empty() {
            return self.all.admits(level);
        }
        let name = name(source);
        let own = self.sources.binary_search_by_key(&name, |(name, _)| *name).ok();
        own.and_then(|at| self.sources.get(at)).map_or(self.all, |(_, threshold)| *threshold).admits(level)
    }
}

fn name(source: &str) -> Name {
    let mut name = [0; SOURCE_MAX];
    name.iter_mut().zip(source.bytes()).for_each(|(into, byte)| *into = byte);
    name
}
