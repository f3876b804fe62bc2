use super::*;
use std::net::TcpListener;

/// A server that answers one connection with fixed bytes.
fn says(answer: &'static [u8]) -> Client {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.accept().unwrap().0.write_all(answer).unwrap());
    Client::connect(port).unwrap()
}

#[test]
fn answers_are_told_apart_on_one_connection() {
    let mut client = says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"x\"\r\n\r\nabcHTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
    );
    let first = client.response(Body::Announced).unwrap();
    assert_eq!(
        (first.status, first.body.as_slice(), first.header("etag")),
        (200, &b"abc"[..], Some("\"x\""))
    );
    assert_eq!(client.response(Body::Announced).unwrap().status, 304);
    assert!(client.response(Body::Announced).is_err());
}

#[test]
fn nonsense_is_no_answer() {
    for nonsense in [
        &b""[..],
        b"HTTP/1.1 ab",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
    ] {
        assert!(says(nonsense).response(Body::Announced).is_err());
    }
}
