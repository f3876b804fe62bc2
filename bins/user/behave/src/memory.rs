//! Mappings: placement, protection, reservations, code.

use alloc::{string::String, vec};

use swos_ulib::{
    abi::{Errno, Handle, MapFlags, Protection},
    process::{self, ExitStatus},
    sys,
    testing::{equal, text},
};

use crate::{
    Area, UNKNOWN,
    region::{ANONYMOUS, EXECUTE, PAGE, READ, Region, WRITE},
};

pub(crate) const AREA: Area = Area {
    name: "memory",
    checks: &[
        ("new memory is zero", new_is_zero),
        ("memory that is mapped again is zero again", again_is_zero),
        ("code that was written runs after its page was made executable", jit),
        ("code that is changed again runs as changed", jit_again),
        ("mapping writable and executable memory is refused", mapped_rwx),
        ("making memory writable and executable is refused", protected_rwx),
        ("writing to an executable page ends the program", writes_code),
        ("running a writable page ends the program", runs_data),
        ("a fixed mapping replaces what is there", fixed),
        ("a fixed mapping that may not replace anything says EXIST", fixed_no_replace),
        ("a hint is taken where nothing is", hint),
        ("lengths addresses and flags that make no sense are refused", senseless),
        ("page zero and the kernel's half can not be mapped", forbidden_places),
        ("unmapping a part leaves the rest", partial_unmap),
        ("unmapping what is not mapped is no error", unmap_nothing),
        ("unmapping two thousand pages leaves none", unmap_many),
        ("protecting a part leaves the rest", partial_protect),
        ("protecting across a hole is refused and changes nothing", protect_hole),
        ("a page without access keeps what it holds", no_access),
        ("reserved addresses can not be touched", reserved),
        ("touching reserved addresses ends the program", touches_reserved),
        ("a part of a reservation can be made memory", commit),
        ("a terabyte of reservation costs nothing", terabyte),
        ("memory over the limit is refused when it is committed", over_limit),
        ("who takes all memory is ended and leaves it to the others", hog),
        ("discarded pages are zero and the others stay", discard),
        ("discarding a hole is refused", discard_hole),
        ("what the heap does not need any more goes back", heap),
    ],
    child,
};

const BUFFER_PAGES: usize = 8;

fn child(deed: &str) -> i32 {
    let Ok(region) = Region::memory(BUFFER_PAGES) else { return 1 };
    match deed {
        "write-code" => {
            region.write_function(0, 1);
            if region.protect(0, 1, READ | EXECUTE).is_ok() {
                region.write(0, 1);
            }
            1
        }
        "run-data" => {
            region.write_function(0, 1);
            region.run(0)
        }
        "touch-reserved" => match Region::reserve(2) {
            Ok(reserved) => i32::from(reserved.read(1)),
            Err(_) => 1,
        },
        "over-limit" => limited(),
        "hog" => match Region::memory((1 << 35) / PAGE) {
            Ok(all) => {
                (0..(1 << 35) / PAGE).for_each(|page| all.write(page, 1));
                2
            }
            Err(_) => 1,
        },
        _ => UNKNOWN,
    }
}

/// The child that does this deed ends by the signal of a wrong access.
fn dies_of(deed: &str) -> Result<(), String> {
    const SEGV: i32 = 11;
    equal(run(deed)?.signal(), Some(SEGV))
}

fn run(deed: &str) -> Result<ExitStatus, String> {
    crate::child(AREA.name, deed).status().map_err(text)
}

fn new_is_zero() -> Result<(), String> {
    let region = Region::memory(BUFFER_PAGES).map_err(text)?;
    for page in 0..BUFFER_PAGES {
        equal(region.read(page), 0)?;
        region.write(page, 7);
        equal(region.read(page), 7)?;
    }
    Ok(())
}

fn again_is_zero() -> Result<(), String> {
    for _ in 0..5 {
        new_is_zero()?;
    }
    Ok(())
}

fn jit() -> Result<(), String> {
    let region = Region::memory(1).map_err(text)?;
    region.write_function(0, 42);
    region.protect(0, 1, READ | EXECUTE).map_err(text)?;
    equal(region.run(0), 42)
}

fn jit_again() -> Result<(), String> {
    let region = Region::memory(1).map_err(text)?;
    for value in [1, 2, 3] {
        region.protect(0, 1, READ | WRITE).map_err(text)?;
        region.write_function(0, value);
        region.protect(0, 1, READ | EXECUTE).map_err(text)?;
        equal(region.run(0), i32::from(value))?;
    }
    Ok(())
}

fn mapped_rwx() -> Result<(), String> {
    let region = Region::reserve(1).map_err(text)?;
    let fixed = ANONYMOUS | MapFlags::FIXED;
    for protection in [WRITE | EXECUTE, READ | WRITE | EXECUTE] {
        equal(region.map(0, 1, protection, fixed, Handle::NONE, 0), Err(Errno::ACCES))?;
        equal(Region::of_handle(1, protection, ANONYMOUS, Handle::NONE, 0).map(drop), Err(Errno::ACCES))?;
    }
    Ok(())
}

fn protected_rwx() -> Result<(), String> {
    let region = Region::memory(2).map_err(text)?;
    for _ in 0..2 {
        equal(region.protect(0, 1, READ | WRITE | EXECUTE), Err(Errno::ACCES))?;
        equal(region.protect(0, 1, WRITE | EXECUTE), Err(Errno::ACCES))?;
        // From both sides.
        region.protect(0, 2, READ | EXECUTE).map_err(text)?;
    }
    Ok(())
}

fn writes_code() -> Result<(), String> {
    dies_of("write-code")
}

fn runs_data() -> Result<(), String> {
    dies_of("run-data")
}

fn fixed() -> Result<(), String> {
    let region = Region::memory(4).map_err(text)?;
    (0..4).for_each(|page| region.write(page, 9));
    let at = region.map(1, 2, READ, ANONYMOUS | MapFlags::FIXED, Handle::NONE, 0).map_err(text)?;
    equal(at, region.address(1))?;
    equal([0, 1, 2, 3].map(|page| region.read(page)), [9, 0, 0, 9])?;
    equal(region.can_write(1), Ok(false))
}

fn fixed_no_replace() -> Result<(), String> {
    let region = Region::memory(4).map_err(text)?;
    region.write(1, 9);
    let flags = ANONYMOUS | MapFlags::FIXED_NOREPLACE;
    let map = |at, pages| region.map(at, pages, READ | WRITE, flags, Handle::NONE, 0);
    equal(map(1, 1), Err(Errno::EXIST))?;
    // It wins over the flag that replaces.
    let both = flags | MapFlags::FIXED;
    equal(region.map(1, 1, READ, both, Handle::NONE, 0), Err(Errno::EXIST))?;
    region.unmap(2, 2).map_err(text)?;
    equal(map(1, 2), Err(Errno::EXIST))?;
    equal(region.read(1), 9)?;
    equal(map(2, 2), Ok(region.address(2)))?;
    equal(region.read(2), 0)
}

fn hint() -> Result<(), String> {
    let region = Region::memory(2).map_err(text)?;
    region.unmap(1, 1).map_err(text)?;
    equal(region.map(1, 1, READ, ANONYMOUS, Handle::NONE, 0), Ok(region.address(1)))?;
    // Taken: somewhere else, and what is there stays.
    let at = u64::try_from(region.address(0)).map_err(text)?;
    let other = crate::region::map_raw(at, PAGE as u64, READ.bits(), ANONYMOUS.bits()).map_err(text)?;
    equal((other == at, region.can_write(0)), (false, Ok(true)))
}

fn senseless() -> Result<(), String> {
    let region = Region::memory(2).map_err(text)?;
    let map = |flags: MapFlags, pages| region.map(0, pages, READ, flags, Handle::NONE, 0);
    equal(map(ANONYMOUS, 0), Err(Errno::INVAL))?;
    equal(map(MapFlags::ANONYMOUS, 1), Err(Errno::INVAL))?;
    equal(map(ANONYMOUS | MapFlags::SHARED, 1), Err(Errno::INVAL))?;
    equal(map(MapFlags::from_bits_retain(0x8000_0000) | ANONYMOUS, 1), Err(Errno::INVAL))?;
    let beyond = Protection::from_bits_retain(8);
    equal(region.map(0, 1, beyond, ANONYMOUS, Handle::NONE, 0), Err(Errno::INVAL))?;
    equal(region.protect(0, 1, beyond), Err(Errno::INVAL))?;
    equal(region.protect(0, 0, READ), Err(Errno::INVAL))?;
    equal(region.unmap(0, 0), Err(Errno::INVAL))?;
    equal(region.map(0, 1, READ, MapFlags::PRIVATE, Handle::NONE, 0), Err(Errno::BADF))?;
    equal(region.can_read(0), Ok(true))
}

fn forbidden_places() -> Result<(), String> {
    let fixed = (ANONYMOUS | MapFlags::FIXED).bits();
    for place in [0, 0x1000, 1 << 48, 1 << 55, 0xFFFF_0000_0000_0000, u64::MAX - 4095] {
        let mapped = crate::region::map_raw(place, PAGE as u64, READ.bits(), fixed);
        equal(mapped.is_err(), true)?;
    }
    equal(crate::region::map_raw(0x1_0001, PAGE as u64, READ.bits(), fixed), Err(Errno::INVAL))?;
    equal(crate::region::map_raw(0, u64::MAX, READ.bits(), ANONYMOUS.bits()), Err(Errno::NOMEM))
}

fn partial_unmap() -> Result<(), String> {
    let region = Region::memory(5).map_err(text)?;
    (0..5).for_each(|page| region.write(page, 5));
    region.unmap(1, 1).map_err(text)?;
    region.unmap(3, 1).map_err(text)?;
    for page in 0..5 {
        equal(region.can_read(page), Ok(page % 2 == 0))?;
    }
    equal([0, 2, 4].map(|page| region.read(page)), [5; 3])
}

fn unmap_nothing() -> Result<(), String> {
    let region = Region::memory(2).map_err(text)?;
    region.unmap(0, 2).map_err(text)?;
    region.unmap(0, 2).map_err(text)
}

fn unmap_many() -> Result<(), String> {
    const MANY: usize = 2_000;
    let region = Region::memory(MANY).map_err(text)?;
    (0..MANY).for_each(|page| region.write(page, 1));
    region.unmap(1, MANY - 2).map_err(text)?;
    equal([0, MANY - 1].map(|page| region.read(page)), [1; 2])?;
    for page in [1, 2, 127, 128, 129, 1_000, MANY - 2] {
        equal(region.can_read(page), Ok(false))?;
    }
    Ok(())
}

fn partial_protect() -> Result<(), String> {
    let region = Region::memory(5).map_err(text)?;
    (0..5).for_each(|page| region.write(page, 3));
    region.protect(2, 2, READ).map_err(text)?;
    equal([0, 1, 2, 3, 4].map(|page| region.read(page)), [3; 5])?;
    for (page, writable) in [true, true, false, false, true].into_iter().enumerate() {
        equal(region.can_write(page), Ok(writable))?;
    }
    region.protect(0, 5, READ | WRITE).map_err(text)?;
    equal(region.can_write(2), Ok(true))
}

fn protect_hole() -> Result<(), String> {
    let region = Region::memory(3).map_err(text)?;
    region.unmap(1, 1).map_err(text)?;
    equal(region.protect(0, 3, READ), Err(Errno::NOMEM))?;
    equal(region.can_write(0), Ok(true))
}

fn no_access() -> Result<(), String> {
    let region = Region::memory(1).map_err(text)?;
    region.write(0, 77);
    region.protect(0, 1, Protection::empty()).map_err(text)?;
    equal(region.can_read(0), Ok(false))?;
    region.protect(0, 1, READ).map_err(text)?;
    equal(region.read(0), 77)
}

fn reserved() -> Result<(), String> {
    let region = Region::reserve(2).map_err(text)?;
    equal((region.can_read(0), region.can_write(1)), (Ok(false), Ok(false)))
}

fn touches_reserved() -> Result<(), String> {
    dies_of("touch-reserved")
}

fn commit() -> Result<(), String> {
    let region = Region::reserve(8).map_err(text)?;
    region.protect(2, 4, READ | WRITE).map_err(text)?;
    for page in 0..8 {
        equal(region.can_write(page), Ok((2..6).contains(&page)))?;
    }
    // And back to nothing, in one step.
    let flags = ANONYMOUS | MapFlags::FIXED;
    region.map(2, 2, Protection::empty(), flags, Handle::NONE, 0).map_err(text)?;
    equal((region.can_read(2), region.can_read(4)), (Ok(false), Ok(true)))
}

fn terabyte() -> Result<(), String> {
    let pages = (1 << 40) / PAGE;
    let region = Region::reserve(pages).map_err(text)?;
    for page in [0, pages / 2, pages - 1] {
        region.protect(page, 1, READ | WRITE).map_err(text)?;
        region.write(page, 1);
        equal(region.read(page), 1)?;
    }
    equal(region.can_read(pages / 3), Ok(false))
}

const LIMIT: usize = 64 << 20;

fn over_limit() -> Result<(), String> {
    let mut command = crate::child(AREA.name, "over-limit");
    command.limits(LIMIT as u64, 0, 0);
    equal(command.status().map_err(text)?.code(), Some(0))
}

/// What a child under the limit finds; 0 = all as it should be.
fn limited() -> i32 {
    let pages = 2 * LIMIT / PAGE;
    let Ok(region) = Region::reserve(pages) else { return 2 };
    if region.protect(0, pages, READ | WRITE) != Err(Errno::NOMEM) || region.can_read(0) != Ok(false) {
        return 3;
    }
    // A quarter goes, and goes again after it was given back.
    for _ in 0..5 {
        if region.protect(0, pages / 8, READ | WRITE).is_err() {
            return 4;
        }
        let flags = ANONYMOUS | MapFlags::FIXED;
        if region.map(0, pages / 8, Protection::empty(), flags, Handle::NONE, 0).is_err() {
            return 5;
        }
    }
    i32::from(sys::map_anonymous(2 * LIMIT, READ) != Err(Errno::NOMEM))
}

fn hog() -> Result<(), String> {
    const KILL: i32 = 9;
    let region = Region::memory(64).map_err(text)?;
    let free = || sys::system_info().map(|info| info.memory_free + info.memory_cached);
    let before = free().map_err(text)?;
    equal(run("hog")?.signal(), Some(KILL))?;
    // Its parent, which needed pages as well, has them; and all that it held is back.
    (0..64).for_each(|page| region.write(page, 5));
    let after = free().map_err(text)?;
    equal(after + (2 << 20) > before, true)
}

fn discard() -> Result<(), String> {
    let region = Region::memory(300).map_err(text)?;
    (0..300).for_each(|page| region.write(page, 8));
    region.discard(1, 298).map_err(text)?;
    equal([0, 299].map(|page| region.read(page)), [8; 2])?;
    for page in [1, 2, 150, 298] {
        equal(region.read(page), 0)?;
        region.write(page, 1);
    }
    // Also what may only be read just now.
    region.protect(150, 1, READ).map_err(text)?;
    region.discard(150, 1).map_err(text)?;
    equal(region.read(150), 0)
}

fn discard_hole() -> Result<(), String> {
    let region = Region::memory(3).map_err(text)?;
    region.write(0, 6);
    region.unmap(1, 1).map_err(text)?;
    equal(region.discard(0, 3), Err(Errno::NOMEM))?;
    equal(region.discard(0, 0), Err(Errno::INVAL))?;
    equal(region.read(0), 6)
}

fn heap() -> Result<(), String> {
    const LARGE: u64 = 8 << 20;
    let resident = || process::usage().map(|usage| usage.resident).map_err(text);
    let before = resident()?;
    for _ in 0..3 {
        let block = vec![1_u8; 8 << 20];
        equal((resident()? >= before + LARGE, block.last()), (true, Some(&1)))?;
        drop(block);
        equal(resident()? < before + LARGE / 8, true)?;
    }
    Ok(())
}
