//! Words of a value.

use core::{fmt, iter::FusedIterator};

use crate::Problem;

/// Words separated by blanks, each checked when the text was parsed.
#[derive(Clone, Copy, Default)]
pub struct Words<'a>(&'a str);

/// One step through a value: a word and where it starts in it.
type Step<'a> = Option<(usize, &'a str)>;

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// The next word from `at` on, and where to go on. A problem comes with its offset.
fn next_word(value: &str, at: usize) -> Result<(Step<'_>, usize), (usize, Problem)> {
    let rest = value.get(at..).unwrap_or_default();
    let word = rest.trim_start_matches([' ', '\t']);
    let start = value.len() - word.len();
    if word.is_empty() {
        return Ok((None, start));
    }
    if let Some(quoted) = word.strip_prefix('"') {
        let Some((inside, after)) = quoted.split_once('"') else {
            return Err((start, Problem::Quote));
        };
        let end = value.len() - after.len();
        return match after.bytes().next() {
            Some(byte) if !is_blank(byte) => Err((end, Problem::Quote)),
            _ => Ok((Some((start, inside)), end)),
        };
    }
    let bare = word.split([' ', '\t']).next().unwrap_or(word);
    match bare.find('"') {
        Some(quote) => Err((start + quote, Problem::Quote)),
        None => Ok((Some((start, bare)), start + bare.len())),
    }
}

impl<'a> Words<'a> {
    /// No words.
    pub const NONE: Self = Self("");

    /// Checks a value.
    pub(crate) fn new(value: &'a str) -> Result<Self, (usize, Problem)> {
        let mut at = 0;
        while let (Some(_), next) = next_word(value, at)? {
            at = next;
        }
        Ok(Self(value))
    }

    /// The words with their offsets in the value.
    pub(crate) fn with_offsets(self) -> impl Iterator<Item = (usize, &'a str)> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let (word, next) = next_word(self.0, at).ok()?;
            at = next;
            word
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.into_iter().next().is_none()
    }
}

/// The words in their order, without quotes.
#[derive(Clone, Debug)]
pub struct IntoIter<'a> {
    value: &'a str,
    at: usize,
}

impl<'a> Iterator for IntoIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        // `Words::new` has seen that no word is a problem.
        let (word, next) = next_word(self.value, self.at).ok()?;
        self.at = next;
        word.map(|(_, word)| word)
    }
}

impl FusedIterator for IntoIter<'_> {}

impl<'a> IntoIterator for Words<'a> {
    type Item = &'a str;
    type IntoIter = IntoIter<'a>;

    fn into_iter(self) -> IntoIter<'a> {
        IntoIter { value: self.0, at: 0 }
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.into_iter().eq(*other)
    }
}

impl Eq for Words<'_> {}

impl fmt::Debug for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// The words with one blank between them, quoted where needed.
impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, word) in self.into_iter().enumerate() {
            let blank = if n == 0 { "" } else { " " };
            if word.is_empty() || word.bytes().any(is_blank) {
                write!(f, "{blank}\"{word}\"")?;
            } else {
                write!(f, "{blank}{word}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
