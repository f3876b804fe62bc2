use super::*;

const ACCESSES: [Access; 4] = [Access::None, Access::ReadOnly, Access::ReadWrite, Access::ReadExecute];
const SHARINGS: [Sharing; 3] = [Sharing::Private, Sharing::CopyOnWrite, Sharing::Shared];
const MEMORIES: [MemoryType; 3] = [MemoryType::Normal, MemoryType::Device, MemoryType::NonCacheable];

fn all() -> Vec<Attributes> {
    let mut list = Vec::new();
    for access in ACCESSES {
        for memory in MEMORIES {
            list.push(Attributes::kernel(access, memory));
            for sharing in SHARINGS {
                list.push(Attributes::user(access, sharing).with_memory(memory));
            }
        }
    }
    let changed = list.iter().flat_map(|one| ACCESSES.map(|access| one.with_access(access)));
    let changed: Vec<Attributes> = changed.collect();
    list.extend(changed);
    list
}

#[test]
fn no_combination_is_writable_and_executable() {
    for attributes in all() {
        let writable = attributes.0 & READ_ONLY == 0;
        let executable = attributes.0 & (PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE)
            != PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE;
        assert!(!(writable && executable), "{attributes:?}");
        assert!(!executable || attributes.memory() == MemoryType::Normal, "{attributes:?}");
        assert!(!writable || attributes.sharing() != Sharing::CopyOnWrite, "{attributes:?}");
    }
}

#[test]
fn what_breaks_a_rule_is_unsound_however_it_came_about() {
    for attributes in all() {
        assert!(attributes.is_sound(), "{attributes:?}");
        let flipped =
            |bits: u64| Attributes(attributes.0 ^ bits).is_sound() || attributes.access() == Access::None;
        let rules = [USER_ACCESSIBLE, NOT_GLOBAL, PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE];
        for rule in rules {
            let allowed = rule == PRIVILEGED_NO_EXECUTE | USER_NO_EXECUTE && attributes.0 & rule != rule;
            assert!(
                allowed || !flipped(rule) || attributes.access() == Access::None,
                "{attributes:?} {rule:#x}"
            );
        }
        if attributes.access() == Access::ReadExecute {
            assert!(!flipped(READ_ONLY), "{attributes:?} made writable");
            assert!(!flipped(1 << ATTRIBUTE_INDEX_SHIFT), "{attributes:?} made a device");
        }
    }
}

#[test]
fn each_half_executes_its_own_pages_only() {
    for attributes in all() {
        let (other, own) = match attributes.half() {
            Half::User => (PRIVILEGED_NO_EXECUTE, USER_NO_EXECUTE),
            Half::Kernel => (USER_NO_EXECUTE, PRIVILEGED_NO_EXECUTE),
        };
        assert_ne!(attributes.0 & other, 0);
        assert_eq!(attributes.0 & own == 0, attributes.access() == Access::ReadExecute);
        assert_eq!(attributes.0 & USER_ACCESSIBLE != 0, attributes.half() == Half::User);
        assert_eq!(attributes.0 & NOT_GLOBAL != 0, attributes.half() == Half::User);
    }
}

#[test]
fn leaves_decode_to_what_was_encoded() {
    for attributes in all() {
        for number in [0, 1, 0x40000, 0xF_FFFF_FFFF] {
            let frame = Frame::from_number(number).unwrap();
            for level in 1..=LAST_LEVEL {
                let entry = encode_leaf(frame, attributes, level);
                assert_ne!(entry, 0);
                assert_eq!(decode(entry, level), Entry::Leaf(frame, attributes));
                assert_eq!(is_valid(entry), attributes.access() != Access::None);
            }
        }
    }
}

#[test]
fn tables_decode_with_any_summary() {
    let frame = Frame::from_number(0x4_2001).unwrap();
    for index in 0..512 {
        let entry = encode_table(frame, summary_bit(index));
        assert_eq!(decode(entry, 2), Entry::Table(frame));
        assert_eq!(summary_of(entry), 1 << (51 + index / 64));
    }
    assert_eq!(decode(0, 3), Entry::Empty);
}

#[test]
fn a_change_of_access_keeps_the_rest() {
    let shared = Attributes::user(Access::ReadOnly, Sharing::Shared).with_memory(MemoryType::Device);
    let writable = shared.with_access(Access::ReadWrite);
    assert_eq!((writable.access(), writable.sharing()), (Access::ReadWrite, Sharing::Shared));
    assert_eq!(writable.memory(), MemoryType::Device);
    let lazy = Attributes::user(Access::ReadWrite, Sharing::CopyOnWrite);
    assert_eq!(lazy.access(), Access::ReadOnly);
    assert_eq!(lazy.with_access(Access::None).with_access(Access::ReadWrite), lazy);
}
