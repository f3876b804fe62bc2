//! The process that makes calls with arguments at and beyond all borders. It may die of them, or hang.

use core::{
    arch::naked_asm,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use swos_ulib::{
    abi::{
        CALLS, Capabilities, Handle, MapFlags, NR_COUNTER_TAKE, NR_ENDPOINT_CALL, NR_ENDPOINT_RECEIVE,
        NR_ENDPOINT_REPLY_RECEIVE, NR_EXIT, NR_FUTEX_WAIT, NR_FUTEX_WAIT_UNTIL, NR_POLL, NR_POWER,
        NR_READY_WAIT, NR_SIGNAL_SUSPEND, NR_SIGNAL_WAIT, NR_SLEEP, NR_THREAD_EXIT, Protection, SpawnArgs,
    },
    sys,
};

use crate::calls::call;

/// The handle under which the process gets the memory object where it counts its calls.
pub(crate) const TALLY: u32 = 3;
/// What stands for a call's number if each call may be made.
pub(crate) const ANY: u64 = u64::MAX;

/// Names in the memory to which arguments point.
const PATHS: [&[u8; 6]; 4] = [b"/tmp/a", b"/tmp/b", b"/dev/p", b"/bin/x"];
const PATHS_AT: u64 = 0x800;
/// A record that starts a program, which ends at once.
const RECORD_AT: u64 = 0xC00;
const PROGRAM: &[u8; 12] = b"/bin/hostile";
const PROGRAM_AT: u64 = 0xD00;
/// Words of the memory that change all the time.
const CHANGING: usize = 128;

/// Whether random arguments for a call can tell anything: not for those that only end or wait, or switch off.
pub(crate) const fn is_fuzzed(number: u64) -> bool {
    !matches!(number, NR_EXIT | NR_THREAD_EXIT | NR_SLEEP | NR_POWER)
}

/// Whether nearly every one of its calls waits for something, here mostly for ever.
const fn waits(number: u64) -> bool {
    matches!(
        number,
        NR_SIGNAL_SUSPEND
            | NR_SIGNAL_WAIT
            | NR_POLL
            | NR_FUTEX_WAIT
            | NR_FUTEX_WAIT_UNTIL
            | NR_COUNTER_TAKE
            | NR_READY_WAIT
            | NR_ENDPOINT_CALL
            | NR_ENDPOINT_RECEIVE
            | NR_ENDPOINT_REPLY_RECEIVE
    )
}

/// Numbers by chance; the same seed gives the same ones.
struct Dice(u64);

impl Dice {
    const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        let length = u64::try_from(list.len()).unwrap_or(1).max(1);
        list.get(usize::try_from(self.next() % length).unwrap_or(0)).copied()
    }
}

/// Where a thread may begin, and a handler: it ends the thread.
#[unsafe(naked)]
extern "C" fn landing() -> ! {
    naked_asm!("mov x0, xzr", "mov x8, #{number}", "svc #0", "udf #0", number = const NR_THREAD_EXIT)
}

/// Makes `count` calls of one number (or of any) by these dice, and counts each that came back in a word of the tally. The children
/// of a fork go on with it like their parent: whoever started this ends all.
pub(crate) fn run(number: &str, count: &str, seed: &str, lane: &str) -> i32 {
    let numbers = (number.parse::<u64>(), count.parse::<u64>(), seed.parse::<u64>(), lane.parse::<usize>());
    let (Ok(number), Ok(count), Ok(seed), Ok(lane)) = numbers else { return 2 };
    let Some(tally) = tally(lane) else { return 2 };
    let Ok(memory) = sys::map_anonymous(2 * 4096, Protection::READ | Protection::WRITE) else { return 2 };
    let start = u64::try_from(memory.as_ptr().expose_provenance()).unwrap_or(0);
    furnish(memory.as_ptr(), start);
    many(number, count, Dice::new(seed ^ number << 32), start, tally);
    0
}

/// The word to count in. It lies far from what the calls are about, and without a handle.
fn tally(lane: usize) -> Option<&'static AtomicU32> {
    const FAR: usize = 0x5A_0000_0000;
    let object = Handle(TALLY.into());
    let flags = MapFlags::SHARED | MapFlags::FIXED_NOREPLACE;
    // SAFETY: it replaces nothing.
    let page =
        unsafe { sys::mmap(FAR, 4096, Protection::READ | Protection::WRITE, flags, object, 0) }.ok()?;
    sys::close(object).ok()?;
    // SAFETY: a word of the page, which is used by atomic accesses only, in all processes. A call may unmap it; then this process
    // dies, as it may.
    (lane < 1024).then(|| unsafe { AtomicU32::from_ptr(page.cast::<u32>().add(lane).as_ptr()) })
}

/// Puts names and a record into the memory.
fn furnish(memory: *mut u8, start: u64) {
    let record = SpawnArgs {
        path: start + PROGRAM_AT,
        path_len: PROGRAM.len() as u64,
        args: start + PROGRAM_AT,
        args_len: PROGRAM.len() as u64 + 3,
        capabilities: Capabilities::all().bits(),
        ..SpawnArgs::EMPTY
    };
    // SAFETY: two pages of our own, of which nobody has a reference; each place is within them.
    unsafe {
        for (number, path) in PATHS.iter().enumerate() {
            let at = usize::try_from(PATHS_AT).unwrap_or(0) + 16 * number;
            memory.add(at).cast::<[u8; 6]>().write_unaligned(**path);
        }
        memory.add(usize::try_from(RECORD_AT).unwrap_or(0)).cast::<SpawnArgs>().write_unaligned(record);
        let program = memory.add(usize::try_from(PROGRAM_AT).unwrap_or(0));
        program.cast::<[u8; 12]>().write_unaligned(*PROGRAM);
        // It has no deed of this name.
        program.add(PROGRAM.len()).cast::<[u8; 3]>().write_unaligned(*b"\0-\0");
    }
}

fn many(number: u64, count: u64, mut dice: Dice, start: u64, tally: &AtomicU32) {
    let code = u64::try_from(landing as extern "C" fn() -> ! as usize).unwrap_or(0);
    let borders = [4095, 4096, 65_536, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 47, 1 << 63];
    let beyond = [0xffff_0000_0000_0000, u64::MAX - 4095, u64::MAX - 1, u64::MAX];
    let places = [
        start,
        start + 1,
        start + 64,
        start + 4090,
        start + 4096,
        start + 8192,
        start + RECORD_AT,
        start + PATHS_AT,
        start + PATHS_AT + 16,
        start + PATHS_AT + 32,
        start + PATHS_AT + 48,
        code,
        Handle::CWD.0,
        Handle::NONE.0,
    ];
    let sizes = [16, 24, 32, 40, 48, 64, 80, 96, 128];
    let mut results = [0; 8];
    for _ in 0..count {
        let value = |dice: &mut Dice| {
            let list: &[u64] = match dice.next() % 8 {
                0 | 1 => return dice.next() % 20,
                2 => &results,
                3 => &borders,
                4 => &beyond,
                5 => &sizes,
                _ => &places,
            };
            dice.of(list).unwrap_or(0)
        };
        if dice.next().is_multiple_of(2) {
            let at = usize::try_from(dice.next()).unwrap_or(0) % CHANGING;
            let word = value(&mut dice);
            // SAFETY: within the memory that was mapped for it; if a call has unmapped it, the process dies, as it may.
            unsafe {
                core::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(start).unwrap_or(0))
                    .add(at)
                    .write_volatile(word)
            };
        }
        let chosen = if number == ANY { any(&mut dice) } else { number };
        let arguments = [(); 6].map(|()| value(&mut dice));
        let result = call(chosen, arguments);
        if let Some(place) = results.get_mut(usize::try_from(dice.next() % 8).unwrap_or(0)) {
            *place = result.unwrap_or(u64::MAX);
        }
        tally.fetch_add(1, Relaxed);
    }
}

/// Any call; seldom one that waits, as it would mostly be the last.
fn any(dice: &mut Dice) -> u64 {
    loop {
        let number =
            CALLS.get(usize::try_from(dice.next()).unwrap_or(0) % CALLS.len()).map_or(0, |call| call.number);
        if is_fuzzed(number) && (!waits(number) || dice.next().is_multiple_of(16)) {
            return number;
        }
    }
}
