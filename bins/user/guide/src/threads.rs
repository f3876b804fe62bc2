//! Threads: what they share under a lock, what they wait for, what they send.

use alloc::vec::Vec;
use swos_ulib::{
    io::Result,
    println,
    sync::{Arc, Condvar, Mutex, mpsc},
    thread,
};

pub(crate) fn main() -> Result<()> {
    // A lock is in user memory: taken and given back without a call, unless somebody waits.
    let total = Arc::new(Mutex::new(0));
    let mut workers = Vec::new();
    for _ in 0..4 {
        let total = total.clone();
        workers.push(thread::spawn(move || (0..1000).for_each(|_| *total.lock() += 1))?);
    }
    workers.into_iter().for_each(thread::JoinHandle::join);
    println!("the total is {}", *total.lock());

    // A condition is waited for under the lock that guards it, in a loop.
    let door = Arc::new((Mutex::new(false), Condvar::new()));
    let opener = {
        let door = door.clone();
        thread::spawn(move || {
            *door.0.lock() = true;
            door.1.notify_all();
        })?
    };
    let mut open = door.0.lock();
    while !*open {
        open = door.1.wait(open);
    }
    drop(open);
    opener.join();
    println!("the door is open");

    // A channel; its end comes when the last sender is gone.
    let (sender, receiver) = mpsc::sync_channel(2);
    let counter = thread::spawn(move || (1..=4).try_for_each(|number| sender.send(number * number)))?;
    println!("received {:?}", receiver.into_iter().collect::<Vec<u32>>());
    counter.join().ok();

    // Threads that borrow from their starter end before it goes on.
    let mut squares = [0; 3];
    thread::scope(|scope| {
        (1..)
            .zip(&mut squares)
            .try_for_each(|(number, square)| scope.spawn(move || *square = number * number).map(drop))
    })?;
    println!("squares {squares:?}");
    Ok(())
}
