#![cfg(not(loom))]

use super::*;
use core::sync::atomic::AtomicUsize;

#[test]
fn written_once_and_read_for_ever() {
    static CELL: OnceCell<String> = OnceCell::new();
    assert_eq!(CELL.get(), None);
    assert_eq!(format!("{CELL:?}"), "OnceCell(None)");
    assert_eq!(CELL.set("first".into()), Ok(()));
    assert_eq!(CELL.set("second".into()), Err("second".into()));
    assert_eq!(CELL.get_or_init(|| unreachable!()), "first");
}

#[test]
fn one_of_many_initialises() {
    for _ in 0..50 {
        let (cell, runs) = (OnceCell::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let value = cell.get_or_init(|| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        vec![7; 3]
                    });
                    assert_eq!(value, &[7; 3]);
                });
            }
        });
        assert_eq!(runs.into_inner(), 1);
    }
}

#[test]
fn a_panicking_initialiser_leaves_the_cell_empty() {
    let cell = OnceCell::new();
    let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
        cell.get_or_init(|| panic!("no value"));
    }));
    assert!(outcome.is_err());
    assert_eq!(cell.get_or_init(|| 3), &3);
}

#[test]
fn the_value_is_dropped_with_the_cell() {
    let value = std::sync::Arc::new(());
    let cell = OnceCell::new();
    cell.set(value.clone()).unwrap();
    assert_eq!(std::sync::Arc::strong_count(&value), 2);
    drop(cell);
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
}
