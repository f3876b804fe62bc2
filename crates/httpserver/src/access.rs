//! A line of the access log.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use swos_http1::decimal;

use crate::{Replied, Request};

/// Longest target that is logged, in bytes; more is cut.
const LONGEST_TARGET: usize = 120;

/// Appends `PEER METHOD TARGET `: visible ASCII without spaces inside a part, whatever the client sent. A refused request has no
/// method and target (`-`). [`log_reply`] completes the line, when the request may be gone.
pub fn log_request(into: &mut Vec<u8>, peer: Ipv4Addr, request: Option<Request<'_>>) {
    let mut digits = [0; 20];
    for (octet, end) in peer.octets().into_iter().zip(*b"... ") {
        into.extend_from_slice(decimal(u64::from(octet), &mut digits));
        into.push(end);
    }
    let (method, target) = request
        .map_or((b"-".as_slice(), b"-".as_slice()), |request| (request.method_name(), request.target()));
    into.extend_from_slice(method);
    into.push(b' ');
    // A head has only visible ASCII in its target, so nothing there can end a part or a line.
    into.extend(target.iter().take(LONGEST_TARGET));
    into.push(b' ');
}

/// Appends `STATUS LENGTH`.
pub fn log_reply(into: &mut Vec<u8>, replied: Replied) {
    let mut digits = [0; 20];
    into.extend_from_slice(decimal(u64::from(replied.status.code()), &mut digits));
    into.push(b' ');
    into.extend_from_slice(decimal(replied.length, &mut digits));
}

#[cfg(test)]
mod tests {
    use swos_units::Instant;

    use super::*;
    use crate::{Buffers, Connection, Entity, Parameters};

    #[test]
    fn a_line_is_made_before_and_after_the_reply() {
        let (parameters, now) = (Parameters::default(), Instant::ZERO);
        let mut buffers = Buffers::new(&parameters);
        let mut connection = Connection::<()>::new(now);
        let request = b"HEAD /a?b HTTP/1.1\r\nHost: x\r\n\r\n";
        connection.space(&mut buffers)[..request.len()].copy_from_slice(request);
        connection.on_received(now, request.len());
        let _answer = connection.poll(&parameters, &mut buffers);
        let mut line = Vec::new();
        log_request(&mut line, Ipv4Addr::new(10, 0, 2, 2), connection.request());
        let entity = Entity { size: 7, etag: None, modified: None, fields: b"" };
        log_reply(&mut line, connection.respond_file(now, &mut buffers, b"", &entity, ()));
        assert_eq!(line, b"10.0.2.2 HEAD /a?b 200 7");
        let mut line = Vec::new();
        log_request(&mut line, Ipv4Addr::LOCALHOST, None);
        assert_eq!(line, b"127.0.0.1 - - ");
    }
}
