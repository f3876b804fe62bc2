//! From a bare kernel to init: the system image is mounted, its signature and blocks verified on the way.
//!
//! Booting is work like any other: a step is done when a CPU comes by, and what waits for the disk is done when the
//! disk has answered.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use core::sync::atomic::Ordering;

use swos_abi::{Capabilities, ExitRecord, Handle, NetworkConfig, Rights};
use swos_basefs::BaseFs;
use swos_handles::HandleTable;
use swos_path::Path;
use swos_signals::ProcessSignals;
use swos_swosbase::{
    BLOCK_SIZE, Error as ImageError, PublicKey, v3,
    v4::{Capacity, Mount, Progress},
};
use swos_units::{Duration, Frame};
use swos_vfs::{LastLink, Namespace, Principal, Remembered, Scope, Vfs};

use crate::{
    Kernel, Level, Machine, Threshold,
    files::{Names, Sha},
    load::Strings,
    machine::Power,
    process::{FIRST_SESSION, HANDLES_MAX, Identity, Limits, NAME_LEN, THREADS_MAX, View},
    slice::Credit,
    spawn::Birth,
    wait::Why,
};

/// The first program.
const INIT: &[u8] = b"/bin/init";

/// What the kernel is told at boot.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keys whose signature on an image counts.
    pub trusted_keys: Vec<PublicKey>,
    /// Oldest image version that may be mounted.
    pub version_floor: u64,
    /// Network configuration from the command line.
    pub network: Option<NetworkConfig>,
    /// How long a disk may take for a read before it is reset.
    pub disk_timeout: Duration,
    /// Arguments of init after its name, each ended by a zero byte.
    pub init_args: Vec<u8>,
    /// From which level on log records appear on the console.
    pub console_level: Level,
    /// Sources of records that are kept from another level on than all.
    pub log_sources: Vec<(String, Threshold)>,
}

/// How far booting is.
#[derive(Debug)]
pub(crate) struct Boot(Stage);

#[derive(Debug)]
enum Stage {
    New,
    Mounting(Box<Mount>),
    /// An image of version 3 is read and verified as a whole, and kept.
    Loading(Box<Loading>),
    /// The image is mounted; init's first page is being read.
    Starting,
    Done,
}

#[derive(Debug)]
struct Loading {
    mount: v3::Mount,
    /// The pages of its files that are there already.
    frames: Vec<Option<Frame>>,
}

/// Takes frames of the machine for the pages of an image.
struct Keeper<'a, M: Machine> {
    kernel: &'a Kernel<M>,
    frames: &'a mut Vec<Option<Frame>>,
}

impl<M: Machine> v3::Pages for Keeper<'_, M> {
    fn store(&mut self, page: u64, offset: usize, bytes: &[u8]) -> Result<(), ImageError> {
        let at = usize::try_from(page).map_err(|_| ImageError::OutOfMemory)?;
        if at >= self.frames.len() {
            self.frames.try_reserve(at + 1 - self.frames.len()).map_err(|_| ImageError::OutOfMemory)?;
            self.frames.resize(at + 1, None);
        }
        let machine = &self.kernel.machine;
        let slot = self.frames.get_mut(at).ok_or(ImageError::OutOfMemory)?;
        let frame = match *slot {
            Some(frame) => frame,
            None => {
                // What was read of the disk so far is in the page cache, where nobody needs it any more.
                let frame = machine.alloc_frame().or_else(|| {
                    self.kernel.shrink_page_cache(64);
                    machine.alloc_frame()
                });
                let frame = frame.ok_or(ImageError::OutOfMemory)?;
                machine.zero_frame(frame);
                *slot.insert(frame)
            }
        };
        machine.write_frame(frame, offset, bytes);
        Ok(())
    }
}

/// Why booting can't go on.
type Failure = String;

impl Boot {
    pub(crate) const fn new() -> Self {
        Self(Stage::New)
    }
}

impl<M: Machine> Kernel<M> {
    /// Does the next piece of booting, if there is one and it can be done now. True = there is more.
    #[inline]
    pub(crate) fn boot_step(&self) -> bool {
        !self.is_booted() && self.boot_on()
    }

    /// Whether init is started, or never will be.
    pub(crate) fn is_booted(&self) -> bool {
        self.booted.load(Ordering::Relaxed)
    }

    #[cold]
    #[inline(never)]
    fn boot_on(&self) -> bool {
        // Waits for a CPU that is at it: to turn away could leave nobody to see what the disk has brought meanwhile. One step
        // is bounded, and the others have nothing else to do yet.
        let mut boot = self.boot.lock();
        let stage = core::mem::replace(&mut boot.0, Stage::Done);
        let (stage, more) = match self.advance(stage) {
            Ok(next) => next,
            Err(failure) => {
                self.log(Level::Error, "boot", format_args!("{failure}"));
                self.machine.power(Power::Off { code: 1 });
                (Stage::Done, false)
            }
        };
        self.booted.store(matches!(stage, Stage::Done), Ordering::Relaxed);
        boot.0 = stage;
        more
    }

    fn advance(&self, stage: Stage) -> Result<(Stage, bool), Failure> {
        match stage {
            Stage::New => {
                if self.machine.entropy().is_none() {
                    self.log(
                        Level::Warning,
                        "boot",
                        format_args!("no source of entropy: no network, predictable addresses"),
                    );
                }
                self.start_mount()
            }
            Stage::Mounting(mount) => self.mount(mount),
            Stage::Loading(loading) => self.load_image(loading),
            Stage::Starting => {
                let started = self.start_init()?;
                Ok(if started { (Stage::Done, true) } else { (Stage::Starting, false) })
            }
            Stage::Done => Ok((Stage::Done, false)),
        }
    }

    /// Sets out to mount from the selected disk, or from the first one after it that can hold an image.
    fn start_mount(&self) -> Result<(Stage, bool), Failure> {
        while self.machine.block_count() == 0 {
            if !self.next_disk() {
                return Err("no system disk: attach a virtio-blk device with a base image".into());
            }
        }
        let mount = Mount::new(&self.config.trusted_keys, self.capacity(), self.config.version_floor);
        Ok((Stage::Mounting(Box::new(mount)), true))
    }

    /// The selected disk is an image and nothing else.
    fn capacity(&self) -> Capacity {
        Capacity::exactly(self.machine.block_count() * BLOCK_SIZE as u64)
    }

    fn next_disk(&self) -> bool {
        let selected = self.machine.next_disk();
        if selected {
            self.files.on_next_disk(self.machine.block_count());
        }
        selected
    }

    fn mount(&self, mut mount: Box<Mount>) -> Result<(Stage, bool), Failure> {
        match mount.poll() {
            Progress::Need { first_block, count } => {
                let sha = Sha(&self.machine);
                let there =
                    self.image_blocks(first_block, count, |block, bytes| mount.on_block(&sha, block, bytes))?;
                Ok((Stage::Mounting(mount), there))
            }
            // Somebody else's disk, however it came before ours.
            Progress::Failed(ImageError::BadMagic) if self.next_disk() => self.start_mount(),
            Progress::Failed(ImageError::UnsupportedVersion { found: v3::VERSION }) => {
                let mount =
                    v3::Mount::new(&self.config.trusted_keys, self.capacity(), self.config.version_floor);
                Ok((Stage::Loading(Box::new(Loading { mount, frames: Vec::new() })), true))
            }
            Progress::Failed(error) => Err(refused(error)),
            Progress::Ready => {
                let image = mount.finish().map_err(refused)?;
                let version = image.superblock.image_version;
                *self.files.verifier.lock() = Some(image.blocks);
                self.set_root(BaseFs::new(image.index, self.files.disk()))?;
                self.log(
                    Level::Info,
                    "boot",
                    format_args!("base image version {version}: signature good, mounted as /"),
                );
                self.mounted()
            }
        }
    }

    fn load_image(&self, mut loading: Box<Loading>) -> Result<(Stage, bool), Failure> {
        match loading.mount.poll() {
            Progress::Need { first_block, count } => {
                let sha = Sha(&self.machine);
                let Loading { mount, frames } = &mut *loading;
                let mut keeper = Keeper { kernel: self, frames };
                let there = self.image_blocks(first_block, count, |block, bytes| {
                    mount.on_block(&sha, block, bytes, &mut keeper);
                })?;
                Ok((Stage::Loading(loading), there))
            }
            Progress::Failed(error) => Err(refused(error)),
            Progress::Ready => {
                let Loading { mount, frames } = *loading;
                let index = mount.finish().map_err(refused)?;
                // Every page of every file was stored.
                let frames: Vec<Frame> = frames.into_iter().flatten().collect();
                let kib = frames.len() * (BLOCK_SIZE / 1024);
                self.set_root(BaseFs::resident(index, frames))?;
                self.log(
                    Level::Info,
                    "boot",
                    format_args!(
                        "base image of format 3: signature and all files good, {kib} KiB kept, mounted as /"
                    ),
                );
                self.mounted()
            }
        }
    }

    /// Hands blocks of the disk over when all are there. False: they are on their way.
    ///
    /// The first look starts all reads. Only the first is certain to be needed: the others are read on, perhaps into a file,
    /// and a block that can't be read is only an end of them.
    fn image_blocks(
        &self,
        first_block: u64,
        count: u32,
        mut on_block: impl FnMut(u64, &[u8; BLOCK_SIZE]),
    ) -> Result<bool, Failure> {
        let asked = first_block..first_block + u64::from(count);
        let (mut all, mut end) = (true, asked.end);
        for block in asked {
            match self.raw_block(block, |_| {}) {
                Ok(there) => all &= there,
                Err(_) if block > first_block => end = end.min(block),
                Err(_) => return Err(alloc::format!("disk: block {block} can't be read")),
            }
        }
        if all {
            for block in first_block..end {
                let _ = self.raw_block(block, |bytes| on_block(block, bytes));
            }
        }
        Ok(all)
    }

    /// What is mounted is the root of all names.
    fn set_root(&self, image: BaseFs) -> Result<(), Failure> {
        let mut vfs = Vfs::new();
        let id = vfs.attach(Box::new(image)).map_err(|error| alloc::format!("mount: {error}"))?;
        let root = vfs.root_of(id).map_err(|error| alloc::format!("mount: {error}"))?;
        let namespace = Namespace::new(root);
        let (remembered, mapped) = (Remembered::new(), BTreeMap::new());
        self.files.image.store(id.get(), Ordering::Relaxed);
        *self.files.names.lock() =
            Some(Names { vfs, namespace, root, remembered, writable: [None; 3], mapped });
        self.mount_writable();
        Ok(())
    }

    fn mounted(&self) -> Result<(Stage, bool), Failure> {
        if let Some(network) = &self.config.network
            && let Err(errno) = self.configure_network(self.machine.cpu_index(), network)
        {
            self.log(Level::Error, "net", format_args!("configuration of the command line: {errno}"));
        }
        Ok((Stage::Starting, true))
    }

    /// Starts the first process. False = its first page is still on its way.
    fn start_init(&self) -> Result<bool, Failure> {
        let failed = |what: &dyn core::fmt::Display| alloc::format!("/bin/init can't be started: {what}");
        let (vnode, root) = {
            let names = self.files.names.lock();
            let names = names.as_ref().ok_or_else(|| failed(&"nothing is mounted"))?;
            let scope =
                Scope { namespace: &names.namespace, root: names.root, start: names.root, who: Principal(1) };
            let path = Path::new(INIT).map_err(|error| failed(&error))?;
            let found = names.vfs.resolve(&scope, path, LastLink::Follow).map_err(|error| failed(&error))?;
            (found.vnode, names.root)
        };
        let plan = match self.load_plan(None, vnode) {
            Ok(plan) => plan,
            Err(stop) => match stop.why() {
                Why::Wait => return Ok(false),
                Why::Errno(errno) => return Err(failed(&errno)),
                Why::Fault(_) | Why::Again | Why::GiveWay | Why::Exit => {
                    return Err(failed(&"unexpected stop"));
                }
            },
        };
        let mut texts = INIT.to_vec();
        texts.push(0);
        texts.extend_from_slice(&self.config.init_args);
        let strings = Strings { args_len: texts.len(), texts };
        let limits = Limits { memory: 1 << 36, handles: HANDLES_MAX, threads: THREADS_MAX, cpu_ns: u64::MAX };
        let charge = self.account.charge().map_err(|errno| failed(&errno))?;
        let mut loading =
            self.begin_load(&plan, vnode, strings, limits.memory).map_err(|errno| failed(&errno))?;
        let start = loop {
            let slice = self.load_slice(&mut loading, &mut Credit::new());
            if let Some(start) = slice.map_err(|errno| failed(&errno))? {
                break start;
            }
        };
        let console = Self::console_object();
        let rights = Rights::READ | Rights::WRITE | Rights::DUPLICATE | Rights::TRANSFER | Rights::GETATTR;
        let mut handles = HandleTable::new(limits.handles);
        for slot in 0..3 {
            let object = if slot == 0 { console.clone() } else { console.clone().opened() };
            handles
                .insert_at(Handle(slot), object, rights)
                .map_err(|error| failed(&crate::calls::handle_errno(error)))?;
        }
        let mut name = [0; NAME_LEN];
        for (to, from) in name.iter_mut().zip(b"init") {
            *to = *from;
        }
        let birth = Birth {
            parent: 0,
            charge,
            name,
            identity: Identity { principal: 1, session: FIRST_SESSION },
            capabilities: Capabilities::all(),
            limits,
            view: View { root, directory: root },
            group: None,
            // Who may signal it could end the machine otherwise.
            signals: ProcessSignals::shielded(),
            handles,
            sink: None,
            space: loading.space,
            start,
        };
        self.give_birth(birth).map_err(|(_, errno)| failed(&errno))?;
        if !self.audit_and_log() {
            return Err("memory protection is broken: nothing is started".into());
        }
        Ok(true)
    }

    /// Init is gone: nothing can go on.
    pub(crate) fn init_ended(&self, record: &ExitRecord) {
        self.log(
            Level::Error,
            "boot",
            format_args!("init ended (cause {}, code {}): power off", record.cause, record.code),
        );
        self.machine.power(Power::Off { code: 1 });
    }
}

fn refused(error: ImageError) -> Failure {
    alloc::format!("base image refused: {error}")
}
