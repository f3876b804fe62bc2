use proptest::prelude::*;

use super::*;

fn parse(bytes: &[u8]) -> Result<Head, Error> {
    match Scan::new().advance(bytes, &Limits::DEFAULT)? {
        Some(length) => Head::parse(&bytes[..length]),
        None => panic!("not whole: {:?}", bytes.escape_ascii().to_string()),
    }
}

fn error(text: &str) -> Error {
    parse(text.as_bytes()).unwrap_err()
}

#[test]
fn a_browser_s_request_is_taken_apart() {
    let bytes =
        b"\r\nGET /x/?q HTTP/1.1\r\nHost: a.b:80\r\nUser-Agent: z\r\nConnection: foo , Keep-Alive\r\n\
        if-none-match: \"a\"\r\nRange: bytes=0-1\r\nIf-Range: \"a\"\r\nIf-Modified-Since: x\r\n\r\nrest";
    let head = parse(bytes).unwrap();
    assert_eq!(
        (head.method, head.version, head.persistence),
        (Method::Get, Version::Http11, Persistence::KeepAlive)
    );
    assert_eq!(head.target.of(bytes), b"/x/?q");
    assert_eq!(head.if_none_match.map(|span| span.of(bytes)), Some(b"\"a\"".as_slice()));
    assert_eq!(head.range.map(|span| span.of(bytes)), Some(b"bytes=0-1".as_slice()));
    assert_eq!(head.if_range.map(|span| span.of(bytes)), Some(b"\"a\"".as_slice()));
    assert_eq!(head.if_modified_since.map(|span| span.of(bytes)), Some(b"x".as_slice()));
    assert_eq!(head.method_name.of(bytes), b"GET");
}

#[test]
fn what_smuggles_requests_is_refused() {
    let with = |field: &str| error(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
    assert_eq!(with("Content-Length: 5\r\nContent-Length: 5"), Error::ContentLength);
    assert_eq!(with("Content-Length: 5, 5"), Error::ContentLength);
    assert_eq!(with("Content-Length: +5"), Error::ContentLength);
    assert_eq!(with("Content-Length: 0x5"), Error::ContentLength);
    assert_eq!(with("Content-Length:"), Error::ContentLength);
    assert_eq!(with("Content-Length: 18446744073709551616"), Error::ContentLength);
    assert_eq!(with("Content-Length: 1\r\nTransfer-Encoding: chunked"), Error::ContentLength);
    assert_eq!(with("Transfer-Encoding: chunked, chunked"), Error::TransferEncoding);
    assert_eq!(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Error::TransferEncoding);
    assert_eq!(with("Transfer-Encoding:"), Error::TransferEncoding);
    assert_eq!(with("Transfer-Encoding: xchunked"), Error::UnknownCoding);
    assert_eq!(with("Transfer-Encoding: gzip, chunked"), Error::UnknownCoding);
    assert_eq!(with("Content-Length : 5"), Error::FieldLine);
    assert_eq!(with("A: b\r\n folded"), Error::FieldLine);
    assert_eq!(with(" A: b"), Error::FieldLine);
    assert_eq!(with("A: b\rc"), Error::FieldLine);
    assert_eq!(with("A: b\0"), Error::FieldLine);
    assert_eq!(with("A"), Error::FieldLine);
    assert_eq!(with("A: b\n"), Error::BareLineFeed);
    assert_eq!(error("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Error::TransferEncoding);
}

#[test]
fn a_host_is_there_once() {
    assert_eq!(error("GET / HTTP/1.1\r\n\r\n"), Error::Host);
    assert_eq!(error("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), Error::Host);
    assert_eq!(error("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), Error::Host);
    assert_eq!(error("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), Error::Host);
    assert!(parse(b"GET / HTTP/1.0\r\n\r\n").is_ok());
    assert!(parse(b"GET / HTTP/1.1\r\nHost:\r\n\r\n").is_ok());
    assert!(parse(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n").is_ok());
}

#[test]
fn versions_and_methods() {
    assert_eq!(error("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), Error::Version);
    assert_eq!(error("GET / HTTP/3.7\r\n\r\n"), Error::Version);
    assert_eq!(error("GET / HTTP/11\r\nHost: a\r\n\r\n"), Error::RequestLine);
    assert_eq!(error("GET / http/1.1\r\nHost: a\r\n\r\n"), Error::RequestLine);
    assert_eq!(error("GET /\r\n\r\n"), Error::RequestLine);
    assert_eq!(error("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), Error::RequestLine);
    assert_eq!(error("GET / x HTTP/1.1\r\nHost: a\r\n\r\n"), Error::RequestLine);
    assert_eq!(error("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), Error::UnknownMethod);
    assert_eq!(error("get / HTTP/1.1\r\nHost: a\r\n\r\n"), Error::UnknownMethod);
    let later = b"HEAD /x HTTP/1.7\r\nHost: a\r\nConnection: close\r\n\r\n";
    let head = parse(later).unwrap();
    assert_eq!(
        (head.version, head.method, head.target.of(later)),
        (Version::Http11, Method::Head, b"/x".as_slice())
    );
    assert_eq!(head.persistence, Persistence::Close);
    let keep = parse(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
    assert_eq!(keep.persistence, Persistence::KeepAlive);
    assert_eq!(parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().persistence, Persistence::Close);
    assert_eq!(parse(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().method, Method::Other);
    assert_eq!(error("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"), Error::UnknownExpectation);
}

#[test]
fn forms_of_targets() {
    let target = |line: &str| {
        let bytes = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        parse(&bytes).map(|head| String::from_utf8(head.target.of(&bytes).to_vec()).unwrap())
    };
    assert_eq!(target("GET http://h:1/x?y").as_deref(), Ok("/x?y"));
    assert_eq!(target("GET HTTP://h").as_deref(), Ok("/"));
    assert_eq!(target("GET http://h?q").as_deref(), Ok("/"));
    assert_eq!(target("OPTIONS *").as_deref(), Ok("*"));
    assert_eq!(target("CONNECT h:1").as_deref(), Ok("h:1"));
    for line in [
        "GET *",
        "GET h:1",
        "GET ftp://h/",
        "GET http://",
        "GET http:///x",
        "GET x/y",
        "GET /a#b",
        "GET /\u{e9}",
    ] {
        assert_eq!(target(line), Err(Error::Target), "{line}");
    }
}

#[test]
fn heads_are_bounded() {
    let limits = Limits { head_bytes: 64 };
    let mut long = b"GET /".to_vec();
    long.resize(64, b'x');
    assert_eq!(Scan::new().advance(&long[..63], &limits), Ok(None));
    assert_eq!(Scan::new().advance(&long, &limits), Err(Error::UriTooLong));
    let mut fields = b"GET / HTTP/1.1\r\nA: ".to_vec();
    fields.resize(64, b'x');
    assert_eq!(Scan::new().advance(&fields, &limits), Err(Error::HeadTooLarge));
    let just = b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n";
    assert_eq!((just.len(), Scan::new().advance(just, &limits)), (64, Ok(Some(64))));
    let many = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert!(parse(many(MOST_FIELDS).as_bytes()).is_ok());
    assert_eq!(error(&many(MOST_FIELDS + 1)), Error::HeadTooLarge);
}

#[test]
fn noise_is_refused_at_its_first_byte() {
    for noise in [b"\x16\x03\x01".as_slice(), b"\0", b" GET", b"\xff", b"\r\n("] {
        assert_eq!(Scan::new().advance(noise, &Limits::DEFAULT), Err(Error::RequestLine));
    }
    assert!(Scan::new().is_blank());
    let mut scan = Scan::new();
    assert_eq!(scan.advance(b"\r\n", &Limits::DEFAULT), Ok(None));
    assert!(scan.is_blank());
    assert_eq!(scan.advance(b"\r\nG", &Limits::DEFAULT), Ok(None));
    assert!(!scan.is_blank());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'A'), Just(b':'), any::<u8>()], 0..80)) {
        let limits = Limits { head_bytes: 40 };
        let whole = Scan::new().advance(&bytes, &limits);
        let mut scan = Scan::new();
        let mut pieces = Ok(None);
        for end in 0..=bytes.len() {
            pieces = scan.advance(&bytes[..end], &limits);
            if pieces != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Head::parse(&bytes);
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        head.extend_from_slice(&bytes);
        head.extend_from_slice(b"\r\n\r\n");
        let _ = Head::parse(&head);
    }
}
