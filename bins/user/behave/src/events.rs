//! Events and timers.

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use swos_ulib::{
    abi::{
        CLOCK_MONOTONIC, CLOCK_REALTIME, EVENT_MAX, Errno, Handle, POLL_IN, POLL_OUT, PollItem, READY_EDGE,
        Rights, TIMER_PERIOD_MIN_NS,
    },
    event::Event,
    handle::Blocking,
    ipc::{Outgoing, Receiver, Sender, endpoint},
    ready::{ReadyEvent, ReadySet, poll},
    sys,
    testing::{equal, text},
    thread, time,
    timer::Timer,
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "events",
    checks: &[
        ("a count is taken at once", at_once),
        ("a semaphore gives one at a time", one_at_a_time),
        ("nothing to take is told", nothing),
        ("too much is refused and changes nothing", too_much),
        ("a taker waits for a giver", waits),
        ("takers of a semaphore each get one", each_gets_one),
        ("a child wakes its parent", by_a_child),
        ("rights are asked for", rights),
        ("other objects are no counters", other_objects),
        ("poll tells what can be taken", polled),
        ("a readiness set hears of each addition", watched),
        ("a thousand events in one set", thousand),
        ("a timer comes once", once),
        ("a period is counted", periods),
        ("a moment since boot", absolute),
        ("a moment that is over comes at once", over),
        ("a timer that is set anew forgets", anew),
        ("a timer that is off never comes", off),
        ("a timer that is closed is gone", closed),
        ("timers refuse what makes no sense", senseless),
        ("a set hears of every timer", every_timer),
        ("a timer is told until it is taken", until_taken),
        ("a timer moves to another thread by a message", moves),
        ("a handle closed under a taker ends its wait", closed_under),
        ("the clocks without a call are those of the calls", clocks),
        ("a sleep is not too short", slept),
    ],
    child,
};

const SHORT: Option<Duration> = Some(Duration::from_millis(1));
const LONG: Option<Duration> = Some(Duration::from_secs(20));

fn child(deed: &str) -> i32 {
    match deed {
        "add" => i32::from(sys::event_add(Handle(3), 5).is_err()),
        _ => UNKNOWN,
    }
}

fn at_once() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    equal([event.add(2), event.add(3), event.add(0)], [Ok(()); 3])?;
    equal(event.take(SHORT), Ok(5))?;
    equal(event.take(SHORT), Err(Errno::TIMEDOUT))
}

fn one_at_a_time() -> Result<(), String> {
    let event = Event::semaphore(2).map_err(text)?;
    event.add(1).map_err(text)?;
    equal([(); 4].map(|()| event.take(SHORT)), [Ok(1), Ok(1), Ok(1), Err(Errno::TIMEDOUT)])
}

fn nothing() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    event.set_blocking(Blocking::Never).map_err(text)?;
    equal(event.take(None), Err(Errno::AGAIN))?;
    let timer = Timer::new().map_err(text)?;
    timer.set_blocking(Blocking::Never).map_err(text)?;
    equal(timer.take(None), Err(Errno::AGAIN))
}

fn too_much() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    event.add(EVENT_MAX).map_err(text)?;
    equal([event.add(1), event.add(u64::MAX)], [Err(Errno::OVERFLOW); 2])?;
    equal(event.take(SHORT), Ok(EVENT_MAX))?;
    equal(Event::semaphore(EVENT_MAX + 1).map(drop), Err(Errno::INVAL))?;
    equal(sys::event_create(0, 2), Err(Errno::INVAL))
}

fn waits() -> Result<(), String> {
    let event = Arc::new(Event::new().map_err(text)?);
    let taker = {
        let event = event.clone();
        thread::spawn(move || event.take(LONG)).map_err(text)?
    };
    thread::sleep(Duration::from_millis(1));
    event.add(7).map_err(text)?;
    equal(taker.join(), Ok(7))
}

fn each_gets_one() -> Result<(), String> {
    let event = Arc::new(Event::semaphore(0).map_err(text)?);
    let takers: Result<Vec<_>, _> = (0..6)
        .map(|_| {
            let event = event.clone();
            thread::spawn(move || event.take(LONG))
        })
        .collect();
    thread::sleep(Duration::from_millis(1));
    equal([event.add(4), event.add(1), event.add(1)], [Ok(()); 3])?;
    for taker in takers.map_err(text)? {
        equal(taker.join(), Ok(1))?;
    }
    equal(event.take(SHORT), Err(Errno::TIMEDOUT))
}

fn by_a_child() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    let child =
        crate::child(AREA.name, "add").handle(3, event.handle(), Rights::WRITE).spawn().map_err(text)?;
    equal(event.take(LONG), Ok(5))?;
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn rights() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    let readable = sys::handle_duplicate(event.handle(), Rights::READ, 0).map_err(text)?;
    let writable = sys::handle_duplicate(event.handle(), Rights::WRITE, 0).map_err(text)?;
    equal(sys::event_add(readable, 1), Err(Errno::ACCES))?;
    equal(sys::counter_take(writable, 0), Err(Errno::ACCES))?;
    equal(sys::event_add(writable, 1), Ok(()))?;
    equal(sys::counter_take(readable, 0), Ok(1))?;
    equal(sys::close(readable).and(sys::close(writable)), Ok(()))
}

fn other_objects() -> Result<(), String> {
    equal(sys::event_add(Handle::STDOUT, 1), Err(Errno::NOTTY))?;
    equal(sys::counter_take(Handle(9_999), 0), Err(Errno::BADF))?;
    let (event, timer) = (Event::new().map_err(text)?, Timer::new().map_err(text)?);
    equal(sys::event_add(timer.handle(), 1), Err(Errno::NOTTY))?;
    equal(sys::timer_set(event.handle(), 1, 0, 0), Err(Errno::NOTTY))?;
    equal(sys::read(event.handle(), &mut [0; 8]), Err(Errno::NOTTY))
}

fn ready_for(handle: Handle, events: u16, timeout: Option<Duration>) -> Result<u16, String> {
    let mut items = [PollItem { handle, events, ready: 0, reserved: 0 }];
    poll(&mut items, timeout).map_err(text)?;
    let [item] = items;
    Ok(item.ready)
}

fn polled() -> Result<(), String> {
    let event = Event::new().map_err(text)?;
    let both = POLL_IN | POLL_OUT;
    equal(ready_for(event.handle(), both, None)?, POLL_OUT)?;
    event.add(EVENT_MAX).map_err(text)?;
    equal(ready_for(event.handle(), both, None)?, POLL_IN)?;
    event.take(SHORT).map_err(text)?;
    equal(ready_for(event.handle(), POLL_IN, SHORT)?, 0)?;
    // No handle at all: the time is waited for.
    let before = swos_ulib::time::Instant::now();
    poll(&mut [], SHORT).map_err(text)?;
    equal(before.elapsed() >= Duration::from_millis(1), true)
}

fn tokens(set: &ReadySet, timeout: Option<Duration>) -> Result<Vec<u64>, String> {
    let mut events = [ReadyEvent::default(); 64];
    let mut tokens: Vec<u64> =
        set.wait(&mut events, timeout).map_err(text)?.iter().map(|event| event.token).collect();
    tokens.sort_unstable();
    Ok(tokens)
}

fn watched() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let (level, edge) = (Event::new().map_err(text)?, Event::new().map_err(text)?);
    set.add(level.handle(), u32::from(POLL_IN), 1).map_err(text)?;
    set.add(edge.handle(), u32::from(POLL_IN) | READY_EDGE, 2).map_err(text)?;
    equal(tokens(&set, SHORT)?, [].to_vec())?;
    equal(level.add(1).and(edge.add(1)), Ok(()))?;
    equal(tokens(&set, LONG)?, [1, 2].to_vec())?;
    equal(tokens(&set, LONG)?, [1].to_vec())?;
    // An edge is each addition, also before the last one was taken.
    edge.add(1).map_err(text)?;
    equal(tokens(&set, LONG)?, [1, 2].to_vec())?;
    equal((level.take(SHORT), edge.take(SHORT)), (Ok(1), Ok(2)))?;
    equal(tokens(&set, SHORT)?, [].to_vec())
}

fn thousand() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let events: Result<Vec<Event>, Errno> = (0..1000).map(|_| Event::new()).collect();
    let events = events.map_err(text)?;
    for (token, event) in (0..).zip(&events) {
        set.add(event.handle(), u32::from(POLL_IN), token).map_err(text)?;
    }
    for event in events.iter().step_by(250) {
        event.add(1).map_err(text)?;
    }
    equal(tokens(&set, LONG)?, [0, 250, 500, 750].to_vec())
}

fn once() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    timer.once(Duration::from_millis(200)).map_err(text)?;
    equal(ready_for(timer.handle(), POLL_IN, Some(Duration::ZERO))?, 0)?;
    equal(timer.take(LONG), Ok(1))?;
    equal(timer.take(SHORT), Err(Errno::TIMEDOUT))
}

fn periods() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    timer.every(Duration::from_millis(1)).map_err(text)?;
    equal(timer.take(LONG).map(|count| count >= 1), Ok(true))?;
    thread::sleep(Duration::from_millis(5));
    // Those that nobody took are not lost.
    equal(timer.take(LONG).map(|count| count >= 4), Ok(true))?;
    equal(timer.take(LONG).map(|count| count >= 1), Ok(true))
}

fn absolute() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    let now = sys::clock_get(swos_ulib::abi::CLOCK_MONOTONIC).map_err(text)?;
    timer.at(now + 2_000_000).map_err(text)?;
    equal(timer.take(LONG), Ok(1))?;
    let then = sys::clock_get(swos_ulib::abi::CLOCK_MONOTONIC).map_err(text)?;
    equal(then >= now + 2_000_000, true)
}

fn over() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    timer.at(1).map_err(text)?;
    equal(timer.take(LONG), Ok(1))
}

fn anew() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    timer.at(1).map_err(text)?;
    timer.once(Duration::from_secs(1000)).map_err(text)?;
    equal(timer.take(SHORT), Err(Errno::TIMEDOUT))?;
    timer.once(Duration::from_micros(1)).map_err(text)?;
    equal(timer.take(LONG), Ok(1))
}

fn off() -> Result<(), String> {
    let timer = Timer::new().map_err(text)?;
    timer.every(Duration::from_micros(100)).map_err(text)?;
    equal(timer.take(LONG).is_ok(), true)?;
    timer.stop().map_err(text)?;
    equal(timer.take(SHORT), Err(Errno::TIMEDOUT))
}

fn closed() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let timer = Timer::new().map_err(text)?;
    set.add(timer.handle(), u32::from(POLL_IN), 1).map_err(text)?;
    timer.once(Duration::from_micros(500)).map_err(text)?;
    drop(timer);
    equal(tokens(&set, SHORT)?, [].to_vec())
}

fn senseless() -> Result<(), String> {
    equal(sys::timer_create(1), Err(Errno::INVAL))?;
    let timer = Timer::new().map_err(text)?;
    equal(sys::timer_set(timer.handle(), 1, TIMER_PERIOD_MIN_NS - 1, 0), Err(Errno::INVAL))?;
    equal(sys::timer_set(timer.handle(), 1, 0, 2), Err(Errno::INVAL))?;
    equal(sys::timer_set(timer.handle(), u64::MAX, u64::MAX, 0), Ok(()))
}

fn every_timer() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let timers = [(); 3].map(|()| Timer::new());
    let mut heard = Vec::new();
    for (token, timer) in (1..).zip(&timers) {
        let timer = timer.as_ref().map_err(text)?;
        set.add(timer.handle(), u32::from(POLL_IN) | READY_EDGE, token).map_err(text)?;
        timer.once(Duration::from_millis(10 * (4 - token))).map_err(text)?;
    }
    while heard.len() < 3 {
        heard.extend(tokens(&set, LONG)?);
    }
    heard.sort_unstable();
    equal(heard, [1, 2, 3].to_vec())
}

fn until_taken() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let timer = Timer::new().map_err(text)?;
    set.add(timer.handle(), u32::from(POLL_IN), 1).map_err(text)?;
    timer.every(Duration::from_millis(1)).map_err(text)?;
    equal(tokens(&set, LONG)?, [1].to_vec())?;
    equal(tokens(&set, Some(Duration::ZERO))?, [1].to_vec())?;
    // Taken, it comes again.
    equal(timer.take(SHORT).is_ok(), true)?;
    equal(tokens(&set, LONG)?, [1].to_vec())
}

fn moves() -> Result<(), String> {
    let (sender, receiver): (Sender, Receiver) = endpoint().map_err(text)?;
    let timer = Timer::new().map_err(text)?;
    timer.once(Duration::from_millis(2)).map_err(text)?;
    let taker = thread::spawn(move || {
        let mut message = swos_ulib::ipc::Message::new();
        receiver.receive(&mut message, None)?;
        let (timer, _) = message.take_handles().pop().ok_or(Errno::PROTO)?;
        sys::counter_take(timer.get(), u64::MAX)
    })
    .map_err(text)?;
    let copy = sys::handle_duplicate(timer.handle(), Rights::all(), 0).map_err(text)?;
    let copy = swos_ulib::handle::OwnedHandle::new(copy);
    sender.send_message(&mut Outgoing::new(b"").with(copy, Rights::READ), None).map_err(text)?;
    equal(taker.join(), Ok(1))
}

fn clocks() -> Result<(), String> {
    let call = |clock| sys::clock_get(clock).map_err(text);
    let mut last = 0;
    for _ in 0..100 {
        let (before, page, after) =
            (call(CLOCK_MONOTONIC)?, time::Instant::now().as_nanos(), call(CLOCK_MONOTONIC)?);
        equal((last <= before, before <= page, page <= after), (true, true, true))?;
        last = after;
    }
    let (before, page) = (call(CLOCK_REALTIME)?, time::SystemTime::now().ok_or("no calendar")?);
    let after = call(CLOCK_REALTIME)?;
    let page = u64::try_from(page.since_unix_epoch().as_nanos()).map_err(text)?;
    equal((before <= page, page <= after), (true, true))?;
    equal(sys::clock_get(2), Err(Errno::INVAL))
}

fn slept() -> Result<(), String> {
    for micros in [0, 1, 50, 3_000] {
        let start = time::Instant::now();
        thread::sleep(Duration::from_micros(micros));
        let slept = start.elapsed();
        if slept < Duration::from_micros(micros) || slept > Duration::from_secs(5) {
            return Err(format!("{slept:?} instead of {micros} us"));
        }
    }
    Ok(())
}

fn closed_under() -> Result<(), String> {
    let handle = sys::event_create(0, 0).map_err(text)?;
    let taker = thread::spawn(move || sys::counter_take(handle, u64::MAX)).map_err(text)?;
    thread::sleep(Duration::from_millis(1));
    sys::close(handle).map_err(text)?;
    equal(taker.join(), Err(Errno::BADF))
}
