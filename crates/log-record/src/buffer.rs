//! Where lines are written.

/// Bytes of fixed room. What does not fit is not written, and the buffer says so.
#[derive(Debug)]
pub struct Buffer<'a> {
    bytes: &'a mut [u8],
    len: usize,
    overflowed: bool,
}

impl<'a> Buffer<'a> {
    /// An empty buffer of this room.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, overflowed: false }
    }

    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// How much that is.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes all of `more`, or nothing and everything after it neither.
    #[inline(never)]
    pub fn put(&mut self, more: &[u8]) {
        let end = self.len.saturating_add(more.len());
        match self.bytes.get_mut(self.len..end) {
            Some(room) if !self.overflowed => {
                room.copy_from_slice(more);
                self.len = end;
            }
            Some(_) | None => self.overflowed = true,
        }
    }

    /// Writes a number, with at least `width` digits.
    #[inline(never)]
    pub fn number(&mut self, mut number: u64, width: usize) {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        while number > 0 || digits.len() - first < width.clamp(1, 20) {
            first = first.saturating_sub(1);
            if let (Some(digit), Ok(value)) = (digits.get_mut(first), u8::try_from(number % 10)) {
                *digit = b'0' + value;
            }
            number /= 10;
        }
        self.put(digits.get(first..).unwrap_or_default());
    }

    /// Goes back to `len` if something did not fit since. Whether all did.
    pub(crate) const fn keep_whole(&mut self, len: usize) -> bool {
        if !self.overflowed {
            return true;
        }
        self.len = len;
        self.overflowed = false;
        false
    }
}
