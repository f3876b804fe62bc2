use super::*;

fn used(account: &Account) -> u32 {
    account.used()
}

#[test]
fn a_charge_counts_in_all_accounts_above_and_goes_back() {
    let root = Account::root(10);
    let below = root.limited(3).unwrap();
    let lowest = below.limited(2).unwrap();
    let charges: Vec<Charge> = (0..2).map(|_| lowest.charge().unwrap()).collect();
    assert_eq!((used(&root), used(&below), used(&lowest)), (2, 2, 2));
    assert_eq!(lowest.charge().unwrap_err(), Errno::AGAIN);
    let another = below.charge().unwrap();
    assert_eq!(below.charge().unwrap_err(), Errno::AGAIN);
    assert_eq!((used(&root), used(&below), used(&lowest)), (3, 3, 2));
    drop(charges);
    // A refusal above takes back what was charged below.
    let rest: Vec<Charge> = (0..2).map(|_| below.charge().unwrap()).collect();
    assert_eq!(lowest.charge().unwrap_err(), Errno::AGAIN);
    assert_eq!((used(&root), used(&below), used(&lowest)), (3, 3, 0));
    drop((another, rest));
    assert_eq!((used(&root), used(&below), used(&lowest)), (0, 0, 0));
}

#[test]
fn a_limit_is_only_lowered() {
    let root = Account::root(4);
    for same in [0, 4, 5] {
        assert!(Arc::ptr_eq(&root.limited(same).unwrap(), &root));
    }
    let mut charge = root.charge().unwrap();
    charge.limit(9).unwrap();
    assert!(Arc::ptr_eq(charge.account(), &root));
    charge.limit(2).unwrap();
    assert_eq!((charge.account().limit(), used(charge.account()), used(&root)), (2, 1, 1));
    let child = charge.account().charge().unwrap();
    assert_eq!(charge.account().charge().unwrap_err(), Errno::AGAIN);
    drop((child, charge));
    assert_eq!(used(&root), 0);
}

#[test]
fn accounts_do_not_lie_below_each_other_without_end() {
    let mut account = Account::root(1000);
    for depth in 0..DEPTH_MAX {
        account = account.limited(900 - depth).unwrap();
    }
    assert_eq!(account.limited(1).unwrap_err(), Errno::AGAIN);
    assert!(account.limited(0).is_ok());
}
