//! What random operations meet too rarely.

use swos_path::Name;
use swos_tmpfs::{FILE_MAX, Limits, NAMES_MAX, TmpFs};
use swos_vfs::{
    Access, Cursor, Error, FileSystem, Garbage, Kind, NewNode, NodeId, PageSource, Principal, Times, Usage,
    WriteAt, Written,
};

use crate::store::Store;

const ME: Principal = Principal(7);
const OTHER: Principal = Principal(8);

fn name(bytes: &[u8]) -> Name<'_> {
    Name::new(bytes).unwrap()
}

fn limited(pages: u64, nodes: u64) -> TmpFs {
    let limits = Limits { pages, nodes, principal_pages: pages, principal_nodes: nodes };
    TmpFs::new(limits, [5, 6], ME, 0o777, 1).unwrap()
}

fn tmp() -> TmpFs {
    limited(1 << 20, 1 << 20)
}

fn file(fs: &mut TmpFs, at: &[u8]) -> NodeId {
    fs.create(ME, fs.root(), name(at), NewNode::File, 0o644, 2).unwrap()
}

fn settle(fs: &mut TmpFs, store: &mut Store) {
    while fs.reclaim(100, store) == Garbage::Left {}
}

#[test]
fn a_write_is_short_where_the_quota_ends_and_refused_behind_it() {
    let (mut fs, mut store) = (limited(3, 9), Store::new(99));
    let node = file(&mut fs, b"a");
    let bytes = [1; 5 * 4096];
    let mut write =
        |fs: &mut TmpFs, at, bytes: &[u8]| fs.write(node, WriteAt::Offset(at), bytes, 3, &mut store);
    assert_eq!(write(&mut fs, 100, &bytes), Ok(Written { count: 3 * 4096 - 100, end: 3 * 4096 }));
    assert_eq!(write(&mut fs, 3 * 4096, b"x"), Err(Error::NoSpace));
    // What is there can be written again.
    assert_eq!(write(&mut fs, 0, &bytes), Ok(Written { count: 3 * 4096, end: 3 * 4096 }));
    assert_eq!(fs.usage(), Usage { pages: 3, pages_used: 3, nodes: 9, nodes_used: 1 });
}

#[test]
fn a_store_without_frames_is_no_space_and_what_was_removed_is_asked_first() {
    let (mut fs, mut store) = (tmp(), Store::new(2));
    let (one, two) = (file(&mut fs, b"1"), file(&mut fs, b"2"));
    assert_eq!(fs.write(one, WriteAt::End, &[1; 8192], 3, &mut store).unwrap().count, 8192);
    assert_eq!(fs.write(two, WriteAt::End, b"x", 3, &mut store), Err(Error::NoSpace));
    fs.unlink(ME, fs.root(), name(b"1"), Kind::File, 4).unwrap();
    assert_eq!(fs.write(two, WriteAt::End, b"x", 3, &mut store), Err(Error::Again));
    assert_eq!(fs.reclaim(1, &mut store), Garbage::Left);
    assert_eq!(fs.write(two, WriteAt::End, b"x", 3, &mut store), Ok(Written { count: 1, end: 1 }));
    settle(&mut fs, &mut store);
    assert_eq!((store.in_use(), fs.usage().pages_used), (1, 1));
}

#[test]
fn cutting_a_shared_page_without_memory_changes_nothing() {
    let (mut fs, mut store) = (tmp(), Store::new(1));
    let node = file(&mut fs, b"f");
    fs.write(node, WriteAt::End, &[9; 4096], 3, &mut store).unwrap();
    let Ok(Some(PageSource::Frame(frame))) = fs.page(node, 0) else { panic!("a page was written") };
    store.share(frame);
    assert_eq!(fs.set_size(node, 10, 4, &mut store), Err(Error::OutOfMemory));
    assert_eq!(fs.write(node, WriteAt::Offset(0), b"x", 4, &mut store), Err(Error::NoSpace));
    assert_eq!(fs.attributes(node).unwrap().size, 4096);
    store.limit = 2;
    assert_eq!(fs.set_size(node, 10, 4, &mut store), Ok(()));
    assert_eq!(store.bytes(frame), &[9; 4096], "who shares it sees what was there");
}

#[test]
fn what_is_stored_behind_the_end_of_a_shared_page_is_no_part_of_the_file() {
    let bytes = |fs: &TmpFs, store: &Store, node| match fs.page(node, 0) {
        Ok(Some(PageSource::Open(frame) | PageSource::Frame(frame))) => *store.bytes(frame),
        other => panic!("{other:?}"),
    };
    let grow: [fn(&mut TmpFs, NodeId, &mut Store); 3] = [
        |fs, node, store| fs.set_size(node, 4096, 4, store).unwrap(),
        |fs, node, store| {
            fs.write(node, WriteAt::Offset(200), b"x", 4, store).unwrap();
        },
        |fs, node, store| fs.seal_page(node, 0, store),
    ];
    for (round, grow) in grow.into_iter().enumerate() {
        let (mut fs, mut store) = (tmp(), Store::new(9));
        let node = file(&mut fs, b"f");
        fs.write(node, WriteAt::End, &[9; 100], 3, &mut store).unwrap();
        let frame = fs.page_to_share(node, 0, None, &mut store).unwrap();
        store.open(frame);
        assert_eq!(
            (fs.page(node, 0), fs.attributes(node).unwrap().modified_ns),
            (Ok(Some(PageSource::Open(frame))), 3)
        );
        (100..4096).for_each(|at| store.poke(frame, at, 7));
        assert_eq!(bytes(&fs, &store, node)[100], 7);
        grow(&mut fs, node, &mut store);
        let mut expected = [0; 4096];
        expected[..100].fill(9);
        expected[200] = if round == 1 { b'x' } else { 0 };
        assert_eq!(bytes(&fs, &store, node), expected);
    }
}

#[test]
fn a_page_in_use_elsewhere_is_shared_as_a_copy() {
    let (mut fs, mut store) = (tmp(), Store::new(1));
    let node = file(&mut fs, b"f");
    fs.write(node, WriteAt::End, &[9; 4096], 3, &mut store).unwrap();
    let Ok(Some(PageSource::Frame(frame))) = fs.page(node, 0) else { panic!("a page was written") };
    store.share(frame);
    assert_eq!(fs.page_to_share(node, 0, Some(4), &mut store), Err(Error::NoSpace));
    assert_eq!((fs.page(node, 0), fs.usage().pages_used), (Ok(Some(PageSource::Frame(frame))), 1));
    store.limit = 2;
    let own = fs.page_to_share(node, 0, Some(4), &mut store).unwrap();
    store.open(own);
    // From here on it is the one page for all.
    fs.write(node, WriteAt::Offset(0), b"new", 5, &mut store).unwrap();
    assert_eq!((&store.bytes(own)[..4], store.bytes(frame)), (&b"new\x09"[..], &[9; 4096]));
    assert_eq!((fs.page_to_share(node, 0, None, &mut store), fs.usage().pages_used), (Ok(own), 1));
}

#[test]
fn a_file_that_is_being_cut_does_not_grow_into_what_is_to_go() {
    let (mut fs, mut store) = (tmp(), Store::new(99));
    let node = file(&mut fs, b"f");
    fs.write(node, WriteAt::End, &[9; 10 * 4096], 3, &mut store).unwrap();
    fs.set_size(node, 4096, 4, &mut store).unwrap();
    assert_eq!(fs.reclaim(3, &mut store), Garbage::Left);
    assert_eq!(fs.page(node, 1), Ok(None));
    assert_eq!(fs.set_size(node, 10 * 4096, 4, &mut store), Err(Error::Again));
    assert_eq!(fs.write(node, WriteAt::End, b"x", 4, &mut store), Err(Error::Again));
    settle(&mut fs, &mut store);
    fs.set_size(node, 10 * 4096, 4, &mut store).unwrap();
    assert_eq!((fs.page(node, 1), store.in_use()), (Ok(Some(PageSource::Hole)), 1));
    // It may also go while it is being cut.
    fs.write(node, WriteAt::Offset(0), &[9; 10 * 4096], 3, &mut store).unwrap();
    fs.set_size(node, 0, 4, &mut store).unwrap();
    fs.unlink(ME, fs.root(), name(b"f"), Kind::File, 5).unwrap();
    assert!(fs.attributes(node).is_ok(), "it is on its way out");
    settle(&mut fs, &mut store);
    assert_eq!((fs.attributes(node).err(), store.in_use()), (Some(Error::NotFound), 0));
}

#[test]
fn sizes_have_an_end() {
    let (mut fs, mut store) = (tmp(), Store::new(9));
    let node = file(&mut fs, b"f");
    assert_eq!(fs.set_size(node, FILE_MAX + 1, 3, &mut store), Err(Error::TooLarge));
    assert_eq!(fs.write(node, WriteAt::Offset(FILE_MAX), b"x", 3, &mut store), Err(Error::TooLarge));
    let last = fs.write(node, WriteAt::Offset(FILE_MAX - 1), b"xy", 3, &mut store);
    assert_eq!(last, Ok(Written { count: 1, end: FILE_MAX }));
    assert_eq!(fs.write(node, WriteAt::End, b"x", 3, &mut store), Err(Error::TooLarge));
    assert_eq!(fs.write(node, WriteAt::Offset(0), b"", 3, &mut store), Ok(Written { count: 0, end: 0 }));
    assert_eq!(fs.page_to_share(node, FILE_MAX / 4096, None, &mut store), Err(Error::Invalid));
    assert!(fs.page_to_share(node, 5, None, &mut store).is_ok());
    assert_eq!(store.in_use(), 2);
}

#[test]
fn names_of_one_file_have_an_end() {
    let mut fs = tmp();
    let node = file(&mut fs, b"0");
    for number in 1..NAMES_MAX {
        fs.link(ME, node, fs.root(), name(number.to_string().as_bytes()), 3).unwrap();
    }
    assert_eq!(fs.link(ME, node, fs.root(), name(b"more"), 3), Err(Error::TooManyNames));
    assert_eq!(fs.attributes(node).unwrap().links, NAMES_MAX);
}

#[test]
fn a_directory_moves_only_where_a_path_can_name_it() {
    let mut fs = tmp();
    let mut at = fs.root();
    for _ in 0..2047 {
        at = fs.create(ME, at, name(b"d"), NewNode::Directory, 0o777, 3).unwrap();
    }
    fs.create(ME, fs.root(), name(b"moved"), NewNode::Directory, 0o777, 3).unwrap();
    let root = fs.root();
    let too_deep = fs.create(ME, at, name(b"d"), NewNode::Directory, 0o777, 3).unwrap();
    let move_to = |fs: &mut TmpFs, to| fs.rename(ME, (root, name(b"moved")), (to, name(b"m")), 4);
    assert_eq!(move_to(&mut fs, too_deep), Err(Error::NameTooLong));
    assert_eq!(move_to(&mut fs, at), Ok(()));
}

#[test]
fn times_say_what_changed() {
    let (mut fs, mut store) = (tmp(), Store::new(9));
    let node = file(&mut fs, b"f");
    let times = |fs: &TmpFs, node| {
        let seen = fs.attributes(node).unwrap();
        (seen.accessed_ns, seen.modified_ns, seen.changed_ns)
    };
    let root = fs.root();
    assert_eq!((times(&fs, node), times(&fs, root)), ((2, 2, 2), (1, 2, 2)));
    fs.write(node, WriteAt::End, b"x", 3, &mut store).unwrap();
    assert_eq!(times(&fs, node), (2, 3, 3));
    fs.set_mode(ME, node, 0o600, 4).unwrap();
    assert_eq!(times(&fs, node), (2, 3, 4));
    fs.link(ME, node, root, name(b"g"), 5).unwrap();
    assert_eq!((times(&fs, node), times(&fs, root)), ((2, 3, 5), (1, 5, 5)));
    fs.rename(ME, (root, name(b"g")), (root, name(b"h")), 6).unwrap();
    assert_eq!((times(&fs, node), times(&fs, root)), ((2, 3, 6), (1, 6, 6)));
    fs.set_times(ME, node, Times { accessed_ns: Some(70), modified_ns: None }, 8).unwrap();
    assert_eq!(times(&fs, node), (70, 3, 8));
    fs.unlink(ME, root, name(b"h"), Kind::File, 9).unwrap();
    assert_eq!((times(&fs, node), times(&fs, root)), ((70, 3, 9), (1, 9, 9)));
    fs.set_size(node, 0, 10, &mut store).unwrap();
    assert_eq!(times(&fs, node), (70, 10, 10));
}

#[test]
fn permissions_are_the_owners_or_the_others() {
    let mut fs = tmp();
    let node = fs.create(ME, fs.root(), name(b"f"), NewNode::File, 0o640, 2).unwrap();
    let allowed = |fs: &TmpFs, who, access| fs.access(who, node, access).is_ok();
    assert!(allowed(&fs, ME, Access::Read) && allowed(&fs, ME, Access::Write));
    assert!(!allowed(&fs, OTHER, Access::Read) && !allowed(&fs, Principal(1), Access::Read));
    fs.set_mode(ME, node, 0o706, 3).unwrap();
    assert!(allowed(&fs, OTHER, Access::Write) && !allowed(&fs, OTHER, Access::Search));
    // Nothing is started from here, whatever the mode says.
    assert!(!allowed(&fs, ME, Access::Execute));
    let refused = Err(Error::AccessDenied);
    assert_eq!(fs.set_mode(OTHER, node, 0o777, 3), refused);
    assert_eq!(fs.set_owner(OTHER, node, OTHER, 3), refused);
    assert_eq!(fs.set_times(OTHER, node, Times::default(), 3), refused);
    assert_eq!(fs.link(OTHER, node, fs.root(), name(b"g"), 3), refused);
}

#[test]
fn a_directory_that_was_removed_is_empty_for_good() {
    let mut fs = tmp();
    let root = fs.root();
    let gone = fs.create(ME, root, name(b"d"), NewNode::Directory, 0o777, 2).unwrap();
    fs.retain(gone);
    fs.unlink(ME, root, name(b"d"), Kind::Directory, 3).unwrap();
    assert_eq!(fs.create(ME, gone, name(b"x"), NewNode::File, 0o600, 4), Err(Error::NotFound));
    assert_eq!(fs.lookup(ME, gone, name(b"x")), Err(Error::NotFound));
    assert_eq!(fs.name(gone), Err(Error::NotFound));
    assert_eq!(fs.read_directory(gone, Cursor(0)), Ok(None));
    assert_eq!(fs.read_directory(gone, Cursor(2)), Err(Error::Invalid));
    fs.release(gone);
    assert_eq!(fs.attributes(gone).err(), Some(Error::NotFound));
    assert_eq!(fs.usage().nodes_used, 0);
}

#[test]
fn a_reader_of_a_directory_sees_what_stays_once() {
    let mut fs = tmp();
    for number in 0..100_u32 {
        file(&mut fs, number.to_string().as_bytes());
    }
    let (mut cursor, mut seen, root) = (Cursor::default(), Vec::new(), fs.root());
    while let Some(entry) = fs.read_directory(root, cursor).unwrap() {
        let number = core::str::from_utf8(entry.name.as_bytes()).unwrap().parse::<u32>().unwrap();
        cursor = entry.next;
        seen.push(number);
        // Those behind and before the reader go, others come; some are replaced in their place.
        if number < 100 && number % 5 == 0 {
            fs.unlink(ME, root, name(number.to_string().as_bytes()), Kind::File, 3).unwrap();
            let _ = fs.unlink(ME, root, name((number + 3).to_string().as_bytes()), Kind::File, 3);
            file(&mut fs, (number + 1000).to_string().as_bytes());
            fs.rename(
                ME,
                (root, name((number + 1000).to_string().as_bytes())),
                (root, name((number + 4).to_string().as_bytes())),
                4,
            )
            .unwrap();
        }
    }
    let stayed: Vec<u32> = (0..100).filter(|number| number % 5 != 3).collect();
    assert_eq!(seen, stayed);
}
