//! What is mapped by a handle: files, and memory objects between processes.

use alloc::{string::String, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, MEMORY_EXECUTE, MapFlags, OpenFlags, Rights},
    fs::{self, File},
    memory::{MemoryObject, SharedMapping, Use},
    process::{self, Fork, fork},
    sys,
    testing::{equal, text},
};

use crate::{
    Area, UNKNOWN,
    region::{EXECUTE, PAGE, READ, Region, WRITE},
};

pub(crate) const AREA: Area = Area {
    name: "objects",
    checks: &[
        ("a file is mapped as it is read", file),
        ("a file is mapped from a page on and no other place", file_offset),
        ("behind the end of a file its last page is zero", file_end),
        ("writing to a private mapping changes no file", file_private),
        ("a file whose handle lacks a right can not be mapped so", file_rights),
        ("a new memory object is zero and has its size", object_new),
        ("what a child writes to a memory object its parent reads", object_shared),
        ("two mappings of one object are the same memory", object_twice),
        ("an object outlives its handle while it is mapped", object_outlives),
        ("an object is read and written without a mapping", object_bytes),
        ("a child with the right to read can not map for writing", object_read_only),
        ("an object without the right to be mapped is not", object_unmappable),
        ("an object is resized only with the right", object_resize_right),
        ("a page that was cut off ends who touches it", object_cut),
        ("a page that was cut off is refused to the kernel too", object_cut_call),
        ("what grows after a cut is zero", object_regrown),
        ("a private mapping of an object stays private", object_private),
        ("an object is executable only if it was made so", object_executable),
        ("code written through one mapping runs through another", object_code),
        ("an object beyond the limits is refused", object_limits),
        ("calls for memory objects refuse other handles", object_other),
        ("unnamed shared memory is zero and shared in the process", unnamed),
        ("unnamed shared memory is shared with a copy of the process", unnamed_fork),
        ("a partial unmapping of an object keeps the rest", object_partial),
    ],
    child,
};

const SERVICES: &str = "/etc/swos/services";
const PROGRAM: &str = "/bin/behave";
/// Under this number a child gets the object.
const GIVEN: Handle = Handle(3);
const BUS: i32 = 7;

fn child(deed: &str) -> i32 {
    let object = MemoryObject::from_handle(GIVEN);
    match deed {
        "greet" => match object.map(Use::Write) {
            Ok(mapping) => i32::from(mapping.write(PAGE + 5, b"greetings") != 9),
            Err(_) => 1,
        },
        "look-on" => {
            let refused = object.map(Use::Write).map(drop) == Err(Errno::ACCES)
                && object.write_at(0, b"x") == Err(Errno::ACCES)
                && object.set_size(1) == Err(Errno::ACCES);
            let Ok(mapping) = object.map(Use::Read) else { return 1 };
            let mut byte = [0];
            mapping.read(0, &mut byte);
            i32::from(!refused || byte != *b"!")
        }
        "touch-cut" => {
            let Ok(mapping) = object.map(Use::Read) else { return 1 };
            if mapping.read(3 * PAGE, &mut [0]) != 1 || object.set_size(PAGE as u64).is_err() {
                return 2;
            }
            i32::from(mapping.read(0, &mut [0]) != 1) + i32::from(mapping.read(3 * PAGE, &mut [0]) == 1)
        }
        "limited" => {
            let found = [
                MemoryObject::new(LIMIT + 1).map(drop),
                MemoryObject::new(LIMIT).map(drop),
                MemoryObject::new(LIMIT).and_then(|object| object.set_size(LIMIT + 1)),
            ];
            i32::from(found != [Err(Errno::NOMEM), Ok(()), Err(Errno::NOMEM)])
        }
        _ => UNKNOWN,
    }
}

/// Does a deed in a child that has the object with these rights; its signal or its status.
fn in_child(object: &MemoryObject, rights: Rights, deed: &str) -> Result<Result<i32, i32>, String> {
    let mut command = crate::child(AREA.name, deed);
    let status = command.handle(3, object.handle(), rights).status().map_err(text)?;
    status.signal().map_or_else(|| status.code().map(Ok).ok_or("no status".into()), |signal| Ok(Err(signal)))
}

fn object(pages: usize) -> Result<MemoryObject, String> {
    MemoryObject::new((pages * PAGE) as u64).map_err(text)
}

/// Maps an object where bytes are touched one by one.
fn region(object: &MemoryObject, pages: usize, flags: MapFlags) -> Result<Region, String> {
    Region::of_handle(pages, READ | WRITE, flags, object.handle(), 0).map_err(text)
}

fn map_file(file: &File, pages: usize, offset: u64) -> Result<Region, Errno> {
    Region::of_handle(pages, READ, MapFlags::PRIVATE, file.handle(), offset)
}

/// The first bytes of the pages of a file.
fn first_bytes(path: &str) -> Result<Vec<u8>, String> {
    Ok(fs::read(path).map_err(text)?.iter().copied().step_by(PAGE).collect())
}

fn file() -> Result<(), String> {
    let bytes = first_bytes(PROGRAM)?;
    let region = map_file(&File::open(PROGRAM).map_err(text)?, bytes.len(), 0).map_err(text)?;
    for (page, byte) in bytes.into_iter().enumerate() {
        equal(region.read(page), byte)?;
    }
    Ok(())
}

fn file_offset() -> Result<(), String> {
    let file = File::open(PROGRAM).map_err(text)?;
    let bytes = first_bytes(PROGRAM)?;
    let region = map_file(&file, 2, 3 * PAGE as u64).map_err(text)?;
    equal(Some(&region.read(1)), bytes.get(4))?;
    equal(map_file(&file, 1, 1).map(drop), Err(Errno::INVAL))
}

fn file_end() -> Result<(), String> {
    let file = File::open(SERVICES).map_err(text)?;
    let size = usize::try_from(file.metadata().map_err(text)?.size).map_err(text)?;
    let pages = size.div_ceil(PAGE);
    let region = map_file(&file, pages, 0).map_err(text)?;
    equal(region.byte(size - 1) != 0, true)?;
    equal(region.byte(pages * PAGE - 1), 0)
}

fn file_private() -> Result<(), String> {
    let file = File::open(SERVICES).map_err(text)?;
    let map = || Region::of_handle(1, READ | WRITE, MapFlags::PRIVATE, file.handle(), 0).map_err(text);
    let (first, second) = (map()?, map()?);
    let before = second.read(0);
    first.write(0, before ^ 1);
    equal((first.read(0), second.read(0)), (before ^ 1, before))?;
    equal(fs::read(SERVICES).map_err(text)?.first(), Some(&before))?;
    // What is discarded is the file's again.
    first.discard(0, 1).map_err(text)?;
    equal(first.read(0), before)
}

fn file_rights() -> Result<(), String> {
    let file = File::open(PROGRAM).map_err(text)?;
    let map = |handle, protection, flags| Region::of_handle(1, protection, flags, handle, 0).map(drop);
    equal(map(file.handle(), READ | EXECUTE, MapFlags::PRIVATE), Err(Errno::ACCES))?;
    equal(map(file.handle(), READ | EXECUTE, MapFlags::SHARED), Err(Errno::ACCES))?;
    let region = map_file(&file, 1, 0).map_err(text)?;
    equal(region.protect(0, 1, READ | EXECUTE), Err(Errno::ACCES))?;
    let unmappable = sys::handle_duplicate(file.handle(), Rights::READ, 0).map_err(text)?;
    equal(map(unmappable, READ, MapFlags::PRIVATE), Err(Errno::ACCES))?;
    let program = File::open_at(Handle::CWD, PROGRAM, OpenFlags::READ | OpenFlags::EXECUTE).map_err(text)?;
    map(program.handle(), READ | EXECUTE, MapFlags::PRIVATE).map_err(text)?;
    equal(map(Handle::STDOUT, READ, MapFlags::PRIVATE).is_err(), true)
}

fn object_new() -> Result<(), String> {
    let object = MemoryObject::new(3 * PAGE as u64 - 1).map_err(text)?;
    equal(object.size(), Ok(3 * PAGE as u64 - 1))?;
    let mapping = object.map(Use::Write).map_err(text)?;
    equal(mapping.len(), 3 * PAGE)?;
    let zero = mapping.words().iter().all(|word| word.load(core::sync::atomic::Ordering::Relaxed) == 0);
    equal(zero, true)
}

fn object_shared() -> Result<(), String> {
    let object = object(2)?;
    let mapping = object.map(Use::Read).map_err(text)?;
    let mut bytes = [0; 9];
    mapping.read(PAGE + 5, &mut bytes);
    equal(bytes, [0; 9])?;
    equal(in_child(&object, Rights::READ | Rights::WRITE | Rights::MAP | Rights::GETATTR, "greet")?, Ok(0))?;
    mapping.read(PAGE + 5, &mut bytes);
    equal(&bytes, b"greetings")
}

fn object_twice() -> Result<(), String> {
    let object = object(4)?;
    let whole = object.map(Use::Write).map_err(text)?;
    let tail = object.map_part(2 * PAGE as u64, 2 * PAGE, Use::Write).map_err(text)?;
    whole.write(3 * PAGE, b"there");
    let mut bytes = [0; 5];
    tail.read(PAGE, &mut bytes);
    equal(&bytes, b"there")?;
    equal(object.map_part(1, PAGE, Use::Read).map(drop), Err(Errno::INVAL))
}

fn object_outlives() -> Result<(), String> {
    let object = object(1)?;
    let mapping = object.map(Use::Write).map_err(text)?;
    object.write_at(0, b"kept").map_err(text)?;
    drop(object);
    let mut bytes = [0; 4];
    mapping.read(0, &mut bytes);
    equal(&bytes, b"kept")
}

fn object_bytes() -> Result<(), String> {
    let object = MemoryObject::new(PAGE as u64 + 10).map_err(text)?;
    equal(object.write_at(PAGE as u64 - 2, b"abcd"), Ok(4))?;
    let mut bytes = [9; 16];
    equal(object.read_at(PAGE as u64 - 3, &mut bytes), Ok(13))?;
    equal(bytes.get(..6), Some(b"\0abcd\0".as_slice()))?;
    equal(object.write_at(PAGE as u64 + 8, b"long"), Ok(2))?;
    equal(object.write_at(PAGE as u64 + 10, b"x"), Err(Errno::FBIG))?;
    equal(object.read_at(PAGE as u64 + 10, &mut bytes), Ok(0))
}

fn object_read_only() -> Result<(), String> {
    let object = object(1)?;
    object.write_at(0, b"!").map_err(text)?;
    equal(in_child(&object, Rights::READ | Rights::MAP | Rights::GETATTR, "look-on")?, Ok(0))
}

fn object_unmappable() -> Result<(), String> {
    let object = object(1)?;
    for rights in [Rights::READ | Rights::WRITE, Rights::MAP | Rights::WRITE] {
        let less =
            MemoryObject::from_handle(sys::handle_duplicate(object.handle(), rights, 0).map_err(text)?);
        equal(less.map_part(0, PAGE, Use::Read).map(drop), Err(Errno::ACCES))?;
    }
    Ok(())
}

fn object_resize_right() -> Result<(), String> {
    let object = object(1)?;
    let rights = Rights::all() & !Rights::SETATTR;
    let less = MemoryObject::from_handle(sys::handle_duplicate(object.handle(), rights, 0).map_err(text)?);
    equal(less.set_size(9), Err(Errno::ACCES))?;
    equal(object.set_size(9), Ok(()))?;
    equal(less.size(), Ok(9))
}

fn object_cut() -> Result<(), String> {
    let object = object(4)?;
    let mapping = object.map(Use::Write).map_err(text)?;
    mapping.write(0, b"stays");
    equal(in_child(&object, Rights::all(), "touch-cut")?, Err(BUS))?;
    let mut bytes = [0; 5];
    mapping.read(0, &mut bytes);
    equal(&bytes, b"stays")
}

fn object_cut_call() -> Result<(), String> {
    let object = object(4)?;
    let region = region(&object, 4, MapFlags::SHARED)?;
    (0..4).for_each(|page| region.write(page, 1));
    object.set_size(2 * PAGE as u64).map_err(text)?;
    for page in 0..4 {
        equal(region.can_write(page), Ok(page < 2))?;
        equal(region.can_read(page), Ok(page < 2))?;
    }
    Ok(())
}

fn object_regrown() -> Result<(), String> {
    let object = object(3)?;
    let region = region(&object, 3, MapFlags::SHARED)?;
    (0..3).for_each(|page| region.write(page, 5));
    object.write_at(PAGE as u64 + 100, &[5; 8]).map_err(text)?;
    object.set_size(PAGE as u64 + 104).map_err(text)?;
    object.set_size(3 * PAGE as u64).map_err(text)?;
    equal([0, 1, 2].map(|page| region.read(page)), [5, 5, 0])?;
    equal((region.byte(PAGE + 103), region.byte(PAGE + 104)), (5, 0))
}

fn object_private() -> Result<(), String> {
    let object = object(2)?;
    object.write_at(0, b"o").map_err(text)?;
    let private = region(&object, 2, MapFlags::PRIVATE)?;
    equal(private.read(0), b'o')?;
    private.write(0, b'p');
    private.write(1, b'q');
    let mut byte = [0];
    equal(object.read_at(0, &mut byte), Ok(1))?;
    equal((private.read(0), byte), (b'p', *b"o"))?;
    equal(object.read_at(PAGE as u64, &mut byte).map(|_| byte), Ok([0]))
}

fn object_executable() -> Result<(), String> {
    let plain = object(1)?;
    let code = MemoryObject::executable(PAGE as u64).map_err(text)?;
    let map = |object: &MemoryObject, protection| {
        Region::of_handle(1, protection, MapFlags::SHARED, object.handle(), 0).map(drop)
    };
    equal(map(&plain, READ | EXECUTE), Err(Errno::ACCES))?;
    equal(map(&code, READ | EXECUTE), Ok(()))?;
    equal(map(&code, READ | WRITE | EXECUTE), Err(Errno::ACCES))?;
    let region = region(&code, 1, MapFlags::SHARED)?;
    equal(region.protect(0, 1, WRITE | EXECUTE), Err(Errno::ACCES))?;
    equal(sys::memory_create(1, MEMORY_EXECUTE << 1).map(drop), Err(Errno::INVAL))
}

fn object_code() -> Result<(), String> {
    let code = MemoryObject::executable(PAGE as u64).map_err(text)?;
    let writable = region(&code, 1, MapFlags::SHARED)?;
    writable.write_function(0, 23);
    let runs = Region::of_handle(1, READ | EXECUTE, MapFlags::SHARED, code.handle(), 0).map_err(text)?;
    equal(runs.run(0), 23)
}

const LIMIT: u64 = 32 << 20;

fn object_limits() -> Result<(), String> {
    equal(MemoryObject::new(u64::MAX).map(drop), Err(Errno::FBIG))?;
    let object = object(1)?;
    equal(object.set_size(u64::MAX), Err(Errno::FBIG))?;
    let mut command = crate::child(AREA.name, "limited");
    command.limits(LIMIT, 0, 0);
    equal(command.status().map_err(text)?.code(), Some(0))
}

fn object_other() -> Result<(), String> {
    let file = File::open(SERVICES).map_err(text)?;
    equal(sys::memory_resize(file.handle(), 1), Err(Errno::ACCES))?;
    equal(sys::memory_resize(Handle::STDOUT, 1).is_err(), true)?;
    equal(sys::memory_resize(Handle::NONE, 1), Err(Errno::BADF))?;
    let object = object(1)?;
    equal(sys::read(object.handle(), &mut [0]), Err(Errno::NOTTY))?;
    equal(sys::write(object.handle(), &[0]), Err(Errno::NOTTY))?;
    equal(sys::seek(object.handle(), 0, 0), Err(Errno::SPIPE))
}

fn unnamed() -> Result<(), String> {
    let mapping = SharedMapping::anonymous(3 * PAGE).map_err(text)?;
    let mut bytes = [1; 4];
    mapping.read(2 * PAGE, &mut bytes);
    equal(bytes, [0; 4])?;
    equal(mapping.write(2 * PAGE, b"here"), 4)?;
    mapping.read(2 * PAGE, &mut bytes);
    equal(&bytes, b"here")?;
    equal(SharedMapping::anonymous(0).map(drop), Err(Errno::INVAL))
}

fn unnamed_fork() -> Result<(), String> {
    let mapping = SharedMapping::anonymous(3 * PAGE).map_err(text)?;
    mapping.write(0, b"parent");
    match fork().map_err(text)? {
        Fork::Child => {
            let mut bytes = [0; 6];
            mapping.read(0, &mut bytes);
            mapping.write(2 * PAGE, b"child");
            process::exit(i32::from(&bytes != b"parent"))
        }
        Fork::Parent(child) => {
            equal(child.wait().map_err(text)?.code(), Some(0))?;
            let mut bytes = [0; 5];
            mapping.read(2 * PAGE, &mut bytes);
            equal(&bytes, b"child")
        }
    }
}

fn object_partial() -> Result<(), String> {
    let object = object(6)?;
    let region = region(&object, 6, MapFlags::SHARED)?;
    (0..6).for_each(|page| region.write(page, 4));
    drop(object);
    for page in [1, 4, 2] {
        region.unmap(page, 1).map_err(text)?;
    }
    equal([0, 3, 5].map(|page| region.read(page)), [4; 3])?;
    equal([1, 2, 4].map(|page| region.can_read(page)), [Ok(false); 3])
}
