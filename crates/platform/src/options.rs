//! The boot arguments that the kernel itself understands.
//!
//! Words, separated by white space: `swos.exit=semihosting`, `swos.panic=halt|reset`, `swos.log=debug|info|warning|error`
//! with `,SOURCE:LEVEL` (or `off`) for each source that is kept from another level on,
//! `swos.ip=A.B.C.D/N`, `swos.gateway=A.B.C.D`, `swos.disk-timeout=SECONDS` (1 to 3600). What follows a word `--` is for the first program. Any other word is
//! somebody else's.

use arrayvec::ArrayVec;
use core::net::Ipv4Addr;

/// What a panic ends with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PanicEnd {
    /// All processors stop.
    #[default]
    Halt,
    /// The machine starts again.
    Reset,
}

/// From which level on log records appear on the console.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogLevel {
    /// All.
    Debug,
    /// Normal events.
    #[default]
    Info,
    /// What somebody should look at.
    Warning,
    /// Failures.
    Error,
}

impl LogLevel {
    fn named(name: &str) -> Option<Self> {
        match name {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warning" => Some(Self::Warning),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// The boot arguments.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options<'a> {
    /// Whether the machine's end is told to the emulator through semihosting.
    pub exit_by_semihosting: bool,
    /// What a panic ends with.
    pub panic: PanicEnd,
    /// What the console shows.
    pub log: LogLevel,
    /// Sources of log records that are kept from another level on; `None` = not at all. At most eight.
    pub log_sources: ArrayVec<(&'a str, Option<LogLevel>), 8>,
    /// Our IPv4 address and the length of its prefix.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Router to everywhere else.
    pub gateway: Option<Ipv4Addr>,
    /// How long a disk may take for a read, in seconds; `None` = the kernel's own choice.
    pub disk_timeout: Option<u16>,
    /// Arguments of the first program.
    pub init: &'a str,
    /// Words of ours with a value that can't be; at most eight.
    pub refused: ArrayVec<&'a str, 8>,
}

impl<'a> Options<'a> {
    /// Reads a command line. Of a word given twice the last counts.
    #[must_use]
    pub fn parse(arguments: &'a str) -> Self {
        let mut options = Self::default();
        let ours = match arguments.split_once("-- ") {
            Some((ours, init)) if ours.is_empty() || ours.ends_with([' ', '\t']) => {
                options.init = init;
                ours
            }
            _ => arguments,
        };
        for word in ours.split_ascii_whitespace() {
            let Some((key, value)) = word.split_once('=') else { continue };
            if options.set(key, value).is_none() {
                // The first eight are enough to see what is wrong.
                let _ = options.refused.try_push(word);
            }
        }
        options
    }

    fn set(&mut self, key: &'a str, value: &'a str) -> Option<()> {
        match (key, value) {
            ("swos.exit", "semihosting") => self.exit_by_semihosting = true,
            ("swos.panic", "halt") => self.panic = PanicEnd::Halt,
            ("swos.panic", "reset") => self.panic = PanicEnd::Reset,
            ("swos.log", value) => {
                for part in value.split(',') {
                    match part.split_once(':') {
                        Some((source, "off")) if !source.is_empty() => {
                            self.log_sources.try_push((source, None)).ok()?;
                        }
                        Some((source, level)) if !source.is_empty() => {
                            self.log_sources.try_push((source, Some(LogLevel::named(level)?))).ok()?;
                        }
                        Some(_) => return None,
                        None => self.log = LogLevel::named(part)?,
                    }
                }
            }
            ("swos.ip", value) => {
                let (address, prefix) = value.split_once('/')?;
                let prefix = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
                self.address = Some((address.parse().ok()?, prefix));
            }
            ("swos.gateway", value) => self.gateway = Some(value.parse().ok()?),
            ("swos.disk-timeout", value) => {
                self.disk_timeout = Some(value.parse().ok().filter(|seconds| (1..=3600).contains(seconds))?);
            }
            ("swos.exit" | "swos.panic", _) => return None,
            _ => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
