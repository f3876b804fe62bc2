//! Endpoints, loans, timers, sets: much that waits for one thing, or goes with it.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{
        ENDPOINT_BYTES_MAX, ENDPOINT_MESSAGES_MAX, EndpointConfig, Errno, Handle, MESSAGE_BYTES_MAX,
        MESSAGE_HANDLES_MAX, MessageHandle, POLL_IN, POLL_OUT, PollItem, READY_ADD, ReadyEvent, Rights,
        TIMER_ABSOLUTE,
    },
    pipe::pipe,
    sys,
    testing::text,
    time::Instant,
};

use crate::{Case, child_ends};

pub(crate) const CASES: &[Case] = &[
    ("close-a-full-endpoint", full_endpoint),
    ("end-with-a-full-endpoint", || child_ends("letters")),
    ("message-of-pages-not-there", long_message),
    ("senders-watched-by-sets", watched_senders),
    ("timers-due-at-once", timers),
    ("revoke-lent-1000-times", revoke),
    ("poll-1024-lent", || poll(Lent::Yes)),
    ("poll-1024-in-vain", || poll(Lent::No)),
    ("set-of-many-lent", set_of_lent),
    ("chain-of-loans", chain),
];

/// Sets that may watch one object.
const SETS: usize = 64;

fn close(handle: Handle) -> Result<(), String> {
    sys::close(handle).map_err(text)
}

/// An endpoint full of messages, each with as many handles as it may have, each of them the last one of a pipe's end.
pub(crate) fn letters() -> Result<Handle, String> {
    let config = EndpointConfig {
        messages: ENDPOINT_MESSAGES_MAX,
        bytes: ENDPOINT_BYTES_MAX,
        ..EndpointConfig::default()
    };
    let ends = sys::endpoint_create(&config).map_err(text)?;
    loop {
        let mut handles = Vec::new();
        for _ in 0..MESSAGE_HANDLES_MAX / 2 {
            let ends = sys::pipe(0).map_err(text)?;
            handles.extend([ends.reader, ends.writer].map(|handle| MessageHandle {
                handle,
                rights: Rights::all().bits(),
                reserved: 0,
            }));
        }
        match sys::endpoint_send(ends.sender, &[1; 1000], &handles, 0) {
            Ok(()) => {}
            Err(Errno::TIMEDOUT) => {
                handles.iter().try_for_each(|entry| close(entry.handle))?;
                return Ok(ends.receiver);
            }
            Err(errno) => return Err(text(errno)),
        }
    }
}

fn full_endpoint() -> Result<(), String> {
    close(letters()?)
}

/// From pages that are not there to pages that are not there.
fn long_message() -> Result<(), String> {
    let config = EndpointConfig::default();
    let ends = sys::endpoint_create(&config).map_err(text)?;
    for _ in 0..2 {
        let from = crate::memory::untouched(MESSAGE_BYTES_MAX)?;
        sys::endpoint_send(ends.sender, from, &[], 0).map_err(text)?;
        let into = crate::memory::untouched(MESSAGE_BYTES_MAX)?;
        sys::endpoint_receive(ends.receiver, into, &mut [], 0).map_err(|(errno, _)| text(errno))?;
    }
    close(ends.sender)?;
    close(ends.receiver)
}

fn watch(set: Handle, handle: Handle, events: u16) -> Result<(), Errno> {
    sys::ready_control(
        set,
        READY_ADD,
        handle,
        ReadyEvent { token: handle.0, events: u32::from(events), reserved: 0 },
    )
}

/// Many senders of one endpoint, each watched, hear of room, and of the end.
fn watched_senders() -> Result<(), String> {
    let config = EndpointConfig { messages: 1, ..EndpointConfig::default() };
    let ends = sys::endpoint_create(&config).map_err(text)?;
    let set = sys::ready_create(0).map_err(text)?;
    let mut senders = Vec::new();
    for badge in 1..4000 {
        let sender = sys::endpoint_mint(ends.sender, badge, 0).map_err(text)?;
        watch(set, sender, POLL_OUT).map_err(text)?;
        senders.push(sender);
    }
    let mut buffer = [0; 8];
    for _ in 0..2 {
        sys::endpoint_send(ends.sender, &[1], &[], 0).map_err(text)?;
        sys::endpoint_receive(ends.receiver, &mut buffer, &mut [], 0).map_err(|(errno, _)| text(errno))?;
    }
    for sender in senders.drain(..2000) {
        close(sender)?;
    }
    close(ends.receiver)?;
    senders.into_iter().try_for_each(close)
}

/// Timers whose moment is the same, each of which many sets watch.
fn timers() -> Result<(), String> {
    let mut sets = Vec::new();
    for _ in 0..SETS {
        sets.push(sys::ready_create(0).map_err(text)?);
    }
    let mut timers = Vec::new();
    for number in 0..4000 {
        let timer = sys::timer_create(0).map_err(text)?;
        if number < 200 {
            sets.iter().try_for_each(|&set| watch(set, timer, POLL_IN)).map_err(text)?;
        }
        timers.push(timer);
    }
    let due = Instant::now().as_nanos() + 100_000_000;
    for &timer in &timers {
        sys::timer_set(timer, due, 0, TIMER_ABSOLUTE).map_err(text)?;
    }
    for &timer in &timers {
        sys::counter_take(timer, 1_000_000_000).map_err(text)?;
    }
    timers.into_iter().try_for_each(close)
}

fn revoke() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let sets = (0..SETS).map(|_| sys::ready_create(0)).collect::<Result<Vec<_>, _>>().map_err(text)?;
    let mut lent = Vec::new();
    for number in 0..1000 {
        let handle = sys::handle_lend(reader.handle(), Rights::all(), 0).map_err(text)?;
        if let Some(&set) = sets.get(number) {
            watch(set, handle, POLL_IN).map_err(text)?;
        }
        lent.push(handle);
    }
    // One by one, and then what was lent is closed that has ended already.
    for &handle in &lent {
        sys::handle_revoke(handle).map_err(text)?;
    }
    sys::handle_revoke(reader.handle()).map_err(text)?;
    lent.into_iter().try_for_each(close)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Lent {
    Yes,
    No,
}

/// A poll that waits until its time is over.
fn poll(lent: Lent) -> Result<(), String> {
    let mut items = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..1024 {
        let (reader, writer) = pipe().map_err(text)?;
        let handle = match lent {
            // Of the longest chain of loans that there may be.
            Lent::Yes => lend_on(reader.handle())?,
            Lent::No => reader.handle(),
        };
        items.push(PollItem { handle, events: POLL_IN, ready: 0, reserved: 0 });
        ends.push((reader, writer));
    }
    for _ in 0..2 {
        sys::poll(&mut items, 50_000_000).map_err(text)?;
    }
    Ok(())
}

/// Lends what was lent, as far as that goes.
fn lend_on(handle: Handle) -> Result<Handle, String> {
    let mut last = handle;
    loop {
        match sys::handle_lend(last, Rights::all(), 0) {
            Ok(next) => {
                if last != handle {
                    close(last)?;
                }
                last = next;
            }
            Err(Errno::LOOP) => return Ok(last),
            Err(errno) => return Err(text(errno)),
        }
    }
}

fn chain() -> Result<(), String> {
    let (reader, _writer) = pipe().map_err(text)?;
    let last = lend_on(reader.handle())?;
    let mut items = [PollItem { handle: last, events: POLL_IN, ready: 0, reserved: 0 }];
    sys::poll(&mut items, 1_000_000).map_err(text)?;
    close(last)
}

/// A set with many sources, which were lent, and of which one ends.
fn set_of_lent() -> Result<(), String> {
    let set = sys::ready_create(0).map_err(text)?;
    let mut lent = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..8000 {
        let (reader, writer) = pipe().map_err(text)?;
        let handle = sys::handle_lend(reader.handle(), Rights::all(), 0).map_err(text)?;
        watch(set, handle, POLL_IN).map_err(text)?;
        lent.push(handle);
        ends.push((reader, writer));
    }
    let mut events = vec![ReadyEvent::default(); 64];
    for (reader, _) in ends.iter().rev().step_by(1000) {
        sys::handle_revoke(reader.handle()).map_err(text)?;
        sys::ready_wait(set, &mut events, 0).map_err(text)?;
    }
    close(set)
}
