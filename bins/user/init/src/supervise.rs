//! Services: started in order, with exactly what their description names, and again when their policy says so.
//!
//! Endpoints between services are made before the first service starts, and `init` keeps both ends: who sends to a service that ended waits for
//! the next one, and calls that the last one had taken are over. When a service will not come again, its endpoint ends.

use alloc::{format, vec::Vec};

use swos_names::MAY_REGISTER;
use swos_restart::{Action, Outcome, Policy, Restart, When};
use swos_services::{Service, Stream};
use swos_ulib::{
    abi::{Errno, Handle, OpenFlags, Rights},
    env,
    fs::File,
    ipc::{self, Receiver, Sender},
    log::{self, LOG_ERROR, LOG_INFO, LOG_WARNING},
    process::{self, Child, Command, ExitStatus},
    thread,
    time::{self, Duration},
};
use swos_units::Instant;

/// A service and its instance.
struct Unit<'a> {
    service: &'a Service<'a>,
    /// Its number, from 1: what the services to which it sends know it by.
    badge: u64,
    restart: Restart,
    child: Option<Child>,
}

/// The endpoint at which a service receives.
struct Desk<'a> {
    name: &'a str,
    sender: Sender,
    receiver: Receiver,
}

/// The endpoints of services that run, or will again.
type Desks<'a> = Vec<Desk<'a>>;

/// Runs the services until none is left that could run again.
pub(crate) fn run(services: &[Service<'_>]) {
    let mut desks = match desks(services) {
        Ok(desks) => desks,
        Err(errno) => return log::write(LOG_ERROR, format_args!("endpoints: {errno}")),
    };
    let mut units: Vec<Unit<'_>> =
        (1..).zip(services).map(|(badge, service)| Unit::new(service, badge, now())).collect();
    loop {
        let now = now();
        for unit in &mut units {
            unit.restart.on_timeout(now);
            unit.act(&mut desks);
        }
        let due = units.iter().filter_map(|unit| unit.restart.deadline()).min();
        let left = |due: Instant| Duration::from_nanos(due.since(now).as_nanos());
        let ended = match due {
            None => process::wait_any(),
            Some(due) => process::wait_any_timeout(left(due)),
        };
        match ended {
            Ok(status) => {
                if let Some(unit) = units.iter_mut().find(|unit| unit.is(status)) {
                    unit.ended(status, &mut desks);
                }
            }
            Err(Errno::TIMEDOUT | Errno::INTR) => {}
            // No child at all: only time can bring one.
            Err(Errno::CHILD) => match due {
                Some(due) => thread::sleep(left(due)),
                None => return log::write(LOG_WARNING, format_args!("no service is left")),
            },
            Err(errno) => return log::write(LOG_ERROR, format_args!("wait: {errno}")),
        }
    }
}

fn desks<'a>(services: &'a [Service<'_>]) -> Result<Desks<'a>, Errno> {
    let names = services.iter().filter_map(|service| service.receives);
    names.map(|name| ipc::endpoint().map(|(sender, receiver)| Desk { name, sender, receiver })).collect()
}

fn now() -> Instant {
    Instant::from_nanos(time::Instant::now().as_nanos())
}

impl<'a> Unit<'a> {
    const fn new(service: &'a Service<'a>, badge: u64, now: Instant) -> Self {
        let when = match service.restart {
            swos_services::Restart::Always => When::Always,
            swos_services::Restart::OnFailure => When::OnFailure,
            swos_services::Restart::Never => When::Never,
        };
        Self { service, badge, restart: Restart::new(Policy { when, ..Policy::SERVICE }, now), child: None }
    }

    fn is(&self, status: ExitStatus) -> bool {
        self.child.as_ref().is_some_and(|child| child.id() == status.0.pid)
    }

    fn ended(&mut self, status: ExitStatus, desks: &mut Desks<'_>) {
        let level = if status.success() { LOG_INFO } else { LOG_WARNING };
        log::write(level, format_args!("{} ended with {status}", self.service.name));
        self.child = None;
        if let Some(desk) = desks.iter().find(|desk| self.service.receives == Some(desk.name))
            && let Err(errno) = desk.receiver.hang_up()
        {
            log::write(LOG_ERROR, format_args!("{}: hang up: {errno}", self.service.name));
        }
        let outcome = if status.success() { Outcome::Success } else { Outcome::Failure };
        let _not_running = self.restart.on_exit(now(), outcome);
        self.act(desks);
    }

    /// Carries out what the policy orders.
    fn act(&mut self, desks: &mut Desks<'_>) {
        let name = self.service.name;
        while let Some(action) = self.restart.poll() {
            match action {
                Action::Spawn => match start(self.service, self.badge, desks) {
                    Ok(child) => {
                        log::write(LOG_INFO, format_args!("{name} started, pid {}", child.id()));
                        self.child = Some(child);
                    }
                    Err(errno) => {
                        log::write(LOG_ERROR, format_args!("{name}: {}: {errno}", self.service.program));
                        let _not_running = self.restart.on_exit(now(), Outcome::Failure);
                    }
                },
                Action::Hold => {
                    log::write(LOG_ERROR, format_args!("{name} fails too often and is held"));
                    self.leave(desks);
                }
                Action::Finish => {
                    log::write(LOG_INFO, format_args!("{name} is done"));
                    self.leave(desks);
                }
            }
        }
    }

    /// Nobody will receive at its endpoint any more.
    fn leave(&self, desks: &mut Desks<'_>) {
        desks.retain(|desk| self.service.receives != Some(desk.name));
    }
}

/// Starts a service with the streams, capabilities, limits and endpoints of its description, and nothing else.
fn start(service: &Service<'_>, badge: u64, desks: &Desks<'_>) -> Result<Child, Errno> {
    let mut command = Command::new(service.program);
    command.args(service.args).capabilities(service.capabilities);
    command.limits(service.memory, service.handles, service.threads);
    let senders = connect(&mut command, service, badge, desks)?;
    for entry in service.environment {
        command.env(entry);
    }
    let root = match service.root {
        Some(path) => Some(File::open_at(Handle::CWD, path, OpenFlags::READ | OpenFlags::DIRECTORY)?),
        None => None,
    };
    if let Some(root) = &root {
        command.root(root.handle());
    }
    // Files stay open until the child has its handles.
    let mut files = Vec::new();
    let own = [Handle::STDIN, Handle::STDOUT, Handle::STDERR];
    let streams = [service.stdin, service.stdout, service.stderr];
    for (target, (stream, own)) in (0..).zip(streams.into_iter().zip(own)) {
        let way = if target == 0 { Rights::READ } else { Rights::WRITE };
        match stream {
            // The number is taken, so that no other object gets it by chance, but nothing can be done with it.
            Stream::Null => command.handle(target, own, Rights::empty()),
            Stream::Console => command.handle(target, own, way | Rights::GETATTR),
            Stream::File(path) => {
                let flags = if target == 0 {
                    OpenFlags::READ
                } else {
                    OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::APPEND
                };
                let file = File::open_at(Handle::CWD, path, flags)?;
                command.handle(target, file.handle(), way | Rights::GETATTR);
                files.push(file);
                &mut command
            }
        };
    }
    let child = command.spawn();
    drop(senders);
    child
}

/// Gives a service its receiver and its senders, whose names it finds in its environment. They stay open until it has them.
fn connect(
    command: &mut Command,
    service: &Service<'_>,
    badge: u64,
    desks: &Desks<'_>,
) -> Result<Vec<Sender>, Errno> {
    let find = |name: &str| desks.iter().find(|desk| desk.name == name);
    if let Some(desk) = service.receives.and_then(find) {
        command.handle(env::RECEIVER, desk.receiver.handle(), Rights::READ);
    }
    let sends = service.sends.into_iter().map(|name| (name, badge));
    let registers = service.registers.into_iter().map(|name| (name, badge | MAY_REGISTER));
    // A service that is done is not among them.
    let there = sends.chain(registers).filter_map(|(name, badge)| Some((find(name)?, badge)));
    let (mut senders, mut names) = (Vec::new(), Vec::new());
    for (target, (desk, badge)) in (env::FIRST_SENDER..).zip(there) {
        let sender = desk.sender.mint(badge)?;
        command.handle(target, sender.handle(), Rights::WRITE | Rights::TRANSFER | Rights::GETATTR);
        senders.push(sender);
        names.push(desk.name);
    }
    if !names.is_empty() {
        command.env(format!("{}={}", env::SENDERS, names.join(" ")));
    }
    Ok(senders)
}
