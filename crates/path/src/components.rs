//! Checked paths and the walk over their components.

use core::fmt;

use crate::{Error, NAME_MAX, Name, PATH_MAX, swar};

/// A checked path: a sequence of components, absolute or relative.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct Path<'a>(&'a [u8]);

/// One step of a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Component<'a> {
    /// `.`: stay, and what is here must be a directory.
    Current,
    /// `..`: to the directory above.
    Parent,
    /// To the entry of this name.
    Name(Name<'a>),
}

impl<'a> Path<'a> {
    /// `/`.
    pub const ROOT: Path<'static> = Path(b"/");

    /// Checks `bytes`, which a program or an image gave. Work: one pass.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::PathTooLong`], [`Error::Nul`], [`Error::NameTooLong`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::Empty);
        }
        if bytes.len() > PATH_MAX {
            return Err(Error::PathTooLong);
        }
        // Where no component can be too long, only NUL is refused, and most paths are short.
        if bytes.len() <= NAME_MAX && !swar::contains(bytes, 0) {
            return Ok(Self(bytes));
        }
        if !swar::contains(bytes, 0) && names_fit(bytes) {
            return Ok(Self(bytes));
        }
        let mut start = 0;
        for (offset, &byte) in bytes.iter().enumerate() {
            // One comparison for the common byte: NUL and '/' are the only special ones and both are small.
            if byte > b'/' {
                continue;
            }
            if byte == 0 {
                return Err(Error::Nul { offset });
            }
            if byte == b'/' {
                if offset - start > NAME_MAX {
                    return Err(Error::NameTooLong { offset: start });
                }
                start = offset + 1;
            }
        }
        if bytes.len() - start > NAME_MAX {
            return Err(Error::NameTooLong { offset: start });
        }
        Ok(Self(bytes))
    }

    /// Its bytes, as given.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether it starts at the root.
    #[must_use]
    pub fn is_absolute(self) -> bool {
        self.0.first() == Some(&b'/')
    }

    /// Its steps in order. Repeated and trailing `/` make none.
    #[must_use]
    pub const fn components(self) -> Components<'a> {
        Components { rest: self.0 }
    }
}

/// Whether no component is too long. Looks at few bytes: behind a name that fits it goes on as far as a name reaches.
fn names_fit(mut bytes: &[u8]) -> bool {
    while let Some(reach) = bytes.get(..=NAME_MAX) {
        match reach.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => bytes = &bytes[slash + 1..],
            None => return false,
        }
    }
    true
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The steps of a path that are still to go.
#[derive(Clone, Copy, Debug)]
pub struct Components<'a> {
    rest: &'a [u8],
}

impl<'a> Components<'a> {
    /// The steps in what [`as_bytes`](Self::as_bytes) gave, of one walk or of several, one after another: what follows another
    /// must start with `/`.
    #[must_use]
    pub const fn resume(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether no step is left. A `/` may be: see [`requires_directory`](Self::requires_directory).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.iter().all(|&byte| byte == b'/')
    }

    /// Whether a `/` follows, so that what has been reached must be a directory even if no step is left.
    #[must_use]
    pub fn requires_directory(&self) -> bool {
        self.rest.first() == Some(&b'/')
    }

    /// The bytes still to go.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Components<'a> {
    type Item = Component<'a>;

    fn next(&mut self) -> Option<Component<'a>> {
        let mut rest = self.rest;
        while let [b'/', tail @ ..] = rest {
            rest = tail;
        }
        let (component, tail) = rest.split_at(swar::position(rest, b'/'));
        let step = match component {
            // The last `/` stays, so that `requires_directory` still tells of it.
            [] => return None,
            [b'.'] => Component::Current,
            [b'.', b'.'] => Component::Parent,
            name => Component::Name(Name::checked(name)),
        };
        self.rest = tail;
        Some(step)
    }
}

#[cfg(test)]
mod tests;
