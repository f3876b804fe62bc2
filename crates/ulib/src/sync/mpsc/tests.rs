//! On the host a futex never waits (`NOSYS`) and there is no clock, so waits spin and no time-out runs out.

use std::{sync::Arc, thread};

use super::*;

#[test]
fn messages_of_each_sender_come_in_order() {
    for bound in [0, 1, 3, usize::MAX] {
        let (sender, receiver) = sync_channel(bound);
        let threads = [0, 1, 2].map(|number| {
            let sender = sender.clone();
            thread::spawn(move || (0..30).try_for_each(|turn| sender.send((number, turn))))
        });
        drop(sender);
        let mut next = [0; 3];
        for (number, turn) in &receiver {
            assert_eq!(next[number], turn);
            next[number] += 1;
        }
        assert_eq!(next, [30; 3]);
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    }
}

#[test]
fn a_full_channel_says_so_and_loses_nothing() {
    let (sender, receiver) = sync_channel(2);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.send(2), Ok(()));
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(sender.try_send(4), Ok(()));
    assert!(receiver.try_iter().eq([2, 4]));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(1)), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn what_was_sent_before_the_last_sender_ended_still_comes() {
    let (sender, receiver) = channel();
    let second = sender.clone();
    assert_eq!((sender.send(1), second.send(2)), (Ok(()), Ok(())));
    drop((sender, second));
    assert!(receiver.into_iter().eq([1, 2]));
}

#[test]
fn who_waits_for_room_sees_the_end_of_the_receiver() {
    for bound in [0, 1] {
        let (sender, receiver) = sync_channel(bound);
        let waiting = [1, 2].map(|message| {
            let sender = sender.clone();
            thread::spawn(move || sender.send(message))
        });
        // One message lies there; the other sender may or may not be waiting yet.
        while receiver.shared.state.lock().queue.is_empty() {
            thread::yield_now();
        }
        drop(receiver);
        let returned: Vec<_> =
            waiting.into_iter().filter_map(|thread| thread.join().unwrap().err()).collect();
        assert_eq!(returned.len(), 2 - bound);
        assert_eq!(sender.try_send(3), Err(TrySendError::Disconnected(3)));
    }
}

#[test]
fn without_room_a_try_succeeds_only_if_the_receiver_waits() {
    let (sender, receiver) = sync_channel(0);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    let thread = thread::spawn(move || receiver.recv());
    while sender.try_send(2).is_err() {
        thread::yield_now();
    }
    assert_eq!(thread.join().unwrap(), Ok(2));
    assert_eq!(sender.send(3), Err(SendError(3)));
}

#[test]
fn messages_that_nobody_took_are_dropped_with_the_receiver() {
    /// Holds a sender of the channel that it is sent over.
    struct Message(Arc<()>, Sender<Self>);
    let counted = Arc::new(());
    let (sender, receiver) = channel();
    let message = || Message(Arc::clone(&counted), sender.clone());
    assert!(sender.send(message()).is_ok());
    drop(receiver);
    assert_eq!(Arc::strong_count(&counted), 1);
    assert!(
        sender
            .send(message())
            .is_err_and(|SendError(back)| Arc::ptr_eq(&back.0, &counted) && back.1.send(message()).is_err())
    );
}
