//! Endpoints: what the calls do, and each way in which they fail.

mod live;

use alloc::{string::String, vec, vec::Vec};
use core::time::Duration;

use swos_ulib::{
    abi::{
        ENDPOINT_BYTES_MAX, EndpointConfig, Errno, Handle, MESSAGE_BYTES_MAX, MESSAGE_HANDLES_MAX,
        MessageHandle, POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, PollItem, READY_EDGE, Rights, TIMEOUT_NEVER,
    },
    handle::{Blocking, OwnedHandle},
    ipc::{Message, Outgoing, Receiver, Sender, endpoint, endpoint_with},
    pipe::pipe,
    ready::{ReadyEvent, ReadySet, poll},
    sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN};

pub(crate) use live::AREA as LIVE;

pub(crate) const AREA: Area = Area {
    name: "endpoints",
    checks: &[
        ("messages arrive in order", in_order),
        ("a message may be empty", empty),
        ("the longest message arrives and a longer one is refused", longest),
        ("a limit of bytes is a limit of a message", own_limit),
        ("limits beyond those of the system are refused", limits),
        ("a full queue that may not wait says so", full),
        ("a send waits for room as long as it is told", full_for_a_time),
        ("an empty queue that may not wait says so", nothing),
        ("a receipt waits as long as it is told", nothing_for_a_time),
        ("a buffer too small leaves the message and tells its size", too_small),
        ("too few places for handles leave the message", too_few),
        ("a badge tells who sent", badges),
        ("a badge cannot be changed or zero", badge_for_good),
        ("a receiver mints nothing", receiver_mints_nothing),
        ("each end has its own direction", directions),
        ("without the right nothing is sent or received", rights),
        ("other objects are no endpoints", other_objects),
        ("handles move", handles_move),
        ("rights shrink on the way", rights_shrink),
        ("handles move all or none", all_or_none),
        ("a handle goes once in a message", twice),
        ("sixteen handles go and seventeen do not", sixteen),
        ("a sender may go through itself", sender_through_itself),
        ("a receiver does not go through itself", receiver_through_itself),
        ("receivers do not go in circles", circles),
        ("forged tokens are refused", forged),
        ("a token of another endpoint is refused", foreign),
        ("what was received before the last sender went is all", last_sender),
        ("without a receiver nothing is sent", no_receiver),
        ("a call without a server ends when its receiver goes", call_without_server),
        ("a call waits as long as it is told", call_for_a_time),
        ("an answer to a caller that gave up is refused once", gave_up),
        ("poll tells both ends", polled),
        ("a readiness set tells level and edge", watched),
    ],
    child: |_| UNKNOWN,
};

const SHORT: Option<Duration> = Some(Duration::from_millis(1));

fn received(receiver: &Receiver) -> Result<Message, String> {
    let mut message = Message::new();
    receiver.receive(&mut message, None).map_err(text)?;
    Ok(message)
}

fn in_order() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    for number in 0_u8..60 {
        sender.send(&vec![number; usize::from(number) * 3]).map_err(text)?;
    }
    for number in 0_u8..60 {
        equal(received(&receiver)?.bytes(), vec![number; usize::from(number) * 3].as_slice())?;
    }
    Ok(())
}

fn empty() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    sender.send(&[]).map_err(text)?;
    equal(received(&receiver)?.bytes(), &[])
}

fn longest() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let bytes: Vec<u8> = (0_u8..251).cycle().take(MESSAGE_BYTES_MAX + 1).collect();
    equal(sender.send(&bytes), Err(Errno::MSGSIZE))?;
    let (_, longest) = bytes.split_at(1);
    sender.send(longest).map_err(text)?;
    equal(received(&receiver)?.bytes() == longest, true)
}

fn own_limit() -> Result<(), String> {
    let config = EndpointConfig { bytes: 100, ..EndpointConfig::default() };
    let (sender, receiver) = endpoint_with(&config).map_err(text)?;
    equal(sender.send(&[1; 101]), Err(Errno::MSGSIZE))?;
    sender.send(&[1; 100]).map_err(text)?;
    equal(received(&receiver)?.bytes().len(), 100)
}

fn limits() -> Result<(), String> {
    let usual = EndpointConfig::default();
    for config in [
        EndpointConfig { messages: 1025, ..usual },
        EndpointConfig { bytes: ENDPOINT_BYTES_MAX + 1, ..usual },
        EndpointConfig { calls: 16_385, ..usual },
        EndpointConfig { flags: 1, ..usual },
    ] {
        equal(endpoint_with(&config).map(drop), Err(Errno::INVAL))?;
    }
    endpoint_with(&EndpointConfig { messages: 1024, bytes: ENDPOINT_BYTES_MAX, calls: 16_384, flags: 0 })
        .map(drop)
        .map_err(text)
}

fn two_messages() -> Result<(Sender, Receiver), String> {
    endpoint_with(&EndpointConfig { messages: 2, ..EndpointConfig::default() }).map_err(text)
}

fn full() -> Result<(), String> {
    let (sender, receiver) = two_messages()?;
    sender.set_blocking(Blocking::Never).map_err(text)?;
    equal([sender.send(b"1"), sender.send(b"2")], [Ok(()); 2])?;
    equal(sender.send(b"3"), Err(Errno::AGAIN))?;
    received(&receiver)?;
    sender.send(b"3").map_err(text)
}

fn full_for_a_time() -> Result<(), String> {
    let (sender, receiver) = two_messages()?;
    equal([sender.send(b"1"), sender.send(b"2")], [Ok(()); 2])?;
    let (_reader, writer) = pipe().map_err(text)?;
    let mut third = Outgoing::new(b"3").with(writer.into_handle(), Rights::all());
    equal(sender.send_message(&mut third, SHORT), Err(Errno::TIMEDOUT))?;
    // What was not sent is still ours.
    received(&receiver)?;
    sender.send_message(&mut third, SHORT).map_err(text)?;
    equal(third.into_handles().len(), 0)
}

fn nothing() -> Result<(), String> {
    let (_sender, receiver) = endpoint().map_err(text)?;
    receiver.set_blocking(Blocking::Never).map_err(text)?;
    equal(receiver.receive(&mut Message::new(), None), Err(Errno::AGAIN))
}

fn nothing_for_a_time() -> Result<(), String> {
    let (_sender, receiver) = endpoint().map_err(text)?;
    equal(receiver.receive(&mut Message::new(), SHORT), Err(Errno::TIMEDOUT))
}

fn too_small() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    sender.send(&[7; 1000]).map_err(text)?;
    let refused = sys::endpoint_receive(receiver.handle(), &mut [0; 999], &mut [], 0);
    equal(refused.map_err(|(errno, needed)| (errno, needed.length)).map(drop), Err((Errno::RANGE, 1000)))?;
    // The library makes room.
    equal(received(&receiver)?.bytes(), [7; 1000].as_slice())
}

fn too_few() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (reader, _writer) = pipe().map_err(text)?;
    sender
        .send_message(&mut Outgoing::new(b"").with(reader.into_handle(), Rights::all()), None)
        .map_err(text)?;
    let refused = sys::endpoint_receive(receiver.handle(), &mut [0; 9], &mut [], 0);
    let refused = refused.map_err(|(errno, needed)| (errno, needed.handle_count)).map(drop);
    equal(refused, Err((Errno::RANGE, 1)))?;
    equal(received(&receiver)?.take_handles().len(), 1)
}

fn badges() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let badged = [1, 77, u64::MAX].map(|badge| (badge, sender.mint(badge)));
    for (badge, badged) in &badged {
        badged.as_ref().map_err(text)?.send(b"").map_err(text)?;
        equal(received(&receiver)?.badge(), *badge)?;
    }
    sender.send(b"").map_err(text)?;
    equal(received(&receiver)?.badge(), 0)
}

fn badge_for_good() -> Result<(), String> {
    let (sender, _receiver) = endpoint().map_err(text)?;
    equal(sender.mint(0).map(drop), Err(Errno::INVAL))?;
    let badged = sender.mint(5).map_err(text)?;
    equal(badged.mint(6).map(drop), Err(Errno::PERM))?;
    let rights = sys::handle_restrict(sender.handle(), Rights::WRITE).map_err(text)?;
    equal(rights, Rights::WRITE)?;
    equal(sender.mint(6).map(drop), Err(Errno::ACCES))
}

fn receiver_mints_nothing() -> Result<(), String> {
    let (_sender, receiver) = endpoint().map_err(text)?;
    equal(sys::endpoint_mint(receiver.handle(), 5, 0), Err(Errno::NOTTY))
}

fn directions() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    equal(Sender::from_handle(receiver.into_handle().into_inner()).send(b""), Err(Errno::ACCES))?;
    let receiver = Receiver::from_handle(sender.into_handle().into_inner());
    equal(receiver.receive(&mut Message::new(), SHORT), Err(Errno::ACCES))
}

fn rights() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    sys::handle_restrict(sender.handle(), Rights::TRANSFER).map_err(text)?;
    sys::handle_restrict(receiver.handle(), Rights::TRANSFER).map_err(text)?;
    equal(sender.send(b""), Err(Errno::ACCES))?;
    equal(receiver.receive(&mut Message::new(), SHORT), Err(Errno::ACCES))?;
    equal(sender.call(b"", &mut []).map(drop), Err(Errno::ACCES))?;
    equal(sys::endpoint_reply(receiver.handle(), 1, &[], &[]), Err(Errno::ACCES))
}

fn other_objects() -> Result<(), String> {
    equal(sys::endpoint_send(Handle::STDOUT, &[], &[], 0), Err(Errno::NOTTY))?;
    equal(sys::endpoint_send(Handle(99), &[], &[], 0), Err(Errno::BADF))?;
    let (sender, _receiver) = endpoint().map_err(text)?;
    equal(sys::write(sender.handle(), b"x"), Err(Errno::NOTTY))
}

fn handles_move() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (reader, writer) = pipe().map_err(text)?;
    let (number, other) = (reader.handle(), writer.handle());
    let mut message = Outgoing::new(b"both")
        .with(reader.into_handle(), Rights::all())
        .with(writer.into_handle(), Rights::all());
    sender.send_message(&mut message, None).map_err(text)?;
    equal([number, other].map(sys::handle_rights), [Err(Errno::BADF); 2])?;
    let handles = received(&receiver)?.take_handles();
    let [(reader, _), (writer, _)] = handles.as_slice() else { return Err(String::from("not two")) };
    equal(sys::write(writer.get(), b"through"), Ok(7))?;
    let mut bytes = [0; 16];
    equal(sys::read(reader.get(), &mut bytes), Ok(7))
}

fn rights_shrink() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (_reader, writer) = pipe().map_err(text)?;
    let kept = sys::handle_restrict(writer.handle(), Rights::TRANSFER | Rights::WRITE).map_err(text)?;
    let asked = Rights::TRANSFER | Rights::READ;
    sender.send_message(&mut Outgoing::new(b"").with(writer.into_handle(), asked), None).map_err(text)?;
    let handles = received(&receiver)?.take_handles();
    let [(writer, rights)] = handles.as_slice() else { return Err(String::from("not one")) };
    equal((*rights, sys::handle_rights(writer.get())), (kept & asked, Ok(kept & asked)))?;
    equal(sys::write(writer.get(), b"x"), Err(Errno::ACCES))
}

fn all_or_none() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (reader, writer) = pipe().map_err(text)?;
    sys::handle_restrict(writer.handle(), Rights::WRITE).map_err(text)?;
    let mut message = Outgoing::new(b"both")
        .with(reader.into_handle(), Rights::all())
        .with(writer.into_handle(), Rights::all());
    equal(sender.send_message(&mut message, None), Err(Errno::ACCES))?;
    equal(receiver.receive(&mut Message::new(), SHORT), Err(Errno::TIMEDOUT))?;
    let handles = message.into_handles();
    equal(handles.iter().all(|handle| sys::handle_rights(handle.get()).is_ok()), true)
}

fn twice() -> Result<(), String> {
    let (sender, _receiver) = endpoint().map_err(text)?;
    let (reader, _writer) = pipe().map_err(text)?;
    let entry = MessageHandle { handle: reader.handle(), rights: u32::MAX, reserved: 0 };
    equal(sys::endpoint_send(sender.handle(), &[], &[entry; 2], 0), Err(Errno::INVAL))?;
    let odd = MessageHandle { reserved: 1, ..entry };
    equal(sys::endpoint_send(sender.handle(), &[], &[odd], 0), Err(Errno::INVAL))
}

fn sixteen() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (reader, _writer) = pipe().map_err(text)?;
    let mut message = Outgoing::new(b"");
    for _ in 0..MESSAGE_HANDLES_MAX {
        let copy = sys::handle_duplicate(reader.handle(), Rights::all(), 0).map_err(text)?;
        message = message.with(OwnedHandle::new(copy), Rights::all());
    }
    sender.send_message(&mut message, None).map_err(text)?;
    equal(received(&receiver)?.take_handles().len(), MESSAGE_HANDLES_MAX)?;
    equal(
        sys::endpoint_send(sender.handle(), &[], &[MessageHandle::NONE; MESSAGE_HANDLES_MAX + 1], 0),
        Err(Errno::MSGSIZE),
    )
}

fn sender_through_itself() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let copy = sender.mint(3).map_err(text)?;
    sender
        .send_message(&mut Outgoing::new(b"").with(copy.into_handle(), Rights::all()), None)
        .map_err(text)?;
    let mut handles = received(&receiver)?.take_handles();
    let (copy, _) = handles.pop().ok_or("none came")?;
    Sender::from_handle(copy.into_inner()).send(b"back").map_err(text)?;
    equal(received(&receiver)?.badge(), 3)
}

fn receiver_through_itself() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let mut message = Outgoing::new(b"").with(receiver.into_handle(), Rights::all());
    equal(sender.send_message(&mut message, None), Err(Errno::DEADLK))
}

fn circles() -> Result<(), String> {
    let (first, first_receiver) = endpoint().map_err(text)?;
    let (second, second_receiver) = endpoint().map_err(text)?;
    let mut message = Outgoing::new(b"").with(second_receiver.into_handle(), Rights::all());
    first.send_message(&mut message, None).map_err(text)?;
    let mut back = Outgoing::new(b"").with(first_receiver.into_handle(), Rights::all());
    equal(second.send_message(&mut back, None), Err(Errno::DEADLK))?;
    // It is still ours, and takes the other one out.
    let first_receiver = back.into_handles().pop().ok_or("it is gone")?;
    let first_receiver = Receiver::from_handle(first_receiver.into_inner());
    equal(received(&first_receiver)?.take_handles().len(), 1)
}

fn forged() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    sender.send(b"no call").map_err(text)?;
    equal(receiver.receive(&mut Message::new(), None), Ok(None))?;
    for forged in [0, 1, 2, 1 << 32 | 1, u64::MAX] {
        equal(sys::endpoint_reply(receiver.handle(), forged, &[], &[]), Err(Errno::INVAL))?;
    }
    Ok(())
}

/// Sends a call that its caller gives up; its token when it is received.
fn given_up(sender: &Sender, receiver: &Receiver) -> Result<u64, String> {
    equal(sender.call_message(&mut Outgoing::new(b"?"), &mut Message::new(), SHORT), Err(Errno::TIMEDOUT))?;
    let came = sys::endpoint_receive(receiver.handle(), &mut [0; 8], &mut [], TIMEOUT_NEVER);
    came.map(|came| came.token).map_err(|(errno, _)| text(errno))
}

fn foreign() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let (_other, other_receiver) = endpoint().map_err(text)?;
    let token = given_up(&sender, &receiver)?;
    equal(sys::endpoint_reply(other_receiver.handle(), token, &[], &[]), Err(Errno::INVAL))
}

fn last_sender() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let other = sender.mint(1).map_err(text)?;
    other.send(b"last").map_err(text)?;
    drop(sender);
    drop(other);
    equal(received(&receiver)?.bytes(), b"last")?;
    equal(receiver.receive(&mut Message::new(), None), Err(Errno::PIPE))
}

fn no_receiver() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    drop(receiver);
    equal(sender.send(b""), Err(Errno::PIPE))?;
    equal(sender.call(b"", &mut []).map(drop), Err(Errno::PIPE))
}

fn call_without_server() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let caller = swos_ulib::thread::spawn(move || sender.call(b"?", &mut []).map(drop)).map_err(text)?;
    swos_ulib::thread::sleep(Duration::from_millis(1));
    drop(receiver);
    equal(caller.join(), Err(Errno::PIPE))
}

fn call_for_a_time() -> Result<(), String> {
    let (sender, _receiver) = endpoint().map_err(text)?;
    let mut message = Outgoing::new(b"?");
    equal(sender.call_message(&mut message, &mut Message::new(), SHORT), Err(Errno::TIMEDOUT))
}

fn gave_up() -> Result<(), String> {
    let (sender, receiver) = endpoint().map_err(text)?;
    let token = given_up(&sender, &receiver)?;
    equal(sys::endpoint_reply(receiver.handle(), token, &[], &[]), Err(Errno::PIPE))?;
    equal(sys::endpoint_reply(receiver.handle(), token, &[], &[]), Err(Errno::INVAL))
}

fn ready_for(handle: Handle, events: u16) -> Result<u16, String> {
    let mut items = [PollItem { handle, events, ready: 0, reserved: 0 }];
    poll(&mut items, Some(Duration::ZERO)).map_err(text)?;
    let [item] = items;
    Ok(item.ready)
}

fn polled() -> Result<(), String> {
    let (sender, receiver) = two_messages()?;
    let (writer, reader) = (sender.handle(), receiver.handle());
    equal((ready_for(writer, POLL_OUT)?, ready_for(reader, POLL_IN)?), (POLL_OUT, 0))?;
    equal([sender.send(b"1"), sender.send(b"2")], [Ok(()); 2])?;
    equal((ready_for(writer, POLL_OUT)?, ready_for(reader, POLL_IN)?), (0, POLL_IN))?;
    drop(sender);
    equal(ready_for(reader, POLL_IN)?, POLL_IN | POLL_HUP)?;
    let (sender, receiver) = two_messages()?;
    drop(receiver);
    equal(ready_for(sender.handle(), POLL_OUT)?, POLL_OUT | POLL_ERR)
}

fn watched() -> Result<(), String> {
    let set = ReadySet::new().map_err(text)?;
    let (sender, receiver) = endpoint().map_err(text)?;
    let (edge_sender, edge_receiver) = endpoint().map_err(text)?;
    set.add(receiver.handle(), u32::from(POLL_IN), 1).map_err(text)?;
    set.add(edge_receiver.handle(), u32::from(POLL_IN) | READY_EDGE, 2).map_err(text)?;
    equal([sender.send(b"x"), edge_sender.send(b"x")], [Ok(()); 2])?;
    let tokens = || {
        let mut events = [ReadyEvent::default(); 4];
        let came = set.wait(&mut events, SHORT).map_err(text)?;
        let mut tokens: Vec<u64> = came.iter().map(|event| event.token).collect();
        tokens.sort_unstable();
        Ok::<_, String>(tokens)
    };
    equal(tokens()?, vec![1, 2])?;
    // The state is told again, the change is not.
    equal(tokens()?, vec![1])?;
    edge_sender.send(b"y").map_err(text)?;
    equal(tokens()?, vec![1, 2])?;
    received(&receiver)?;
    equal(tokens()?, vec![])
}
