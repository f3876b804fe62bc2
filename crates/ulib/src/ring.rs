//! Rings: records through shared memory, with events as doorbells. No call is made while both ends are busy.
//!
//! One process makes a [`MemoryObject`](crate::memory::MemoryObject) and two [`Event`]s, gives handles of all three to another (at `spawn`
//! or in a message), and each makes its end.

use swos_abi::Errno;
use swos_ring::{Consumer, Error, Producer, Wake};
use swos_rt::shared::SharedMapping;

use crate::{event::Event, time::Duration};

/// The end where records go in.
#[derive(Debug)]
pub struct RingWriter<'a> {
    ring: Producer<'a>,
    data: &'a Event,
    room: &'a Event,
}

/// The end where records come out.
#[derive(Debug)]
pub struct RingReader<'a> {
    ring: Consumer<'a>,
    data: &'a Event,
    room: &'a Event,
}

const fn errno(error: Error) -> Errno {
    match error {
        Error::Region => Errno::INVAL,
        Error::Full => Errno::AGAIN,
        Error::TooLong => Errno::MSGSIZE,
        Error::Short(_) => Errno::RANGE,
        Error::Broken => Errno::PROTO,
    }
}

fn ring(bell: &Event, wake: Wake) -> Result<(), Errno> {
    if wake == Wake::Other { bell.add(1) } else { Ok(()) }
}

impl<'a> RingWriter<'a> {
    /// The writer's end of a mapping of zeros. `data` is rung for the reader, `room` by it.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] if the mapping is too small or can't be written.
    pub fn new(mapping: &'a SharedMapping, data: &'a Event, room: &'a Event) -> Result<Self, Errno> {
        let ring = Producer::new(mapping.words()).map_err(errno)?;
        Ok(Self { ring, data, room })
    }

    /// Appends a record if there is room.
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] without room, [`Errno::MSGSIZE`], [`Errno::PROTO`] if the reader broke the ring.
    pub fn try_write(&mut self, record: &[u8]) -> Result<(), Errno> {
        let wake = self.ring.push(record).map_err(errno)?;
        ring(self.data, wake)
    }

    /// Appends a record; waits for room, at most `timeout` at a time (`None` = for ever).
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write), and [`Errno::TIMEDOUT`].
    pub fn write(&mut self, record: &[u8], timeout: Option<Duration>) -> Result<(), Errno> {
        loop {
            match self.try_write(record) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
            if self.ring.may_sleep(record.len()).map_err(errno)? {
                self.room.take(timeout)?;
            }
        }
    }
}

impl<'a> RingReader<'a> {
    /// The reader's end of a mapping of zeros.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] if the mapping is too small or can't be written.
    pub fn new(mapping: &'a SharedMapping, data: &'a Event, room: &'a Event) -> Result<Self, Errno> {
        let ring = Consumer::new(mapping.words()).map_err(errno)?;
        Ok(Self { ring, data, room })
    }

    /// Takes the oldest record, if there is one.
    ///
    /// # Errors
    ///
    /// [`Errno::RANGE`] if the buffer is shorter than the record, which stays; [`Errno::PROTO`] if the writer broke the ring.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        match self.ring.pop(buffer).map_err(errno)? {
            None => Ok(None),
            Some((length, wake)) => ring(self.room, wake).map(|()| Some(length)),
        }
    }

    /// Takes the oldest record; waits for one, at most `timeout` at a time (`None` = for ever).
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read), and [`Errno::TIMEDOUT`].
    pub fn read(&mut self, buffer: &mut [u8], timeout: Option<Duration>) -> Result<usize, Errno> {
        loop {
            if let Some(length) = self.try_read(buffer)? {
                return Ok(length);
            }
            if self.ring.may_sleep().map_err(errno)? {
                self.data.take(timeout)?;
            }
        }
    }
}
