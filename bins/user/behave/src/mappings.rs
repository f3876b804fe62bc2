//! Files that are mapped: shared with whoever reads, writes and maps them, or one's own from the first store on.

use alloc::{string::String, vec};

use swos_ulib::{
    abi::{Errno, Handle, MapFlags, OpenFlags, Rights},
    fs::{self, File},
    memory::{MemoryObject, Use},
    process::{self, Fork, fork},
    sys,
    testing::{equal, text},
    thread,
};

use crate::{
    Area, UNKNOWN,
    files::{both, file},
    region::{EXECUTE, PAGE, READ, Region, WRITE},
};

pub(crate) const AREA: Area = Area {
    name: "mappings",
    checks: &[
        ("what is stored in a shared mapping is read from the file", stored),
        ("what is written to a file is in its shared mappings", written),
        ("two mappings of one file are the same page", twice),
        ("a child that maps the same file shares its pages", with_child),
        ("a copy of the process shares a shared file and owns a private one", with_copy),
        ("a private mapping of a file in memory changes no file", private),
        ("a private page is the file's again when it is discarded", discarded),
        ("a mapping never allows more than the handle", rights),
        ("nothing in memory is mapped as code", no_code),
        ("a file of the image is shared but not written", image),
        ("what has no pages is not mapped", no_pages),
        ("behind the end of a mapping's file is no page", end),
        ("whoever touches a page behind the end is ended", touches_end),
        ("a page that is cut off a file ends who touches it", touches_cut),
        ("a page that is cut off is refused to the kernel too", cut),
        ("what grows after a cut is zero and shared", regrown),
        ("what is stored behind the end is no part of the file", behind_end),
        ("a file lives as long as a page of it is mapped", outlives),
        ("a hole takes room when it is shared and not when it is private", hole),
        ("a hole can not be shared when the file system is full", full),
        ("a store into a mapping changes the file's time", time),
        ("a megabyte goes through a mapping", large),
        ("a file of the image is a slice", slice),
        ("a file that can change is no slice", no_slice),
        ("bytes are copied out of a file and into it", copied),
        ("a copy of one's own changes no file", own),
    ],
    child,
};

/// Under this number a child gets the file.
const GIVEN: Handle = Handle(3);
const BUS: i32 = 7;
const PROGRAM: &str = "/bin/behave";

fn child(deed: &str) -> i32 {
    let shared = |pages| Region::of_handle(pages, READ | WRITE, MapFlags::SHARED, GIVEN, 0);
    match deed {
        "answer" => match shared(2) {
            Ok(region) => {
                let asked = region.read(0);
                region.write(1, asked + 1);
                0
            }
            Err(_) => 1,
        },
        "touch-end" => match Region::of_handle(3, READ, MapFlags::PRIVATE, GIVEN, 0) {
            Ok(region) => i32::from(region.read(2)),
            Err(_) => 1,
        },
        "touch-cut" => match shared(4) {
            Ok(region) => {
                region.write(3, 1);
                if File::from_handle(GIVEN).set_len(PAGE as u64).is_err() {
                    return 2;
                }
                i32::from(region.read(0)) + i32::from(region.read(3) == 1)
            }
            Err(_) => 1,
        },
        _ => UNKNOWN,
    }
}

/// Does a deed in a child that has the file; the signal that ended it, or its status.
fn in_child(file: &File, deed: &str) -> Result<Result<i32, i32>, String> {
    let mut command = crate::child(AREA.name, deed);
    let status = command.handle(3, file.handle(), Rights::all()).status().map_err(text)?;
    status.signal().map_or_else(|| status.code().map(Ok).ok_or("no status".into()), |signal| Ok(Err(signal)))
}

/// A new file of so many pages without a byte, and its path.
fn pages_of(name: &str, pages: usize) -> Result<(File, String), String> {
    let path = file(name)?;
    let made = both(&path)?;
    made.set_len((pages * PAGE) as u64).map_err(text)?;
    Ok((made, path))
}

fn map(file: &File, flags: MapFlags, pages: usize) -> Result<Region, String> {
    Region::of_handle(pages, READ | WRITE, flags, file.handle(), 0).map_err(text)
}

/// The byte at a place of a file.
fn byte(file: &File, at: usize) -> Result<u8, String> {
    let mut byte = [0];
    equal(file.read_at(&mut byte, at as u64), Ok(1))?;
    Ok(byte[0])
}

fn put(file: &File, at: usize, bytes: &[u8]) -> Result<(), String> {
    equal(file.write_at(bytes, at as u64), Ok(bytes.len()))
}

fn stored() -> Result<(), String> {
    let (file, path) = pages_of("stored", 3)?;
    let region = map(&file, MapFlags::SHARED, 3)?;
    region.write(0, 5);
    region.write(2, 6);
    equal((byte(&file, 0)?, byte(&file, PAGE)?, byte(&file, 2 * PAGE)?), (5, 0, 6))?;
    equal(fs::read(&path).map_err(text)?.get(2 * PAGE), Some(&6))
}

fn written() -> Result<(), String> {
    let (file, _) = pages_of("written", 2)?;
    put(&file, 0, b"before")?;
    let region = map(&file, MapFlags::SHARED, 2)?;
    equal((region.byte(1), region.read(1)), (b'e', 0))?;
    put(&file, PAGE - 2, b"later")?;
    equal((region.byte(PAGE - 2), region.byte(PAGE + 2)), (b'l', b'r'))
}

fn twice() -> Result<(), String> {
    let (file, path) = pages_of("twice", 4)?;
    let whole = map(&file, MapFlags::SHARED, 4)?;
    let other = File::open(&path).map_err(text)?;
    let tail = Region::of_handle(2, READ, MapFlags::SHARED, other.handle(), 2 * PAGE as u64).map_err(text)?;
    whole.write(3, 9);
    equal((tail.read(1), tail.read(0)), (9, 0))?;
    equal(Region::of_handle(1, READ, MapFlags::SHARED, other.handle(), 1).map(drop), Err(Errno::INVAL))
}

fn with_child() -> Result<(), String> {
    let (file, _) = pages_of("child", 2)?;
    let region = map(&file, MapFlags::SHARED, 2)?;
    region.write(0, 41);
    equal(in_child(&file, "answer")?, Ok(0))?;
    equal((region.read(1), byte(&file, PAGE)?), (42, 42))
}

fn with_copy() -> Result<(), String> {
    let (file, _) = pages_of("copy", 2)?;
    let (shared, private) = (map(&file, MapFlags::SHARED, 2)?, map(&file, MapFlags::PRIVATE, 2)?);
    shared.write(0, 1);
    private.write(1, 2);
    match fork().map_err(text)? {
        Fork::Child => {
            let seen = (shared.read(0), private.read(1)) == (1, 2);
            shared.write(0, 7);
            private.write(1, 8);
            process::exit(i32::from(!seen))
        }
        Fork::Parent(child) => {
            equal(child.wait().map_err(text)?.code(), Some(0))?;
            equal((shared.read(0), private.read(1), byte(&file, 0)?), (7, 2, 7))
        }
    }
}

fn private() -> Result<(), String> {
    let (file, _) = pages_of("private", 2)?;
    put(&file, 0, b"file")?;
    let (mine, others) = (map(&file, MapFlags::PRIVATE, 2)?, map(&file, MapFlags::PRIVATE, 2)?);
    equal((mine.read(0), mine.read(1)), (b'f', 0))?;
    mine.write(0, b'm');
    mine.write(1, b'm');
    equal((byte(&file, 0)?, byte(&file, PAGE)?), (b'f', 0))?;
    equal((others.read(0), others.read(1)), (b'f', 0))?;
    // What is one's own stays, whatever becomes of the file's.
    put(&file, 0, b"new.")?;
    equal((mine.read(0), mine.byte(1)), (b'm', b'i'))
}

fn discarded() -> Result<(), String> {
    let (file, _) = pages_of("discarded", 1)?;
    let (private, shared) = (map(&file, MapFlags::PRIVATE, 1)?, map(&file, MapFlags::SHARED, 1)?);
    private.write(0, 1);
    shared.write(0, 2);
    equal((private.read(0), shared.read(0)), (1, 2))?;
    private.discard(0, 1).map_err(text)?;
    shared.discard(0, 1).map_err(text)?;
    equal((private.read(0), shared.read(0)), (2, 2))
}

fn rights() -> Result<(), String> {
    let (file, path) = pages_of("rights", 1)?;
    let reader = File::open(&path).map_err(text)?;
    let shared =
        |file: &File, protection| Region::of_handle(1, protection, MapFlags::SHARED, file.handle(), 0);
    equal(shared(&reader, READ | WRITE).map(drop), Err(Errno::ACCES))?;
    let region = shared(&reader, READ).map_err(text)?;
    equal(region.protect(0, 1, READ | WRITE), Err(Errno::ACCES))?;
    let writer = shared(&file, READ).map_err(text)?;
    writer.protect(0, 1, READ | WRITE).map_err(text)?;
    writer.write(0, 3);
    equal(region.read(0), 3)?;
    // What is private may be written, whatever the handle may.
    map(&reader, MapFlags::PRIVATE, 1)?.write(0, 4);
    let unmappable = sys::handle_duplicate(file.handle(), Rights::READ | Rights::WRITE, 0).map_err(text)?;
    equal(shared(&File::from_handle(unmappable), READ).map(drop), Err(Errno::ACCES))?;
    let blind = File::open_at(Handle::CWD, &path, OpenFlags::WRITE).map_err(text)?;
    equal(shared(&blind, READ).map(drop), Err(Errno::ACCES))
}

fn no_code() -> Result<(), String> {
    let (file, _) = pages_of("code", 1)?;
    for flags in [MapFlags::SHARED, MapFlags::PRIVATE] {
        for protection in [READ | EXECUTE, READ | WRITE | EXECUTE] {
            equal(Region::of_handle(1, protection, flags, file.handle(), 0).map(drop), Err(Errno::ACCES))?;
        }
        let region = map(&file, flags, 1)?;
        equal(region.protect(0, 1, READ | EXECUTE), Err(Errno::ACCES))?;
    }
    Ok(())
}

fn image() -> Result<(), String> {
    let file = File::open_at(Handle::CWD, PROGRAM, OpenFlags::READ | OpenFlags::EXECUTE).map_err(text)?;
    let share = |protection| Region::of_handle(2, protection, MapFlags::SHARED, file.handle(), 0);
    equal(share(READ | WRITE).map(drop), Err(Errno::ACCES))?;
    let region = share(READ).map_err(text)?;
    let bytes = fs::read(PROGRAM).map_err(text)?;
    equal((Some(&region.read(0)), Some(&region.byte(PAGE + 9))), (bytes.first(), bytes.get(PAGE + 9)))?;
    equal(region.protect(0, 1, READ | WRITE), Err(Errno::ACCES))?;
    region.protect(0, 1, READ | EXECUTE).map_err(text)
}

fn no_pages() -> Result<(), String> {
    for path in ["/tmp", "/bin", "/dev/zero", "/sys/memory"] {
        let file = File::open(path).map_err(text)?;
        for flags in [MapFlags::SHARED, MapFlags::PRIVATE] {
            equal(Region::of_handle(1, READ, flags, file.handle(), 0).map(drop), Err(Errno::NODEV))?;
        }
    }
    Ok(())
}

fn end() -> Result<(), String> {
    let (file, _) = pages_of("end", 1)?;
    put(&file, PAGE, b"x")?;
    let program = File::open(PROGRAM).map_err(text)?;
    let size = usize::try_from(program.metadata().map_err(text)?.size).map_err(text)?;
    for (handle, pages) in [(file.handle(), 2), (program.handle(), size.div_ceil(PAGE))] {
        for flags in [MapFlags::SHARED, MapFlags::PRIVATE] {
            let region = Region::of_handle(pages + 2, READ, flags, handle, 0).map_err(text)?;
            let found = [pages - 1, pages, pages + 1].map(|page| region.can_read(page));
            equal(found, [Ok(true), Ok(false), Ok(false)])?;
        }
    }
    let region = map(&file, MapFlags::SHARED, 2)?;
    equal((region.byte(PAGE), region.byte(PAGE + 1), region.byte(2 * PAGE - 1)), (b'x', 0, 0))
}

fn touches_end() -> Result<(), String> {
    let (file, _) = pages_of("touches-end", 2)?;
    equal(in_child(&file, "touch-end")?, Err(BUS))?;
    equal(in_child(&File::open(PROGRAM).map_err(text)?, "touch-end")?.is_ok(), true)?;
    let object = MemoryObject::new(2 * PAGE as u64).map_err(text)?;
    let mut command = crate::child(AREA.name, "touch-end");
    let status = command.handle(3, object.handle(), Rights::all()).status().map_err(text)?;
    equal(status.signal(), Some(BUS))
}

fn touches_cut() -> Result<(), String> {
    let (file, _) = pages_of("touches-cut", 4)?;
    equal(in_child(&file, "touch-cut")?, Err(BUS))?;
    equal(file.metadata().map_err(text)?.size, PAGE as u64)
}

fn cut() -> Result<(), String> {
    let (file, path) = pages_of("cut", 4)?;
    let (shared, private) = (map(&file, MapFlags::SHARED, 4)?, map(&file, MapFlags::PRIVATE, 4)?);
    (0..4).for_each(|page| shared.write(page, 1));
    (0..4).for_each(|page| private.write(page, 2));
    file.set_len(2 * PAGE as u64).map_err(text)?;
    for page in 0..4 {
        equal((shared.can_read(page), private.can_read(page)), (Ok(page < 2), Ok(page < 2)))?;
        equal((shared.can_write(page), private.can_write(page)), (Ok(page < 2), Ok(page < 2)))?;
    }
    // Opening does it as well.
    drop(File::create(&path).map_err(text)?);
    equal([0, 3].map(|page| shared.can_read(page)), [Ok(false); 2])
}

fn regrown() -> Result<(), String> {
    let (file, _) = pages_of("regrown", 3)?;
    let region = map(&file, MapFlags::SHARED, 3)?;
    (0..3).for_each(|page| region.write(page, 5));
    put(&file, PAGE + 100, &[5; 8])?;
    file.set_len(PAGE as u64 + 104).map_err(text)?;
    file.set_len(3 * PAGE as u64).map_err(text)?;
    equal([0, 1, 2].map(|page| region.read(page)), [5, 5, 0])?;
    equal((region.byte(PAGE + 103), region.byte(PAGE + 104)), (5, 0))?;
    region.write(2, 8);
    equal(byte(&file, 2 * PAGE)?, 8)
}

fn behind_end() -> Result<(), String> {
    let (file, _) = pages_of("behind", 0)?;
    put(&file, 0, b"file")?;
    let region = map(&file, MapFlags::SHARED, 1)?;
    region.store(3, b'L');
    region.store(4, 9);
    region.store(PAGE - 1, 9);
    equal((file.metadata().map_err(text)?.size, byte(&file, 3)?), (4, b'L'))?;
    file.set_len(PAGE as u64).map_err(text)?;
    equal((region.byte(3), region.byte(4), byte(&file, PAGE - 1)?), (b'L', 0, 0))?;
    file.set_len(4).map_err(text)?;
    region.store(5, 9);
    put(&file, 6, b"e")?;
    equal((byte(&file, 5)?, region.byte(6)), (0, b'e'))
}

fn outlives() -> Result<(), String> {
    let (file, path) = pages_of("outlives", 2)?;
    let region = map(&file, MapFlags::SHARED, 2)?;
    region.write(1, 7);
    fs::remove_file(&path).map_err(text)?;
    drop(file);
    equal((region.read(1), region.read(0)), (7, 0))?;
    region.unmap(0, 1).map_err(text)?;
    equal(region.read(1), 7)
}

/// Pages of `/tmp` in use.
fn used() -> Result<u64, String> {
    sys::file_system_info(Handle::CWD, b"/tmp").map(|info| info.pages_used).map_err(text)
}

fn hole() -> Result<(), String> {
    let (file, _) = pages_of("hole", 3)?;
    let before = used()?;
    let (private, shared) = (map(&file, MapFlags::PRIVATE, 3)?, map(&file, MapFlags::SHARED, 3)?);
    equal((private.read(0), used()?), (0, before))?;
    private.write(1, 1);
    equal(used()?, before)?;
    equal((shared.read(2), used()?), (0, before + 1))?;
    shared.write(1, 1);
    equal(used()?, before + 2)
}

fn full() -> Result<(), String> {
    let path = "/run/full";
    let (filler, sparse) = (both(path)?, both("/run/sparse")?);
    sparse.set_len(2 * PAGE as u64).map_err(text)?;
    let region = map(&sparse, MapFlags::SHARED, 2)?;
    region.write(0, 1);
    let chunk = vec![1; 16 * PAGE];
    let mut end = 0;
    let stopped = loop {
        match filler.write_at(&chunk, end) {
            Ok(count) => end += count as u64,
            Err(errno) => break errno,
        }
    };
    let found = (stopped, region.can_write(1), region.can_write(0));
    fs::remove_file(path).map_err(text)?;
    fs::remove_file("/run/sparse").map_err(text)?;
    drop(filler);
    equal(found, (Errno::NOSPC, Ok(false), Ok(true)))?;
    equal(region.can_write(1), Ok(true))
}

fn time() -> Result<(), String> {
    let (file, _) = pages_of("time", 2)?;
    let changed = || file.metadata().map(|stat| stat.modified_ns).map_err(text);
    let before = changed()?;
    let reader = Region::of_handle(2, READ, MapFlags::SHARED, file.handle(), 0).map_err(text)?;
    equal((reader.read(0), changed()?), (0, before))?;
    map(&file, MapFlags::SHARED, 2)?.write(0, 1);
    equal(changed()? > before, true)
}

fn large() -> Result<(), String> {
    const PAGES: usize = 256;
    let (file, path) = pages_of("large", PAGES)?;
    let region = map(&file, MapFlags::SHARED, PAGES)?;
    (0..PAGES).for_each(|page| region.write(page, page.to_le_bytes()[0]));
    let bytes = fs::read(&path).map_err(text)?;
    let found = bytes.iter().step_by(PAGE).copied();
    equal(found.eq((0..PAGES).map(|page| page.to_le_bytes()[0])), true)?;
    drop(region);
    put(&file, 0, &vec![7; PAGES * PAGE])?;
    let region = map(&file, MapFlags::PRIVATE, PAGES)?;
    equal((0..PAGES).all(|page| region.read(page) == 7), true)
}

fn slice() -> Result<(), String> {
    let program = File::open(PROGRAM).map_err(text)?;
    let mapped = program.map().map_err(text)?;
    // The file is not needed any more.
    drop(program);
    let read = fs::read(PROGRAM).map_err(text)?;
    equal((mapped.len(), mapped.iter().eq(&read)), (read.len(), true))?;
    let seen =
        thread::scope(|scope| scope.spawn(|| mapped.get(1..4).map(<[u8]>::to_vec)).map(|other| other.join()));
    equal(seen.map_err(text)?, Some(b"ELF".to_vec()))
}

fn no_slice() -> Result<(), String> {
    let (file, _) = pages_of("no-slice", 1)?;
    equal(file.map().map(drop), Err(Errno::OPNOTSUPP))?;
    for path in ["/tmp", "/dev/zero", "/sys/memory"] {
        equal(File::open(path).map_err(text)?.map().map(drop), Err(Errno::OPNOTSUPP))?;
    }
    let blind = sys::handle_duplicate(File::open(PROGRAM).map_err(text)?.handle(), Rights::GETATTR, 0);
    equal(File::from_handle(blind.map_err(text)?).map().map(drop), Err(Errno::ACCES))
}

fn copied() -> Result<(), String> {
    let (file, path) = pages_of("copied", 2)?;
    let whole = file.map_part(0, 2 * PAGE, Use::Write).map_err(text)?;
    equal(whole.write(PAGE - 2, b"over a border"), 13)?;
    equal(fs::read(&path).map_err(text)?.get(PAGE - 2..PAGE + 11), Some(b"over a border".as_slice()))?;
    let second = File::open(&path).map_err(text)?.map_part(PAGE as u64, 1, Use::Read).map_err(text)?;
    put(&file, PAGE, b"OV")?;
    let mut bytes = [0; 4];
    equal((second.read(0, &mut bytes), second.len()), (4, PAGE))?;
    equal((bytes, second.write(0, b"x")), (*b"OV a", 0))?;
    equal((whole.read(2 * PAGE - 1, &mut bytes), whole.read(2 * PAGE, &mut bytes)), (1, 0))?;
    equal(File::open(&path).map_err(text)?.map_part(0, 1, Use::Write).map(drop), Err(Errno::ACCES))
}

fn own() -> Result<(), String> {
    let (file, path) = pages_of("own", 2)?;
    put(&file, 0, b"file")?;
    let mine = File::open(&path).map_err(text)?.map_part(0, 2 * PAGE, Use::Own).map_err(text)?;
    equal(mine.write(0, b"mine"), 4)?;
    equal((byte(&file, 0)?, mine.words().len()), (b'f', PAGE / 2))?;
    put(&file, 0, b"more")?;
    put(&file, PAGE, b"more")?;
    let mut bytes = [0; 4];
    mine.read(0, &mut bytes);
    equal(bytes, *b"mine")?;
    mine.read(PAGE, &mut bytes);
    equal(bytes, *b"more")
}
