#![cfg(not(loom))]

use super::*;
use core::cell::Cell;

#[test]
fn a_token_is_out_once() {
    let cpus = CpuSet::new(2);
    let first = cpus.claim(0).expect("free");
    assert!(cpus.claim(0).is_none() && cpus.claim(2).is_none());
    assert_eq!((first.index(), cpus.claim(1).map(|token| token.index())), (0, Some(1)));
    drop(first);
    assert!(cpus.claim(0).is_some());
}

#[test]
fn each_cpu_changes_its_own() {
    let cpus = CpuSet::new(3);
    // `Cell` is not `Sync`: no thread but the CPU's own ever sees it.
    let mut cells = PerCpu::new(&cpus, |cpu| Cell::new(cpu * 100));
    std::thread::scope(|scope| {
        for cpu in 0..3 {
            let (cpus, cells) = (&cpus, &cells);
            scope.spawn(move || {
                let mut token = cpus.claim(cpu).expect("free");
                for _ in 0..1_000 {
                    let cell = cells.get(&token);
                    cell.set(cell.get() + 1);
                    *cells.get_mut(&mut token).get_mut() += 1;
                }
            });
        }
    });
    assert_eq!(cells.iter_mut().map(|cell| cell.get()).collect::<Vec<_>>(), [2_000, 2_100, 2_200]);
}

#[test]
#[should_panic(expected = "token of another set")]
fn a_token_of_another_machine_opens_nothing() {
    let cells = PerCpu::new(&CpuSet::new(1), |_| 0);
    let token = CpuSet::new(1).claim(0).expect("free");
    let _ = cells.get(&token);
}
