//! The disk behind the page cache: reads go out and come back, and one that does not come back is not waited for for ever.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use swos_blockio::{Outcome, Queue, REQUEST_BLOCKS_MAX};
use swos_pagecache::{ReadError, Trust};
use swos_units::{Frame, Instant};

use crate::{
    Kernel, Machine,
    files::{Pages, Target},
    log::Level,
    wait::WaitKey,
};

/// Blocks that are told of in one piece of work.
const TOLD_AT_ONCE: u32 = REQUEST_BLOCKS_MAX;

/// When the disk is overdue, and which CPU looks then.
pub(crate) struct DiskTimer {
    at: AtomicU64,
    cpu: AtomicUsize,
}

impl Default for DiskTimer {
    fn default() -> Self {
        Self { at: AtomicU64::new(u64::MAX), cpu: AtomicUsize::new(0) }
    }
}

impl<M: Machine> Kernel<M> {
    /// Gives the disk as many reads as it takes.
    pub(crate) fn pump(&self, pages: &mut Pages) {
        let now = self.machine.now();
        let Some(queue) = &mut pages.queue else { return };
        while let Some(submit) = queue.poll(now) {
            let mut frames = [Frame::default(); REQUEST_BLOCKS_MAX as usize];
            let mut count = 0;
            for (slot, target) in frames.iter_mut().zip(queue.targets(submit.id)) {
                *slot = target.frame;
                count += 1;
            }
            let number = submit.id.slot();
            let list = frames.get(..count).unwrap_or(&[]);
            if self.machine.block_read(u32::from(number), submit.first_block, list).is_err() {
                // It takes fewer than we thought: this read failed, and is tried once more later.
                let _ = queue.on_complete(submit.id, Outcome::Failed);
                break;
            }
            if let Some(flight) = pages.flights.get_mut(usize::from(number)) {
                *flight = Some(submit.id);
            }
        }
        self.set_disk_timer(pages, now);
    }

    fn set_disk_timer(&self, pages: &Pages, now: Instant) {
        let Some(queue) = &pages.queue else { return };
        let due = if queue.has_completed() { Some(now) } else { queue.deadline() };
        let (at, cpu) = (due.map_or(u64::MAX, Instant::as_nanos), self.machine.cpu_index());
        self.disk_timer.at.store(at, Ordering::Relaxed);
        self.disk_timer.cpu.store(cpu, Ordering::Relaxed);
        // Not only when this CPU next sets its timer: a program that makes no calls may have it until then.
        self.set_timer_by(cpu, at);
    }

    /// When this CPU must look after the disk, in nanoseconds; `u64::MAX` = another does, or nothing is due.
    pub(crate) fn disk_deadline(&self, cpu: usize) -> u64 {
        if self.disk_timer.cpu.load(Ordering::Relaxed) == cpu {
            self.disk_timer.at.load(Ordering::Relaxed)
        } else {
            u64::MAX
        }
    }

    /// The timer of this CPU fired.
    pub(crate) fn on_disk_timer(&self, cpu: usize, now: Instant) {
        if self.disk_deadline(cpu) <= now.as_nanos() {
            self.look_after_disk(now);
        }
    }

    /// The disk completed reads.
    pub(crate) fn on_block(&self) {
        let mut pages = self.files.pages.lock();
        while let Some((number, result)) = self.machine.block_completion() {
            let flight = usize::try_from(number).ok().and_then(|at| pages.flights.get_mut(at)?.take());
            let (Some(id), Some(queue)) = (flight, &mut pages.queue) else { continue };
            let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
            if queue.on_complete(id, outcome).is_err() {
                continue;
            }
            self.pump(&mut pages);
            self.tell(&mut pages);
        }
        self.set_disk_timer(&pages, self.machine.now());
    }

    /// Tells who waits for blocks that are done with; not of too many at once.
    fn tell(&self, pages: &mut Pages) {
        for _ in 0..TOLD_AT_ONCE {
            let Some(done) = pages.queue.as_mut().and_then(Queue::completed) else { break };
            let key = WaitKey::Block { number: done.block };
            let Target { ticket, frame } = done.target;
            match done.outcome {
                Outcome::Done => {
                    pages.cache.filled(ticket, frame, Trust::Unverified);
                    self.wake_all(key);
                }
                Outcome::Failed => {
                    self.machine.release_frame(frame);
                    let waiters = self.wake(key, usize::MAX);
                    // The mount waits without a thread, and must hear of it.
                    let booting = u32::from(!self.booted.load(Ordering::Relaxed));
                    let waiters = u32::try_from(waiters).unwrap_or(u32::MAX).max(booting);
                    pages.cache.failed(ticket, ReadError::Device, waiters);
                    self.log(Level::Error, "disk", format_args!("block {} can't be read", done.block));
                }
            }
        }
    }

    /// Something is left to tell, or a read is overdue: then the disk is reset, and what it had is asked for again or given up, as
    /// the queue decides. A disk that does not even reset is not spoken to again, and what it was lent stays lent.
    #[cold]
    fn look_after_disk(&self, now: Instant) {
        // Perhaps it only forgot to interrupt.
        self.on_block();
        let mut pages = self.files.pages.lock();
        let Pages { queue: Some(queue), flights, .. } = &mut *pages else { return };
        if queue.deadline().is_some_and(|due| due <= now) {
            let reads = queue.in_flight();
            if self.machine.block_reset().is_ok() {
                queue.on_reset();
                self.log(Level::Error, "disk", format_args!("no answer to {reads} reads: reset"));
            } else {
                for target in queue.flights().flat_map(|id| queue.targets(id)) {
                    // It may still write there: a reference that nobody gives back.
                    self.machine.share_frame(target.frame);
                }
                queue.close();
                self.log(
                    Level::Error,
                    "disk",
                    format_args!("no answer to {reads} reads, nor to a reset: given up"),
                );
            }
            // Numbers of the driver mean other reads from now on.
            flights.fill(None);
        }
        self.tell(&mut pages);
        self.pump(&mut pages);
    }
}
