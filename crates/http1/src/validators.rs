//! Conditional requests: entity tags and dates.
//!
//! Source: RFC 9110 §8.8.3, §13.1, §13.2.2.

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
        if !matches(list, current.etag, Comparison::Strong) {
            return Outcome::Failed;
        }
    } else if let (Some(since), Some(modified)) =
        (field(head.if_unmodified_since).and_then(date::parse), current.modified)
        && modified > since
    {
        return Outcome::Failed;
    }
    if let Some(list) = field(head.if_none_match) {
        if matches(list, current.etag, Comparison::Weak) {
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

/// Whether a list of entity tags (or `*`) has `etag`.
fn matches(list: &[u8], etag: Option<&[u8]>, comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    let Some(etag) = etag else { return false };
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
