//! What threads share, under stress.

use alloc::{string::String, vec::Vec};

use swos_ulib::{
    abi::Errno,
    sync::{
        Barrier, LazyLock, Mutex, OnceLock, RwLock, Semaphore,
        mpsc::{RecvError, RecvTimeoutError, SendError, TrySendError, channel, sync_channel},
    },
    system,
    testing::{equal, text},
    thread,
    time::{Duration, Instant},
};

/// Two threads for each CPU start together and add up to `total` under one lock. Now and then one gives the CPU away with the lock
/// held, so that the others wait in the kernel, on one CPU too.
pub(crate) fn counter(total: u32) -> Result<(), String> {
    let threads = system::system_info().map_err(text)?.cpus * 2;
    let (shared, start) = (Mutex::new(0_u32), Barrier::new(usize::try_from(threads).map_err(text)?));
    let each = total / threads;
    let add = || {
        let _leads = start.wait();
        for turn in 0..each {
            let mut value = shared.lock();
            *value += 1;
            if turn.is_multiple_of(1 << 10) {
                thread::yield_now();
            }
        }
    };
    let add = &add;
    thread::scope(|scope| {
        let running: Result<Vec<_>, Errno> = (0..threads).map(|_| scope.spawn(add)).collect();
        running.map(|running| running.into_iter().for_each(thread::ScopedJoinHandle::join))
    })
    .map_err(text)?;
    let value = *shared.lock();
    equal(value, each * threads)
}

/// Two threads for each CPU start together; every fourth turn writes two numbers, the others must see them equal.
pub(crate) fn readers_and_writers(times: u32) -> Result<(), String> {
    let threads = system::system_info().map_err(text)?.cpus * 2;
    let pair = RwLock::new((0_u64, 0_u64));
    let start = Barrier::new(usize::try_from(threads).map_err(text)?);
    let torn = |number: u32| {
        let _leads = start.wait();
        let mut torn = 0;
        for turn in 0..times {
            if (turn + number).is_multiple_of(4) {
                let mut pair = pair.write();
                pair.0 += 1;
                pair.1 += 1;
            } else {
                let pair = pair.read();
                torn += u64::from(pair.0 != pair.1);
            }
        }
        torn
    };
    let torn = &torn;
    let seen = thread::scope(|scope| {
        let others: Result<Vec<_>, Errno> =
            (1..threads).map(|number| scope.spawn(move || torn(number))).collect();
        Ok(torn(0) + others?.into_iter().map(thread::ScopedJoinHandle::join).sum::<u64>())
    });
    equal(seen.map_err(|errno: Errno| text(errno))?, 0)?;
    let writes =
        (0..threads).map(|number| (0..times).filter(|turn| (turn + number).is_multiple_of(4)).count() as u64);
    let writes = writes.sum();
    equal(*pair.read(), (writes, writes))
}

/// Messages through channels without a bound, with one, and hand to hand; then the end of either side.
pub(crate) fn channels() -> Result<(), String> {
    const EACH: u64 = 100;
    let sum = EACH * (EACH - 1) / 2;
    for bound in [0, 1, 16] {
        let (sender, receiver) = sync_channel(bound);
        let second = sender.clone();
        let one = thread::spawn(move || (0..EACH).try_for_each(|value| sender.send(value))).map_err(text)?;
        let two = thread::spawn(move || (0..EACH).try_for_each(|value| second.send(value))).map_err(text)?;
        equal(receiver.iter().sum::<u64>(), 2 * sum)?;
        equal((one.join(), two.join()), (Ok(()), Ok(())))?;
    }
    let (sender, receiver) = channel();
    let (back, answers) = channel();
    let echo = thread::spawn(move || {
        receiver.iter().try_for_each(|value: u64| back.send(value + 1))?;
        Ok::<_, SendError<u64>>(())
    })
    .map_err(text)?;
    for value in 0..EACH {
        equal(sender.send(value), Ok(()))?;
        equal(answers.recv(), Ok(value + 1))?;
    }
    drop(sender);
    equal(answers.recv(), Err(RecvError))?;
    equal(echo.join(), Ok(()))?;
    let (sender, receiver) = sync_channel(1);
    equal(sender.send(1), Ok(()))?;
    let waits = thread::spawn(move || (sender.send(2), sender.try_send(3))).map_err(text)?;
    thread::yield_now();
    drop(receiver);
    equal(waits.join(), (Err(SendError(2)), Err(TrySendError::Disconnected(3))))
}

/// A wait for a message and one for a permit that never come, then for those that do.
pub(crate) fn timeouts() -> Result<(), String> {
    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(60);
    let permits = Semaphore::new(0);
    let (sender, receiver) = channel();
    let before = Instant::now();
    equal(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout))?;
    equal(permits.acquire_timeout(SHORT).is_none(), true)?;
    equal(before.elapsed() >= 2 * SHORT, true)?;
    thread::scope(|scope| {
        let other = scope
            .spawn(|| {
                permits.add_permits(1);
                sender.send(7)
            })
            .map_err(text)?;
        equal(permits.acquire_timeout(LONG).is_some(), true)?;
        equal(receiver.recv_timeout(LONG), Ok(7))?;
        equal(other.join(), Ok(()))
    })
}

/// Threads that borrow from this one and start one more; of one that nobody joins the scope waits. What is made once is.
pub(crate) fn scoped() -> Result<(), String> {
    static FIRST: LazyLock<OnceLock<u32>> = LazyLock::new(OnceLock::new);
    let mut parts = [1_u64, 2, 3];
    let [one, two, three] = &mut parts;
    let sum = thread::scope(|scope| {
        let joined = scope.spawn(|| {
            *one *= 10;
            FIRST.get_or_init(thread::current_id);
            *one
        })?;
        drop(scope.spawn(move || {
            *two *= 10;
            scope.spawn(move || *three *= 10).map(drop)
        })?);
        Ok::<_, Errno>(joined.join())
    });
    equal(sum, Ok(10))?;
    equal(FIRST.get().is_some(), true)?;
    equal(parts, [10, 20, 30])
}
