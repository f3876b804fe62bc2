//! Services: started in order, with exactly what their description names, and again when their policy says so.

use alloc::vec::Vec;

use swos_restart::{Action, Outcome, Policy, Restart, When};
use swos_services::{Service, Stream};
use swos_ulib::{
    abi::{Errno, Handle, OpenFlags, Rights},
    fs::File,
    log::{self, LOG_ERROR, LOG_INFO, LOG_WARNING},
    process::{self, Child, Command, ExitStatus},
    thread,
    time::{self, Duration},
};
use swos_units::Instant;

/// A service and its instance.
struct Unit<'a> {
    service: &'a Service<'a>,
    restart: Restart,
    child: Option<Child>,
}

/// Runs the services until none is left that could run again.
pub(crate) fn run(services: &[Service<'_>]) {
    let mut units: Vec<Unit<'_>> = services.iter().map(|service| Unit::new(service, now())).collect();
    loop {
        let now = now();
        for unit in &mut units {
            unit.restart.on_timeout(now);
            unit.act();
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
                    unit.ended(status);
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

fn now() -> Instant {
    Instant::from_nanos(time::Instant::now().as_nanos())
}

impl<'a> Unit<'a> {
    const fn new(service: &'a Service<'a>, now: Instant) -> Self {
        let when = match service.restart {
            swos_services::Restart::Always => When::Always,
            swos_services::Restart::OnFailure => When::OnFailure,
            swos_services::Restart::Never => When::Never,
        };
        Self { service, restart: Restart::new(Policy { when, ..Policy::SERVICE }, now), child: None }
    }

    fn is(&self, status: ExitStatus) -> bool {
        self.child.as_ref().is_some_and(|child| child.id() == status.0.pid)
    }

    fn ended(&mut self, status: ExitStatus) {
        let level = if status.success() { LOG_INFO } else { LOG_WARNING };
        log::write(level, format_args!("{} ended with {status}", self.service.name));
        self.child = None;
        let outcome = if status.success() { Outcome::Success } else { Outcome::Failure };
        let _not_running = self.restart.on_exit(now(), outcome);
        self.act();
    }

    /// Carries out what the policy orders.
    fn act(&mut self) {
        let name = self.service.name;
        while let Some(action) = self.restart.poll() {
            match action {
                Action::Spawn => match start(self.service) {
                    Ok(child) => {
                        log::write(LOG_INFO, format_args!("{name} started, pid {}", child.id()));
                        self.child = Some(child);
                    }
                    Err(errno) => {
                        log::write(LOG_ERROR, format_args!("{name}: {}: {errno}", self.service.program));
                        let _not_running = self.restart.on_exit(now(), Outcome::Failure);
                    }
                },
                Action::Hold => log::write(LOG_ERROR, format_args!("{name} fails too often and is held")),
                Action::Finish => log::write(LOG_INFO, format_args!("{name} is done")),
            }
        }
    }
}

/// Starts a service with the streams, capabilities and limits of its description, and nothing else.
fn start(service: &Service<'_>) -> Result<Child, Errno> {
    let mut command = Command::new(service.program);
    command.args(service.args).capabilities(service.capabilities);
    command.limits(service.memory, service.handles, service.threads);
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
    command.spawn()
}
