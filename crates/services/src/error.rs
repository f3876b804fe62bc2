//! What is wrong with a text, and where.

/// Why a text is refused, and the place that is to blame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error {
    /// Line, from 1.
    pub line: u32,
    /// Byte in the line, from 1.
    pub column: u32,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The text is longer than [`crate::TEXT_MAX`].
    TooLong,
    /// There are more services than [`crate::SERVICES_MAX`], or no memory for them.
    TooMany,
    /// The bytes are not UTF-8.
    NotText,
    /// A control character other than tab and newline.
    ControlCharacter,
    /// A line that is neither empty, a comment, a section nor `key = value`.
    Line,
    /// A section that is not `[service NAME]`.
    Section,
    /// A name that is empty, longer than 32, or has other characters than `a-z 0-9 -` after a letter.
    Name,
    /// Another service has this name.
    DuplicateService,
    /// A key before the first section.
    NoSection,
    /// A key that does not exist.
    UnknownKey,
    /// A key that the section had before.
    DuplicateKey,
    /// Nothing stands behind the `=`.
    NoValue,
    /// A section without `program`: the place is that of the section.
    NoProgram,
    /// Not an absolute path without empty, `.` and `..` components.
    Path,
    /// A double quote that is not closed, or with something other than a blank next to it.
    Quote,
    /// Not one of the words allowed here.
    UnknownWord,
    /// A word that stands here twice.
    DuplicateWord,
    /// Not `NAME=value`.
    Environment,
    /// `after` names a service that is not described above.
    UnknownService,
    /// Another service receives at this endpoint.
    DuplicateEndpoint,
    /// An endpoint at which no service described above receives.
    UnknownEndpoint,
    /// Not a number, or too large.
    Number,
}
