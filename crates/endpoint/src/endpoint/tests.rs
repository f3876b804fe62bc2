use super::*;

type Plain = Endpoint<u32, u32>;

fn message(bytes: &[u8]) -> Message<u32> {
    Message::new(bytes).unwrap()
}

fn call(waiter: u32) -> Call<u32> {
    Call { waiter, room: Room { bytes: 100, handles: 1 } }
}

fn refused<T: fmt::Debug>(result: Result<T, Refused<u32>>) -> Error {
    result.unwrap_err().error
}

fn sent(endpoint: &mut Plain, bytes: &[u8], waiter: u32) -> CallId {
    endpoint.push(message(bytes), 0, Some(call(waiter))).unwrap().unwrap()
}

fn received(endpoint: &mut Plain) -> Token {
    let taken = endpoint.take().unwrap();
    let token = endpoint.commit(&taken).token.unwrap();
    assert_eq!(taken.token(), Some(token));
    token
}

#[test]
fn limits_hold_and_refused_senders_are_woken_when_there_is_room() {
    let mut endpoint = Plain::new(Limits { messages: 2, bytes: 100, calls: 1 });
    assert_eq!(refused(endpoint.push(message(&[0; 101]), 0, None)), Error::TooLong);
    endpoint.push(message(&[1; 60]), 0, None).unwrap();
    assert_eq!(endpoint.sender_readiness(), 0);
    assert_eq!(refused(endpoint.push(message(&[2; 41]), 0, None)), Error::WouldBlock);
    endpoint.push(message(&[3; 10]), 0, None).unwrap();
    assert_eq!(refused(endpoint.push(message(&[]), 0, None)), Error::WouldBlock);
    let taken = endpoint.take().unwrap();
    // While it is out its room is not given away.
    assert_eq!(refused(endpoint.push(message(&[4; 41]), 0, None)), Error::WouldBlock);
    assert_eq!(endpoint.take().unwrap_err(), Error::Busy);
    endpoint.give_back(taken).unwrap();
    let taken = endpoint.take().unwrap();
    assert_eq!(taken.message.bytes(), [1; 60]);
    assert_eq!(endpoint.commit(&taken), Receipt { token: None, wake: Wake::Senders });
    assert_eq!(endpoint.sender_readiness(), POLL_OUT);
    // Nobody was refused since.
    let taken = endpoint.take().unwrap();
    assert_eq!(endpoint.commit(&taken).wake, Wake::Nobody);
}

#[test]
fn a_poller_for_room_is_woken_without_a_refusal() {
    let mut endpoint = Plain::new(Limits { messages: 1, bytes: 100, calls: 1 });
    endpoint.push(message(&[]), 0, None).unwrap();
    assert_eq!(endpoint.sender_readiness(), 0);
    let taken = endpoint.take().unwrap();
    assert_eq!(endpoint.commit(&taken).wake, Wake::Senders);
}

#[test]
fn a_token_answers_once_and_only_what_was_received() {
    let mut endpoint = Plain::new(Limits::default());
    let id = sent(&mut endpoint, b"?", 5);
    // Guessed before it was received.
    assert_eq!(endpoint.admit_reply(id.0, Room::default()), Err(Error::BadToken));
    let token = received(&mut endpoint);
    for forged in [0, 1, token.get() + 1, token.get() + (1 << 32), u64::MAX] {
        let good = forged == token.get();
        assert!(good || refused(endpoint.reply(Token::from_raw(forged), message(b"!"))) == Error::BadToken);
    }
    // Too much for the caller: the token stays good.
    assert_eq!(refused(endpoint.reply(token, message(&[0; 101]))), Error::TooLong);
    assert_eq!(endpoint.admit_reply(token, Room { bytes: 0, handles: 2 }), Err(Error::TooLong));
    assert!(matches!(endpoint.outcome(id), Outcome::Waiting));
    assert_eq!(endpoint.reply(token, message(b"!")).unwrap(), 5);
    assert_eq!(refused(endpoint.reply(token, message(b"!"))), Error::BadToken);
    assert!(matches!(endpoint.outcome(id), Outcome::Answered(answer) if answer.bytes() == b"!"));
    assert!(matches!(endpoint.outcome(id), Outcome::Died));
    // The place is used again, the number is not.
    let next = sent(&mut endpoint, b"?", 6);
    assert_ne!(next, id);
    let second = received(&mut endpoint);
    assert_eq!(refused(endpoint.reply(token, message(b"!"))), Error::BadToken);
    assert_eq!(endpoint.reply(second, message(b"!")).unwrap(), 6);
    assert_eq!(endpoint.calls(), 1);
}

#[test]
fn a_caller_that_gave_up_is_told_once_to_who_answers() {
    let mut endpoint = Plain::new(Limits::default());
    // Before the receipt, after it, and with the answer under way.
    let early = sent(&mut endpoint, b"1", 1);
    assert!(endpoint.abandon(early).is_none());
    let token = received(&mut endpoint);
    assert_eq!(refused(endpoint.reply(token, message(b"!"))), Error::CallerGone);
    assert_eq!(refused(endpoint.reply(token, message(b"!"))), Error::BadToken);
    let late = sent(&mut endpoint, b"2", 2);
    let token = received(&mut endpoint);
    assert!(endpoint.abandon(late).is_none());
    assert!(endpoint.abandon(late).is_none());
    assert_eq!(endpoint.admit_reply(token, Room::default()), Err(Error::CallerGone));
    let latest = sent(&mut endpoint, b"3", 3);
    let token = received(&mut endpoint);
    endpoint.reply(token, message(b"answer")).unwrap();
    assert_eq!(endpoint.abandon(latest).unwrap().bytes(), b"answer");
    assert_eq!(endpoint.calls(), 0);
}

#[test]
fn calls_under_way_are_bounded_and_their_end_makes_room() {
    let mut endpoint = Plain::new(Limits { messages: 10, bytes: 100, calls: 1 });
    let id = sent(&mut endpoint, b"?", 1);
    let token = received(&mut endpoint);
    assert_eq!(refused(endpoint.push(message(b"?"), 0, Some(call(2)))), Error::WouldBlock);
    endpoint.reply(token, message(b"!")).unwrap();
    let _answer = endpoint.outcome(id);
    assert_eq!(endpoint.call_over(), Wake::Senders);
    sent(&mut endpoint, b"?", 2);
}

#[test]
fn an_answer_that_could_not_be_taken_is_kept() {
    let mut endpoint = Plain::new(Limits::default());
    let id = sent(&mut endpoint, b"?", 1);
    let token = received(&mut endpoint);
    endpoint.reply(token, message(b"kept")).unwrap();
    let Outcome::Answered(answer) = endpoint.outcome(id) else { panic!("no answer") };
    let again = endpoint.keep_answer(answer).unwrap();
    // Also by a death.
    let _last = endpoint.close_receiver();
    assert!(endpoint.drain().is_none());
    assert!(matches!(endpoint.outcome(again), Outcome::Answered(answer) if answer.bytes() == b"kept"));
}

#[test]
fn the_last_receiver_leaves_every_message_and_caller_to_be_told() {
    let mut endpoint = Plain::new(Limits::default());
    let received_call = sent(&mut endpoint, b"1", 1);
    let token = received(&mut endpoint);
    let given_up = sent(&mut endpoint, b"0", 9);
    let _token = received(&mut endpoint);
    assert!(endpoint.abandon(given_up).is_none());
    let waiting = sent(&mut endpoint, b"2", 2);
    let mut with_handles = message(b"3");
    with_handles.replace_handles(alloc::vec![40, 41], 0);
    endpoint.push(with_handles, 0, None).unwrap();
    assert!(endpoint.drain().is_none());
    assert_eq!(endpoint.close_receiver(), Closed::Last);
    assert_eq!(endpoint.sender_readiness(), POLL_OUT | POLL_ERR);
    assert_eq!(refused(endpoint.push(message(b"4"), 0, None)), Error::NoReceiver);
    assert_eq!(endpoint.take().unwrap_err(), Error::NoReceiver);
    // At once, before anything was drained.
    assert!(matches!(endpoint.outcome(received_call), Outcome::Died));
    let (mut handles, mut waiters) = (alloc::vec![], alloc::vec![]);
    while let Some(drained) = endpoint.drain() {
        match drained {
            Drained::Message(message) => handles.extend(message.into_handles()),
            Drained::Waiter(waiter) => waiters.push(waiter),
        }
    }
    assert_eq!((handles.as_slice(), waiters.as_slice()), ([40, 41].as_slice(), [2].as_slice()));
    assert!(matches!(endpoint.outcome(waiting), Outcome::Died));
    assert_eq!(refused(endpoint.reply(token, message(b"!"))), Error::BadToken);
    assert_eq!((endpoint.calls(), endpoint.len()), (0, 0));
}

#[test]
fn the_last_sender_leaves_what_was_sent() {
    let mut endpoint = Plain::new(Limits::default());
    endpoint.add_sender();
    endpoint.push(message(b"last words"), 3, None).unwrap();
    assert_eq!(endpoint.close_sender(), Closed::OneOfMany);
    assert_eq!(endpoint.receiver_readiness(), POLL_IN);
    assert_eq!(endpoint.close_sender(), Closed::Last);
    assert_eq!(endpoint.receiver_readiness(), POLL_IN | POLL_HUP);
    let taken = endpoint.take().unwrap();
    assert_eq!((taken.message.bytes(), taken.badge), (b"last words".as_slice(), 3));
    let _receipt = endpoint.commit(&taken);
    assert_eq!(endpoint.take().unwrap_err(), Error::NoSender);
}

#[test]
fn receivers_in_queues_form_no_cycle() {
    let (mut first, mut second) = (Plain::new(Limits::default()), Plain::new(Limits::default()));
    let with_receiver = || {
        let mut with = message(b"");
        with.replace_handles(alloc::vec![1], 1);
        with
    };
    // The receiver of the second goes into the first ...
    second.depart().unwrap();
    first.push(with_receiver(), 0, None).unwrap();
    // ... so that of the first goes nowhere, and none goes into the second.
    assert_eq!(first.depart(), Err(Error::Cycle));
    assert_eq!(refused(second.push(with_receiver(), 0, None)), Error::Cycle);
    second.push(message(b"no handle"), 0, None).unwrap();
    // It comes out: all is as before.
    let taken = first.take().unwrap();
    let _receipt = first.commit(&taken);
    second.arrive();
    first.depart().unwrap();
    second.push(with_receiver(), 0, None).unwrap();
    // Through itself.
    let mut own = Plain::new(Limits::default());
    own.depart().unwrap();
    assert_eq!(refused(own.push(with_receiver(), 0, None)), Error::Cycle);
}

#[test]
fn what_is_given_back_to_nobody_comes_back() {
    let mut endpoint = Plain::new(Limits::default());
    endpoint.push(message(&[1; 1000]), 0, None).unwrap();
    let taken = endpoint.take().unwrap();
    assert_eq!(endpoint.close_receiver(), Closed::Last);
    assert!(endpoint.drain().is_none());
    assert_eq!(endpoint.give_back(taken).unwrap_err().len(), 1000);
}

#[test]
fn short_messages_one_at_a_time_keep_their_place_and_many_give_it_back() {
    let mut endpoint = Plain::new(Limits { messages: 1000, bytes: 1 << 20, calls: 1 });
    for _ in 0..1000 {
        endpoint.push(message(b"x"), 0, None).unwrap();
    }
    assert!(endpoint.queue.capacity() >= 1000);
    for _ in 0..1000 {
        let taken = endpoint.take().unwrap();
        let _receipt = endpoint.commit(&taken);
    }
    assert_eq!(endpoint.queue.capacity(), 0);
    endpoint.push(message(b"x"), 0, None).unwrap();
    let taken = endpoint.take().unwrap();
    let _receipt = endpoint.commit(&taken);
    assert!((1..=2 * KEPT).contains(&endpoint.queue.capacity()));
}
