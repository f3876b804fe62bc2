//! Calls with arguments that no honest program has.

use alloc::{format, string::String};
use core::arch::asm;

use swos_ulib::{
    abi::{self, CALLS, Capabilities, Errno, Handle, MapFlags, OpenFlags, Protection, result_from_raw},
    fs::File,
    sys::{self, raw},
};

use swos_ulib::testing::{Report, equal, text};

/// Addresses that are nobody's, or not for this.
const BAD: [u64; 7] =
    [0, 1, 4095, 0x00ff_0000_0000_0000, 0xffff_0000_0000_0000, 0xffff_ffff_8008_0000, u64::MAX - 7];

const SPAWN_SIZE: u64 = size_of::<abi::SpawnArgs>() as u64;

/// Any call with any registers.
pub(crate) fn call(number: u64, arguments: [u64; 6]) -> Result<u64, Errno> {
    let [a, b, c, d, e, f] = arguments;
    let result: i64;
    // SAFETY: none in general; the callers pass what the kernel must refuse, or run in processes that may die.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f);
    }
    result_from_raw(result)
}

/// Tests whose answers are known.
pub(crate) fn all(report: &mut Report) {
    report.test("unknown calls", || {
        let unknown = |number: &u64| !CALLS.iter().any(|call| call.number == *number);
        for number in (0..300).filter(unknown).chain([1_000, 1 << 32, u64::MAX]) {
            equal(call(number, [0; 6]), Err(Errno::NOSYS))?;
        }
        Ok(())
    });
    report.test("bad handles", || {
        for handle in [3_000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, 1 << 62, 1 << 63, u64::MAX] {
            for number in
                [abi::NR_READ, abi::NR_WRITE, abi::NR_CLOSE, abi::NR_FSTAT, abi::NR_READDIR, abi::NR_ACCEPT]
            {
                equal(
                    (number, handle, call(number, [handle, 0, 0, 0, 0, 0])),
                    (number, handle, Err(Errno::BADF)),
                )?;
            }
        }
        Ok(())
    });
    report.test("closed handles stay closed", || {
        let file = File::open(crate::SELF).map_err(text)?;
        let stale = file.handle();
        drop(file);
        for _ in 0..5_000 {
            let again = File::open(crate::SELF).map_err(text)?;
            equal(again.handle() == stale, false)?;
            equal(sys::fstat(stale).map(drop), Err(Errno::BADF))?;
        }
        Ok(())
    });
    report.test("bad buffers", bad_buffers);
    report.test("lengths beyond everything", lengths);
    report.test("paths", paths);
    report.test("flags and numbers out of range", numbers);
}

fn bad_buffers() -> Result<(), String> {
    let file = File::open(crate::SELF).map_err(text)?;
    let handle = file.handle();
    let text = u64::try_from((all as fn(&mut Report) as usize) & !7).unwrap_or(0);
    for bad in BAD.into_iter().chain([text]) {
        let fault: Result<u64, Errno> = Err(Errno::FAULT);
        // SAFETY: the kernel must refuse the address, all of it.
        unsafe {
            equal((bad, raw::pread(handle, bad, 64, 0)), (bad, fault))?;
            equal((bad, raw::read(handle, bad, 64)), (bad, fault))?;
            equal((bad, raw::fstat(handle, bad, 80)), (bad, fault))?;
            equal((bad, raw::system_info(bad, 112)), (bad, fault))?;
            equal((bad, raw::random(bad, 16)), (bad, fault))?;
        }
    }
    for bad in BAD {
        let fault: Result<u64, Errno> = Err(Errno::FAULT);
        // SAFETY: the kernel must refuse the address, all of it.
        unsafe {
            equal((bad, raw::write(Handle::STDERR, bad, 64)), (bad, fault))?;
            equal((bad, raw::open(Handle::CWD, bad, 4, 1, 0)), (bad, fault))?;
            equal((bad, raw::stat(Handle::CWD, bad, 4, 0, bad, 80)), (bad, fault))?;
            equal((bad, raw::spawn(bad, SPAWN_SIZE)), (bad, fault))?;
            equal((bad, raw::poll(bad, 1, 0)), (bad, fault))?;
            equal((bad, raw::log_write(1, bad, 8)), (bad, fault))?;
        }
    }
    Ok(())
}

/// From a good address over the end of all: an error or a short count, and never a wrap-around.
fn lengths() -> Result<(), String> {
    let file = File::open(crate::SELF).map_err(text)?;
    let mapping = sys::map_anonymous(8192, Protection::READ | Protection::WRITE).map_err(text)?;
    // Behind the first page nothing may lie that a read could write over.
    // SAFETY: the page is ours and not used.
    unsafe { sys::munmap(mapping.add(4096), 4096) }.map_err(text)?;
    let start = u64::try_from(mapping.as_ptr().expose_provenance()).unwrap_or(0);
    let last = start + 4096 - 16;
    for length in [u64::MAX, u64::MAX - start, 1 << 63, 1 << 48, (1 << 47) + 1] {
        // SAFETY: what can be written is the end of a mapping of our own.
        let read = unsafe { raw::pread(file.handle(), last, length, 0) };
        if !matches!(read, Ok(1..=16) | Err(Errno::FAULT | Errno::INVAL)) {
            return Err(format!("pread of {length:#x}: {read:?}"));
        }
        // SAFETY: nothing is written; the mappings are not replaced.
        let results = unsafe {
            [
                raw::mmap(0, length, 3, (MapFlags::PRIVATE | MapFlags::ANONYMOUS).bits(), Handle::NONE, 0),
                raw::munmap(start + (1 << 40), length),
                raw::open(Handle::CWD, start, length, 1, 0),
                raw::poll(start, length, 0),
            ]
        };
        if let Some(good) = results.iter().position(Result::is_ok) {
            return Err(format!("call {good} with {length:#x} succeeded"));
        }
    }
    Ok(())
}

fn paths() -> Result<(), String> {
    let open = |path: &[u8]| {
        sys::open(Handle::CWD, path, OpenFlags::READ, 0).map(|handle| sys::close(handle).is_ok())
    };
    equal(open(&[b'a'; 4097]), Err(Errno::NAMETOOLONG))?;
    equal(open(&[b'a'; 4000]), Err(Errno::NAMETOOLONG))?;
    equal(open(b""), Err(Errno::NOENT))?;
    equal(open(b"/no/such"), Err(Errno::NOENT))?;
    equal(open(b"/bin/hostile/x"), Err(Errno::NOTDIR))?;
    equal(open(b"/bin/hostile\0x").is_err(), true)?;
    equal(open(&b"../".repeat(500)), Ok(true))?;
    equal(open(b"/../../../bin/hostile"), Ok(true))
}

fn numbers() -> Result<(), String> {
    let invalid: Result<u64, Errno> = Err(Errno::INVAL);
    equal(call(abi::NR_MMAP, [0, 4096, 0xff, 0x22, Handle::NONE.0, 0]), invalid)?;
    equal(call(abi::NR_MMAP, [0, 0, 3, 0x22, Handle::NONE.0, 0]), invalid)?;
    equal(call(abi::NR_MMAP, [0, 4096, 3, 0x23, Handle::NONE.0, 0]), invalid)?;
    equal(call(abi::NR_MUNMAP, [1, 4096, 0, 0, 0, 0]), invalid)?;
    equal(call(abi::NR_FUTEX_WAIT, [2, 0, 0, 1, 0, 0]), invalid)?;
    equal(call(abi::NR_CLOCK_GET, [99, 0, 0, 0, 0, 0]), invalid)?;
    equal(call(abi::NR_THREAD_PRIORITY, [32, 0, 0, 0, 0, 0]), invalid)?;
    equal(call(abi::NR_LOG_WRITE, [99, 0, 0, 0, 0, 0]), invalid)
}

/// Runs without any capability: everything that needs one is refused alike, whether its object exists or not.
pub(crate) fn powerless() -> i32 {
    let refused = Err(Errno::ACCES);
    let open = |path: &[u8]| sys::open(Handle::CWD, path, OpenFlags::READ, 0).map(drop);
    let (mut cursor, mut buffer) = (0, [0; 64]);
    let config = abi::NetworkConfig { size: 16, prefix: 24, address: [10, 0, 0, 1], gateway: [0; 4] };
    let answers = [
        open(b"/bin/hostile"),
        open(b"/no/such"),
        sys::stat(Handle::CWD, b"/bin/hostile", OpenFlags::empty()).map(drop),
        sys::chdir(Handle::CWD, b"/").map(drop),
        sys::socket(abi::DOMAIN_IPV4, abi::SOCKET_STREAM).map(drop),
        sys::log_read(&mut cursor, &mut buffer).map(drop),
        sys::net_configure(&config),
        sys::power(abi::POWER_OFF),
        sys::process_info(1).map(drop),
        crate::child(["bystander", ""]).spawn().map(drop),
    ];
    let wrong = answers.iter().position(|answer| *answer != refused);
    if let Some(wrong) = wrong {
        swos_ulib::eprintln!("powerless: answer {wrong} is {:?}", answers.get(wrong));
    }
    // What was dropped does not come back, and asking for more than one has gives nothing.
    let kept = sys::capabilities_drop(Capabilities::all());
    i32::from(wrong.is_some() || kept != Ok(Capabilities::empty()))
}
