use super::*;

const MS: u64 = 1_000_000;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_empty_queue_needs_no_tick_and_no_switch() {
    let mut queue: RunQueue<()> = RunQueue::new(0);
    let current = Entity::new(Weight::NORMAL);
    assert_eq!((queue.slice(&current), queue.preempts(&current)), (None, false));
    assert!(queue.pick().is_none() && queue.steal(|()| true).is_none() && queue.is_empty());
}

#[test]
fn slices_share_the_latency_by_weight_within_bounds() {
    let mut queue = RunQueue::new(0);
    let current = Entity::new(Weight::NORMAL);
    let mut others: Vec<_> = (0..40).map(|_| Entity::new(Weight::NORMAL)).collect();
    let mut slices = Vec::new();
    for (n, other) in others.iter_mut().enumerate() {
        queue.enqueue(other, n, Enter::New);
        slices.push(queue.slice(&current).unwrap());
    }
    assert_eq!(slices[..3], [ms(6), ms(4), ms(3)]);
    assert_eq!((slices[39], queue.len(), queue.weight()), (SLICE_MIN, 40, 40 * 1024));
    // 12 ms · 88818 / (88818 + 40 · 1024) = 8.2 ms; against one normal thread it would be 11.9.
    let greedy = Entity::new(Weight::from_nice(-20));
    assert_eq!(queue.slice(&greedy).map(Duration::as_millis), Some(8));
    while queue.len() > 1 {
        let _ = queue.pick();
    }
    assert_eq!(queue.slice(&greedy), Some(SLICE_MAX));
}

#[test]
fn equals_go_in_the_order_in_which_they_came() {
    let mut queue = RunQueue::new(0);
    for name in 'a'..='z' {
        queue.enqueue(&mut Entity::new(Weight::NORMAL), name, Enter::New);
    }
    assert!(('a'..='z').all(|name| queue.pick() == Some(name)));
}

#[test]
fn a_sleeper_takes_the_cpu_from_a_hog_but_its_credit_is_bounded() {
    let mut queue = RunQueue::new(0);
    let (mut hog, mut sleeper) = (Entity::new(Weight::NORMAL), Entity::new(Weight::NORMAL));
    queue.enqueue(&mut hog, "hog", Enter::New);
    queue.enqueue(&mut sleeper, "sleeper", Enter::New);
    assert_eq!(queue.pick(), Some("hog"));
    assert_eq!(queue.pick(), Some("sleeper"));
    queue.charge(&mut sleeper, Duration::from_nanos(1)); // Sleeps for an hour.
    queue.charge(&mut hog, Duration::from_secs(3_600));
    queue.enqueue(&mut sleeper, "sleeper", Enter::Woken);
    assert!(queue.preempts(&hog));
    assert_eq!(hog.vruntime - sleeper.vruntime, WAKE_CREDIT.as_nanos());
    // Having used its credit, it is no better than the hog.
    queue.enqueue(&mut hog, "hog", Enter::Preempted);
    assert_eq!(queue.pick(), Some("sleeper"));
    queue.charge(&mut sleeper, WAKE_CREDIT);
    assert!(!queue.preempts(&sleeper));
    queue.enqueue(&mut sleeper, "sleeper", Enter::Preempted);
    assert_eq!(queue.pick(), Some("hog"));
}

#[test]
fn two_that_yield_alternate() {
    let mut queue = RunQueue::new(0);
    let mut threads = [Entity::new(Weight::from_nice(-5)), Entity::new(Weight::NORMAL)];
    for (n, thread) in threads.iter_mut().enumerate() {
        queue.enqueue(thread, n, Enter::New);
    }
    let mut last = queue.pick().unwrap();
    for _ in 0..100 {
        queue.charge(&mut threads[last], Duration::from_micros(1));
        queue.enqueue(&mut threads[last], last, Enter::Yielded);
        let next = queue.pick().unwrap();
        assert_ne!(next, last);
        last = next;
    }
}

#[test]
fn making_threads_is_no_way_to_more_time() {
    // A hog against a thread that is replaced by a new one every millisecond.
    let mut queue = RunQueue::new(0);
    let mut hog = Entity::new(Weight::NORMAL);
    queue.enqueue(&mut hog, true, Enter::New);
    let mut child = Entity::new(Weight::NORMAL);
    queue.enqueue(&mut child, false, Enter::New);
    let mut ran = [0_u32; 2];
    for _ in 0..10_000 {
        let is_hog = queue.pick().unwrap();
        ran[usize::from(is_hog)] += 1;
        if is_hog {
            queue.charge(&mut hog, ms(1));
            queue.enqueue(&mut hog, true, Enter::Preempted);
        } else {
            queue.charge(&mut child, ms(1));
            child = Entity::new(Weight::NORMAL);
            queue.enqueue(&mut child, false, Enter::New);
        }
    }
    assert!(ran[1] >= 4_990, "hog ran {} of 10000 ms", ran[1]);
}

#[test]
fn a_thread_of_another_queue_keeps_its_lead_within_the_credit() {
    for (lead, expected) in [(0_i64, 0_i64), (2, 2), (900, 6), (-2, -2), (-900, -6)] {
        let (mut from, mut to) = (RunQueue::new(0), RunQueue::new(1));
        from.now = 7_000 * MS;
        to.now = 50_000 * MS;
        let mut moved = Entity::new(Weight::NORMAL);
        from.enqueue(&mut moved, (), Enter::New);
        moved.vruntime = from.now.checked_add_signed(lead * 1_000_000).unwrap();
        let stolen = from.steal(|()| true).unwrap();
        to.enqueue_stolen(&mut moved, stolen);
        assert_eq!(moved.vruntime.cast_signed() - to.now.cast_signed(), expected * 1_000_000);
        assert_eq!((moved.queue(), from.weight(), to.weight()), (Some(1), 0, 1024));
    }
}

#[test]
fn a_thread_that_wakes_elsewhere_is_placed_by_the_time_there() {
    let (mut here, mut there) = (RunQueue::new(0), RunQueue::new(1));
    there.now = 90_000 * MS;
    let mut thread = Entity::new(Weight::NORMAL);
    here.enqueue(&mut thread, (), Enter::New);
    assert!(here.pick().is_some());
    here.charge(&mut thread, ms(4));
    there.enqueue(&mut thread, (), Enter::Woken);
    assert!(thread.vruntime.abs_diff(there.now) <= WAKE_CREDIT.as_nanos());
}

#[test]
fn stealing_takes_the_oldest_of_the_last_and_respects_what_may_move() {
    let mut queue = RunQueue::new(0);
    for n in 0..100 {
        queue.enqueue(&mut Entity::new(Weight::NORMAL), n, Enter::New);
    }
    assert_eq!(queue.steal(|_| true).map(|stolen| *stolen.item()), Some(84));
    assert_eq!(queue.steal(|&n| n % 2 == 0).map(|stolen| *stolen.item()), Some(86));
    assert!(queue.steal(|_| false).is_none());
    assert_eq!((queue.len(), queue.weight()), (98, 98 * 1024));
}

#[test]
fn reserved_room_is_enough() {
    let mut queue = RunQueue::new(0);
    queue.reserve(1_000).unwrap();
    let room = queue.heap.room();
    for _ in 0..10 {
        for n in 0..1_000 {
            queue.enqueue(&mut Entity::new(Weight::NORMAL), n, Enter::New);
        }
        while queue.pick().is_some() {}
    }
    assert_eq!(queue.heap.room(), room);
    assert_eq!(queue.reserve(usize::MAX), Err(NoMemory));
}

#[test]
fn room_is_the_same_again_when_a_crowd_has_gone_and_enough_meanwhile() {
    for crowd in [40, 100, 1_000, 10_000] {
        let mut queue = RunQueue::new(0);
        queue.reserve(5).unwrap();
        let before = queue.heap.room();
        for threads in 6..=crowd {
            queue.reserve(threads).unwrap();
            queue.enqueue(&mut Entity::new(Weight::NORMAL), threads, Enter::New);
        }
        assert!(queue.heap.room() >= crowd);
        // All but some end, and of those that are left all may wait.
        for threads in (5..crowd).rev() {
            assert!(queue.pick().is_some());
            queue.give_back(threads);
            assert!(queue.heap.room() >= threads, "{threads} of {crowd}");
        }
        assert_eq!((queue.heap.room(), queue.len()), (before, 0), "{crowd}");
    }
}

#[test]
fn a_thread_to_and_fro_moves_nothing() {
    let mut queue: RunQueue<u32> = RunQueue::new(0);
    queue.reserve(1_000).unwrap();
    let room = queue.heap.room();
    let mut threads = 1_000;
    while queue.heap.room() == room {
        threads -= 1;
        queue.give_back(threads);
    }
    let less = queue.heap.room();
    for _ in 0..100 {
        queue.reserve(threads + 1).unwrap();
        queue.give_back(threads);
        assert_eq!(queue.heap.room(), less);
    }
}

#[test]
fn who_is_picked_knows_its_slice() {
    let mut queue = RunQueue::new(0);
    assert_eq!(queue.pick_with_slice(), None::<(&str, _)>);
    let (mut light, mut heavy) = (Entity::new(Weight::NORMAL), Entity::new(Weight::from_nice(-5)));
    queue.enqueue(&mut heavy, "heavy", Enter::New);
    queue.enqueue(&mut light, "light", Enter::New);
    let (picked, slice) = queue.pick_with_slice().expect("two wait");
    let entity = if picked == "heavy" { &heavy } else { &light };
    assert_eq!(slice, queue.slice(entity));
    assert!(slice.is_some());
    assert_eq!(queue.pick_with_slice().expect("one waits").1, None, "alone, it needs no slice");
}

#[test]
fn however_they_come_and_are_stolen_the_least_goes_first() {
    let mut queue = RunQueue::new(0);
    let mut waiting = std::collections::BTreeSet::new();
    let mut random = 1_u64;
    for turn in 0..20_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match random >> 61 {
            // Few different times, so that there are equals.
            0..=3 if waiting.len() < 24 => {
                let mut entity = Entity::new(Weight::NORMAL);
                (entity.queue, entity.vruntime) = (Some(0), random >> 32 & 15);
                let place = queue.place(&mut entity, Enter::Preempted);
                queue.insert(place, (entity.vruntime, turn));
                waiting.insert((entity.vruntime, turn));
            }
            0..=5 => assert_eq!(queue.pick(), waiting.pop_first()),
            _ => {
                let stolen = queue.steal(|(time, _)| time % 3 == random % 3).map(|stolen| stolen.item);
                assert!(stolen.is_none_or(|stolen| waiting.remove(&stolen)));
                let left = waiting.len();
                assert!(
                    stolen.is_some() || left > STEAL_WINDOW || waiting.iter().all(|w| w.0 % 3 != random % 3)
                );
            }
        }
        assert_eq!((queue.len(), queue.is_empty()), (waiting.len(), waiting.is_empty()));
    }
}

#[test]
fn a_mark_says_what_the_thread_itself_would() {
    for nice in [-20, -3, 0, 5, 19] {
        for ran in [0, 1, 500_000, MS, 3 * MS, 40 * MS] {
            let ran = Duration::from_nanos(ran);
            let mut queue = RunQueue::new(0);
            let mut current = Entity::new(Weight::from_nice(nice));
            let mut sleeper = Entity::new(Weight::NORMAL);
            for entity in [&mut current, &mut sleeper] {
                queue.enqueue(entity, (), Enter::New);
                assert_eq!(queue.pick(), Some(()));
                queue.charge(entity, ms(2));
            }
            let mark = current.mark();
            // The queue's time goes on with the thread that runs, so the credit of who slept is bounded by where it is now.
            queue.catch_up(mark.after(ran));
            queue.enqueue(&mut sleeper, (), Enter::Woken);
            let told = (queue.preempts_mark(mark.after(ran)), queue.slice_of_mark(mark));
            queue.charge(&mut current, ran);
            assert_eq!(told, (queue.preempts(&current), queue.slice(&current)), "nice {nice}, {ran:?}");
            let lead = current.vruntime.saturating_sub(sleeper.vruntime);
            assert!(lead <= WAKE_CREDIT.as_nanos() + 1, "{lead} at nice {nice}, {ran:?}");
        }
    }
}

/// Of two queues that are the same, one gets a thread and then gives one; the other exchanges them.
#[test]
fn an_exchange_is_an_entry_and_then_a_pick() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (seed >> 33) % below
    };
    for round in 0..2_000 {
        let (mut one, mut other) = (RunQueue::new(0), RunQueue::new(0));
        for name in 0..random(5) {
            let mut entity = Entity::new(Weight::from_nice(i32::try_from(random(40)).unwrap() - 20));
            entity.queue = Some(0);
            entity.vruntime = random(4) * MS;
            one.enqueue(&mut entity.clone(), name, Enter::Preempted);
            other.enqueue(&mut entity, name, Enter::Preempted);
        }
        let mut current = Entity::new(Weight::NORMAL);
        (current.queue, current.vruntime) = (Some(0), random(4) * MS);
        let why = if random(2) == 0 { Enter::Yielded } else { Enter::Preempted };
        let place = one.place(&mut current.clone(), why);
        one.insert(place, 99);
        let picked = one.pick_with_slice();
        let place = other.place(&mut current, why);
        let exchanged = other.exchange(place, 99).or_else(|| other.pick_with_slice());
        assert_eq!(exchanged, picked, "round {round}");
        assert_eq!((other.len(), other.weight(), other.now), (one.len(), one.weight(), one.now));
        while let Some(next) = one.pick() {
            assert_eq!(other.pick(), Some(next), "round {round}");
        }
    }
}

/// Of two queues that are the same, one gets a thread and then gives one; the other lets the thread pass, if nobody waits there.
#[test]
fn who_passes_an_empty_queue_is_as_if_entered_and_picked() {
    for now in [0, 3, 20] {
        for vruntime in [0, 2, 9, 30] {
            for from in [None, Some(0), Some(1)] {
                let (mut one, mut other) = (RunQueue::new(0), RunQueue::new(0));
                (one.now, other.now) = (now * MS, now * MS);
                let mut entity = Entity::new(Weight::from_nice(3));
                (entity.queue, entity.vruntime, entity.left_at) = (from, vruntime * MS, 8 * MS);
                let mut passing = entity.clone();
                one.enqueue(&mut entity, (), Enter::Woken);
                assert_eq!(one.pick_with_slice(), Some(((), None)));
                assert!(other.pass(&mut passing, Enter::Woken));
                assert_eq!((passing.vruntime, passing.queue), (entity.vruntime, entity.queue));
                assert_eq!((other.len(), other.weight(), other.now), (0, 0, one.now));
                // Behind somebody nobody passes, and nothing changes.
                other.enqueue(&mut Entity::new(Weight::NORMAL), (), Enter::New);
                let before = (passing.vruntime, other.len(), other.now);
                assert!(!other.pass(&mut passing, Enter::Woken));
                assert_eq!((passing.vruntime, other.len(), other.now), before);
            }
        }
    }
}
