//! The web server answers as the standard says, whatever arrives and however.

use super::boot::with_site;
use crate::http::{Body, Client, Response};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, ensure};
use swos_httpserver::malformed::{CASES, Case, Closes};

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: swos\r\n\r\n";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("http/malformed", malformed),
        Scenario::new("http/byte-by-byte", byte_by_byte),
        Scenario::new("http/pipelined-100", pipelined),
        Scenario::new("http/conditional", conditional),
        Scenario::new("http/ranges", ranges),
        Scenario::new("http/head", head),
        Scenario::new("http/half-open", half_open),
    ]
}

/// The table of edge cases, each on a connection of its own; then the connection is as it should be.
fn malformed(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?.smp(4), |_, port| {
        for case in CASES {
            one_case(port, case).with_context(|| format!("case {:?}", case.name))?;
        }
        Ok(())
    })
}

fn one_case(port: u16, case: &Case) -> Result<()> {
    let mut client = Client::connect(port)?;
    client.send(case.request)?;
    let answer = client.response(body_of(case.request))?;
    ensure!(answer.status == case.status, "answered {}, not {}", answer.status, case.status);
    match case.closes {
        Closes::Yes => {
            // A reset is as final as an end: bytes that the server did not read cause one.
            if let Ok(rest) = client.rest() {
                ensure!(rest.is_empty(), "{} bytes behind the last answer", rest.len());
            }
        }
        Closes::No => {
            client.send(PLAIN)?;
            let next = client.response(Body::Announced).context("the next request")?;
            ensure!(next.status == 200, "the next request is answered {}", next.status);
        }
    }
    Ok(())
}

fn body_of(request: &[u8]) -> Body {
    if request.starts_with(b"HEAD ") { Body::None } else { Body::Announced }
}

/// The same answer whether a request comes in one piece or a byte at a time.
fn byte_by_byte(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?, |_, port| {
        let mut whole = Client::connect(port)?;
        whole.send(PLAIN)?;
        let expected = whole.response(Body::Announced)?;
        let mut slow = Client::connect(port)?;
        for byte in PLAIN {
            slow.send(&[*byte])?;
        }
        same(&slow.response(Body::Announced)?, &expected)
    })
}

/// A hundred requests in one write: a hundred answers, in order.
fn pipelined(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?, |_, port| {
        let paths = ["/", "/swos.css", "/no/such/file", "/swos.svg"];
        let mut one = Client::connect(port)?;
        let expected = paths.iter().map(|path| one.get(path)).collect::<Result<Vec<_>>>()?;
        let requests: String =
            paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: swos\r\n\r\n")).collect();
        let mut client = Client::connect(port)?;
        client.send(requests.repeat(25).as_bytes())?;
        for number in 0..100 {
            let answer = client.response(Body::Announced).with_context(|| format!("answer {number}"))?;
            let expected = expected.get(number % paths.len()).context("an expected answer")?;
            same(&answer, expected).with_context(|| format!("answer {number}"))?;
        }
        Ok(())
    })
}

/// Equal but for the time.
fn same(answer: &Response, expected: &Response) -> Result<()> {
    let timeless = |response: &Response| {
        let headers = response.headers.iter().filter(|(name, _)| name != "date");
        (response.status, headers.cloned().collect::<Vec<_>>(), response.body.clone())
    };
    ensure!(timeless(answer) == timeless(expected), "{} {:?}", answer.status, answer.headers);
    Ok(())
}

/// A validator that still holds saves the body.
fn conditional(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?, |_, port| {
        let mut client = Client::connect(port)?;
        let first = client.get("/")?;
        let tag = first.header("etag").context("an ETag")?.to_owned();
        // Several lines are one list; what lies between them is not in it.
        let on_two_lines = format!("\"other\"\r\nX: it\"s\r\nif-none-match: {tag}");
        let between_two = format!("\"other\"\r\nX: {tag}\r\nIf-None-Match: \"another\"");
        for (sent, expected) in [
            (tag.as_str(), 304),
            ("*", 304),
            ("\"other\"", 200),
            (on_two_lines.as_str(), 304),
            (between_two.as_str(), 200),
        ] {
            let request = format!("GET / HTTP/1.1\r\nHost: swos\r\nIf-None-Match: {sent}\r\n\r\n");
            client.send(request.as_bytes())?;
            let answer = client.response(Body::Announced)?;
            ensure!(answer.status == expected, "If-None-Match: {sent} answers {}", answer.status);
        }
        Ok(())
    })
}

/// Parts of a file are the parts of the file.
fn ranges(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?, |_, port| {
        let mut client = Client::connect(port)?;
        let whole = client.get("/swos.css")?.body;
        let length = whole.len();
        let last = length - 1;
        for (range, expected) in [
            ("0-0".to_owned(), Some(0..1)),
            ("10-19".to_owned(), Some(10..20)),
            (format!("{last}-"), Some(last..length)),
            ("-5".to_owned(), Some(length - 5..length)),
            (format!("0-{}", length * 2), Some(0..length)),
            (format!("{length}-"), None),
        ] {
            let request = format!("GET /swos.css HTTP/1.1\r\nHost: swos\r\nRange: bytes={range}\r\n\r\n");
            client.send(request.as_bytes())?;
            let answer = client.response(Body::Announced).with_context(|| format!("range {range}"))?;
            match expected {
                Some(part) => {
                    let right = answer.status == 206 && Some(answer.body.as_slice()) == whole.get(part);
                    ensure!(
                        right,
                        "range {range} answers {} with {} bytes",
                        answer.status,
                        answer.body.len()
                    );
                }
                None => ensure!(answer.status == 416, "range {range} answers {}", answer.status),
            }
        }
        Ok(())
    })
}

/// HEAD says what GET would, without the body.
fn head(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?, |_, port| {
        let mut client = Client::connect(port)?;
        let get = client.get("/swos.css")?;
        client.send(b"HEAD /swos.css HTTP/1.1\r\nHost: swos\r\n\r\n")?;
        let head = client.response(Body::None)?;
        ensure!(
            head.header("content-length") == Some(get.body.len().to_string().as_str()),
            "{:?}",
            head.headers
        );
        // A body would be taken for the start of this answer.
        ensure!(client.get("/swos.css")?.body == get.body, "the connection lost its place");
        Ok(())
    })
}

/// Clients that stop in the middle, or only stop sending, disturb nobody and still get what they asked for.
fn half_open(bench: &Bench) -> Result<()> {
    with_site(bench, bench.served()?.smp(4), |_, port| {
        let mut silent = Vec::new();
        for cut in 0..PLAIN.len() {
            let mut client = Client::connect(port)?;
            // One whole request first: it has reached the guest then, and does not wait at the emulator's door.
            client.get("/swos.svg")?;
            client.send(PLAIN.get(..cut).context("a part")?)?;
            silent.push(client);
        }
        let mut closing = Client::connect(port)?;
        closing.send(PLAIN)?;
        closing.finish()?;
        ensure!(
            closing.response(Body::Announced)?.status == 200,
            "a client that only stopped sending got nothing"
        );
        ensure!(closing.rest()?.is_empty(), "something behind the last answer");
        let mut other = Client::connect(port)?;
        ensure!(other.get("/")?.status == 200, "another client got nothing");
        for (cut, client) in silent.iter_mut().enumerate() {
            client.send(PLAIN.get(cut..).context("the rest")?)?;
            let answer = client.response(Body::Announced).with_context(|| format!("cut at {cut}"))?;
            ensure!(answer.status == 200, "cut at {cut}: {}", answer.status);
        }
        Ok(())
    })
}
