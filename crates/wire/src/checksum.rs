//! The Internet checksum, in pieces.
//!
//! A [`Sum`] is a one's-complement sum that is not finished yet. Pieces are added in any order as
//! long as each begins at an even offset of the whole; a piece at an odd offset is added with
//! [`Sum::add_at`]. [`copy`] sums while it copies, so that payload is touched once.
//!
//! Source: RFC 1071 §1, §2 (byte order independence, parallel summation, odd pieces).

use core::net::Ipv4Addr;

use crate::IpProtocol;

/// A one's-complement sum of 16-bit words in network order.
///
/// Kept wide: a 32-bit field is worth the same as its two words (2¹⁶ ≡ 1 modulo 2¹⁶ − 1), so a field costs one
/// addition, and carries are folded once at the end. 2³² fields would have to be added for it to overflow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// Sums `bytes`; an odd one at the end counts as if a zero followed.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let (blocks, rest) = bytes.as_chunks::<64>();
        let mut total = 0u64;
        for block in blocks {
            total = add_block::<8>(total, &words_of(block));
        }
        Self::from_native(total, tail(rest))
    }

    /// Sums a header of twenty bytes: that of IPv4, and that of TCP without options.
    #[inline]
    #[must_use]
    pub const fn of_header(bytes: &[u8; 20]) -> Self {
        let (fields, _) = bytes.as_chunks::<4>();
        let [a, b, c, d, e] = fields else { return Self::ZERO };
        Self::ZERO
            .add_long(u32::from_be_bytes(*a))
            .add_long(u32::from_be_bytes(*b))
            .add_long(u32::from_be_bytes(*c))
            .add_long(u32::from_be_bytes(*d))
            .add_long(u32::from_be_bytes(*e))
    }

    /// Adds one 16-bit word (given in host order).
    #[must_use]
    pub const fn add_word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word as u64))
    }

    /// Adds the two words of a 32-bit field (given in host order).
    #[must_use]
    pub const fn add_long(self, long: u32) -> Self {
        Self(self.0.wrapping_add(long as u64))
    }

    /// Adds a piece that begins at an even offset of the whole.
    #[must_use]
    pub const fn add(self, piece: Self) -> Self {
        Self(self.0.wrapping_add(piece.0))
    }

    /// Adds a piece that begins `offset` bytes into the whole, odd or even.
    #[must_use]
    pub const fn add_at(self, offset: usize, piece: Self) -> Self {
        if offset & 1 == 0 { self.add(piece) } else { self.add(Self(piece.fold().swap_bytes() as u64)) }
    }

    /// The checksum field of a header: the complement of the sum.
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// Whether a sum that includes the checksum field shows the bytes to be intact.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    const fn fold(self) -> u16 {
        let sum = (self.0 & 0xffff_ffff).wrapping_add(self.0 >> 32);
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        let [.., high, low] = (sum & 0xffff).wrapping_add(sum >> 16).to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// From two end-around sums of little-endian words.
    const fn from_native(total: u64, more: u64) -> Self {
        let (sum, carry) = total.overflowing_add(more);
        Self(Self(sum).add(Self(carry as u64)).fold().swap_bytes() as u64)
    }
}

/// Copies as much of `src` into `dst` as goes, and sums what was copied.
///
/// Equal to copying and [`Sum::of`], in one pass over the bytes.
#[must_use]
pub fn copy(dst: &mut [u8], src: &[u8]) -> Sum {
    let length = dst.len().min(src.len());
    let (Some(dst), Some(src)) = (dst.get_mut(..length), src.get(..length)) else { return Sum::ZERO };
    // Each loop costs five instructions a round, so a round takes much.
    let (to, to_rest) = dst.as_chunks_mut::<128>();
    let (from, from_rest) = src.as_chunks::<128>();
    let mut total = 0u64;
    for (to, from) in to.iter_mut().zip(from) {
        total = copy_block::<128, 16>(to, from, total);
    }
    let (to, to_rest) = to_rest.as_chunks_mut::<64>();
    let (from, from_rest) = from_rest.as_chunks::<64>();
    for (to, from) in to.iter_mut().zip(from) {
        total = copy_block::<64, 8>(to, from, total);
    }
    to_rest.copy_from_slice(from_rest);
    Sum::from_native(total, tail(from_rest))
}

/// Copies a block of `WORDS` times eight bytes and adds it to an end-around sum.
#[inline]
fn copy_block<const BYTES: usize, const WORDS: usize>(
    to: &mut [u8; BYTES],
    from: &[u8; BYTES],
    total: u64,
) -> u64 {
    let words: [u64; WORDS] = words_of(from);
    for (place, word) in to.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    add_block(total, &words)
}

/// The sum of the pseudo-header that TCP and UDP put before their header over IPv4.
///
/// `length` is that of header and payload, in bytes.
///
/// Source: RFC 9293 §3.1, RFC 768.
#[must_use]
pub const fn pseudo_ipv4(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, length: u16) -> Sum {
    Sum::ZERO.add_long(src.to_bits()).add_long(dst.to_bits()).add_word(protocol.0 as u16).add_word(length)
}

/// A block as words; several at a time are enough for the carries to stay in the flag from one addition to the next.
#[inline]
fn words_of<const BYTES: usize, const WORDS: usize>(block: &[u8; BYTES]) -> [u64; WORDS] {
    let mut words = [0u64; WORDS];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Adds a block to an end-around 64-bit sum.
#[inline]
fn add_block<const WORDS: usize>(total: u64, words: &[u64; WORDS]) -> u64 {
    let mut total = total;
    let mut carry = false;
    for word in words {
        (total, carry) = total.carrying_add(*word, carry);
    }
    // The end-around carry can't carry again: the first addition took none in, so whenever one comes out, of it or
    // of a later one, the sum is below the maximum.
    total.wrapping_add(u64::from(carry))
}

/// End-around sum of fewer than 64 bytes.
fn tail(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut total = 0u64;
    for word in words {
        let (sum, carry) = total.overflowing_add(u64::from_le_bytes(*word));
        total = sum.wrapping_add(u64::from(carry));
    }
    let mut last = 0u64;
    for byte in rest.iter().rev() {
        last = (last << 8) | u64::from(*byte);
    }
    let (sum, carry) = total.overflowing_add(last);
    sum.wrapping_add(u64::from(carry))
}

#[cfg(test)]
mod tests;
