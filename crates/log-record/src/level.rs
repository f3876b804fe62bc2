//! How much a record matters.

use swos_abi::{LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARNING};

/// How much a record matters.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// For developers.
    #[default]
    Debug,
    /// Normal events.
    Info,
    /// Works, but somebody should look.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// All, least first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    /// The level with this number in the system call interface.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            LOG_DEBUG => Some(Self::Debug),
            LOG_INFO => Some(Self::Info),
            LOG_WARNING => Some(Self::Warning),
            LOG_ERROR => Some(Self::Error),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Its letter in a line of text.
    #[must_use]
    pub const fn letter(self) -> u8 {
        match self {
            Self::Debug => b'D',
            Self::Info => b'I',
            Self::Warning => b'W',
            Self::Error => b'E',
        }
    }
}
