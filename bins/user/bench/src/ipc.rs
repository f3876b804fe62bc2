//! Messages between two processes.

use core::hint::black_box;

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    ipc::{Message, Receiver, endpoint},
    process::Command,
};

use crate::time;

/// The server: answers what comes with the same.
pub(crate) fn echo() -> i32 {
    let receiver = Receiver::from_handle(Handle(3));
    let (mut message, mut answer) = (Message::new(), [0; 32]);
    let mut next = receiver.receive(&mut message, None);
    loop {
        next = match next {
            Ok(Some(token)) => {
                let length = message.bytes().len().min(answer.len());
                if let (Some(to), Some(from)) = (answer.get_mut(..length), message.bytes().get(..length)) {
                    to.copy_from_slice(from);
                }
                let answer = answer.get(..length).unwrap_or_default();
                receiver.reply_receive(token, answer, &mut message, None)
            }
            Ok(None) => receiver.receive(&mut message, None),
            Err(_) => return 0,
        }
    }
}

/// 32 bytes to a server in another process and back.
pub(crate) fn call() -> Result<(), Errno> {
    let (sender, receiver) = endpoint()?;
    let server = Command::new(crate::SELF).arg("serve").handle(3, receiver.handle(), Rights::READ).spawn()?;
    drop(receiver);
    let mut answer = [0; 32];
    for _ in 0..50 {
        sender.call(&[7; 32], &mut answer)?;
    }
    time("ipc_call", 10_000, |_| {
        let _ = black_box(sender.call(&[7; 32], &mut answer));
    });
    drop(sender);
    server.wait().map(drop)
}
