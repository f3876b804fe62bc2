use super::*;

const ALL: Rights = Rights::all();

#[test]
fn rights_gate_each_operation() {
    let mut table = HandleTable::new(8);
    let plain = table.insert('a', Rights::READ).unwrap();
    assert_eq!(table.get(plain), Ok((&'a', Rights::READ)));
    assert_eq!(table.get_with(plain, Rights::READ), Ok(&'a'));
    assert_eq!(table.get_with(plain, Rights::READ | Rights::WRITE), Err(Error::MissingRights));
    assert_eq!(table.duplicate(plain, ALL), Err(Error::MissingRights));
    assert_eq!(table.share(plain, ALL).unwrap_err(), Error::MissingRights);
    assert_eq!(table.lend(plain, ALL).unwrap_err(), Error::MissingRights);
    assert_eq!(table.take(plain).unwrap_err(), Error::MissingRights);
    assert_eq!(table.len(), 1);
    let copyable = table.insert('b', Rights::READ | Rights::WRITE | Rights::DUPLICATE).unwrap();
    let copy = table.duplicate(copyable, Rights::WRITE | Rights::EXECUTE).unwrap();
    assert_eq!(table.get(copy), Ok((&'b', Rights::WRITE)));
    table.restrict(copyable, Rights::READ | Rights::MAP).unwrap();
    assert_eq!(table.get(copyable), Ok((&'b', Rights::READ)));
}

#[test]
fn the_quota_bounds_open_handles_and_refusal_loses_nothing() {
    let mut table = HandleTable::new(2);
    let first = table.insert('a', ALL).unwrap();
    let second = table.insert_at(Handle::STDERR, 'b', ALL).unwrap();
    assert_eq!(table.insert('c', ALL), Err(Error::Full));
    assert_eq!(table.duplicate(first, ALL), Err(Error::Full));
    let refused = table.accept_at(Handle::STDIN, Grant::new('d', Rights::READ)).unwrap_err();
    assert_eq!(
        (refused.error, refused.grant.object(), refused.grant.rights()),
        (Error::Full, &'d', Rights::READ)
    );
    assert_eq!(table.close(second), Ok('b'));
    assert_eq!(table.close(second), Err(Error::BadHandle));
    assert!(table.accept(refused.grant.restricted(Rights::empty())).is_ok());
    assert_eq!((table.len(), table.quota(), table.is_empty()), (2, 2, false));
}

#[test]
fn a_loan_and_all_made_from_it_end_at_once() {
    let [mut lender, mut friend, mut stranger] = [(); 3].map(|()| HandleTable::new(16));
    let root = lender.insert("object", ALL).unwrap();
    let equal = lender.duplicate(root, ALL).unwrap();
    let loan = lender.lend(root, ALL - Rights::WRITE).unwrap();
    let lent = friend.accept(loan).unwrap();
    // A copy here, a copy elsewhere, a loan of the loan, a moved one.
    let copy = friend.duplicate(lent, ALL).unwrap();
    let shared = friend.share(lent, ALL).unwrap();
    let shared = stranger.accept(shared).unwrap();
    let sublet = friend.lend(copy, ALL).unwrap();
    let sublet = stranger.accept(sublet).unwrap();
    let moved = friend.duplicate(lent, ALL).unwrap();
    let moved = friend.take(moved).unwrap();
    let moved = stranger.accept(moved).unwrap();
    let in_flight = friend.share(lent, ALL).unwrap();
    lender.revoke(root).unwrap();
    for handle in [lent, copy] {
        assert_eq!(friend.get(handle), Err(Error::Revoked));
        assert_eq!(friend.duplicate(handle, ALL), Err(Error::Revoked));
        assert_eq!(friend.share(handle, ALL).unwrap_err(), Error::Revoked);
        assert_eq!(friend.take(handle).unwrap_err(), Error::Revoked);
        assert_eq!(friend.restrict(handle, ALL), Err(Error::Revoked));
        assert_eq!(friend.revoke(handle), Err(Error::Revoked));
    }
    for handle in [shared, sublet, moved] {
        assert_eq!(stranger.get_with(handle, Rights::empty()), Err(Error::Revoked));
    }
    let landed = stranger.accept(in_flight).unwrap();
    assert_eq!(stranger.get(landed), Err(Error::Revoked));
    // The lender's own stay, a new loan is not touched by the old revocation, and the dead can be closed.
    assert!(lender.get(root).is_ok() && lender.get(equal).is_ok());
    let again = lender.lend(root, ALL).unwrap();
    let again = friend.accept(again).unwrap();
    assert!(friend.get(again).is_ok());
    assert_eq!(stranger.close(shared), Ok("object"));
}

#[test]
fn a_middle_holder_revokes_below_itself_only() {
    let mut table = HandleTable::new(16);
    let root = table.insert((), ALL).unwrap();
    let loan = table.lend(root, ALL).unwrap();
    let middle = table.accept(loan).unwrap();
    let loan = table.lend(middle, ALL).unwrap();
    let leaf = table.accept(loan).unwrap();
    table.revoke(middle).unwrap();
    assert_eq!((table.get(leaf).is_err(), table.get(middle).is_ok()), (true, true));
    // Who moves a handle moves the power over its loans.
    let loan = table.lend(middle, ALL).unwrap();
    let leaf = table.accept(loan).unwrap();
    let moved = table.take(middle).unwrap();
    let moved = table.accept(moved).unwrap();
    table.revoke(moved).unwrap();
    assert_eq!(table.get(leaf), Err(Error::Revoked));
    // An equal of the lender has no power over its loans.
    let loan = table.lend(root, ALL).unwrap();
    let leaf = table.accept(loan).unwrap();
    let equal = table.duplicate(root, ALL).unwrap();
    table.revoke(equal).unwrap();
    assert!(table.get(leaf).is_ok());
}

#[test]
fn loans_of_loans_are_bounded_and_copies_are_not() {
    let mut table = HandleTable::new(64);
    let mut handle = table.insert((), ALL).unwrap();
    for _ in 0..crate::DEPTH_MAX {
        for _ in 0..3 {
            handle = table.duplicate(handle, ALL).unwrap();
        }
        let loan = table.lend(handle, ALL).unwrap();
        handle = table.accept(loan).unwrap();
    }
    assert_eq!(table.lend(handle, ALL).unwrap_err(), Error::TooDeep);
}

#[test]
fn what_counts_its_handles_keeps_its_authority() {
    let mut table = HandleTable::new(8);
    let root = table.insert(1, ALL).unwrap();
    let loan = table.lend(root, Rights::READ).unwrap().map(|opens| opens + 1);
    assert_eq!((loan.object(), loan.rights()), (&2, Rights::READ));
    let lent = table.accept(loan).unwrap();
    table.revoke(root).unwrap();
    assert_eq!(table.get(lent), Err(Error::Revoked));
    assert_eq!(table.take(root).unwrap().into_object(), 1);
}

#[test]
fn replacing_keeps_the_number_and_nothing_else() {
    let mut table = HandleTable::new(8);
    table.insert_at(Handle::STDOUT, "tty", ALL).unwrap();
    let loan = table.lend(Handle::STDOUT, ALL).unwrap();
    let leaf = table.accept(loan).unwrap();
    let old = table.replace(Handle::STDOUT, Grant::new("file", Rights::WRITE)).unwrap();
    assert_eq!((old.object(), old.rights()), (&"tty", ALL));
    assert_eq!(table.get(Handle::STDOUT), Ok((&"file", Rights::WRITE)));
    // Revoking what stands there now does not reach loans of what stood there before.
    table.revoke(Handle::STDOUT).unwrap();
    assert!(table.get(leaf).is_ok());
    assert_eq!(table.replace(Handle(77), old).unwrap_err().error, Error::BadHandle);
}

#[test]
fn teardown_gives_back_every_object_in_bounded_steps() {
    let mut table = HandleTable::new(usize::MAX);
    let handles: Vec<_> = (0..100).map(|n| table.insert(n, ALL).unwrap()).collect();
    for handle in handles.iter().step_by(3) {
        table.close(*handle).unwrap();
    }
    let mut expected: Vec<_> = table.iter().map(|(_, &n, _)| n).collect();
    expected.reverse();
    let (mut closed, mut calls) = (Vec::new(), 0);
    while table.teardown(10, |n| closed.push(n)) == Progress::More {
        calls += 1;
        assert!(closed.len() <= calls * 10);
    }
    assert_eq!((closed, table.len(), calls), (expected, 0, 10));
}

#[test]
fn marked_handles_are_closed_on_exec_in_bounded_steps() {
    let mut table = HandleTable::new(usize::MAX);
    let handles: Vec<_> = (0..50).map(|n| table.insert(n, ALL).unwrap()).collect();
    for handle in handles.iter().step_by(3) {
        assert_eq!(table.on_exec(*handle), Ok(OnExec::Keep));
        table.set_on_exec(*handle, OnExec::Close).unwrap();
    }
    let (mut closed, mut slot, mut calls) = (Vec::new(), Some(0), 0);
    while let Some(from) = slot {
        slot = table.drain_close_on_exec(from, 10, |n| closed.push(n));
        calls += 1;
        assert!(closed.len() <= calls * 10);
    }
    assert_eq!((closed, calls), ((0..50).step_by(3).collect::<Vec<_>>(), 6));
    assert!(handles.iter().enumerate().all(|(n, &handle)| table.get(handle).is_ok() == (n % 3 != 0)));
    assert_eq!(table.on_exec(handles[0]), Err(Error::BadHandle));
    assert_eq!(table.set_on_exec(handles[0], OnExec::Keep), Err(Error::BadHandle));
}

#[test]
fn the_mark_is_of_one_handle_and_no_copy_has_it() {
    let mut table = HandleTable::new(64);
    let marked = table.insert((), ALL).unwrap();
    table.set_on_exec(marked, OnExec::Close).unwrap();
    let copies = [
        table.duplicate(marked, ALL),
        table.share(marked, ALL).and_then(|grant| table.accept(grant).map_err(|refused| refused.error)),
        table.lend(marked, ALL).and_then(|grant| table.accept(grant).map_err(|refused| refused.error)),
    ];
    for copy in copies {
        assert_eq!(table.on_exec(copy.unwrap()), Ok(OnExec::Keep));
    }
    // Moved away and back, and put in the place of a marked one.
    let taken = table.take(marked).unwrap();
    let back = table.accept(taken).unwrap();
    assert_eq!(table.on_exec(back), Ok(OnExec::Keep));
    table.set_on_exec(back, OnExec::Close).unwrap();
    let other = table.insert((), ALL).unwrap();
    assert_eq!(table.duplicate_to(other, back, ALL), Ok(Some(())));
    assert_eq!(table.on_exec(back), Ok(OnExec::Keep));
    // Fewer rights do not clear it.
    table.set_on_exec(back, OnExec::Close).unwrap();
    table.restrict(back, Rights::READ).unwrap();
    assert_eq!(table.on_exec(back), Ok(OnExec::Close));
}

#[test]
fn a_copy_goes_to_the_number_that_was_chosen() {
    let mut table = HandleTable::new(8);
    let file = table.insert("file", ALL).unwrap();
    assert_eq!(table.duplicate_to(file, Handle::STDOUT, Rights::WRITE), Ok(None));
    assert_eq!(table.get(Handle::STDOUT), Ok((&"file", Rights::WRITE)));
    let tty = table.insert("tty", ALL).unwrap();
    assert_eq!(table.duplicate_to(tty, Handle::STDOUT, ALL), Ok(Some("file")));
    assert_eq!(table.get(Handle::STDOUT), Ok((&"tty", ALL)));
    assert_eq!(table.duplicate_to(tty, tty, ALL), Err(Error::SlotTaken));
    assert_eq!(table.duplicate_to(Handle(99), tty, ALL), Err(Error::BadHandle));
    assert_eq!(table.duplicate_to(tty, Handle(1 << 20), ALL), Err(Error::Full));
    table.close(file).unwrap();
    assert_eq!(table.duplicate_to(tty, file, ALL), Err(Error::SlotTaken), "its number is used up");
    table.restrict(tty, Rights::READ).unwrap();
    assert_eq!(table.duplicate_to(tty, Handle::STDOUT, ALL), Err(Error::MissingRights));
    assert_eq!(table.len(), 2);
}

fn fork<O: Clone>(parent: &HandleTable<O>, slots: usize) -> HandleTable<O> {
    let mut child = HandleTable::new(parent.quota());
    while parent.fork_into(&mut child, slots, |object| object).unwrap() == Progress::More {}
    child
}

#[test]
fn a_fork_has_the_same_numbers_but_only_what_may_be_duplicated() {
    for slots in [1, 2, 100] {
        let mut parent = HandleTable::new(16);
        let stream = parent.insert_at(Handle::STDOUT, "out", ALL).unwrap();
        let closed = parent.insert("closed", ALL).unwrap();
        let bound = parent.insert("bound", ALL - Rights::DUPLICATE).unwrap();
        let reused = parent.insert("reused", ALL).unwrap();
        parent.close(reused).unwrap();
        parent.close(closed).unwrap();
        let again = parent.insert("again", Rights::READ | Rights::DUPLICATE).unwrap();
        let mut child = fork(&parent, slots);
        assert_eq!(child.get(stream), Ok((&"out", ALL)));
        assert_eq!(child.get(again), Ok((&"again", Rights::READ | Rights::DUPLICATE)));
        for gone in [closed, bound, reused] {
            assert_eq!(child.get(gone), Err(Error::BadHandle));
        }
        assert_eq!((child.len(), child.quota()), (2, 16));
        // No number that the parent knows ever names something else in the child.
        for _ in 0..8 {
            let new = child.insert("new", ALL).unwrap();
            assert!(![stream, closed, bound, reused, again].contains(&new), "{new:?}");
        }
        assert_eq!(child.insert_at(Handle::STDIN, "in", ALL), Ok(Handle::STDIN));
        assert_eq!(child.close(stream), Ok("out"));
        assert_eq!(child.insert_at(Handle::STDOUT, "out", ALL), Err(Error::SlotTaken));
        assert_eq!(parent.get(stream), Ok((&"out", ALL)));
    }
}

#[test]
fn a_stream_that_may_not_be_duplicated_is_closed_in_the_fork() {
    let mut parent = HandleTable::new(16);
    parent.insert_at(Handle::STDERR, 'e', Rights::WRITE).unwrap();
    let mut child = fork(&parent, 10);
    assert_eq!(child.get(Handle::STDERR), Err(Error::BadHandle));
    assert_eq!(child.insert_at(Handle::STDERR, 'x', ALL), Err(Error::SlotTaken));
}

#[test]
fn a_forked_loan_ends_with_the_loan_and_can_not_revoke() {
    let mut lender = HandleTable::new(16);
    let root = lender.insert("object", ALL).unwrap();
    let loan = lender.lend(root, ALL).unwrap();
    let mut parent = HandleTable::new(16);
    let lent = parent.accept(loan).unwrap();
    let sublet = parent.lend(lent, ALL).unwrap();
    let mut friend = HandleTable::new(16);
    let sublet = friend.accept(sublet).unwrap();
    let mut child = fork(&parent, 10);
    child.revoke(lent).unwrap();
    assert!(friend.get(sublet).is_ok(), "the power to revoke stays with the source");
    lender.revoke(root).unwrap();
    assert_eq!(child.get(lent), Err(Error::Revoked));
    // A revoked handle is not copied.
    assert_eq!(fork(&parent, 10).get(lent), Err(Error::BadHandle));
}

#[test]
fn a_quota_is_only_lowered() {
    let mut table = HandleTable::new(3);
    table.insert('a', ALL).unwrap();
    table.insert('b', ALL).unwrap();
    table.lower_quota(1);
    table.lower_quota(9);
    assert_eq!((table.quota(), table.len()), (1, 2));
    assert_eq!(table.insert('c', ALL), Err(Error::Full));
}

#[test]
fn what_was_reserved_is_accepted() {
    let mut table = HandleTable::new(6);
    let first = table.insert(0, ALL).unwrap();
    table.insert(1, ALL).unwrap();
    table.close(first).unwrap();
    assert_eq!(table.reserve(6), Err(Error::Full));
    table.reserve(5).unwrap();
    let slots = table.slots.reserve_vacant(5).map(|()| table.len());
    assert_eq!(slots, Ok(1));
    let accepted: Vec<_> = (2..7)
        .map(|n| table.accept(Grant::new(n, Rights::READ)).map_err(|refused| refused.error).unwrap())
        .collect();
    assert_eq!(table.reserve(1), Err(Error::Full));
    table.reserve(0).unwrap();
    // The standard streams stay for who opens them by number.
    assert!(accepted.iter().all(|handle| handle.0 >= 3));
    // Taken back without the right to transfer; the number is used.
    assert_eq!(table.retract(accepted[0]).unwrap().into_object(), 2);
    assert_eq!(table.retract(accepted[0]).unwrap_err(), Error::BadHandle);
}
