//! Conditional requests: entity tags and dates.
//!
//! Source: RFC 9110 §5.3, §8.8.3, §13.1, §13.2.2.

use crate::{Head, Method, date};

/// What is known about the file as it is now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Current<'a> {
    /// Its strong entity tag, quotes included.
    pub etag: Option<&'a [u8]>,
    /// Last change in seconds since 1970.
    pub modified: Option<u64>,
}

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Answer as if there were none; the range counts or not.
    Proceed(RangeUse),
    /// 304: the client's copy is good.
    NotModified,
    /// 412.
    Failed,
}

/// Whether a `Range` field is to be honoured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RangeUse {
    /// Yes.
    Honour,
    /// No: `If-Range` names another version, or the method is not `GET`.
    Ignore,
}

/// Weighs the conditions of `head`, parsed from `bytes`, in the order that RFC 9110 §13.2.2 prescribes.
#[must_use]
pub fn weigh(head: &Head, bytes: &[u8], current: &Current<'_>) -> Outcome {
    let field = |span: Option<crate::Span>| span.map(|span| span.of(bytes));
    if let Some(list) = field(head.if_match) {
        if !matches(list, b"if-match", current.etag, Comparison::Strong) {
            return Outcome::Failed;
        }
    } else if let (Some(since), Some(modified)) =
        (field(head.if_unmodified_since).and_then(date::parse), current.modified)
        && modified > since
    {
        return Outcome::Failed;
    }
    if let Some(list) = field(head.if_none_match) {
        if matches(list, b"if-none-match", current.etag, Comparison::Weak) {
            return Outcome::NotModified;
        }
    } else if let (Some(since), Some(modified)) =
        (field(head.if_modified_since).and_then(date::parse), current.modified)
        && modified <= since
    {
        return Outcome::NotModified;
    }
    let same_version = field(head.if_range).is_none_or(|value| match value {
        [b'"', ..] => current.etag == Some(value),
        // A date counts only as an exact match (RFC 9110 §13.1.5).
        _ => current.modified.is_some() && date::parse(value) == current.modified,
    });
    let range = if head.method == Method::Get && same_version { RangeUse::Honour } else { RangeUse::Ignore };
    Outcome::Proceed(range)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Comparison {
    /// Weak tags match nothing.
    Strong,
    /// `W/` does not matter.
    Weak,
}

/// Whether `*` or the list of entity tags in all fields called `name` has `etag`. `lines` is from the first one's value to the last
/// one's, with the fields in between.
fn matches(lines: &[u8], name: &[u8], etag: Option<&[u8]>, comparison: Comparison) -> bool {
    if lines.trim_ascii() == b"*" {
        return true;
    }
    let Some(etag) = etag else { return false };
    lines.split(|&byte| byte == b'\n').enumerate().any(|(number, line)| {
        let list = match number {
            0 => Some(line),
            _ => value_of(line, name),
        };
        list.is_some_and(|list| lists(list, etag, comparison))
    })
}

/// The value of a line, if that is a field called `name`.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    if found.eq_ignore_ascii_case(name) { rest.strip_prefix(b":") } else { None }
}

/// Whether a list of entity tags has `etag`.
fn lists(list: &[u8], etag: &[u8], comparison: Comparison) -> bool {
    let mut rest = list;
    while let Some(start) = rest.iter().position(|&byte| byte == b'"') {
        let weak = rest.get(..start).unwrap_or_default().ends_with(b"W/");
        let quoted = rest.get(start..).unwrap_or_default();
        // A tag ends at its second quote: there are no escapes, and commas may be inside.
        let Some(end) = quoted.iter().skip(1).position(|&byte| byte == b'"') else { return false };
        let (tag, after) = quoted.split_at_checked(end.saturating_add(2)).unwrap_or((quoted, &[]));
        if tag == etag && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests;
