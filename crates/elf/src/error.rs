//! Why a file is refused.

/// A refused file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The file, or the part of it that was read, ends before what is needed at `offset`.
    Truncated {
        /// Where, in bytes.
        offset: u64,
        /// How many bytes are needed from there.
        needed: u64,
    },
    /// A field of the file header has a value that we don't load.
    Header {
        /// Its offset, in bytes.
        offset: u64,
    },
    /// More than [`MAX_HEADERS`](crate::MAX_HEADERS) program headers, or none.
    HeaderCount {
        /// How many.
        count: u16,
    },
    /// The program headers do not lie in the bytes that were read, although in the file.
    HeadersTooFar {
        /// Where they begin.
        offset: u64,
    },
    /// A program header breaks a rule.
    Segment {
        /// Offset of that program header, in bytes.
        offset: u64,
        /// Which rule.
        violation: Violation,
    },
    /// More than [`MAX_SEGMENTS`](crate::MAX_SEGMENTS) segments to load.
    TooManySegments,
    /// Nothing to load.
    NoSegments,
    /// The entry point is in no executable segment.
    Entry {
        /// The entry point.
        address: u64,
    },
}

/// The rule that a program header breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Violation {
    /// The segment would be writable and executable.
    WritableExecutable,
    /// The segment can't be read, or has unknown flags.
    Flags,
    /// The alignment is not a power of two, or larger than 1 GiB.
    Alignment,
    /// Address and file offset differ modulo the alignment, or within a page.
    Misaligned,
    /// More bytes in the file than in memory.
    FileLargerThanMemory,
    /// The bytes in the file end past the end of the file, or wrap around.
    OutsideFile,
    /// The addresses wrap around or leave the user's addresses.
    OutsideUser,
    /// The segment begins before the end of the one before it, or in the same page: segments are sorted and share no page.
    Overlap,
    /// The program asks for an interpreter.
    Interpreter,
    /// The program asks for an executable stack.
    ExecutableStack,
    /// A second thread-local template, or one outside every segment.
    ThreadLocal,
    /// The part to become read-only is outside every writable segment.
    Relro,
}
