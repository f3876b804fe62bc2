//! From a request target to a path within a root.

/// Why a target names no file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It does not start with `/`.
    NotAbsolute,
    /// A `%` without two hexadecimal digits.
    Escape,
    /// A zero byte, another control character, a backslash, or an encoded `/`.
    Character,
    /// It climbs above the root.
    Outside,
    /// The buffer is too small.
    TooLong,
}

/// What the last character says that the target is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// No `/` at the end.
    File,
    /// A `/` at the end, or the root itself.
    Directory,
}

/// A decoded, normalised path: no empty, `.` or `..` component, no zero byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Path<'a> {
    /// Relative to the root, without `/` at either end; empty for the root itself.
    pub relative: &'a [u8],
    /// What the target looked like.
    pub kind: Kind,
}

/// Decodes `target` up to its query into `buffer`.
///
/// Components are compared with `.` and `..` after decoding, so that no spelling of them gets through.
///
/// # Errors
///
/// Why it names no file. [`Error::TooLong`] never happens when the buffer is as long as the target.
///
/// Source: RFC 3986 §2.1, §5.2.4; unlike there, climbing above the root is refused.
pub fn decode<'a>(target: &[u8], buffer: &'a mut [u8]) -> Result<Path<'a>, Error> {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let path = path.strip_prefix(b"/").ok_or(Error::NotAbsolute)?;
    let mut length = 0_usize;
    let mut kind = Kind::Directory;
    for component in path.split(|&byte| byte == b'/') {
        let start = length;
        if start > 0 {
            length = push(buffer, length, b'/')?;
        }
        let name = length;
        let mut rest = component.iter().copied();
        while let Some(byte) = rest.next() {
            let byte = if byte == b'%' { escaped(&mut rest).ok_or(Error::Escape)? } else { byte };
            if byte.is_ascii_control() || byte == b'\\' || byte == b'/' {
                return Err(Error::Character);
            }
            length = push(buffer, length, byte)?;
        }
        kind = match buffer.get(name..length).unwrap_or_default() {
            b"" | b"." => {
                length = start;
                Kind::Directory
            }
            b".." => {
                let before = buffer.get(..start).unwrap_or_default();
                if before.is_empty() {
                    return Err(Error::Outside);
                }
                length = before.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                Kind::Directory
            }
            _ => Kind::File,
        };
    }
    Ok(Path { relative: buffer.get(..length).ok_or(Error::TooLong)?, kind })
}

fn push(buffer: &mut [u8], at: usize, byte: u8) -> Result<usize, Error> {
    *buffer.get_mut(at).ok_or(Error::TooLong)? = byte;
    at.checked_add(1).ok_or(Error::TooLong)
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || u8::try_from(char::from(rest.next()?).to_digit(16)?).ok();
    let (high, low) = (digit()?, digit()?);
    Some(high << 4 | low)
}

/// Appends `path` with everything escaped that is not unreserved or `/`: fit for a target, and for HTML.
pub fn encode(path: &[u8], into: &mut alloc::vec::Vec<u8>) {
    for &byte in path {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            into.push(byte);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value & 15)).copied().unwrap_or(b'0');
            into.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        }
    }
}

#[cfg(test)]
mod tests;
