//! A line for one value at a time between two threads of the host that take turns. A channel of the library has locks at which the two
//! meet with every value; here the one who waits sleeps until it is woken, once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    waiting: Option<Thread>,
    open: bool,
}

/// What both ends share.
#[derive(Debug)]
struct Line<T>(Mutex<State<T>>);

impl<T> Line<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.state();
        state.open = false;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.unpark();
        }
    }
}

/// The end where values go in.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Line<T>>);

/// The end where they come out.
#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<Line<T>>);

/// The other end is gone.
#[derive(Debug)]
pub(crate) struct Closed;

/// Two ends of a line.
pub(crate) fn line<T>() -> (Sender<T>, Receiver<T>) {
    let line = Arc::new(Line(Mutex::new(State { value: None, waiting: None, open: true })));
    (Sender(line.clone()), Receiver(line))
}

impl<T> Sender<T> {
    /// Sends a value. The one before was received.
    pub(crate) fn send(&self, value: T) -> Result<(), Closed> {
        let mut state = self.0.state();
        if !state.open {
            return Err(Closed);
        }
        assert!(state.value.replace(value).is_none(), "who sends waits for an answer first");
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.unpark();
        }
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for a value.
    pub(crate) fn recv(&self) -> Result<T, Closed> {
        loop {
            let mut state = self.0.state();
            if let Some(value) = state.value.take() {
                return Ok(value);
            }
            if !state.open {
                return Err(Closed);
            }
            state.waiting = Some(thread::current());
            drop(state);
            thread::park();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_in_turn_and_an_end_is_seen_by_who_waits() {
        let (ask, asked) = line();
        let (answer, answered) = line();
        let other = thread::spawn(move || {
            while let Ok(value) = asked.recv() {
                answer.send(value + 1_u32).unwrap();
            }
        });
        for value in 0..1000 {
            ask.send(value).unwrap();
            assert_eq!(answered.recv().unwrap(), value + 1);
        }
        drop(ask);
        assert!(answered.recv().is_err());
        other.join().unwrap();
        let (send, receive) = line::<u32>();
        drop(receive);
        assert!(send.send(1).is_err());
    }
}
