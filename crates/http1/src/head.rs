//! Request heads.

use core::mem::MaybeUninit;

use crate::Status;

/// How much a client may send before it is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a head, line ends included. At most 65,535.
    pub head_bytes: usize,
}

impl Limits {
    /// 8 KiB, as most servers.
    pub const DEFAULT: Self = Self { head_bytes: 8192 };
}

/// Fields that one head may have.
const MOST_FIELDS: usize = 100;

/// Why a head is refused. [`Error::status`] says what to answer; the connection can't go on after any of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A line ends without CR.
    BareLineFeed,
    /// The request line is not `method SP target SP HTTP/1.x`.
    RequestLine,
    /// A field line is malformed: folded, a space before the colon, a control character.
    FieldLine,
    /// None, several or a malformed `Host`.
    Host,
    /// Several, a malformed or a too big `Content-Length`, or one beside `Transfer-Encoding`.
    ContentLength,
    /// `Transfer-Encoding` in HTTP/1.0, or chunked not exactly once.
    TransferEncoding,
    /// A transfer coding that is not offered.
    UnknownCoding,
    /// A method that is not known.
    UnknownMethod,
    /// An expectation that is not `100-continue`.
    UnknownExpectation,
    /// The target is not one for this method.
    Target,
    /// A major version other than 1.
    Version,
    /// The request line does not end within the limit.
    UriTooLong,
    /// The head does not end within the limit, or has too many fields.
    HeadTooLarge,
}

impl Error {
    /// What to answer.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::BareLineFeed
            | Self::RequestLine
            | Self::FieldLine
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::Target => Status::BAD_REQUEST,
            Self::UnknownCoding | Self::UnknownMethod => Status::NOT_IMPLEMENTED,
            Self::UnknownExpectation => Status::EXPECTATION_FAILED,
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::UriTooLong => Status::URI_TOO_LONG,
            Self::HeadTooLarge => Status::HEADER_FIELDS_TOO_LARGE,
        }
    }
}

/// Finds the end of a head in bytes that arrive in pieces, each byte looked at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Scan {
    /// Bytes looked at.
    seen: usize,
    /// Where the current line starts.
    line: usize,
    /// Lines that were not empty.
    lines: usize,
}

impl Scan {
    /// A scan that starts with the first byte of a head.
    #[must_use]
    pub const fn new() -> Self {
        Self { seen: 0, line: 0, lines: 0 }
    }

    /// Whether no line has begun yet: only such a connection may be closed without an answer.
    #[must_use]
    pub const fn is_blank(&self) -> bool {
        self.lines == 0 && self.seen == self.line
    }

    /// Goes on with `bytes`, which start with the head and are those of the last call and more. Returns the head's length
    /// when it is whole. Empty lines before the request line belong to it (RFC 9112 §2.2).
    ///
    /// # Errors
    ///
    /// [`Error::BareLineFeed`], [`Error::RequestLine`] for a first byte that no method starts with,
    /// [`Error::UriTooLong`], [`Error::HeadTooLarge`].
    pub fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        let fresh = bytes.get(self.seen..limits.head_bytes.min(bytes.len())).unwrap_or_default();
        let mut before = self.seen.checked_sub(1).and_then(|last| bytes.get(last)).copied();
        for byte in fresh.iter().copied() {
            self.seen = self.seen.saturating_add(1);
            if byte == b'\n' {
                if before != Some(b'\r') {
                    return Err(Error::BareLineFeed);
                }
                // CR LF alone: an empty line.
                let empty = self.seen == self.line.saturating_add(2);
                if empty && self.lines > 0 {
                    return Ok(Some(self.seen));
                }
                self.lines = self.lines.saturating_add(usize::from(!empty));
                self.line = self.seen;
            } else if self.lines == 0 && self.line.saturating_add(1) == self.seen && !starts_line(byte) {
                return Err(Error::RequestLine);
            }
            before = Some(byte);
        }
        match (bytes.len() >= limits.head_bytes, self.lines) {
            (false, _) => Ok(None),
            (true, 0) => Err(Error::UriTooLong),
            (true, _) => Err(Error::HeadTooLarge),
        }
    }
}

/// Whether a request line, or an empty line before it, can start with `byte`: refuses TLS and binary noise at once.
const fn starts_line(byte: u8) -> bool {
    byte == b'\r' || is_token(byte)
}

/// Source: RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// A part of the bytes that a head was parsed from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The part itself; `bytes` are those that the head was parsed from, or longer.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    fn locate(part: &[u8], bytes: &[u8]) -> Self {
        let start = part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
        let clamp = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self { start: clamp(start), end: clamp(start.saturating_add(part.len())) }
    }
}

/// Method of a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Method {
    /// The content.
    Get,
    /// The head that `GET` would get.
    Head,
    /// Any other that RFC 9110 or 5789 defines: known, but not offered for a file.
    Other,
}

/// Minor version that a request names; 1.2 and up count as 1.1 (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// What the client wants to happen to the connection after the response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Persistence {
    /// Stay open.
    KeepAlive,
    /// Close.
    Close,
}

/// What follows the head.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BodyLength {
    /// So many bytes, often none.
    Bytes(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
}

/// Whether the client waits for `100 Continue` before it sends the body.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Expectation {
    /// It sends the body anyway.
    None,
    /// It waits a while.
    Continue,
}

/// A request head, as spans into the bytes that it was parsed from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Method.
    pub method: Method,
    /// The method as it was written.
    pub method_name: Span,
    /// Version.
    pub version: Version,
    /// Target from its path on: starts with `/`, or is `*` or an authority for methods that are [`Method::Other`].
    pub target: Span,
    /// What happens to the connection.
    pub persistence: Persistence,
    /// What follows.
    pub body: BodyLength,
    /// Whether the client waits before the body.
    pub expectation: Expectation,
    /// `Range`, unless there are several.
    pub range: Option<Span>,
    /// `If-Range`.
    pub if_range: Option<Span>,
    /// `If-Match`: from the value of the first to that of the last, if there are several.
    pub if_match: Option<Span>,
    /// `If-None-Match`: in the same way.
    pub if_none_match: Option<Span>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Span>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Span>,
}

impl Head {
    /// Takes apart a whole head, as [`Scan`] delimits it.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut fields) {
            Ok(httparse::Status::Complete(_)) => {
                let (Some(method), Some(target), Some(minor)) =
                    (request.method, request.path, request.version)
                else {
                    return Err(Error::RequestLine);
                };
                let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
                Self::build(bytes, method.as_bytes(), target.as_bytes(), version, request.headers)
            }
            Ok(httparse::Status::Partial) => Err(Error::RequestLine),
            Err(httparse::Error::Version) => Self::other_version(bytes),
            Err(httparse::Error::TooManyHeaders) => Err(Error::HeadTooLarge),
            Err(httparse::Error::Token | httparse::Error::NewLine | httparse::Error::Status) => {
                Err(Error::RequestLine)
            }
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => Err(Error::FieldLine),
        }
    }

    /// `httparse` knows 1.0 and 1.1 only: a later minor version is a 1.1 to us, another major one gets its own status.
    fn other_version(bytes: &[u8]) -> Result<Self, Error> {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).ok_or(Error::RequestLine)?;
        let bytes_from_line = bytes.get(start..).unwrap_or_default();
        let end = bytes_from_line.iter().position(|&byte| byte == b'\r').ok_or(Error::RequestLine)?;
        let (line, rest) = bytes_from_line.split_at_checked(end).ok_or(Error::RequestLine)?;
        let mut words = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Error::RequestLine);
        };
        match version {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => {}
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Error::Version);
            }
            _ => return Err(Error::RequestLine),
        }
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        match httparse::parse_headers(rest.get(2..).unwrap_or_default(), &mut fields) {
            Ok(httparse::Status::Complete((_, fields))) => {
                Self::build(bytes, method, target, Version::Http11, fields)
            }
            Err(httparse::Error::TooManyHeaders) => Err(Error::HeadTooLarge),
            _ => Err(Error::FieldLine),
        }
    }

    fn build(
        bytes: &[u8],
        method_name: &[u8],
        target: &[u8],
        version: Version,
        fields: &[httparse::Header<'_>],
    ) -> Result<Self, Error> {
        let method = known_method(method_name)?;
        let mut head = Self {
            method,
            method_name: Span::locate(method_name, bytes),
            version,
            target: Span::locate(origin_form(method, method_name, target)?, bytes),
            persistence: Persistence::KeepAlive,
            body: BodyLength::Bytes(0),
            expectation: Expectation::None,
            range: None,
            if_range: None,
            if_match: None,
            if_none_match: None,
            if_modified_since: None,
            if_unmodified_since: None,
        };
        let mut seen = Seen::default();
        for field in fields {
            head.field(&mut seen, field.name.as_bytes(), field.value, bytes)?;
        }
        seen.finish(&mut head)?;
        Ok(head)
    }

    /// One field. The length of the name picks few candidates, so that unknown fields cost one comparison.
    fn field(&mut self, seen: &mut Seen, name: &[u8], value: &[u8], bytes: &[u8]) -> Result<(), Error> {
        let span = Span::locate(value, bytes);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => seen.host(value)?,
            5 if is(b"range") => seen.range(&mut self.range, span),
            6 if is(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Error::UnknownExpectation);
                }
                self.expectation = Expectation::Continue;
            }
            8 if is(b"if-range") => self.if_range = Some(span),
            8 if is(b"if-match") => self.if_match = Some(joined(self.if_match, span)),
            10 if is(b"connection") => seen.connection(value),
            13 if is(b"if-none-match") => self.if_none_match = Some(joined(self.if_none_match, span)),
            14 if is(b"content-length") => seen.content_length(value)?,
            17 if is(b"transfer-encoding") => seen.transfer_encoding(value)?,
            17 if is(b"if-modified-since") => self.if_modified_since = Some(span),
            19 if is(b"if-unmodified-since") => self.if_unmodified_since = Some(span),
            _ => {}
        }
        Ok(())
    }
}

/// From the first field's value to the last one's, with whatever fields lie between: who reads the list leaves them out.
const fn joined(first: Option<Span>, last: Span) -> Span {
    match first {
        Some(first) => Span { start: first.start, end: last.end },
        None => last,
    }
}

/// Fields of which there may be one, or which only count together.
#[derive(Default)]
struct Seen {
    hosts: u32,
    ranges: u32,
    length: Option<u64>,
    chunked: u32,
    coded: bool,
    close: bool,
    keep_alive: bool,
}

impl Seen {
    fn host(&mut self, value: &[u8]) -> Result<(), Error> {
        self.hosts = self.hosts.saturating_add(1);
        let plausible = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte);
        if self.hosts > 1 || !value.iter().all(plausible) { Err(Error::Host) } else { Ok(()) }
    }

    /// Several `Range` fields mean several ranges, which get the whole file.
    fn range(&mut self, range: &mut Option<Span>, span: Span) {
        self.ranges = self.ranges.saturating_add(1);
        *range = (self.ranges == 1).then_some(span);
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Error> {
        // Digits only, once: "5, 5", "+5" and a second field are how requests are smuggled (RFC 9112 §6.3, §11.2).
        let length = number(value).ok_or(Error::ContentLength)?;
        if self.length.replace(length).is_some() { Err(Error::ContentLength) } else { Ok(()) }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Error> {
        self.coded = true;
        for coding in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = self.chunked.saturating_add(1);
            } else if coding.is_empty() {
                return Err(Error::TransferEncoding);
            } else {
                return Err(Error::UnknownCoding);
            }
        }
        Ok(())
    }

    fn finish(&self, head: &mut Head) -> Result<(), Error> {
        if self.hosts == 0 && head.version == Version::Http11 {
            return Err(Error::Host);
        }
        head.body = match (self.coded, self.length) {
            (false, length) => BodyLength::Bytes(length.unwrap_or(0)),
            (true, Some(_)) => return Err(Error::ContentLength),
            (true, None) if head.version == Version::Http10 || self.chunked != 1 => {
                return Err(Error::TransferEncoding);
            }
            (true, None) => BodyLength::Chunked,
        };
        let keeps = match head.version {
            Version::Http10 => self.keep_alive && !self.close,
            Version::Http11 => !self.close,
        };
        head.persistence = if keeps { Persistence::KeepAlive } else { Persistence::Close };
        Ok(())
    }
}

/// A decimal number of digits alone.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit & 15))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Source: RFC 9110 §9.3, RFC 5789; methods are case-sensitive.
fn known_method(name: &[u8]) -> Result<Method, Error> {
    match name {
        b"GET" => Ok(Method::Get),
        b"HEAD" => Ok(Method::Head),
        b"POST" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE" | b"CONNECT" | b"PATCH" => Ok(Method::Other),
        _ => Err(Error::UnknownMethod),
    }
}

/// The part of the target from its path on.
///
/// Source: RFC 9112 §3.2: a server must accept the absolute form too.
fn origin_form<'a>(method: Method, name: &[u8], target: &'a [u8]) -> Result<&'a [u8], Error> {
    if target.iter().any(|&byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(Error::Target);
    }
    match target {
        [b'/', ..] => return Ok(target),
        b"*" if name == b"OPTIONS" => return Ok(target),
        _ if name == b"CONNECT" => return Ok(target),
        _ => {}
    }
    let (scheme, rest) = target.split_at_checked(7).ok_or(Error::Target)?;
    if method != Method::Other && !scheme.eq_ignore_ascii_case(b"http://") || rest.is_empty() {
        return Err(Error::Target);
    }
    // An authority, then a path; without one the path is "/", which the last byte of "http://" happens to be.
    match rest.iter().position(|&byte| byte == b'/' || byte == b'?') {
        Some(0) => Err(Error::Target),
        Some(at) if rest.get(at) == Some(&b'/') => rest.get(at..).ok_or(Error::Target),
        _ => target.get(6..7).ok_or(Error::Target),
    }
}

#[cfg(test)]
mod tests;
