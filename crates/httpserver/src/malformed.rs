//! Requests at the edge of the standard and beyond it, with the status that a server here gives: for this crate's tests and for
//! tests of a running server.

/// One request, sent whole on a connection of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// The bytes.
    pub request: &'static [u8],
    /// Expected status of the first reply; 200 for targets that exist (`/`).
    pub status: u16,
    /// Whether the server closes after it.
    pub closes: Closes,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closes {
    /// It stays open.
    No,
    /// The server closes it.
    Yes,
}

macro_rules! cases {
    ($($status:literal $closes:ident $name:literal $request:expr;)*) => {
        /// The table.
        pub const CASES: &[Case] = &[$(Case {
            name: $name,
            request: $request,
            status: $status,
            closes: Closes::$closes,
        }),*];
    };
}

cases! {
    200 No "plain" b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    200 No "empty lines first" b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    200 No "absolute form" b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
    200 No "later minor version" b"GET / HTTP/1.9\r\nHost: a\r\n\r\n";
    200 No "empty host" b"GET / HTTP/1.1\r\nHost:\r\n\r\n";
    200 No "space around a value" b"GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n";
    200 No "query" b"GET /?../../x HTTP/1.1\r\nHost: a\r\n\r\n";
    200 No "dots within the root" b"GET /x/../ HTTP/1.1\r\nHost: a\r\n\r\n";
    200 No "body of a GET" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    200 No "chunked body of a GET" b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    200 No "unknown field" b"GET / HTTP/1.1\r\nHost: a\r\nX-Unknown: \x80\xff\r\n\r\n";
    200 Yes "close asked for" b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n";
    200 Yes "HTTP/1.0" b"GET / HTTP/1.0\r\n\r\n";
    200 No "HTTP/1.0 kept alive" b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    200 Yes "body not waited for" b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    200 No "other tags on two lines" b"GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\nX: *\r\nIf-None-Match: \"y\"\r\n\r\n";
    412 No "only other tags, on two lines" b"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\nIf-Match: \"y\"\r\n\r\n";
    405 No "POST" b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    405 No "OPTIONS" b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    405 No "CONNECT" b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n";
    404 No "no such file" b"GET /no/such/file HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "above the root" b"GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "above the root, encoded" b"GET /%2e%2e/%2E%2E/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "encoded slash" b"GET /..%2fetc/passwd HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "backslash" b"GET /..\\..\\etc HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "zero byte, encoded" b"GET /index.html%00.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    400 No "half an escape" b"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "no host" b"GET / HTTP/1.1\r\n\r\n";
    400 Yes "two hosts" b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    400 Yes "host with a path" b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n";
    400 Yes "bare line feeds" b"GET / HTTP/1.1\nHost: a\n\n";
    400 Yes "bare line feed in a field" b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n";
    400 Yes "bare carriage return in a field" b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n";
    400 Yes "zero byte in a field" b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n";
    400 Yes "folded field" b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n";
    400 Yes "space before a colon" b"GET / HTTP/1.1\r\nHost : a\r\n\r\n";
    400 Yes "space before the first field" b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n";
    400 Yes "field without a colon" b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n";
    400 Yes "field without a name" b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n";
    400 Yes "two lengths" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    400 Yes "the same length twice" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    400 Yes "list of lengths" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc";
    400 Yes "signed length" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc";
    400 Yes "negative length" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n";
    400 Yes "length beyond 64 bits" b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n";
    400 Yes "length and chunks" b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    400 Yes "chunks in HTTP/1.0" b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    400 Yes "chunked twice" b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n";
    400 Yes "chunked in two fields" b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    501 Yes "unknown coding" b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    501 Yes "identity coding" b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n";
    501 Yes "almost chunked" b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n";
    501 Yes "unknown method" b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n";
    501 Yes "method in lower case" b"get / HTTP/1.1\r\nHost: a\r\n\r\n";
    505 Yes "HTTP/2.0" b"GET / HTTP/2.0\r\nHost: a\r\n\r\n";
    400 Yes "HTTP/0.9" b"GET /\r\n\r\n";
    400 Yes "no such protocol" b"GET / HTPP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "version in lower case" b"GET / http/1.1\r\nHost: a\r\n\r\n";
    400 Yes "three digits of version" b"GET / HTTP/1.10\r\nHost: a\r\n\r\n";
    400 Yes "two spaces" b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "space in the target" b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "space behind the version" b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n";
    400 Yes "fragment" b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "bytes above ASCII in the target" b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "relative target" b"GET index.html HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "asterisk of a GET" b"GET * HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "other scheme" b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n";
    400 Yes "TLS" b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    505 Yes "HTTP/2 preface" b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    413 Yes "body too large" b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n";
    417 Yes "unknown expectation" b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n";
}
