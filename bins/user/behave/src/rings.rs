//! Rings through shared memory.

use alloc::{string::String, vec};
use core::time::Duration;

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    event::Event,
    memory::{MemoryObject, Use},
    ring::{RingReader, RingWriter},
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) const AREA: Area = Area {
    name: "rings",
    checks: &[
        ("a record goes through", one),
        ("what does not fit is refused", full),
        ("a thousand records come back from a child", child_echoes),
        ("a child that writes nonsense breaks only the ring", nonsense),
        ("a reader waits as long as it is told", waits),
    ],
    child,
};

const SIZE: u64 = 4096;

/// Requests come in through the ring of handles 3 (memory), 4 (data), 5 (room); answers go out through 6, 7, 8.
fn child(deed: &str) -> i32 {
    let map = |at: u64| MemoryObject::from_handle(Handle(at)).map(Use::Write);
    let event = |at: u64| Event::from_handle(Handle(at));
    let (Ok(there), Ok(back)) = (map(3), map(6)) else { return 1 };
    let [data, room, data_back, room_back] = [4, 5, 7, 8].map(event);
    if deed == "nonsense" {
        for word in back.words() {
            word.store(u32::MAX, core::sync::atomic::Ordering::Relaxed);
        }
        return i32::from(data_back.add(1).is_err());
    }
    if deed != "echo" {
        return UNKNOWN;
    }
    let (Ok(mut reader), Ok(mut writer)) =
        (RingReader::new(&there, &data, &room), RingWriter::new(&back, &data_back, &room_back))
    else {
        return 2;
    };
    let mut record = [0; 300];
    loop {
        match reader.read(&mut record, None) {
            Ok(0) => return 0,
            Ok(length) => {
                let record = record.get(..length).unwrap_or_default();
                if writer.write(record, None).is_err() {
                    return 3;
                }
            }
            Err(_) => return 4,
        }
    }
}

struct Way {
    memory: MemoryObject,
    data: Event,
    room: Event,
}

impl Way {
    fn new() -> Result<Self, String> {
        let memory = MemoryObject::new(SIZE).map_err(text)?;
        Ok(Self { memory, data: Event::new().map_err(text)?, room: Event::new().map_err(text)? })
    }
}

fn one() -> Result<(), String> {
    let way = Way::new()?;
    let (here, there) =
        (way.memory.map(Use::Write).map_err(text)?, way.memory.map(Use::Write).map_err(text)?);
    let mut writer = RingWriter::new(&here, &way.data, &way.room).map_err(text)?;
    let mut reader = RingReader::new(&there, &way.data, &way.room).map_err(text)?;
    let mut buffer = [0; 16];
    equal(reader.try_read(&mut buffer), Ok(None))?;
    writer.try_write(b"record").map_err(text)?;
    equal(reader.try_read(&mut [0; 5]), Err(Errno::RANGE))?;
    equal(reader.read(&mut buffer, None), Ok(6))?;
    equal(buffer.get(..6), Some(b"record".as_slice()))
}

fn full() -> Result<(), String> {
    let way = Way::new()?;
    let here = way.memory.map(Use::Write).map_err(text)?;
    let mut writer = RingWriter::new(&here, &way.data, &way.room).map_err(text)?;
    equal(writer.try_write(&[0; 4096]), Err(Errno::MSGSIZE))?;
    // 512 words; 26 of them a record.
    for _ in 0..19 {
        writer.try_write(&[1; 100]).map_err(text)?;
    }
    equal(writer.try_write(&[1; 100]), Err(Errno::AGAIN))?;
    equal(writer.write(&[1; 100], Some(Duration::from_millis(1))), Err(Errno::TIMEDOUT))
}

fn start(deed: &str, there: &Way, back: &Way) -> Result<swos_ulib::process::Child, String> {
    let mut command = crate::child(AREA.name, deed);
    for (at, way) in [(3, there), (6, back)] {
        command.handle(at, way.memory.handle(), Rights::all());
        command.handle(at + 1, way.data.handle(), Rights::all());
        command.handle(at + 2, way.room.handle(), Rights::all());
    }
    command.spawn().map_err(text)
}

fn child_echoes() -> Result<(), String> {
    let (there, back) = (Way::new()?, Way::new()?);
    let child = start("echo", &there, &back)?;
    let (out, into) =
        (there.memory.map(Use::Write).map_err(text)?, back.memory.map(Use::Write).map_err(text)?);
    let mut writer = RingWriter::new(&out, &there.data, &there.room).map_err(text)?;
    let mut reader = RingReader::new(&into, &back.data, &back.room).map_err(text)?;
    let (mut sent, mut came) = (0_u32, 0_u32);
    let record = |number: u32| vec![number.to_le_bytes(); 1 + number as usize % 70].concat();
    let mut buffer = [0; 300];
    while came < 1000 {
        // As far ahead as both rings take.
        while sent < 1000 && writer.try_write(&record(sent)).is_ok() {
            sent += 1;
        }
        let length = reader.read(&mut buffer, None).map_err(text)?;
        equal(buffer.get(..length) == Some(record(came).as_slice()), true)?;
        came += 1;
    }
    writer.write(&[], None).map_err(text)?;
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn nonsense() -> Result<(), String> {
    let (there, back) = (Way::new()?, Way::new()?);
    let into = back.memory.map(Use::Write).map_err(text)?;
    let mut reader = RingReader::new(&into, &back.data, &back.room).map_err(text)?;
    let child = start("nonsense", &there, &back)?;
    equal(reader.read(&mut [0; 300], None), Err(Errno::PROTO))?;
    equal(reader.try_read(&mut [0; 300]), Err(Errno::PROTO))?;
    equal(child.wait().map_err(text)?.code(), Some(0))
}

fn waits() -> Result<(), String> {
    let way = Way::new()?;
    let here = way.memory.map(Use::Write).map_err(text)?;
    let mut reader = RingReader::new(&here, &way.data, &way.room).map_err(text)?;
    equal(reader.read(&mut [0; 16], Some(Duration::from_millis(1))), Err(Errno::TIMEDOUT))
}
