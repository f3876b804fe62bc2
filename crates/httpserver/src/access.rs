//! The access log's line.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use swos_http1::decimal;

use crate::{Replied, Request};

/// Longest target that is logged, in bytes; more is cut.
const LONGEST_TARGET: usize = 120;

/// Appends `PEER METHOD TARGET STATUS LENGTH`: printable ASCII without spaces inside a part, whatever the client sent. A
/// refused request has no method and target (`-`).
pub fn log_line(into: &mut Vec<u8>, peer: Ipv4Addr, request: Option<Request<'_>>, replied: Replied) {
    let mut digits = [0; 20];
    for (octet, end) in peer.octets().into_iter().zip(*b"... ") {
        into.extend_from_slice(decimal(u64::from(octet), &mut digits));
        into.push(end);
    }
    let (method, target) = request
        .map_or((b"-".as_slice(), b"-".as_slice()), |request| (request.method_name(), request.target()));
    into.extend_from_slice(method);
    into.push(b' ');
    // Heads have only visible ASCII in a target; a quote or bracket there can't end a line or a part.
    into.extend(target.iter().take(LONGEST_TARGET));
    into.push(b' ');
    into.extend_from_slice(decimal(u64::from(replied.status.code()), &mut digits));
    into.push(b' ');
    into.extend_from_slice(decimal(replied.length, &mut digits));
}
