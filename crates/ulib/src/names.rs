//! The name service, as its clients and those who offer services see it.

use swos_abi::{Errno, Rights};
use swos_names::{Request, parse_answer};

use crate::{
    handle::OwnedHandle,
    ipc::{Message, Outgoing, Sender},
    time::Duration,
};

/// The way to a name service.
#[derive(Debug)]
pub struct NameService {
    sender: Sender,
}

impl NameService {
    /// Takes over the sender that this process was given.
    #[must_use]
    pub const fn new(sender: Sender) -> Self {
        Self { sender }
    }

    /// Offers `service` under a name. Clients get senders made from it, with their own badges if it has none.
    ///
    /// # Errors
    ///
    /// [`Errno::ACCES`] if this process may not register; [`Errno::EXIST`] if the name is another's; [`Errno::NOSPC`];
    /// [`Errno::INVAL`] for what is no name.
    pub fn register(&self, name: &str, service: Sender) -> Result<(), Errno> {
        self.ask(Request::Register(name.as_bytes()), Some(service.into_handle()), None).map(drop)
    }

    /// A sender to the service that has a name now.
    ///
    /// # Errors
    ///
    /// [`Errno::NOENT`] if there is none.
    pub fn look_up(&self, name: &str) -> Result<Sender, Errno> {
        self.ask(Request::LookUp(name.as_bytes()), None, None).and_then(first)
    }

    /// The same, but waits until there is one, at most `timeout` (`None` = for ever).
    ///
    /// # Errors
    ///
    /// [`Errno::TIMEDOUT`]; [`Errno::NOSPC`] if too many wait. Of one client the newest do.
    pub fn wait_for(&self, name: &str, timeout: Option<Duration>) -> Result<Sender, Errno> {
        self.ask(Request::Watch(name.as_bytes()), None, timeout).and_then(first)
    }

    /// Waits as long as this process has a name that it registered. When this returns, the name service has ended, or found the service
    /// gone, or was asked to remove the name: who still offers it registers again. One thread waits for each name.
    ///
    /// # Errors
    ///
    /// [`Errno::NOENT`] if nobody has it: the name service may have ended since it was registered. [`Errno::EXIST`] if it is another's,
    /// or another thread waits now.
    pub fn hold(&self, name: &str) -> Result<(), Errno> {
        match self.ask(Request::Hold(name.as_bytes()), None, None) {
            Ok(_) | Err(Errno::PIPE) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Takes the name away from one's own service.
    ///
    /// # Errors
    ///
    /// [`Errno::NOENT`]; [`Errno::EXIST`] if it is another's.
    pub fn remove(&self, name: &str) -> Result<(), Errno> {
        self.ask(Request::Remove(name.as_bytes()), None, None).map(drop)
    }

    fn ask(
        &self,
        request: Request<'_>,
        service: Option<OwnedHandle>,
        timeout: Option<Duration>,
    ) -> Result<Message, Errno> {
        let bytes = request.to_bytes();
        let mut question = Outgoing::new(&bytes);
        if let Some(service) = service {
            question = question.with(service, Rights::all());
        }
        let mut answer = Message::with_capacity(8);
        self.sender.call_message(&mut question, &mut answer, timeout)?;
        parse_answer(answer.bytes()).map(|()| answer)
    }
}

/// The sender that an answer brought.
fn first(mut answer: Message) -> Result<Sender, Errno> {
    let (sender, _) = answer.take_handles().pop().ok_or(Errno::PROTO)?;
    Ok(Sender::from_handle(sender.into_inner()))
}
