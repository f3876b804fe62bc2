//! Lines of key and value.

use alloc::vec::Vec;

/// There was no memory for the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoMemory;

/// Says that lines are missing.
const CUT: &[u8] = b"cut 1\n";

/// A text being made, of at most so many bytes.
#[derive(Debug)]
pub struct Lines {
    text: Vec<u8>,
    max: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Good,
    Full,
    NoMemory,
}

/// A number as digits.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; 20],
    first: usize,
}

impl Decimal {
    /// The digits of `number`.
    #[must_use]
    #[inline(never)]
    pub fn new(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], first: 20 };
        loop {
            decimal.first -= 1;
            if let (Some(digit), Ok(value)) =
                (decimal.digits.get_mut(decimal.first), u8::try_from(number % 10))
            {
                *digit = b'0' + value;
            }
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.first..).unwrap_or_default()
    }
}

impl Lines {
    /// No lines yet, and at most `max` bytes of them.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { text: Vec::new(), max, state: State::Good }
    }

    /// Adds a line.
    pub fn text(&mut self, key: &str, value: &[u8]) {
        self.line(&[key.as_bytes(), b" ", value]);
    }

    /// Adds a line with a number.
    #[inline(never)]
    pub fn number(&mut self, key: &str, value: u64) {
        self.line(&[key.as_bytes(), b" ", Decimal::new(value).as_bytes()]);
    }

    /// Adds a line of these pieces, whole or not at all. Whatever would break it becomes a `?`.
    #[inline(never)]
    pub fn line(&mut self, pieces: &[&[u8]]) {
        if self.state != State::Good {
            return;
        }
        let len: usize = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1;
        if self.text.len() + len + CUT.len() > self.max {
            self.state = State::Full;
            return;
        }
        if self.text.try_reserve(len + CUT.len()).is_err() {
            self.state = State::NoMemory;
            return;
        }
        let shown = |byte: &u8| if byte.is_ascii_control() { b'?' } else { *byte };
        self.text.extend(pieces.iter().flat_map(|piece| piece.iter().map(shown)));
        self.text.push(b'\n');
    }

    /// Adds lines that were made elsewhere, whole, if all of them fit.
    pub fn append(&mut self, lines: &[u8]) {
        if self.state != State::Good {
        } else if self.text.len() + lines.len() + CUT.len() > self.max {
            self.state = State::Full;
        } else if self.text.try_reserve(lines.len() + CUT.len()).is_err() {
            self.state = State::NoMemory;
        } else {
            self.text.extend_from_slice(lines);
        }
    }

    /// Whether there is no use in adding more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.state != State::Good
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// [`NoMemory`].
    pub fn finish(mut self) -> Result<Vec<u8>, NoMemory> {
        match self.state {
            State::Good => Ok(self.text),
            State::Full => {
                // A text that never had a line has no room reserved.
                self.text.try_reserve(CUT.len()).map_err(|_| NoMemory)?;
                self.text.extend_from_slice(CUT);
                Ok(self.text)
            }
            State::NoMemory => Err(NoMemory),
        }
    }
}
