//! One thread that waits for many things at once.

use swos_ulib::{
    event::Event,
    io::{Read as _, Result, Write as _},
    pair::PairStream,
    println,
    ready::{POLL_IN, ReadyEvent, ReadySet},
    thread,
    time::Duration,
    timer::Timer,
};

/// Marks of our own, by which the set tells what is ready.
const TICK: u64 = 1;
const NOTE: u64 = 2;
const DATA: u64 = 3;

pub(crate) fn main() -> Result<()> {
    let timer = Timer::new()?;
    let event = Event::new()?;
    let (mut near, mut far) = PairStream::pair()?;
    let set = ReadySet::new()?;
    let readable = u32::from(POLL_IN);
    set.add(timer.handle(), readable, TICK)?;
    set.add(event.handle(), readable, NOTE)?;
    set.add(near.handle(), readable, DATA)?;

    let other = thread::spawn(move || far.write_all(b"over the pair").map(|()| far))?;
    event.add(3)?;
    timer.once(Duration::from_millis(20))?;

    let (mut ticks, mut notes, mut bytes) = (0, 0, 0);
    let mut ready = [ReadyEvent::default(); 8];
    while ticks == 0 || notes == 0 || bytes < 13 {
        for found in set.wait(&mut ready, None)? {
            match found.token {
                TICK => ticks += timer.take(None)?,
                NOTE => notes += event.take(None)?,
                DATA => bytes += near.read(&mut [0; 64])?,
                _ => {}
            }
        }
    }
    println!("{ticks} tick, {notes} notes, {bytes} bytes");
    drop(other.join());
    Ok(())
}
