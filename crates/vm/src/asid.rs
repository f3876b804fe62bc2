//! Address space identifiers, handed out in generations.

/// An address space identifier, never zero: zero tags nothing of ours, so a CPU between two spaces can use it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Asid(u16);

impl Asid {
    /// The number, for `TTBR0_EL1[63:48]` and TLBI operands.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// How many bits the CPU's ASIDs have. Source: DDI 0487 L.a §D23.2.67 (`ID_AA64MMFR0_EL1.ASIDBits`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AsidWidth {
    /// 255 usable ones.
    Bits8,
    /// 65,535 usable ones.
    Bits16,
}

/// An identifier with the generation in which it is valid. An address space keeps one; the default is valid never.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tag(u64);

const NUMBER_BITS: u32 = 16;

impl Tag {
    const fn new(generation: u64, number: u16) -> Self {
        Self(generation << NUMBER_BITS | number as u64)
    }

    /// The identifier, once one was assigned.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are meant")]
    pub const fn asid(self) -> Option<Asid> {
        if self.0 as u16 == 0 { None } else { Some(Asid(self.0 as u16)) }
    }

    const fn generation(self) -> u64 {
        self.0 >> NUMBER_BITS
    }
}

/// What [`AsidPool::assign`] decided.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Assigned {
    /// The tag is still valid: the usual case.
    Unchanged(Asid),
    /// The space has a new tag, to be stored with it.
    Fresh(Tag),
    /// The same, but a new generation began: every TLB must forget all user translations (`TLBI VMALLE1IS; DSB ISH`)
    /// before the tag is used, and before the caller lets go of the lock around the pool.
    Rollover(Tag),
}

/// Hands out identifiers for up to `CPUS` CPUs.
///
/// Numbers are given out in order and never taken back within a generation, so the end of an address space needs no
/// invalidation. When they run out, a new generation begins; spaces that are running then keep their numbers.
///
/// **Invariant:** between two rollovers a number belongs to one address space only.
#[derive(Debug)]
pub struct AsidPool<const CPUS: usize> {
    generation: u64,
    next: u32,
    end: u32,
    /// Tags that were running when this generation began.
    kept: [Tag; CPUS],
}

impl<const CPUS: usize> AsidPool<CPUS> {
    /// A pool in its first generation. `CPUS` must be below 255.
    #[must_use]
    pub const fn new(width: AsidWidth) -> Self {
        const { assert!(CPUS < 255, "each CPU may keep an ASID across a rollover") };
        let end = match width {
            AsidWidth::Bits8 => 1 << 8,
            AsidWidth::Bits16 => 1 << 16,
        };
        Self { generation: 1, next: 1, end, kept: [Tag(0); CPUS] }
    }

    /// Whether `tag` can be used as it is. The same test as in [`Self::assign`], for a path without the lock.
    #[must_use]
    #[inline]
    pub const fn is_current(&self, tag: Tag) -> bool {
        tag.generation() == self.generation
    }

    /// Makes the tag of a space valid before the space is installed. `running` holds, for each CPU, the tag that the space
    /// installed there has *now* (as stored with the space, not as once written to the register); it matters at a rollover
    /// only. Tags beyond `CPUS` would be ignored.
    #[inline]
    pub fn assign(&mut self, tag: Tag, running: &[Tag]) -> Assigned {
        match tag.asid() {
            Some(asid) if self.is_current(tag) => Assigned::Unchanged(asid),
            _ => self.assign_fresh(tag, running),
        }
    }

    fn assign_fresh(&mut self, tag: Tag, running: &[Tag]) -> Assigned {
        if let Some(fresh) = self.keep(tag) {
            return Assigned::Fresh(fresh);
        }
        if let Some(fresh) = self.take() {
            return Assigned::Fresh(fresh);
        }
        self.generation += 1;
        self.next = 1;
        self.kept = [Tag(0); CPUS];
        for (kept, running) in self.kept.iter_mut().zip(running) {
            *kept = *running;
        }
        // At most 254 numbers are kept, so one of at least 255 is free.
        let fresh = self.keep(tag).or_else(|| self.take()).unwrap_or_default();
        Assigned::Rollover(fresh)
    }

    /// The tag with its old number, if its space was running at the rollover.
    fn keep(&self, tag: Tag) -> Option<Tag> {
        let asid = tag.asid()?;
        self.kept.contains(&tag).then(|| Tag::new(self.generation, asid.get()))
    }

    /// The next number that no running space kept.
    fn take(&mut self) -> Option<Tag> {
        while self.next < self.end {
            let number = u16::try_from(self.next).ok()?;
            self.next += 1;
            if !self.kept.iter().any(|kept| kept.asid() == Some(Asid(number))) {
                return Some(Tag::new(self.generation, number));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
