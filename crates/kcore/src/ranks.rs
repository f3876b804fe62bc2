//! Ranks of the kernel's locks, in the order in which they are taken.

use swos_sync::Rank;

/// How far booting is.
pub(crate) const BOOT: &Rank = &Rank::new(5, "boot");
/// The search for who holds most memory.
pub(crate) const OOM: &Rank = &Rank::new(7, "search for memory");
/// The processes and who is whose child.
pub(crate) const PROCESSES: &Rank = &Rank::new(10, "processes");
/// The threads of one process and how it ended.
pub(crate) const THREADS: &Rank = &Rank::new(15, "threads");
/// The limits of one process.
pub(crate) const LIMITS: &Rank = &Rank::new(16, "limits");
/// The signals of one process.
pub(crate) const PROCESS_SIGNALS: &Rank = &Rank::new(17, "signals of a process");
/// The signals of one thread.
pub(crate) const THREAD_SIGNALS: &Rank = &Rank::new(18, "signals of a thread");
/// One address space.
pub(crate) const SPACE: &Rank = &Rank::new(20, "address space");
/// One process's handles.
pub(crate) const HANDLES: &Rank = &Rank::new(25, "handles");
/// One open file's position, one process's current directory.
pub(crate) const FILE: &Rank = &Rank::new(30, "file");
/// Where one process's calls are told.
pub(crate) const SINK: &Rank = &Rank::new(31, "sink");
/// What is mounted, and every name in it.
pub(crate) const NAMES: &Rank = &Rank::new(35, "names");
/// The pipes with a name that are open.
pub(crate) const FIFOS: &Rank = &Rank::new(37, "fifos");
/// One readiness set.
pub(crate) const READY_SET: &Rank = &Rank::new(40, "readiness set");
/// Memory objects of which only frames are left.
pub(crate) const DEAD_MEMORY: &Rank = &Rank::new(42, "dead memory");
/// One memory object.
pub(crate) const MEMORY: &Rank = &Rank::new(43, "memory object");
/// Files of which pages that went are still mapped.
pub(crate) const CUTS: &Rank = &Rank::new(44, "cuts");
/// File pages and the disk queue.
pub(crate) const PAGES: &Rank = &Rank::new(45, "pages");
/// One file in memory that is mapped.
pub(crate) const MAPPED_FILE: &Rank = &Rank::new(46, "mapped file");
/// The hashes of the mounted image.
pub(crate) const VERIFIER: &Rank = &Rank::new(47, "verifier");
/// The network stack and its sockets.
pub(crate) const NET: &Rank = &Rank::new(50, "network");
/// Endpoints that are dead but not empty.
pub(crate) const DEAD_ENDPOINTS: &Rank = &Rank::new(51, "dead endpoints");
/// One endpoint.
pub(crate) const ENDPOINT: &Rank = &Rank::new(52, "endpoint");
/// One pipe.
pub(crate) const PIPE: &Rank = &Rank::new(53, "pipe");
/// One event or timer.
pub(crate) const COUNTER: &Rank = &Rank::new(54, "counter");
/// Console input.
pub(crate) const CONSOLE: &Rank = &Rank::new(55, "console");
/// Who watches an object for readiness.
pub(crate) const WATCHERS: &Rank = &Rank::new(57, "watchers");
/// Who waits for what.
pub(crate) const WAITS: &Rank = &Rank::new(60, "waits");
/// What only the CPU that runs a thread touches of it.
pub(crate) const THREAD_PRIVATE: &Rank = &Rank::new(59, "thread, private");
/// One thread's scheduling state.
pub(crate) const THREAD: &Rank = &Rank::new(70, "thread");
/// One CPU's timers.
pub(crate) const TIMERS: &Rank = &Rank::new(75, "timers");
/// One CPU's run queue.
pub(crate) const RUN_QUEUE: &Rank = &Rank::new(80, "run queue");
/// Processes that are being taken apart.
pub(crate) const TEARDOWN: &Rank = &Rank::new(82, "teardown");
/// Work that was left for later.
pub(crate) const WORK: &Rank = &Rank::new(83, "work");
/// Address space ids.
pub(crate) const ASIDS: &Rank = &Rank::new(85, "asids");
/// The ASID of one address space.
pub(crate) const SPACE_TAG: &Rank = &Rank::new(86, "asid");
/// The kernel's random numbers.
pub(crate) const RANDOM: &Rank = &Rank::new(88, "random");
/// The kernel's log.
pub(crate) const LOG: &Rank = &Rank::new(90, "log");
