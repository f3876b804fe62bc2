//! Entries by number and by path, the tree through the resolver, lines.

use proptest::prelude::*;
use swos_path::Path;
use swos_sysfs::*;
use swos_vfs::*;

/// All entries but those of processes other than 7, with their paths.
fn all() -> Vec<(Entry, String)> {
    let mut list = vec![(Entry::Root, String::new())];
    let mut at = 0;
    while at < list.len() {
        let (entry, path) = list[at].clone();
        for place in 0.. {
            let Some((child, name)) = entry.child_at(place) else { break };
            list.push((child, format!("{path}/{name}")));
        }
        if entry == Entry::Processes {
            list.push((Entry::Process(7), format!("{path}/7")));
        }
        at += 1;
    }
    list
}

#[test]
fn entry_number_and_path_are_one_to_one() {
    let list = all();
    assert_eq!(list.len(), 1 + 8 + 6 + 1 + 4);
    let mut numbers: Vec<_> = list.iter().map(|(entry, _)| entry.node()).collect();
    for (entry, path) in &list {
        assert_eq!(Entry::from_node(entry.node()), Some(*entry));
        assert_eq!(Entry::from_path(path.as_bytes()), Some(*entry), "{path}");
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), list.len());
}

#[test]
fn names_of_processes_are_numbers_in_one_spelling() {
    for (name, pid) in [("1", Some(1)), ("2147483647", Some(PID_MAX)), ("2147483648", None)] {
        assert_eq!(Entry::Processes.child(name.as_bytes()), pid.map(Entry::Process), "{name}");
    }
    for name in ["", "0", "01", "+1", "-1", "1 ", "x", "99999999999999999999", "\u{661}"] {
        assert_eq!(Entry::Processes.child(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn the_resolver_finds_what_is_there_and_the_way_back() {
    let mut vfs = Vfs::new();
    let mount = vfs.attach(Box::new(SysFs)).unwrap();
    let root = vfs.root_of(mount).unwrap();
    let namespace = Namespace::new(root);
    let scope = Scope { namespace: &namespace, root, start: root, who: Principal(9) };
    let find = |path: &str| vfs.resolve(&scope, Path::new(path.as_bytes()).unwrap(), LastLink::Follow);
    for (entry, path) in all() {
        let found = find(&format!("/{path}")).unwrap();
        assert_eq!((found.vnode.node, found.kind), (entry.node(), entry.kind()), "{path}");
        assert_eq!(vfs.attributes(found.vnode).unwrap().kind, entry.kind());
        let back = find(&format!("/{path}/.."));
        match entry.kind() {
            Kind::Directory => assert_eq!(back.unwrap().vnode.node, entry.parent().node()),
            _ => assert_eq!(back, Err(Error::NotDirectory)),
        }
        let file_system = vfs.file_system(mount).unwrap();
        assert_eq!(file_system.access(Principal(1), entry.node(), Access::Write), Err(Error::ReadOnly));
        assert!(file_system.page(entry.node(), 0).is_err());
    }
    assert_eq!(find("/nothing").err(), Some(Error::NotFound));
    assert_eq!(find("/memory/x").err(), Some(Error::NotDirectory));
    let listed: Vec<_> = {
        let (mut cursor, mut names) = (Cursor(0), Vec::new());
        while let Some(entry) = vfs.read_directory(root, cursor).unwrap() {
            names.push(String::from_utf8(entry.name.as_bytes().to_vec()).unwrap());
            cursor = entry.next;
        }
        names
    };
    assert_eq!(listed, ["counters", "cpus", "log", "memory", "mounts", "processes", "sockets", "version"]);
}

#[test]
fn what_does_not_fit_is_left_out_whole_and_said() {
    let mut lines = Lines::new(30);
    lines.number("first", 1);
    lines.text("second", b"a\nb");
    assert!(!lines.is_full());
    lines.text("third", b"much too long");
    lines.number("x", 1);
    assert!(lines.is_full());
    assert_eq!(lines.finish().unwrap(), b"first 1\nsecond a?b\ncut 1\n");
    let mut lines = Lines::new(8);
    lines.text("key", b"value");
    assert_eq!(lines.finish().unwrap(), b"cut 1\n");
    let mut lines = Lines::new(20);
    lines.append(b"one 1\ntwo 2\n");
    lines.append(b"three 3\n");
    assert_eq!(lines.finish().unwrap(), b"one 1\ntwo 2\ncut 1\n");
    assert_eq!(Lines::new(0).finish(), Ok(Vec::new()));
}

proptest! {
    #[test]
    fn numbers_that_are_none_are_no_entry(number: u64) {
        if let Some(entry) = Entry::from_node(NodeId(number)) {
            prop_assert_eq!(entry.node(), NodeId(number));
        }
    }

    #[test]
    fn digits_are_those_of_the_number(number: u64) {
        let decimal = Decimal::new(number);
        let expected = number.to_string();
        prop_assert_eq!(decimal.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn a_text_is_lines_within_its_bound(
        lines in prop::collection::vec(("[a-z]{1,8}", prop::collection::vec(any::<u8>(), 0..30)), 0..20), max in 6..300_usize,
    ) {
        let mut text = Lines::new(max);
        for (key, value) in &lines {
            text.text(key, value);
        }
        let text = text.finish().unwrap();
        prop_assert!(text.len() <= max);
        prop_assert!(text.is_empty() || text.ends_with(b"\n"));
        let shown = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
        prop_assert!(shown <= lines.len().max(1));
    }
}
