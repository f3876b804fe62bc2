//! The tree as a stream of tokens: `fdt-rs` behind checks that make it safe for any bytes.

use crate::Error;
use fdt_rs::base::DevTree;
use fdt_rs::base::parse::{DevTreeParseIter, ParsedTok};
use fdt_rs::prelude::FallibleIterator;

const HEADER_LEN: usize = 40;
/// What the boot protocol allows; bounds the time that a hostile tree costs.
/// Source: Linux Documentation/arch/arm64/booting.rst §2.
const MAX_LEN: usize = 2 << 20;
const BEGIN_NODE: u32 = 1;

/// Length of the tree whose first bytes are `header` (at least 40 of them).
///
/// # Errors
///
/// [`Error::Truncated`] if fewer than 40 bytes were given or the tree claims less, [`Error::TooLarge`] if it claims more than
/// 2 MiB, [`Error::BadMagic`].
pub fn tree_len(header: &[u8]) -> Result<usize, Error> {
    match stated_len(header)? {
        len if len > MAX_LEN => Err(Error::TooLarge { len }),
        len => Ok(len),
    }
}

fn stated_len(header: &[u8]) -> Result<usize, Error> {
    let word = |at| be32(header, at).ok_or(Error::Truncated);
    if word(0)? != fdt_rs::spec::FDT_MAGIC {
        return Err(Error::BadMagic);
    }
    let len = word(4)? as usize;
    if header.len() < HEADER_LEN || len < HEADER_LEN {
        return Err(Error::Truncated);
    }
    Ok(len)
}

/// Big-endian word at byte `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// A token of the structure block.
pub(crate) enum Token<'a> {
    /// A node opens.
    Begin {
        name: &'a [u8],
    },
    /// A property of the node that opened last. `name` runs on past the terminating zero.
    Property {
        name: &'a [u8],
        value: &'a [u8],
    },
    End,
}

/// The tokens of a checked tree.
pub(crate) struct Tokens<'t, 'a> {
    tree: &'t DevTree<'a>,
    iter: DevTreeParseIter<'t, 'a>,
    struct_end: usize,
    strings: &'a [u8],
}

/// Checks the header of `dtb`.
pub(crate) fn open(dtb: &[u8]) -> Result<DevTree<'_>, Error> {
    tree_len(dtb)?;
    open_any(dtb)
}

/// The same, however large the tree is.
pub(crate) fn open_any(dtb: &[u8]) -> Result<DevTree<'_>, Error> {
    let len = stated_len(dtb)?;
    let dtb = dtb.get(..len).ok_or(Error::Truncated)?;
    if !dtb.as_ptr().addr().is_multiple_of(8) {
        return Err(Error::Misaligned);
    }
    let version = be32(dtb, 20).ok_or(Error::Truncated)?;
    let last_compatible = be32(dtb, 24).ok_or(Error::Truncated)?;
    if version < 16 || last_compatible > 17 {
        return Err(Error::BadVersion { version });
    }
    #[expect(unsafe_code, reason = "fdt-rs asks its caller to vouch for the slice")]
    // SAFETY: `dtb` is 8-byte aligned and exactly `totalsize` bytes long, at least a header; both checked above.
    let tree = unsafe { DevTree::new(dtb) };
    tree.map_err(|_| Error::Malformed { offset: 0 })
}

impl<'t, 'a> Tokens<'t, 'a> {
    pub(crate) fn new(tree: &'t DevTree<'a>) -> Result<Self, Error> {
        let bytes = tree.buf();
        let strings = bytes.get(tree.off_dt_strings()..).ok_or(Error::Malformed { offset: 12 })?;
        if tree.off_dt_struct() >= bytes.len() {
            return Err(Error::Malformed { offset: 8 });
        }
        Ok(Self { tree, iter: tree.parse_iter(), struct_end: bytes.len(), strings })
    }

    /// Byte offset of the next token.
    pub(crate) fn offset(&self) -> usize {
        self.iter.offset
    }

    /// The memory reservation block's entries.
    pub(crate) fn reservations(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let block = self.tree.buf().get(self.tree.off_mem_rsvmap()..).unwrap_or(&[]);
        block
            .chunks_exact(16)
            .map(|entry| {
                let (base, len) = entry.split_at(8);
                (
                    u64::from_be_bytes(base.try_into().unwrap_or_default()),
                    u64::from_be_bytes(len.try_into().unwrap_or_default()),
                )
            })
            .take_while(|&(base, len)| base != 0 || len != 0)
    }

    /// The next token; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Token<'a>>, Error> {
        loop {
            let offset = self.iter.offset;
            // The library asserts this in debug builds instead of refusing.
            if offset.checked_add(4).is_none_or(|end| end >= self.struct_end) {
                return self.last(offset);
            }
            return match self.iter.next() {
                Ok(None) => Ok(None),
                Ok(Some(ParsedTok::Nop)) => continue,
                Ok(Some(ParsedTok::EndNode)) => Ok(Some(Token::End)),
                Ok(Some(ParsedTok::BeginNode(node))) => Ok(Some(Token::Begin { name: node.name })),
                Ok(Some(ParsedTok::Prop(prop))) => {
                    let name = self.strings.get(prop.name_offset..).ok_or(Error::Malformed { offset })?;
                    Ok(Some(Token::Property { name, value: prop.prop_buf }))
                }
                Err(_) => self.long_name(offset).map(Some),
            };
        }
    }

    /// The tree may end with its last word.
    fn last(&self, offset: usize) -> Result<Option<Token<'a>>, Error> {
        match be32(self.tree.buf(), offset) {
            Some(9) => Ok(None),
            _ => Err(Error::Malformed { offset }),
        }
    }

    /// The library refuses node names over 30 bytes, which real trees have. Steps over one.
    fn long_name(&mut self, offset: usize) -> Result<Token<'a>, Error> {
        let broken = Error::Malformed { offset };
        let bytes = self.tree.buf();
        if be32(bytes, offset) != Some(BEGIN_NODE) {
            return Err(broken);
        }
        let name = bytes.get(offset + 4..).ok_or(broken)?;
        let len = name.iter().position(|&byte| byte == 0).ok_or(broken)?;
        self.iter.offset = (offset + 4 + len + 1).next_multiple_of(4);
        Ok(Token::Begin { name: name.get(..len).ok_or(broken)? })
    }
}
