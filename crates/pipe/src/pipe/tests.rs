use super::*;

fn refuse(_: &mut VecDeque<u8>, _: usize) -> bool {
    false
}

#[test]
fn an_allocation_that_fails_is_an_error_and_loses_nothing() {
    let mut pipe = Pipe::new(CAPACITY);
    for piece in [Piece::Whole, Piece::Part] {
        assert_eq!(pipe.write_with(b"abc", piece, refuse), Err(Error::NoMemory));
    }
    assert_eq!((pipe.len(), pipe.allocated()), (0, 0));
    let _taken = pipe.write(&[1; 500], Piece::Whole).unwrap();
    let free = pipe.allocated() - 500;
    assert!(free < 100);
    // A whole piece does not go in; of a part, what there is memory for.
    assert_eq!(pipe.write_with(&[2; 100], Piece::Whole, refuse), Err(Error::NoMemory));
    assert_eq!(pipe.len(), 500);
    assert_eq!(pipe.write_with(&[3; 100], Piece::Part, refuse).unwrap().count, free);
    assert_eq!(pipe.write_with(&[4; 100], Piece::Part, refuse), Err(Error::NoMemory));
    let held: Vec<u8> = pipe.peek().unwrap().concat();
    assert_eq!(held, [vec![1; 500], vec![3; free]].concat());
    // It is as usable as before.
    assert_eq!(pipe.write(&[5; 100], Piece::Whole).unwrap().count, 100);
}

#[test]
fn where_much_is_refused_little_may_be_had() {
    let mut pipe = Pipe::new(CAPACITY);
    let little = |held: &mut VecDeque<u8>, more| more <= 3 && held.try_reserve_exact(more).is_ok();
    assert_eq!(pipe.write_with(b"abc", Piece::Whole, little).unwrap().count, 3);
    assert_eq!(pipe.peek().unwrap().concat(), b"abc");
}

#[test]
fn memory_comes_with_bytes_and_goes_with_the_last() {
    let mut pipe = Pipe::new(CAPACITY);
    assert_eq!(pipe.allocated(), 0);
    // Small messages to and fro: one small allocation.
    for _ in 0..1_000 {
        let _taken = pipe.write(&[0; 300], Piece::Whole).unwrap();
        let _wake = pipe.consume(300);
        assert_eq!(pipe.allocated(), FIRST);
    }
    let taken = pipe.write(&vec![0; CAPACITY + 1], Piece::Part).unwrap();
    assert_eq!((taken.count, pipe.allocated(), pipe.room()), (CAPACITY, CAPACITY, 0));
    let _wake = pipe.consume(CAPACITY - 1);
    assert_eq!(pipe.len(), 1);
    let _wake = pipe.consume(1);
    assert_eq!(pipe.allocated(), 0);
    // And without a reader at once.
    let _taken = pipe.write(&[0; 5_000], Piece::Part).unwrap();
    pipe.close(End::Reader);
    assert_eq!((pipe.len(), pipe.allocated()), (0, 0));
}

#[test]
fn a_pipe_is_at_least_as_large_as_what_is_atomic() {
    let mut pipe = Pipe::new(1);
    assert_eq!(pipe.write(&[0; PIPE_BUF], Piece::Whole).unwrap().count, PIPE_BUF);
    assert_eq!(pipe.write(&[0], Piece::Part), Err(Error::WouldBlock));
    assert_eq!(pipe.write(&[0; PIPE_BUF + 1], Piece::Whole), Err(Error::TooLong));
    assert_eq!(pipe.write(&[], Piece::Whole).unwrap().count, 0);
}

/// State by input: what each end is told, for each combination of who is there and what is held.
#[test]
fn readiness_is_as_posix_says() {
    for (written, closed, reader, writer) in [
        (0, None, 0, POLL_OUT),
        (1, None, POLL_IN, POLL_OUT),
        (PIPE_BUF, None, POLL_IN, POLL_OUT),
        // A write of `PIPE_BUF` bytes would wait.
        (PIPE_BUF + 1, None, POLL_IN, 0),
        (2 * PIPE_BUF, None, POLL_IN, 0),
        (0, Some(End::Writer), POLL_IN | POLL_HUP, POLL_OUT),
        (9, Some(End::Writer), POLL_IN | POLL_HUP, POLL_OUT),
        (0, Some(End::Reader), 0, POLL_OUT | POLL_ERR),
        (2 * PIPE_BUF, Some(End::Reader), 0, POLL_OUT | POLL_ERR),
    ] {
        let mut pipe = Pipe::new(2 * PIPE_BUF);
        let _taken = pipe.write(&vec![0; written], Piece::Part).unwrap();
        if let Some(end) = closed {
            pipe.close(end);
        }
        let found = (pipe.readiness(End::Reader), pipe.readiness(End::Writer));
        assert_eq!(found, (reader, writer), "{written} bytes, {closed:?} closed");
    }
}

#[test]
fn the_ends_end() {
    let mut pipe = Pipe::new(CAPACITY);
    let _taken = pipe.write(b"last words", Piece::Whole).unwrap();
    pipe.close(End::Writer);
    assert_eq!(pipe.peek().unwrap().concat(), b"last words");
    // More than there is: another may have taken them.
    let _wake = pipe.consume(100);
    assert_eq!(pipe.peek(), Ok([[].as_slice(), [].as_slice()]));
    pipe.close(End::Reader);
    for piece in [Piece::Whole, Piece::Part] {
        assert_eq!(pipe.write(b"x", piece), Err(Error::NoReader));
    }
    assert_eq!(pipe.write(b"", Piece::Whole).unwrap().count, 0);
}

#[test]
fn what_a_reader_has_of_a_closed_pipe_does_not_come_back() {
    for count in [0, 100, PIPE_BUF] {
        let mut pipe = Pipe::with_pages(CAPACITY);
        let Ok(Wake::OtherEnd) = pipe.write_page("old") else { panic!("it goes in") };
        assert_eq!(pipe.write_page("behind"), Ok(Wake::Nobody));
        let part = pipe.take_page().unwrap();
        // Whoever looks meanwhile sees all that was not read.
        assert_eq!((pipe.len(), pipe.readiness(End::Reader)), (2 * PIPE_BUF, POLL_IN));
        pipe.close(End::Reader);
        pipe.open(End::Reader);
        match count {
            0 => pipe.give_back(part),
            count => assert_eq!(pipe.consume_page(part, count), (Wake::Nobody, Some("old"))),
        }
        assert_eq!((pipe.len(), pipe.allocated(), pipe.take_page().is_none()), (0, 0, true));
        assert_eq!(pipe.write_page("new"), Ok(Wake::OtherEnd));
    }
}

#[test]
fn an_end_can_be_opened_again() {
    let mut pipe = Pipe::new(CAPACITY);
    let _ = pipe.write(b"lost", Piece::Whole).unwrap();
    pipe.close(End::Reader);
    assert_eq!(pipe.write(b"x", Piece::Whole), Err(Error::NoReader));
    pipe.open(End::Reader);
    assert_eq!(pipe.peek(), Err(Error::WouldBlock));
    let _ = pipe.write(b"found", Piece::Whole).unwrap();
    pipe.close(End::Writer);
    assert_eq!(pipe.readiness(End::Reader) & POLL_HUP, POLL_HUP);
    pipe.open(End::Writer);
    assert_eq!((pipe.readiness(End::Reader), pipe.peek().unwrap()[0]), (POLL_IN, &b"found"[..]));
    let _ = pipe.consume(5);
    assert_eq!(pipe.peek(), Err(Error::WouldBlock));
}

#[test]
fn an_end_that_was_closed_and_is_still_held_answers() {
    let mut pipe = Pipe::new(CAPACITY);
    let _taken = pipe.write(b"last", Piece::Whole).unwrap();
    pipe.close(End::Writer);
    assert_eq!(pipe.write(b"more", Piece::Whole), Err(Error::NoReader));
    assert_eq!(pipe.peek().unwrap().concat(), b"last");
    let mut pipe = Pipe::new(CAPACITY);
    pipe.close(End::Reader);
    assert_eq!(pipe.peek(), Ok([b"".as_slice(), b""]));
}
