//! What a thread makes in slices: a child by `fork` or `spawn`, the successor of its own process by `exec`.
//!
//! It is kept in the progress of the call. Whatever fails, and if the call is given up or the thread ended in between, what was
//! made is taken apart again, in slices as well; the call returns its error only when all of that is back.

use alloc::boxed::Box;
use core::fmt;

use swos_abi::Errno;

use crate::{
    Kernel, Machine,
    fork::Draft,
    process::{Process, Teardown},
    spawn::{Body, Order},
    thread::Thread,
    wait::Stop,
};

/// What nobody has seen yet.
pub(crate) enum Unborn<M: Machine> {
    /// What a `spawn` or an `exec` asks for is being read.
    Order(Box<Order>),
    /// It is being made.
    Body(Box<Body<M>>),
    /// A `fork` copies the parts.
    Draft(Box<Draft<M>>),
    /// It will never be; this is what the call answers when nothing is left of it.
    Refused(Box<Teardown<M>>, Errno),
}

impl<M: Machine> fmt::Debug for Unborn<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order(_) => "Order",
            Self::Body(_) => "Body",
            Self::Draft(_) => "Draft",
            Self::Refused(..) => "Refused",
        })
    }
}

impl<M: Machine> Kernel<M> {
    /// Keeps it for the next try of the call, which stops for `stop`.
    pub(crate) fn keep(thread: &Thread<M>, unborn: Unborn<M>, stop: Stop) -> Stop {
        thread.progress.lock().unborn = Some(unborn);
        stop
    }

    /// Begins to take apart what was made.
    pub(crate) fn refuse(thread: &Thread<M>, teardown: Teardown<M>, errno: Errno) -> Stop {
        Self::keep(thread, Unborn::Refused(Box::new(teardown), errno), Stop::AGAIN)
    }

    /// Takes the next piece of it apart; when nothing is left, the call fails.
    pub(crate) fn go_on_refusing(
        &self,
        thread: &Thread<M>,
        mut teardown: Box<Teardown<M>>,
        errno: Errno,
    ) -> Stop {
        if self.take_apart(&mut teardown) {
            return errno.into();
        }
        Self::keep(thread, Unborn::Refused(teardown, errno), Stop::AGAIN)
    }

    /// The call that made it is given up, or its thread is at its end.
    pub(crate) fn give_up(&self, parent: &Process<M>, unborn: Unborn<M>) {
        let teardown = match unborn {
            Unborn::Order(_) => return,
            Unborn::Body(body) => self.unmake_body(parent, *body),
            Unborn::Draft(draft) => self.unmake(parent, *draft),
            Unborn::Refused(teardown, _) => *teardown,
        };
        self.push_teardown(teardown);
    }
}
