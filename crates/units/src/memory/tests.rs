use super::*;
use proptest::prelude::*;

#[test]
fn limits_hold() {
    assert_eq!(PhysAddr::new(PhysAddr::LIMIT), None);
    assert_eq!(PhysAddr::new(PhysAddr::LIMIT - 1).unwrap().checked_add(1), None);
    assert_eq!(Frame::from_number(PhysAddr::LIMIT >> PAGE_SHIFT), None);
    assert_eq!(page_count(u64::MAX), 1 << 52);
    assert!(VirtAddr::new(VirtAddr::USER_LIMIT).is_user_range(0));
    assert!(!VirtAddr::new(VirtAddr::USER_LIMIT).is_user_range(1));
    assert!(!VirtAddr::new(u64::MAX).is_user_range(u64::MAX));
}

proptest! {
    #[test]
    fn an_address_lies_in_its_frame(addr in 0..PhysAddr::LIMIT) {
        let start = Frame::containing(PhysAddr::new(addr).unwrap()).start().get();
        prop_assert!(start <= addr && addr - start < PAGE_SIZE as u64 && start.is_multiple_of(PAGE_SIZE as u64));
    }

    #[test]
    fn user_ranges_never_wrap(addr: u64, len: u64) {
        let fits = u128::from(addr) + u128::from(len) <= u128::from(VirtAddr::USER_LIMIT);
        prop_assert_eq!(VirtAddr::new(addr).is_user_range(len), fits);
    }

    #[test]
    fn pages_cover_the_bytes(bytes: u64) {
        let covered = u128::from(page_count(bytes)) * PAGE_SIZE as u128;
        prop_assert!(covered >= u128::from(bytes) && covered - u128::from(bytes) < PAGE_SIZE as u128);
    }
}
