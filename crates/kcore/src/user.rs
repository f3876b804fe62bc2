//! Reading and writing the caller's memory: the only way in which a call touches it.
//!
//! A length from a program is a number until it was bounded here. No lock is held across these functions.

use alloc::vec::Vec;

use swos_abi::{Errno, PATH_MAX};
use swos_units::VirtAddr;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    Kernel, Machine,
    wait::{Stop, read_fault, write_fault},
};

/// Bytes that one step of a call copies through the kernel's stack.
pub(crate) const CHUNK: usize = 512;
/// Bytes of a path that is kept on the kernel's stack.
const SHORT_PATH: usize = 64;

impl<M: Machine> Kernel<M> {
    /// Copies bytes in.
    pub(crate) fn copy_in(&self, from: u64, to: &mut [u8]) -> Result<(), Stop> {
        let from = user_range(from, to.len() as u64)?;
        self.machine.copy_in(from, to).map_err(read_fault)
    }

    /// Copies bytes out.
    pub(crate) fn copy_out(&self, to: u64, from: &[u8]) -> Result<(), Stop> {
        let to = user_range(to, from.len() as u64)?;
        self.machine.copy_out(to, from).map_err(write_fault)
    }

    /// Reads a record of which the program has `size` bytes: what it lacks is zero, what it has beyond must be zero.
    pub(crate) fn read_record<T: FromBytes + IntoBytes>(&self, from: u64, size: u64) -> Result<T, Stop> {
        let mut record = T::new_zeroed();
        let known = record.as_mut_bytes().len();
        if size > 4096 {
            return Err(Errno::TOOBIG.into());
        }
        let size = usize::try_from(size).map_err(|_| Errno::TOOBIG)?;
        if let Some(part) = record.as_mut_bytes().get_mut(..size.min(known)) {
            self.copy_in(from, part)?;
        }
        let mut rest = [0; 64];
        let mut at = known;
        while at < size {
            let Some(chunk) = rest.get_mut(..(size - at).min(64)) else { break };
            self.copy_in(from.saturating_add(at as u64), chunk)?;
            if chunk.iter().any(|&byte| byte != 0) {
                return Err(Errno::TOOBIG.into());
            }
            at += chunk.len();
        }
        Ok(record)
    }

    /// Writes as much of a record as the program has room for; returns the record's whole size.
    pub(crate) fn write_record<T: IntoBytes + Immutable>(
        &self,
        to: u64,
        size: u64,
        record: &T,
    ) -> Result<u64, Stop> {
        let bytes = record.as_bytes();
        let len = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
        self.copy_out(to, bytes.get(..len).unwrap_or(bytes))?;
        Ok(bytes.len() as u64)
    }

    /// Reads an array of `count` records, at most `max`.
    pub(crate) fn read_array<T: FromBytes + IntoBytes>(
        &self,
        from: u64,
        count: u64,
        max: u64,
    ) -> Result<Vec<T>, Stop> {
        if count > max {
            return Err(Errno::INVAL.into());
        }
        let count = usize::try_from(count).map_err(|_| Errno::INVAL)?;
        let size = size_of::<T>() as u64;
        user_range(from, size.saturating_mul(count as u64))?;
        let mut records = Vec::new();
        records.try_reserve_exact(count).map_err(|_| Errno::NOMEM)?;
        records.resize_with(count, T::new_zeroed);
        self.copy_in(from, records.as_mut_slice().as_mut_bytes())?;
        Ok(records)
    }

    /// Reads `len` bytes, at most `max`, into memory of the kernel.
    pub(crate) fn read_bytes(&self, from: u64, len: u64, max: usize) -> Result<Vec<u8>, Stop> {
        let len = usize::try_from(len).ok().filter(|&len| len <= max).ok_or(Errno::TOOBIG)?;
        user_range(from, len as u64)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::NOMEM)?;
        bytes.resize(len, 0);
        self.copy_in(from, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a path into `room`.
    pub(crate) fn read_path<'a>(
        &self,
        (from, len): (u64, u64),
        room: &'a mut PathBytes,
    ) -> Result<&'a [u8], Stop> {
        let len = usize::try_from(len).ok().filter(|&len| len <= PATH_MAX).ok_or(Errno::NAMETOOLONG)?;
        match room.short.get_mut(..len) {
            Some(short) => {
                self.copy_in(from, short)?;
                Ok(short)
            }
            None => {
                room.long = self.read_bytes(from, len as u64, PATH_MAX)?;
                Ok(&room.long)
            }
        }
    }
}

/// Room for a path out of a program's memory. Most are short: they need no allocation. It stays where it was made: a path is
/// copied once.
pub(crate) struct PathBytes {
    short: [u8; SHORT_PATH],
    long: Vec<u8>,
}

impl PathBytes {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { short: [0; SHORT_PATH], long: Vec::new() }
    }
}

/// Refuses ranges that leave user space, before any byte is touched.
pub(crate) fn user_range(start: u64, len: u64) -> Result<VirtAddr, Stop> {
    let start = VirtAddr::new(start);
    if start.is_user_range(len) { Ok(start) } else { Err(Errno::FAULT.into()) }
}
