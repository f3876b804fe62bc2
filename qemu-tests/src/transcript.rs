//! Everything that the guest has said so far, with a place from which the reader has yet to look.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// What a search for the next line came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole line, without its end.
    Line(String),
    /// The guest closed its output; what stood there without a line end is in the transcript.
    Closed,
    /// The deadline passed.
    Late,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

/// Output of a child, collected by a thread of its own so that the child never waits for us.
#[derive(Clone, Default)]
pub(crate) struct Transcript(Arc<(Mutex<State>, Condvar)>);

impl Transcript {
    /// Collects from `source` until it ends.
    pub(crate) fn collect(mut source: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let shared = transcript.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let count = source.read(&mut chunk).unwrap_or(0);
                shared.change(|state| match chunk.get(..count) {
                    Some(bytes) if count > 0 => state.bytes.extend_from_slice(bytes),
                    _ => state.closed = true,
                });
                if count == 0 {
                    return;
                }
            }
        });
        transcript
    }

    /// The line that begins at byte `from`, waiting for its end until `deadline`; moves `from` behind it.
    pub(crate) fn next_line(&self, from: &mut usize, deadline: Instant) -> Next {
        let (lock, arrived) = &*self.0;
        let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let rest = state.bytes.get(*from..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|&byte| byte == b'\n') {
                let line = rest.get(..length).unwrap_or_default();
                let text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
                *from += length + 1;
                return Next::Line(text);
            }
            if state.closed {
                return Next::Closed;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return Next::Late;
            };
            state = arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the source has ended, so that all of it is here, or until `deadline`.
    pub(crate) fn wait_closed(&self, deadline: Instant) {
        let (lock, arrived) = &*self.0;
        let mut state = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many bytes there are.
    pub(crate) fn length(&self) -> usize {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.len()
    }

    /// Offset of the last byte of `text` where it first stands.
    pub(crate) fn position_of(&self, text: &[u8]) -> Option<usize> {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = state.bytes.windows(text.len()).position(|window| window == text)?;
        Some(start + text.len() - 1)
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&state.bytes).into_owned()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn lines_come_whole_and_in_order_and_then_the_end() {
        let transcript = Transcript::collect(&b"one\r\ntwo\nrest"[..]);
        let mut from = 0;
        transcript.wait_closed(soon());
        assert_eq!(transcript.length(), 13);
        assert_eq!(transcript.next_line(&mut from, soon()), Next::Line("one".into()));
        assert_eq!(transcript.next_line(&mut from, soon()), Next::Line("two".into()));
        assert_eq!(transcript.next_line(&mut from, soon()), Next::Closed);
        assert_eq!(transcript.text(), "one\r\ntwo\nrest");
    }

    #[test]
    fn a_silent_guest_is_late() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let transcript = Transcript::collect(reader);
        assert_eq!(transcript.next_line(&mut 0, Instant::now()), Next::Late);
    }
}
