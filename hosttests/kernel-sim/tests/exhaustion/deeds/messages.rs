//! Endpoints, and handles that others take back.

use super::{
    threads::{Helper, Role},
    *,
};

pub(super) fn messages(user: &mut User, attempt: &Try) {
    let at = records(user);
    let (from, into) = (full(user, 4), fresh(user, 6));
    user.store(at, EndpointConfig::default().as_bytes());
    attempt.call(user, NR_ENDPOINT_CREATE, &[at, 16, at + 16, 16]);
    let [sender, receiver] = two(user, at + 16);
    let badged = attempt.call(user, NR_ENDPOINT_MINT, &[sender, 9]);
    let event = user.call(NR_EVENT_CREATE, &[0, 0]).unwrap();
    let taken = MessageHandle { handle: Handle(event), rights: u32::MAX, reserved: 0 };
    let slots = at + 512;
    user.store(slots, taken.as_bytes());
    let length = 3 * PAGE as u32;
    let message = MessageOut { bytes: from, length, handles: slots, handle_count: 1 };
    user.store(at, message.as_bytes());
    attempt.call_with(user, NR_ENDPOINT_SEND, &[badged, at, 0], &[at, at + 8]);
    let room = MessageIn {
        bytes: into,
        capacity: 4 * PAGE as u32,
        handles: into + 5 * PAGE,
        handle_capacity: 4,
        ..MessageIn::default()
    };
    user.store(at, room.as_bytes());
    attempt.call_with(user, NR_ENDPOINT_RECEIVE, &[receiver, at, 0], &[at, at + 8]);
    let came = user.load_u64(into + 5 * PAGE);
    close(user, &[came, badged, sender, receiver]);
    unmap(user, from, 4);
    unmap(user, into, 6);
}

/// Where records of messages lie that are made as they should be.
struct Letters {
    out: u64,
    into: u64,
    pages: u64,
}

impl Letters {
    fn new(user: &mut User, length: u32) -> Self {
        let (at, pages) = (records(user), full(user, 4));
        let out = MessageOut { bytes: pages, length, ..MessageOut::default() };
        let into = MessageIn { bytes: pages + 2 * PAGE, capacity: 2 * PAGE as u32, ..MessageIn::default() };
        user.store(at, out.as_bytes());
        user.store(at + 64, into.as_bytes());
        Self { out: at, into: at + 64, pages }
    }

    /// The token of the call that came.
    fn token(&self, user: &mut User) -> u64 {
        user.load_u64(self.into + 40)
    }
}

/// Makes calls that a thread answers.
pub(super) fn caller(user: &mut User, attempt: &Try) {
    let (sender, receiver) = endpoint(user);
    let server = Helper::start(user, Role::Server, receiver);
    let letters = Letters::new(user, 5000);
    let arguments = [sender, letters.out, letters.into, TIMEOUT_NEVER];
    attempt.call_with(user, NR_ENDPOINT_CALL, &arguments, &[letters.out, letters.into]);
    close(user, &[sender]);
    server.join(user);
    close(user, &[receiver]);
    unmap(user, letters.pages, 4);
}

/// Answers the calls of three threads, which wait: none needs anything when it is short.
pub(super) fn callee(user: &mut User, attempt: &Try) {
    let (sender, receiver) = endpoint(user);
    let clients = [(); 3].map(|()| Helper::start(user, Role::Client, sender));
    user.call(NR_SLEEP, &[300_000]).unwrap();
    let letters = Letters::new(user, 1500);
    let Letters { out, into, .. } = letters;
    attempt.call_with(user, NR_ENDPOINT_RECEIVE, &[receiver, into, TIMEOUT_NEVER], &[into]);
    let token = letters.token(user);
    attempt.call_with(user, NR_ENDPOINT_REPLY, &[receiver, token, out], &[out]);
    attempt.call_with(user, NR_ENDPOINT_RECEIVE, &[receiver, into, TIMEOUT_NEVER], &[into]);
    // An answer is given before it shows whether what is received has a place.
    let arguments = [receiver, letters.token(user), out, into, TIMEOUT_NEVER];
    attempt.call_with(user, NR_ENDPOINT_REPLY_RECEIVE, &arguments, &[out]);
    // Whoever waits for an answer gets none.
    attempt.call(user, NR_ENDPOINT_HANG_UP, &[receiver]);
    close(user, &[receiver]);
    clients.into_iter().for_each(|client| client.join(user));
    close(user, &[sender]);
    unmap(user, letters.pages, 4);
}

pub(super) fn loans(user: &mut User, attempt: &Try) {
    let file = open(user, "/bin/init").unwrap();
    let lent = attempt.call(user, NR_HANDLE_LEND, &[file, ALL]);
    let further = attempt.call(user, NR_HANDLE_LEND, &[lent, ALL]);
    let copy = attempt.call(user, NR_HANDLE_DUPLICATE, &[file, ALL]);
    attempt.call(user, NR_PREAD, &[further, records(user), 64, 0]);
    attempt.call(user, NR_HANDLE_REVOKE, &[file]);
    close(user, &[lent, further, copy, file]);
}
