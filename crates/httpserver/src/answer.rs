//! What to answer for a file.

use swos_http1::{
    Method, Status, decimal,
    range::{Selection, select},
    validators::{Current, Outcome, RangeUse, weigh},
};
use swos_units::Instant;

use crate::{Buffers, Connection, Replied};

/// A file as the client sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entity<'a> {
    /// Length in bytes.
    pub size: u64,
    /// Strong entity tag, quotes included.
    pub etag: Option<&'a [u8]>,
    /// Last change, in seconds since 1970.
    pub modified: Option<u64>,
    /// Whole lines that describe it: `Content-Type`, `ETag`, `Last-Modified`, `Accept-Ranges`.
    pub fields: &'a [u8],
}

impl<B> Connection<B> {
    /// Answers the current request with a file, or a part of it, or 304, 412, 416 as its conditions and range demand; with 405
    /// for a method other than `GET` and `HEAD`. `common` is as for the other `respond` methods.
    pub fn respond_file(
        &mut self,
        now: Instant,
        buffers: &mut Buffers,
        common: &[u8],
        entity: &Entity<'_>,
        file: B,
    ) -> Replied {
        let Some(request) = self.request() else { return Replied { status: Status::OK, length: 0 } };
        let current = Current { etag: entity.etag, modified: entity.modified };
        let part = match (request.head.method, weigh(request.head, request.bytes, &current)) {
            (Method::Other, _) => {
                return self.respond_error(
                    now,
                    buffers,
                    common,
                    Status::METHOD_NOT_ALLOWED,
                    b"Allow: GET, HEAD\r\n",
                );
            }
            (_, Outcome::Failed) => {
                return self.respond_error(now, buffers, common, Status::PRECONDITION_FAILED, b"");
            }
            (_, Outcome::NotModified) => {
                let lines = [common, entity.fields];
                return self.respond(now, buffers, Status::NOT_MODIFIED, &lines, None, |_| None, b"");
            }
            (_, Outcome::Proceed(RangeUse::Honour)) => request
                .head
                .range
                .map_or(Selection::Whole, |range| select(range.of(request.bytes), entity.size)),
            (_, Outcome::Proceed(RangeUse::Ignore)) => Selection::Whole,
        };
        match part {
            Selection::Whole => {
                let lines = [common, entity.fields];
                let body = |_| Some((file, 0, entity.size));
                self.respond(now, buffers, Status::OK, &lines, Some(entity.size), body, b"")
            }
            Selection::Part { start, length } => {
                let last = start.saturating_add(length).saturating_sub(1);
                let mut digits = [[0; 20]; 3];
                let [first, end, size] = &mut digits;
                let range: [&[u8]; 7] = [
                    b"Content-Range: bytes ",
                    decimal(start, first),
                    b"-",
                    decimal(last, end),
                    b"/",
                    decimal(entity.size, size),
                    b"\r\n",
                ];
                let range = range.concat();
                let lines = [common, entity.fields, &range];
                let body = |_| Some((file, start, length));
                self.respond(now, buffers, Status::PARTIAL_CONTENT, &lines, Some(length), body, b"")
            }
            Selection::Unsatisfiable => {
                let mut digits = [0; 20];
                let size = decimal(entity.size, &mut digits);
                let range = [b"Content-Range: bytes */", size, b"\r\n"].concat();
                self.respond_error(now, buffers, common, Status::RANGE_NOT_SATISFIABLE, &range)
            }
        }
    }
}
