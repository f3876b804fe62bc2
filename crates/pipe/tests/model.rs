//! Random operations beside a plain queue: order, exactly once, records whole, nobody left asleep.

#![allow(
    clippy::allow_attributes,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers of a test: they fit"
)]

use std::collections::VecDeque;

use proptest::prelude::*;
use swos_pipe::{End, Error, PIPE_BUF, Piece, Pipe, Wake};

const CAPACITY: usize = 3 * PIPE_BUF;

#[derive(Clone, Debug)]
enum Step {
    /// Writer so-and-so writes its next record, of so many bytes.
    Record(u8, usize),
    /// Bytes that may be cut.
    Stream(usize),
    /// A page that is moved.
    Page(u8),
    Read(usize),
    /// A read that can't hand its bytes over.
    Fail,
    Close(End),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![4 => 4_usize..64, 2 => 4_usize..=PIPE_BUF, 1 => Just(PIPE_BUF)];
    let step = prop_oneof![
        8 => (0_u8..4, length).prop_map(|(who, length)| Step::Record(who, length)),
        3 => (1_usize..4 * PIPE_BUF).prop_map(Step::Stream),
        4 => any::<u8>().prop_map(Step::Page),
        1 => Just(Step::Fail),
        6 => (1_usize..300).prop_map(Step::Read),
        4 => (1_usize..2 * CAPACITY).prop_map(Step::Read),
        1 => prop_oneof![Just(Step::Close(End::Reader)), Just(Step::Close(End::Writer))],
    ];
    prop::collection::vec(step, 1..120)
}

/// Who was refused and not woken since.
#[derive(Debug, Default)]
struct Asleep {
    reader: bool,
    /// What refused writers wanted to write.
    writers: Vec<(usize, Piece)>,
    /// Somebody polls the writer's end for `POLL_OUT`.
    poller: bool,
}

impl Asleep {
    /// Nobody sleeps who could go on.
    fn check(&self, pipe: &Pipe<Vec<u8>>) -> Result<(), TestCaseError> {
        prop_assert!(!self.reader || pipe.is_empty() && pipe.peek().is_err(), "a reader sleeps beside bytes");
        for &(length, piece) in &self.writers {
            let needed = if piece == Piece::Whole { length } else { length.min(PIPE_BUF) };
            prop_assert!(pipe.room() < needed, "a writer of {length} sleeps beside room of {}", pipe.room());
        }
        prop_assert!(!self.poller || pipe.readiness(End::Writer) == 0, "a poller sleeps");
        Ok(())
    }
}

/// A record: who, which, how long, then bytes made from these.
fn record(who: u8, number: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![who, number];
    bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
    bytes.extend((4..length).map(|at| (at as u8).wrapping_mul(31) ^ who ^ number));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_pipe_is_a_bounded_queue(steps in steps()) {
        let mut pipe = Pipe::<Vec<u8>>::with_pages(CAPACITY);
        let mut model = VecDeque::new();
        // Bytes behind the pages.
        let mut behind = 0_usize;
        let (mut reader, mut writer) = (true, true);
        let mut asleep = Asleep::default();
        let mut numbers = [0_u8; 5];
        for step in steps {
            match step {
                Step::Record(..) | Step::Stream(_) if writer => {
                    let (bytes, piece, who) = match step {
                        Step::Record(who, length) => (record(who, numbers[usize::from(who)], length), Piece::Whole, who),
                        Step::Stream(length) => ((0..length).map(|at| at as u8).collect(), Piece::Part, 4),
                        Step::Page(_) | Step::Read(_) | Step::Fail | Step::Close(_) => unreachable!(),
                    };
                    let room = CAPACITY - model.len();
                    let expected = match piece {
                        _ if !reader => Err(Error::NoReader),
                        Piece::Whole if bytes.len() > room => Err(Error::WouldBlock),
                        Piece::Part if room == 0 => Err(Error::WouldBlock),
                        Piece::Whole | Piece::Part => Ok(bytes.len().min(room)),
                    };
                    let found = pipe.write(&bytes, piece);
                    prop_assert_eq!(found.map(|taken| taken.count), expected);
                    match found {
                        Ok(taken) => {
                            model.extend(&bytes[..taken.count]);
                            behind += taken.count;
                            numbers[usize::from(who)] = numbers[usize::from(who)].wrapping_add(1);
                            asleep.reader &= taken.wake == Wake::Nobody;
                        }
                        Err(Error::WouldBlock) => asleep.writers.push((bytes.len(), piece)),
                        Err(_) => {}
                    }
                    asleep.poller |= pipe.readiness(End::Writer) == 0;
                }
                Step::Page(fill) if writer => {
                    let page: Vec<u8> = (0..PIPE_BUF).map(|at| at as u8 ^ fill).collect();
                    let goes_in = reader && behind == 0 && CAPACITY - model.len() >= PIPE_BUF;
                    prop_assert_eq!(pipe.takes_page(), goes_in);
                    match pipe.write_page(page.clone()) {
                        Ok(wake) => {
                            prop_assert!(goes_in);
                            model.extend(page);
                            asleep.reader &= wake == Wake::Nobody;
                        }
                        Err(back) => prop_assert!(!goes_in && back == page),
                    }
                    asleep.poller |= pipe.readiness(End::Writer) == 0;
                }
                Step::Fail => {
                    if let Some(part) = pipe.take_page() {
                        pipe.give_back(part);
                    }
                }
                Step::Read(length) if reader && model.len() > behind => {
                    let part = pipe.take_page().unwrap();
                    let bytes: Vec<u8> = part.page()[part.start()..].iter().copied().take(length).collect();
                    let expected: Vec<u8> = model.drain(..bytes.len()).collect();
                    prop_assert_eq!(&bytes, &expected);
                    if pipe.consume_page(part, bytes.len()).0 == Wake::OtherEnd {
                        asleep.writers.clear();
                        asleep.poller = false;
                    }
                }
                Step::Read(length) if reader => match pipe.peek() {
                    Ok(pieces) => {
                        let bytes: Vec<u8> = pieces.concat().into_iter().take(length).collect();
                        let expected: Vec<u8> = model.drain(..length.min(model.len())).collect();
                        prop_assert_eq!(&bytes, &expected);
                        behind -= bytes.len();
                        if pipe.consume(bytes.len()) == Wake::OtherEnd {
                            asleep.writers.clear();
                            asleep.poller = false;
                        }
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Error::WouldBlock);
                        prop_assert!(model.is_empty() && writer);
                        asleep.reader = true;
                    }
                },
                Step::Close(end) => {
                    pipe.close(end);
                    match end {
                        End::Reader => {
                            reader = false;
                            model.clear();
                            behind = 0;
                        }
                        End::Writer => writer = false,
                    }
                    // All at the other end are woken, and a closed end has nobody who could wait at it.
                    asleep = Asleep::default();
                }
                Step::Record(..) | Step::Stream(_) | Step::Page(_) | Step::Read(_) => {}
            }
            prop_assert_eq!(pipe.len(), model.len());
            // Of a page that was read in part, all is held.
            let read_in_part = if model.len() > behind { PIPE_BUF - 1 } else { 0 };
            prop_assert!(pipe.allocated() <= CAPACITY + read_in_part);
            prop_assert!(!model.is_empty() || pipe.allocated() <= PIPE_BUF, "memory kept by an empty pipe");
            asleep.check(&pipe)?;
        }
    }

    /// Writers whose records wait until they fit, a reader with a buffer of any size: each record arrives whole, each writer's in order.
    #[test]
    fn records_of_several_writers_never_mix(
        lengths in prop::collection::vec((0_u8..4, 4_usize..=PIPE_BUF), 1..60),
        order in prop::collection::vec((any::<bool>(), 1_usize..3 * PIPE_BUF), 1..40),
    ) {
        let mut pipe = Pipe::new(CAPACITY);
        let mut queues: Vec<VecDeque<Vec<u8>>> = vec![VecDeque::new(); 4];
        for &(who, length) in &lengths {
            let queue = &mut queues[usize::from(who)];
            let number = u8::try_from(queue.len()).unwrap();
            queue.push_back(record(who, number, length));
        }
        let mut received = Vec::new();
        let mut turn = 0;
        while queues.iter().any(|queue| !queue.is_empty()) || !pipe.is_empty() {
            let (reads_first, length) = order[turn % order.len()];
            if !reads_first || pipe.is_empty() {
                for queue in &mut queues {
                    if let Some(next) = queue.front()
                        && pipe.write(next, Piece::Whole).is_ok()
                    {
                        queue.pop_front();
                    }
                }
            }
            if let Ok(pieces) = pipe.peek() {
                let bytes: Vec<u8> = pieces.concat().into_iter().take(length).collect();
                let _wake = pipe.consume(bytes.len());
                received.extend(bytes);
            }
            turn += 1;
        }
        let mut numbers = [0_u8; 4];
        let mut rest = received.as_slice();
        while let [who, number, low, high, ..] = *rest {
            let length = usize::from(u16::from_le_bytes([low, high]));
            prop_assert_eq!(number, numbers[usize::from(who)]);
            numbers[usize::from(who)] += 1;
            let expected = record(who, number, length);
            prop_assert_eq!(&rest[..length], expected.as_slice());
            rest = &rest[length..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(numbers.iter().map(|&count| usize::from(count)).sum::<usize>(), lengths.len());
    }
}
