//! On the host a futex never waits (`NOSYS`), so these loops spin; what they check is exclusion.

use std::{sync::Arc, thread};

use super::*;

#[test]
fn readers_see_whole_writes() {
    let pair = Arc::new(RwLock::new((0_u64, 0_u64)));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                for turn in 0..5_000 {
                    if (turn + number) % 4 == 0 {
                        let mut pair = pair.write();
                        pair.0 += 1;
                        pair.1 += 1;
                    } else {
                        let pair = pair.read();
                        assert_eq!(pair.0, pair.1);
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*pair.read(), (5_000, 5_000));
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let mut lock = RwLock::new(5);
    let (one, two) = (lock.read(), lock.try_read());
    assert_eq!((*one, two.as_deref()), (5, Some(&5)));
    assert!(lock.try_write().is_none());
    drop((one, two));
    let mut writer = lock.try_write().unwrap();
    *writer += 1;
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    drop(writer);
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 7);
}

#[test]
fn behind_a_waiting_writer_no_reader_enters() {
    let lock = RwLock::new(());
    let reader = lock.read();
    assert!(lock.lock.announces(1, WRITERS_WAIT));
    assert!(lock.try_read().is_none());
    drop(reader);
    assert!(lock.try_read().is_some());
}
