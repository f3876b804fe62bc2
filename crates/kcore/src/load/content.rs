//! What lies at the top of a new stack, as System V has it: argument count, pointers to the arguments, 0, pointers to the
//! environment, 0, auxiliary vector, then the strings.

use alloc::vec::Vec;

use swos_abi::{AUX_END, AUX_ENTRY, AUX_PAGE_SIZE, AUX_RANDOM, AUX_TIME_PAGE, Errno};
use swos_units::PAGE_SIZE;
use zerocopy::IntoBytes as _;

use crate::slice::Credit;

/// Bytes of arguments and environment together, with eight more for each of them: what points to it.
pub(crate) const STRINGS_MAX: usize = 128 * 1024;
/// Random bytes behind the strings.
pub(super) const RANDOM_BYTES: usize = 16;

/// Bytes looked at in one step.
const STEP: usize = 4096;
/// What a string costs, in instructions, beside one for each byte.
const STRING_COST: u32 = 40;

/// What a program starts with: arguments, then environment, each string ended by a zero byte.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    pub(crate) texts: Vec<u8>,
    /// Bytes of the arguments among them.
    pub(crate) args_len: usize,
}

/// What the kernel tells a program about where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Behind the stack, on the border of a page.
    pub(super) top: u64,
    pub(super) entry: u64,
    pub(super) time_page: u64,
}

/// The content, which is made in slices.
#[derive(Debug)]
pub(super) struct Content {
    places: Places,
    /// The strings and the random bytes, which end at the top.
    texts: Vec<u8>,
    args_len: usize,
    words: Vec<u64>,
    /// Bytes of the texts whose strings are among the words.
    scanned: usize,
    part: Part,
}

/// What is being looked through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Arguments,
    Environment,
    Done,
}

impl Content {
    pub(super) fn new(strings: Strings, random: &[u8; RANDOM_BYTES], places: Places) -> Result<Self, Errno> {
        let Strings { mut texts, args_len } = strings;
        if texts.len() > STRINGS_MAX {
            return Err(Errno::TOOBIG);
        }
        texts.try_reserve_exact(RANDOM_BYTES).map_err(|_| Errno::NOMEM)?;
        texts.extend_from_slice(random);
        let mut content =
            Self { places, texts, args_len, words: Vec::new(), scanned: 0, part: Part::Arguments };
        // The number of arguments: not known yet.
        content.push(0)?;
        Ok(content)
    }

    /// Goes on, until the credit is used up (false) or all is there (true).
    pub(super) fn go_on(&mut self, credit: &mut Credit) -> Result<bool, Errno> {
        loop {
            match self.part {
                Part::Arguments => {
                    if !self.scan(self.args_len, credit)? {
                        return Ok(false);
                    }
                    let count = self.words.len() as u64 - 1;
                    if let Some(first) = self.words.first_mut() {
                        *first = count;
                    }
                    self.push(0)?;
                    self.part = Part::Environment;
                }
                Part::Environment => {
                    if !self.scan(self.strings_len(), credit)? {
                        return Ok(false);
                    }
                    self.push(0)?;
                    for (key, value) in [
                        (AUX_PAGE_SIZE, PAGE_SIZE as u64),
                        (AUX_ENTRY, self.places.entry),
                        (AUX_RANDOM, self.texts_at() + self.strings_len() as u64),
                        (AUX_TIME_PAGE, self.places.time_page),
                        (AUX_END, 0),
                    ] {
                        self.push(key)?;
                        self.push(value)?;
                    }
                    self.part = Part::Done;
                }
                Part::Done => return Ok(true),
            }
        }
    }

    /// Notes where the strings up to `end` start; false = the credit is used up before.
    fn scan(&mut self, end: usize, credit: &mut Credit) -> Result<bool, Errno> {
        // Words that are not strings: the count, and the 0 behind the arguments.
        let others = if self.part == Part::Arguments { 1 } else { 2 };
        let most = (STRINGS_MAX - self.strings_len()) / 8 + others;
        while self.scanned < end {
            let rest = self.texts.get(self.scanned..end.min(self.scanned + STEP)).unwrap_or(&[]);
            let (len, all) = (length(rest), rest.len());
            if !credit.take(STRING_COST + u32::try_from(len).unwrap_or(u32::MAX)) {
                return Ok(false);
            }
            let before = self.scanned.checked_sub(1).and_then(|before| self.texts.get(before));
            if before.is_none_or(|&byte| byte == 0) {
                if self.words.len() == most {
                    return Err(Errno::TOOBIG);
                }
                self.push(self.texts_at() + self.scanned as u64)?;
            }
            self.scanned += if len < all { len + 1 } else { len };
        }
        Ok(true)
    }

    fn push(&mut self, word: u64) -> Result<(), Errno> {
        self.words.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        self.words.push(word);
        Ok(())
    }

    fn strings_len(&self) -> usize {
        self.texts.len() - RANDOM_BYTES
    }

    fn texts_at(&self) -> u64 {
        self.places.top - self.texts.len() as u64
    }

    /// Where the program starts.
    pub(super) const fn entry(&self) -> u64 {
        self.places.entry
    }

    /// Where it begins, once all is there: a multiple of 16.
    pub(super) fn start(&self) -> u64 {
        let total = (self.words.len() * 8 + self.texts.len()).next_multiple_of(16);
        self.places.top - total as u64
    }

    /// What of it lies in the page at `page`, as offsets in the page and bytes there. The rest of the page is zero.
    pub(super) fn in_page(&self, page: u64) -> impl Iterator<Item = (usize, &[u8])> {
        let parts = [(self.start(), self.words.as_slice().as_bytes()), (self.texts_at(), &self.texts)];
        parts.into_iter().filter_map(move |(at, bytes)| {
            let from = usize::try_from(page.saturating_sub(at)).ok()?;
            let offset = usize::try_from(at.saturating_sub(page)).ok()?;
            let room = PAGE_SIZE.checked_sub(offset).filter(|room| *room > 0)?;
            let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
            Some((offset, rest.get(..room).unwrap_or(rest)))
        })
    }
}

/// Bytes before the first zero, looked for eight at a time: arguments may be long.
fn length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    let mut len = 0;
    for &word in bytes.as_chunks().0 {
        let word = u64::from_le_bytes(word);
        // The lowest bit that is set belongs to the first byte that is zero.
        let zeros = word.wrapping_sub(ONES) & !word & ONES << 7;
        if zeros != 0 {
            return len + zeros.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = bytes.get(len..).unwrap_or(&[]);
    len + rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
