//! Fields: what a record says besides its text, typed.
//!
//! Each is stored as `kind` (u8), length of the key (u8), length of the value (u16, little-endian), key, value.

/// Fields of one record at most.
pub const FIELDS_MAX: usize = 16;
/// Bytes of all of them together, as they are stored, at most.
pub const FIELDS_BYTES_MAX: usize = 512;
/// Bytes of a key at most.
pub const KEY_MAX: usize = 32;

const HEADER: usize = 4;
const TEXT: u8 = 0;
const UNSIGNED: u8 = 1;
const SIGNED: u8 = 2;
const FLAG: u8 = 3;

/// What a field says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// Whether something holds.
    Flag(bool),
}

/// A name and what it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// Its name: a small letter, then `a-z 0-9 _ . -`, at most [`KEY_MAX`] bytes.
    pub key: &'a str,
    /// What it is.
    pub value: Value<'a>,
}

/// Why fields are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// More than [`FIELDS_MAX`], or more bytes than there is room for.
    TooMany,
    /// A key that is none.
    Key,
    /// A key that came before.
    Twice,
    /// A value that its kind can't have, or a kind that is none.
    Value,
    /// The bytes end within a field.
    Cut,
}

/// Checked fields, as they are stored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// None.
    pub const NONE: Self = Self(&[]);

    /// Checks what a program gave.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        if bytes.len() > FIELDS_BYTES_MAX {
            return Err(Refused::TooMany);
        }
        let (mut rest, mut count) = (bytes, 0);
        while !rest.is_empty() {
            let (field, after) = split(rest)?;
            if !is_key(field.key) {
                return Err(Refused::Key);
            }
            count += 1;
            if count > FIELDS_MAX {
                return Err(Refused::TooMany);
            }
            // Those before are checked. At most FIELDS_MAX of them.
            let before = bytes.len() - rest.len();
            if Self(bytes.get(..before).unwrap_or_default()).iter().any(|other| other.key == field.key) {
                return Err(Refused::Twice);
            }
            rest = after;
        }
        Ok(Self(bytes))
    }

    /// Fields that were checked before, as the ring stored them.
    pub(crate) const fn stored(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes that a program passes, and that are stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Each field.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (field, after) = split(rest).ok()?;
            rest = after;
            Some(field)
        })
    }
}

/// The first field, and what follows it.
fn split(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), Refused> {
    let (&[kind, key_len, low, high], rest) = bytes.split_first_chunk::<HEADER>().ok_or(Refused::Cut)?;
    let (key, rest) = rest.split_at_checked(usize::from(key_len)).ok_or(Refused::Cut)?;
    let len = usize::from(u16::from_le_bytes([low, high]));
    let (value, rest) = rest.split_at_checked(len).ok_or(Refused::Cut)?;
    let key = core::str::from_utf8(key).map_err(|_| Refused::Key)?;
    let number = || value.try_into().map_err(|_| Refused::Value);
    let value = match kind {
        TEXT => Value::Text(core::str::from_utf8(value).map_err(|_| Refused::Value)?),
        UNSIGNED => Value::Unsigned(u64::from_le_bytes(number()?)),
        SIGNED => Value::Signed(i64::from_le_bytes(number()?)),
        FLAG => match value {
            [0] => Value::Flag(false),
            [1] => Value::Flag(true),
            _ => return Err(Refused::Value),
        },
        _ => return Err(Refused::Value),
    };
    Ok((Field { key, value }, rest))
}

fn is_key(key: &str) -> bool {
    key.len() <= KEY_MAX
        && key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
        })
}

/// Makes fields, in memory of the caller.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    bytes: &'a mut [u8],
    len: usize,
    count: usize,
}

impl<'a> FieldWriter<'a> {
    /// None yet; [`FIELDS_BYTES_MAX`] bytes are room for all that a record takes.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, count: 0 }
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// [`Refused`]; then it is not there.
    pub fn push(&mut self, key: &str, value: Value<'_>) -> Result<(), Refused> {
        if !is_key(key) {
            return Err(Refused::Key);
        }
        if self.so_far().iter().any(|field| field.key == key) {
            return Err(Refused::Twice);
        }
        let number;
        let (kind, content) = match value {
            Value::Text(text) => (TEXT, text.as_bytes()),
            Value::Unsigned(value) => {
                number = value.to_le_bytes();
                (UNSIGNED, number.as_slice())
            }
            Value::Signed(value) => {
                number = value.to_le_bytes();
                (SIGNED, number.as_slice())
            }
            Value::Flag(value) => (FLAG, if value { [1].as_slice() } else { [0].as_slice() }),
        };
        let end = self.len + HEADER + key.len() + content.len();
        let (Ok(key_len), Ok(len)) = (u8::try_from(key.len()), u16::try_from(content.len())) else {
            return Err(Refused::TooMany);
        };
        let room = self.bytes.get_mut(self.len..end).filter(|_| end <= FIELDS_BYTES_MAX);
        let Some(room) = room.filter(|_| self.count < FIELDS_MAX) else {
            return Err(Refused::TooMany);
        };
        let [low, high] = len.to_le_bytes();
        let from = [kind, key_len, low, high].into_iter().chain(key.bytes()).chain(content.iter().copied());
        room.iter_mut().zip(from).for_each(|(into, byte)| *into = byte);
        self.len = end;
        self.count += 1;
        Ok(())
    }

    fn so_far(&self) -> Fields<'_> {
        Fields(self.bytes.get(..self.len).unwrap_or_default())
    }

    /// What was added.
    #[must_use]
    pub fn finish(self) -> Fields<'a> {
        Fields(self.bytes.get(..self.len).unwrap_or_default())
    }
}
