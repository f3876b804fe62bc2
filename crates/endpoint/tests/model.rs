//! Random operations beside plain queues: order, exactly once, one end to each call, limits, no payload lost.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "what can't be ends the test; its numbers fit"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use swos_endpoint::{
    Call, CallId, Drained, Endpoint, Error, Limits, Message, Outcome, Room, Side, Token, Wake,
};

const LIMITS: Limits = Limits { messages: 5, bytes: 300, calls: 4 };

#[derive(Clone, Debug)]
enum Step {
    /// Bytes, handles; a call or not.
    Push(usize, usize, bool),
    /// Handed over or not.
    Take(bool),
    /// Answers one of the tokens ever seen with so many bytes.
    Reply(usize, usize),
    /// One of the callers looks.
    Look(usize),
    /// One of the callers gives up.
    Abandon(usize),
    AddSender,
    CloseSender,
    CloseReceiver,
    Drain,
    HangUp,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![3 => 0_usize..64, 2 => 60_usize..200, 1 => 200_usize..400];
    let step = prop_oneof![
        10 => (length, 0_usize..3, any::<bool>()).prop_map(|(length, handles, call)| Step::Push(length, handles, call)),
        10 => prop::bool::weighted(0.8).prop_map(Step::Take),
        6 => (0_usize..40, 0_usize..150).prop_map(|(which, length)| Step::Reply(which, length)),
        6 => (0_usize..40).prop_map(Step::Look),
        3 => (0_usize..40).prop_map(Step::Abandon),
        1 => Just(Step::AddSender),
        1 => Just(Step::CloseSender),
        1 => prop::bool::weighted(0.3).prop_map(|close| if close { Step::CloseReceiver } else { Step::Drain }),
        2 => Just(Step::Drain),
        1 => Just(Step::HangUp),
    ];
    prop::collection::vec(step, 1..200)
}

/// How a call stands in the model.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Stands {
    Sent,
    Received,
    Answered(Vec<u8>),
    GivenUp { received: bool },
    HungUp,
    Over,
}

/// A message that lies there: bytes, handles, badge, and which call it is.
type Queued = (Vec<u8>, Vec<u32>, u64, Option<usize>);

#[derive(Default)]
struct Model {
    queue: VecDeque<Queued>,
    calls: Vec<Stands>,
    ids: Vec<CallId>,
    tokens: Vec<(Token, usize)>,
    /// Handles that were made and not given out again.
    inside: BTreeSet<u32>,
    named: BTreeMap<u32, usize>,
    next_handle: u32,
}

const ROOM: Room = Room { bytes: 100, handles: 1 };

proptest! {
    #[test]
    fn it_does_what_plain_queues_do(steps in steps()) {
        let mut endpoint = Endpoint::<u32, u32>::new(LIMITS);
        let mut model = Model::default();
        let (mut senders, mut receivers) = (1_usize, 1_usize);
        let mut asleep: Vec<usize> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(length, count, is_call) if senders > 0 => {
                    let bytes: Vec<u8> = (0..length).map(|at| (at + number) as u8).collect();
                    let handles: Vec<u32> = (0..count).map(|_| { model.next_handle += 1; model.next_handle }).collect();
                    let mut message = Message::new(&bytes).unwrap();
                    message.replace_handles(handles.clone(), 0);
                    let held: usize = model.queue.iter().map(|queued| queued.0.len()).sum();
                    let room = model.queue.len() < LIMITS.messages && held + length <= LIMITS.bytes
                        && (!is_call || endpoint.calls() < LIMITS.calls);
                    let waiter = u32::try_from(model.calls.len()).unwrap();
                    let call = is_call.then_some(Call { waiter, room: ROOM });
                    match endpoint.push(message, number as u64, call) {
                        Ok(id) => {
                            prop_assert!(receivers > 0 && length <= LIMITS.bytes && room);
                            prop_assert_eq!(id.is_some(), is_call);
                            let index = id.map(|id| { model.ids.push(id); model.calls.push(Stands::Sent); model.calls.len() - 1 });
                            model.inside.extend(&handles);
                            model.queue.push_back((bytes, handles, number as u64, index));
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused.message.bytes(), bytes.as_slice());
                            prop_assert_eq!(refused.message.handles(), handles.as_slice());
                            let expected = if receivers == 0 { Error::NoReceiver }
                                else if length > LIMITS.bytes { Error::TooLong } else { Error::WouldBlock };
                            prop_assert_eq!(refused.error, expected);
                            prop_assert!(expected != Error::WouldBlock || !room);
                            if expected == Error::WouldBlock && !is_call { asleep.push(length); }
                        }
                    }
                }
                Step::Take(handed) => match endpoint.take() {
                    Ok(taken) => {
                        let (bytes, handles, badge, call) = model.queue.front().unwrap().clone();
                        prop_assert_eq!(taken.message.bytes(), bytes.as_slice());
                        prop_assert_eq!(taken.message.handles(), handles.as_slice());
                        prop_assert_eq!(taken.badge, badge);
                        prop_assert_eq!(endpoint.take().unwrap_err(), Error::Busy);
                        if handed {
                            let receipt = endpoint.commit(&taken);
                            prop_assert_eq!(receipt.token.is_some(), call.is_some());
                            model.queue.pop_front();
                            handles.iter().for_each(|handle| assert!(model.inside.remove(handle)));
                            if let (Some(token), Some(call)) = (receipt.token, call) {
                                model.tokens.push((token, call));
                                model.calls[call] = match &model.calls[call] {
                                    Stands::Sent => Stands::Received,
                                    Stands::GivenUp { .. } => Stands::GivenUp { received: true },
                                    other => panic!("{other:?}"),
                                };
                            }
                            if receipt.wake == Wake::Senders { asleep.clear(); }
                        } else {
                            endpoint.give_back(taken).unwrap();
                        }
                    }
                    Err(Error::NoReceiver) => prop_assert_eq!(receivers, 0),
                    Err(Error::NoSender) => prop_assert!(senders == 0 && model.queue.is_empty()),
                    Err(error) => prop_assert!(error == Error::WouldBlock && model.queue.is_empty() && senders > 0),
                },
                Step::Reply(which, length) => {
                    let Some(&(token, call)) = model.tokens.get(which % model.tokens.len().max(1)) else { continue };
                    let bytes = vec![number as u8; length];
                    match endpoint.reply(token, Message::new(&bytes).unwrap()) {
                        Ok(waiter) => {
                            prop_assert_eq!(waiter as usize, call);
                            prop_assert_eq!(&model.calls[call], &Stands::Received);
                            model.calls[call] = Stands::Answered(bytes);
                        }
                        Err(refused) => match refused.error {
                            Error::TooLong => prop_assert!(model.calls[call] == Stands::Received && length > ROOM.bytes),
                            Error::CallerGone => {
                                prop_assert_eq!(&model.calls[call], &Stands::GivenUp { received: true });
                                model.calls[call] = Stands::Over;
                                let _wake = endpoint.call_over();
                                asleep.clear();
                            }
                            error => {
                                prop_assert_eq!(error, Error::BadToken);
                                prop_assert!(receivers == 0 || matches!(model.calls[call], Stands::Answered(_) | Stands::HungUp | Stands::Over));
                            }
                        },
                    }
                }
                Step::Look(which) => {
                    let Some(&id) = model.ids.get(which % model.ids.len().max(1)) else { continue };
                    let call = which % model.ids.len();
                    match endpoint.outcome(id) {
                        Outcome::Waiting => prop_assert!(receivers > 0 && matches!(model.calls[call], Stands::Sent | Stands::Received)),
                        Outcome::Answered(answer) => {
                            prop_assert_eq!(&model.calls[call], &Stands::Answered(answer.bytes().to_vec()));
                            model.calls[call] = Stands::Over;
                            let _wake = endpoint.call_over();
                            asleep.clear();
                        }
                        Outcome::Died => {
                            let over = matches!(model.calls[call], Stands::Over | Stands::GivenUp { .. });
                            prop_assert!(receivers == 0 || over || model.calls[call] == Stands::HungUp);
                            if matches!(model.calls[call], Stands::Sent | Stands::Received | Stands::HungUp) { model.calls[call] = Stands::Over; }
                        }
                    }
                }
                Step::Abandon(which) => {
                    let Some(&id) = model.ids.get(which % model.ids.len().max(1)) else { continue };
                    let call = which % model.ids.len();
                    let answer = endpoint.abandon(id);
                    let next = match (&model.calls[call], receivers > 0) {
                        (Stands::Answered(bytes), _) => {
                            let answer = answer.unwrap();
                            prop_assert_eq!(answer.bytes(), bytes.as_slice());
                            Stands::Over
                        }
                        (Stands::Sent, true) => Stands::GivenUp { received: false },
                        (Stands::Received, true) => Stands::GivenUp { received: true },
                        (Stands::Sent | Stands::Received, false) | (Stands::HungUp, _) => Stands::Over,
                        (other, _) => other.clone(),
                    };
                    model.calls[call] = next;
                }
                Step::AddSender if senders > 0 => { endpoint.add_sender(); senders += 1; }
                Step::CloseSender if senders > 0 => { let _last = endpoint.close_sender(); senders -= 1; }
                Step::CloseReceiver if receivers > 0 => { let _last = endpoint.close_receiver(); receivers = 0; asleep.clear(); }
                Step::Drain => match endpoint.drain() {
                    Some(Drained::Message(message)) => {
                        let (bytes, handles, ..) = model.queue.pop_front().unwrap();
                        prop_assert_eq!(message.bytes(), bytes.as_slice());
                        prop_assert_eq!(message.handles(), handles.as_slice());
                        handles.iter().for_each(|handle| assert!(model.inside.remove(handle)));
                    }
                    Some(Drained::Waiter(waiter)) => {
                        prop_assert!(matches!(model.calls[waiter as usize], Stands::Sent | Stands::Received));
                        *model.named.entry(waiter).or_default() += 1;
                    }
                    None => {}
                },
                Step::HangUp if receivers > 0 => {
                    let mut told: Vec<u32> = (0..endpoint.places()).filter_map(|place| endpoint.hang_up(place)).collect();
                    told.sort_unstable();
                    let mut expected = Vec::new();
                    for (waiter, stands) in (0..).zip(&mut model.calls) {
                        match stands {
                            Stands::Received => { expected.push(waiter); *stands = Stands::HungUp; }
                            Stands::GivenUp { received: true } => *stands = Stands::Over,
                            _ => {}
                        }
                    }
                    prop_assert_eq!(&told, &expected);
                    told.into_iter().for_each(|waiter| *model.named.entry(waiter).or_default() += 1);
                }
                _ => {}
            }
            prop_assert_eq!(endpoint.len(), model.queue.len());
            prop_assert_eq!(endpoint.receiving_side(), if receivers > 0 { Side::Open } else { Side::Gone });
            prop_assert!(receivers == 0 || endpoint.calls() == model.calls.iter().filter(|&call| *call != Stands::Over).count());
            // Nobody sleeps beside room, as far as bytes and messages go.
            let held: usize = model.queue.iter().map(|queued| queued.0.len()).sum();
            for &length in &asleep {
                prop_assert!(model.queue.len() >= LIMITS.messages || held + length > LIMITS.bytes, "a sender of {length} sleeps");
            }
        }
        // The end of all: every payload comes out, every caller is told once.
        if receivers > 0 { let _last = endpoint.close_receiver(); }
        while let Some(drained) = endpoint.drain() {
            match drained {
                Drained::Message(message) => message.handles().iter().for_each(|handle| assert!(model.inside.remove(handle))),
                Drained::Waiter(waiter) => *model.named.entry(waiter).or_default() += 1,
            }
        }
        prop_assert!(model.inside.is_empty());
        prop_assert!(model.named.values().all(|&times| times == 1));
        for (index, &id) in model.ids.iter().enumerate() {
            match (&model.calls[index], endpoint.outcome(id)) {
                (Stands::Answered(bytes), Outcome::Answered(answer)) => prop_assert_eq!(answer.bytes(), bytes.as_slice()),
                (Stands::Answered(_), other) => prop_assert!(false, "{other:?}"),
                (_, outcome) => prop_assert!(matches!(outcome, Outcome::Died)),
            }
        }
        prop_assert_eq!((endpoint.len(), endpoint.calls()), (0, 0));
    }
}
