//! The rule that no memory is writable and executable, checked on what hardware reads.
//!
//! Tables are only ever written through `vm`, which can't say otherwise; this is for what such arguments do not cover: a
//! stray write, a bit that flipped, a mistake in `vm` itself.

use swos_vm::Audit;

use crate::{
    Kernel, Level, Machine,
    family::Life,
    space::{TableFrames, Translation},
};

impl<M: Machine> Kernel<M> {
    /// Reads every entry of the kernel's tables and of every live process's, one process at a time.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let mut audit = self.machine.audit_kernel();
        let mut next = 0;
        loop {
            let found = {
                let processes = self.processes.lock();
                let mut rest = processes.table.range(next..);
                rest.find_map(|(&pid, entry)| match &entry.life {
                    Life::Alive(process) => Some((pid, process.clone())),
                    Life::Ended(..) => None,
                })
            };
            let Some((pid, process)) = found else { break };
            if let Translation::Live(tables) = &process.space.inner.lock().tables {
                audit += tables.audit(&TableFrames(self));
            }
            next = pid.saturating_add(1);
        }
        audit
    }

    /// Audits and says what was found. Whether all is sound.
    pub(crate) fn audit_and_log(&self) -> bool {
        let Audit { leaves, unsound } = self.audit();
        let level = if unsound == 0 { Level::Debug } else { Level::Error };
        self.log(
            level,
            "memory",
            format_args!("{leaves} mappings, {unsound} of them writable and executable or the other level's"),
        );
        unsound == 0
    }
}
