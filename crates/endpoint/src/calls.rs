//! Calls that are not over, each in a place with a number of its own.

use alloc::vec::Vec;

use crate::{Error, Message};

/// Names a call for its caller, until its outcome was told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallId(pub(crate) Token);

/// The right to answer one call, once. Worth something only at the endpoint where it was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Token(u64);

impl Token {
    /// What a program may have kept of one; whether it is any good is found out when it is used.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// As a number, which is not 0.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | (index as u64 + 1))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
    const fn parts(self) -> (usize, u32) {
        ((self.0 as u32).wrapping_sub(1) as usize, (self.0 >> 32) as u32)
    }
}

/// What a caller can take of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Room {
    /// Bytes.
    pub bytes: usize,
    /// Handles.
    pub handles: usize,
}

/// How a call stands.
#[derive(Debug)]
pub enum Outcome<H> {
    /// Neither answered nor lost.
    Waiting,
    /// Its answer. The call is over.
    Answered(Message<H>),
    /// Nobody will answer any more. The call is over.
    Died,
}

#[derive(Debug)]
enum State<H, W> {
    /// The next free place, if any.
    Free(Option<u32>),
    /// Not received yet.
    Sent(W, Room),
    /// Received; its token is out.
    Received(W, Room),
    Answered(Message<H>),
    /// Its caller gave up before it was received: that takes it out of the count only later.
    Given,
    /// Its caller gave up after that.
    GivenUp,
    /// Nobody will answer, and its caller was named.
    Dead,
}

#[derive(Debug)]
struct Place<H, W> {
    generation: u32,
    state: State<H, W>,
}

#[derive(Debug)]
pub(crate) struct Calls<H, W> {
    places: Vec<Place<H, W>>,
    free: Option<u32>,
    /// Places in use.
    used: usize,
    /// How far `drain` has looked.
    drained: usize,
}

impl<H, W> Calls<H, W> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: None, used: 0, drained: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.used
    }

    /// Makes sure that the next `open` succeeds.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Result<(), Error> {
        if self.free.is_some() {
            return Ok(());
        }
        if u32::try_from(self.places.len() + 1).is_err() {
            return Err(Error::NoMemory);
        }
        self.places.try_reserve(1).map_err(|_| Error::NoMemory)
    }

    /// Opens a call for which `reserve` found room.
    pub(crate) fn begin(&mut self, waiter: W, room: Room) -> CallId {
        self.open(State::Sent(waiter, room))
    }

    fn open(&mut self, state: State<H, W>) -> CallId {
        self.used += 1;
        if let Some(index) = self.free
            && let Some(place) = self.places.get_mut(index as usize)
        {
            if let State::Free(next) = core::mem::replace(&mut place.state, state) {
                self.free = next;
            }
            return CallId(Token::new(index, place.generation));
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX - 1);
        self.places.push(Place { generation: 0, state });
        CallId(Token::new(index, 0))
    }

    #[inline]
    fn find(&mut self, token: Token) -> Option<&mut Place<H, W>> {
        let (index, generation) = token.parts();
        self.places.get_mut(index).filter(|place| place.generation == generation)
    }

    /// Ends the use of a place and returns what was there.
    fn close(&mut self, token: Token) -> Option<State<H, W>> {
        let free = self.free;
        let (index, _) = token.parts();
        let place = self.find(token)?;
        if matches!(place.state, State::Free(_)) {
            return None;
        }
        let state = core::mem::replace(&mut place.state, State::Free(free));
        match place.generation.checked_add(1) {
            Some(next) => {
                place.generation = next;
                self.free = u32::try_from(index).ok();
            }
            // All numbers are used: retired, or an old token would answer a new call.
            None => place.state = State::Free(None),
        }
        self.used -= 1;
        Some(state)
    }

    /// The message of a call was received.
    pub(crate) fn on_received(&mut self, id: CallId) -> Option<Token> {
        let place = self.find(id.0)?;
        let state = core::mem::replace(&mut place.state, State::GivenUp);
        place.state = match state {
            State::Sent(waiter, room) => State::Received(waiter, room),
            State::Given => State::GivenUp,
            other => other,
        };
        Some(id.0)
    }

    /// Whether this token can answer with so much now. One whose caller gave up is used up by asking.
    pub(crate) fn admit_reply(&mut self, token: Token, size: Room) -> Result<(), Error> {
        match self.find(token).map(|place| &place.state) {
            Some(State::Received(_, room)) if size.bytes > room.bytes || size.handles > room.handles => {
                Err(Error::TooLong)
            }
            Some(State::Received(..)) => Ok(()),
            Some(State::GivenUp) => {
                self.close(token);
                Err(Error::CallerGone)
            }
            Some(State::Free(_) | State::Sent(..) | State::Answered(_) | State::Given | State::Dead)
            | None => Err(Error::BadToken),
        }
    }

    /// Answers a call that `admit_reply` found good; returns whom to tell.
    pub(crate) fn answer(&mut self, token: Token, message: Message<H>) -> Result<W, Message<H>> {
        let Some(place) = self.find(token) else { return Err(message) };
        match core::mem::replace(&mut place.state, State::GivenUp) {
            State::Received(waiter, _) => {
                place.state = State::Answered(message);
                Ok(waiter)
            }
            other => {
                place.state = other;
                Err(message)
            }
        }
    }

    /// Keeps an answer that its caller could not take yet, under a new number.
    pub(crate) fn keep(&mut self, message: Message<H>) -> Result<CallId, Message<H>> {
        if self.reserve().is_err() {
            return Err(message);
        }
        Ok(self.open(State::Answered(message)))
    }

    pub(crate) fn outcome(&mut self, id: CallId, side: crate::Side) -> Outcome<H> {
        let over = match self.find(id.0).map(|place| &place.state) {
            Some(State::Sent(..) | State::Received(..)) => side == crate::Side::Gone,
            Some(State::Answered(_) | State::Dead) => true,
            Some(State::Free(_) | State::Given | State::GivenUp) | None => return Outcome::Died,
        };
        if !over {
            return Outcome::Waiting;
        }
        match self.close(id.0) {
            Some(State::Answered(message)) => Outcome::Answered(message),
            _ => Outcome::Died,
        }
    }

    pub(crate) fn abandon(&mut self, id: CallId, side: crate::Side) -> Option<Message<H>> {
        let place = self.find(id.0)?;
        match (&place.state, side) {
            (State::Sent(..), crate::Side::Open) => place.state = State::Given,
            (State::Received(..), crate::Side::Open) => place.state = State::GivenUp,
            (State::Sent(..) | State::Received(..) | State::Answered(_) | State::Dead, _) => {
                if let Some(State::Answered(message)) = self.close(id.0) {
                    return Some(message);
                }
            }
            (State::Free(_) | State::Given | State::GivenUp, _) => {}
        }
        None
    }

    /// Places that were ever in use.
    pub(crate) const fn places(&self) -> usize {
        self.places.len()
    }

    /// Ends the call in a place, if it was received and not answered. Its caller, whose outcome is to be told.
    pub(crate) fn hang_up(&mut self, index: usize) -> Option<W> {
        let place = self.places.get_mut(index)?;
        match core::mem::replace(&mut place.state, State::Dead) {
            State::Received(waiter, _) => return Some(waiter),
            State::GivenUp => {
                let token = Token::new(u32::try_from(index).ok()?, place.generation);
                self.close(token);
            }
            other => place.state = other,
        }
        None
    }

    /// After the death of the receivers: the next caller that waits. Its call is over; its outcome is to be told.
    pub(crate) fn drain(&mut self) -> Option<W> {
        while let Some(place) = self.places.get_mut(self.drained) {
            let index = self.drained;
            self.drained += 1;
            match core::mem::replace(&mut place.state, State::Dead) {
                State::Sent(waiter, _) | State::Received(waiter, _) => return Some(waiter),
                State::Given | State::GivenUp => {
                    let token = Token::new(u32::try_from(index).ok()?, place.generation);
                    self.close(token);
                }
                other => place.state = other,
            }
        }
        None
    }
}
