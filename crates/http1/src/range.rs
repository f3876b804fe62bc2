//! Byte ranges.
//!
//! Source: RFC 9110 §14.1.2, §14.2.

use crate::head::number;

/// What a `Range` field asks of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selection {
    /// All of it: no range, one that is not understood, or several (a server may ignore those).
    Whole,
    /// `length` bytes (at least one) from `start` on.
    Part {
        /// First byte.
        start: u64,
        /// Number of bytes.
        length: u64,
    },
    /// Nothing that the file has.
    Unsatisfiable,
}

/// Applies the value of a `Range` field to a file of `size` bytes.
#[must_use]
pub fn select(value: &[u8], size: u64) -> Selection {
    let Some((unit, set)) = value.split_at_checked(6) else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Selection::Whole;
    }
    let set = set.trim_ascii();
    let Some(dash) = set.iter().position(|&byte| byte == b'-') else { return Selection::Whole };
    let (first, last) =
        (set.get(..dash).unwrap_or_default(), set.get(dash.saturating_add(1)..).unwrap_or_default());
    match (number(first), number(last)) {
        // "-n": the last n bytes.
        (None, Some(suffix)) if first.is_empty() => match suffix.min(size) {
            0 => Selection::Unsatisfiable,
            length => Selection::Part { start: size.saturating_sub(length), length },
        },
        (Some(start), Some(last)) if last < start => Selection::Whole,
        (Some(start), _) if start >= size && last_is_fine(last) => Selection::Unsatisfiable,
        (Some(start), Some(last)) => {
            let length = last.saturating_sub(start).saturating_add(1).min(size.saturating_sub(start));
            Selection::Part { start, length }
        }
        (Some(start), None) if last.is_empty() => {
            Selection::Part { start, length: size.saturating_sub(start) }
        }
        _ => Selection::Whole,
    }
}

/// Whether what follows the dash is a position or nothing.
fn last_is_fine(last: &[u8]) -> bool {
    last.is_empty() || number(last).is_some()
}

#[cfg(test)]
mod tests;
