//! The name service: services register senders under names, clients look them up or wait for them.
//!
//! Its requests come through the receiver that a service has. Who started it minted the senders: a badge with
//! the high bit may register, any badge may look up. A client gets a sender that carries the client's own badge, so the service knows whom it
//! serves, and can give it on but not mint from it.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use swos_names::{MAY_REGISTER, Names, Removed, Request, Watched, answer};
use swos_ulib::{
    abi::{Errno, POLL_ERR, PollItem, Rights},
    env,
    handle::OwnedHandle,
    ipc::{Message, Outgoing, Receiver, ReplyToken, Sender},
    ready::poll,
    sys,
    time::Duration,
};

swos_ulib::main!(run);

/// One that waits for a name, or as long as it has one.
struct Waiting {
    token: ReplyToken,
    badge: u64,
}

fn run() -> i32 {
    let receiver = env::receiver();
    let mut names = Names::<Sender, Waiting>::new();
    let mut message = Message::new();
    loop {
        match receiver.receive(&mut message, None) {
            Ok(Some(token)) => serve(&receiver, &mut names, &mut message, token),
            // Nobody waits for an answer: nothing is asked. Handles that came are closed with the next message.
            Ok(None) | Err(Errno::NOMEM) => {}
            Err(Errno::PIPE) => return 0,
            Err(errno) => return i32::from(errno.get()),
        }
    }
}

fn serve(receiver: &Receiver, names: &mut Names<Sender, Waiting>, message: &mut Message, token: ReplyToken) {
    let badge = message.badge();
    let mut handles = message.take_handles();
    let done = match Request::parse(message.bytes()) {
        None => Err(Errno::INVAL),
        Some(Request::LookUp(name)) => return give(receiver, names, name, Waiting { token, badge }),
        Some(Request::Watch(name)) => {
            forget_if_gone(receiver, names, name);
            match names.watch(badge, name, Waiting { token, badge }) {
                Watched::Known(waiting) => give(receiver, names, name, waiting),
                Watched::Waits => {}
                Watched::WaitsInstead(oldest) => tell(receiver, oldest.token, Err(Errno::NOSPC)),
                Watched::Refused(waiting) => tell(receiver, waiting.token, Err(Errno::NOSPC)),
            }
            return;
        }
        Some(Request::Register(name)) => {
            forget_if_gone(receiver, names, name);
            match handles.pop() {
                None => Err(Errno::INVAL),
                Some((service, _)) => {
                    match names.register(badge, name, Sender::from_handle(service.into_inner())) {
                        Err((error, _service)) => Err(error.into()),
                        Ok(registered) => {
                            tell(receiver, token, Ok(()));
                            for waiting in registered.waiting {
                                give(receiver, names, name, waiting);
                            }
                            return;
                        }
                    }
                }
            }
        }
        Some(Request::Remove(name)) => match names.remove(badge, name) {
            Ok(removed) => {
                let_go(receiver, removed);
                Ok(())
            }
            Err(error) => Err(error.into()),
        },
        Some(Request::Hold(name)) => {
            forget_if_gone(receiver, names, name);
            match names.hold(badge, name, Waiting { token, badge }) {
                Ok(before) => {
                    if let Some(before) = before {
                        tell(receiver, before.token, Err(Errno::EXIST));
                    }
                }
                Err((error, waiting)) => tell(receiver, waiting.token, Err(error.into())),
            }
            return;
        }
    };
    tell(receiver, token, done);
}

/// A service whose receiver is gone has no name any more.
fn forget_if_gone(receiver: &Receiver, names: &mut Names<Sender, Waiting>, name: &[u8]) {
    let Ok(service) = names.look_up(name) else { return };
    let mut items = [PollItem { handle: service.handle(), events: 0, ready: 0, reserved: 0 }];
    let looked = poll(&mut items, Some(Duration::ZERO));
    if looked.is_ok()
        && items.iter().any(|item| item.ready & POLL_ERR != 0)
        && let Some(removed) = names.forget(name)
    {
        let_go(receiver, removed);
    }
}

/// Who waited as long as it had the name is told that it has it no more.
fn let_go(receiver: &Receiver, removed: Removed<Sender, Waiting>) {
    if let Some(holder) = removed.holder {
        tell(receiver, holder.token, Ok(()));
    }
}

/// Answers with a sender to the service.
fn give(receiver: &Receiver, names: &mut Names<Sender, Waiting>, name: &[u8], waiting: Waiting) {
    forget_if_gone(receiver, names, name);
    let found = names.look_up(name).map_err(Errno::from).and_then(|service| copy_for(service, waiting.badge));
    match found {
        Ok(copy) => {
            let done = answer(Ok(()));
            let mut answer =
                Outgoing::new(&done).with(copy, Rights::WRITE | Rights::TRANSFER | Rights::GETATTR);
            // Who can't take it, or gave up, is not served.
            let _refused = receiver.reply_message(waiting.token, &mut answer);
        }
        Err(errno) => tell(receiver, waiting.token, Err(errno)),
    }
}

/// A sender for this client.
fn copy_for(service: &Sender, badge: u64) -> Result<OwnedHandle, Errno> {
    let badge = badge & !MAY_REGISTER;
    let copy = match badge {
        0 => Err(Errno::PERM),
        badge => service.mint(badge).map(Sender::into_handle),
    };
    // A service that registered a sender with a badge of its own wants to be called with that.
    copy.or_else(|_| sys::handle_duplicate(service.handle(), Rights::all(), 0).map(OwnedHandle::new))
}

fn tell(receiver: &Receiver, token: ReplyToken, done: Result<(), Errno>) {
    let _gave_up = receiver.reply(token, &answer(done));
}
