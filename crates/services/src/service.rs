//! One service.

use core::fmt;

use swos_abi::Capabilities;

use crate::Words;

/// Which ends of the program call for another start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// All.
    Always,
    /// All but success.
    OnFailure,
    /// None.
    Never,
}

/// Where a standard stream leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream<'a> {
    /// Nowhere: reads end at once, writes vanish.
    Null,
    /// To the console.
    Console,
    /// To a file.
    File(&'a str),
}

/// What to run, with which authority, and when again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Service<'a> {
    /// Name, unique in its text.
    pub name: &'a str,
    /// Absolute path of the program.
    pub program: &'a str,
    /// Directory that is `/` for it; `None` = that of `init`. The program itself need not lie in it.
    pub root: Option<&'a str>,
    /// Arguments after the program's name.
    pub args: Words<'a>,
    /// `NAME=value` each.
    pub environment: Words<'a>,
    /// When to start it again.
    pub restart: Restart,
    /// What it may ask of the kernel.
    pub capabilities: Capabilities,
    /// Services to start before it; all stand above it.
    pub after: Words<'a>,
    /// The endpoint at which it receives, unique in its text: it gets the receiver.
    pub receives: Option<&'a str>,
    /// Endpoints at which services above it receive: it gets senders.
    pub sends: Words<'a>,
    /// Further ones, whose senders tell the receiver that it may register.
    pub registers: Words<'a>,
    /// Standard input.
    pub stdin: Stream<'a>,
    /// Standard output.
    pub stdout: Stream<'a>,
    /// Standard error.
    pub stderr: Stream<'a>,
    /// Limit of memory in bytes, 0 = that of `init`.
    pub memory: u64,
    /// Limit of open handles, 0 = that of `init`.
    pub handles: u32,
    /// Limit of threads, 0 = that of `init`.
    pub threads: u32,
}

impl Restart {
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("always", Self::Always), ("on-failure", Self::OnFailure), ("never", Self::Never)];
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::Never => "never",
        })
    }
}

impl fmt::Display for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Console => "console",
            Self::File(path) => path,
        })
    }
}

/// The section that describes the service, every key that has something to say on a line, and an empty line.
impl fmt::Display for Service<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[service {}]\nprogram = {}", self.name, self.program)?;
        let lists = [
            ("args", self.args),
            ("environment", self.environment),
            ("after", self.after),
            ("sends", self.sends),
            ("registers", self.registers),
        ];
        for (key, words) in lists {
            if !words.is_empty() {
                writeln!(f, "{key} = {words}")?;
            }
        }
        for (key, value) in [("root", self.root), ("receives", self.receives)] {
            if let Some(value) = value {
                writeln!(f, "{key} = {value}")?;
            }
        }
        writeln!(f, "restart = {}", self.restart)?;
        if !self.capabilities.is_empty() {
            f.write_str("capabilities =")?;
            for (name, _) in self.capabilities.iter_names() {
                f.write_str(" ")?;
                for byte in name.bytes() {
                    write!(f, "{}", char::from(in_text(byte)))?;
                }
            }
            f.write_str("\n")?;
        }
        for (key, stream) in [("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr)] {
            writeln!(f, "{key} = {stream}")?;
        }
        let limits = [
            ("memory", self.memory),
            ("handles", u64::from(self.handles)),
            ("threads", u64::from(self.threads)),
        ];
        for (key, limit) in limits {
            if limit != 0 {
                writeln!(f, "{key} = {limit}")?;
            }
        }
        f.write_str("\n")
    }
}

/// How a character of a flag's name in the ABI is written here: small, with `-` for `_`.
pub(crate) const fn in_text(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}
