//! The commands.

use swos_ulib::{
    abi::{Errno, Node},
    fs::{self, File},
    io::{Error, Read as _, Result, Write as _, stdout},
    print, println, system,
};

/// Name, arguments (those in brackets may be left out), what it does, how.
type Command = (&'static str, &'static str, &'static str, fn(&str) -> Result<()>);

const COMMANDS: [Command; 16] = [
    ("cat", "FILE", "shows a file", cat),
    ("cp", "FROM TO", "copies a file", |words| two(words, |from, to| fs::copy(from, to).map(drop))),
    ("df", "", "shows the room for writable files", df),
    ("free", "", "shows memory", free),
    ("help", "", "lists the commands", help),
    ("log", "", "shows the system's log", log),
    ("ls", "[PATH]", "lists a directory", ls),
    ("mkdir", "PATH", "makes a directory", |path| Ok(fs::create_dir(path)?)),
    ("mv", "FROM TO", "renames", |words| two(words, |from, to| Ok(fs::rename(from, to)?))),
    ("net", "", "shows network figures", net),
    ("poweroff", "", "switches the machine off", |_| Ok(system::power_off()?)),
    ("ps", "", "lists processes", ps),
    ("reboot", "", "starts the machine again", |_| Ok(system::reboot()?)),
    ("rm", "PATH", "removes a file, or a directory and all in it", rm),
    ("uptime", "", "shows how long the machine runs, and what it did", uptime),
    ("write", "FILE TEXT", "makes a file of one line", |words| {
        two(words, |path, text| fs::write(path, [text, "\n"].concat()))
    }),
];

/// Runs one line.
pub(crate) fn run(line: &str) {
    let line = line.trim();
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    if name.is_empty() {
        return;
    }
    match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((_, arguments, ..)) if !suits(arguments, argument) => println!("usage: {name} {arguments}"),
        Some((.., act)) => {
            if let Err(wrong) = act(argument.trim()) {
                println!("{name}: {wrong}");
            }
        }
        None => println!("{name}: no such command; try help"),
    }
}

/// Whether there are as many words as a command needs, and none for a command that takes none. The last argument goes to the end
/// of the line, so more are no mistake.
fn suits(arguments: &str, given: &str) -> bool {
    let needed = arguments.split_whitespace().filter(|argument| !argument.starts_with('[')).count();
    let words = given.split_whitespace().count();
    words >= needed && (words == 0 || !arguments.is_empty())
}

fn help(_: &str) -> Result<()> {
    for (name, arguments, text, _) in COMMANDS {
        println!("{name:9}{arguments:10} {text}");
    }
    Ok(())
}

fn ls(path: &str) -> Result<()> {
    let path = if path.is_empty() { "/" } else { path };
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = alloc::string::String::from_utf8_lossy(&entry.name).into_owned();
        let full = [path, "/", &name].concat();
        let kind = match entry.kind {
            Node::DIRECTORY => 'd',
            Node::SYMLINK => 'l',
            Node::REGULAR => '-',
            Node::CHARACTER => 'c',
            Node::FIFO => 'p',
            _ => '?',
        };
        match fs::metadata(&full) {
            Ok(stat) => println!("{kind} {:03o} {:>9} {name}", stat.mode & 0o777, stat.size),
            Err(errno) => println!("{kind} {name}: {errno}"),
        }
    }
    Ok(())
}

fn cat(path: &str) -> Result<()> {
    let mut file = File::open(path)?;
    let mut bytes = [0; 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            count => {
                // Control characters of a file must not steer the terminal.
                for byte in bytes.iter_mut().take(count) {
                    if byte.is_ascii_control() && !matches!(*byte, b'\n' | b'\t' | b'\r') {
                        *byte = b'.';
                    }
                }
                stdout().write_all(bytes.get(..count).unwrap_or_default())?;
            }
        }
    }
}

/// Two words, of which the second goes to the end of the line.
fn two(words: &str, act: fn(&str, &str) -> Result<()>) -> Result<()> {
    let (first, second) = words.split_once(' ').ok_or(Error::Os(Errno::INVAL))?;
    act(first, second.trim())
}

fn rm(path: &str) -> Result<()> {
    match fs::remove_file(path) {
        Err(Errno::ISDIR) => Ok(fs::remove_dir_all(path)?),
        other => Ok(other?),
    }
}

fn df(_: &str) -> Result<()> {
    for path in ["/tmp", "/run"] {
        let room = fs::file_system_info(path)?;
        let kib = |pages: u64| (pages * room.page_size) >> 10;
        let (used, all) = (kib(room.pages_used), kib(room.pages));
        println!("{path}: {used} of {all} KiB, {} of {} files", room.nodes_used, room.nodes);
    }
    Ok(())
}

fn log(_: &str) -> Result<()> {
    let mut cursor = 0;
    let mut text = [0; 2048];
    loop {
        match system::log_read(&mut cursor, &mut text)? {
            0 => return Ok(()),
            count => stdout().write_all(text.get(..count).unwrap_or_default())?,
        }
    }
}

fn ps(_: &str) -> Result<()> {
    println!("  PID PARENT THREADS HANDLES     CPU ms RESIDENT KiB NAME");
    for process in system::processes() {
        let process = process?;
        let end = process.name.iter().position(|&byte| byte == 0).unwrap_or(process.name.len());
        let name = str::from_utf8(process.name.get(..end).unwrap_or_default()).map_err(|_| Error::NotUtf8)?;
        let ended = if process.state == 2 { " (ended)" } else { "" };
        println!(
            "{:5} {:6} {:7} {:7} {:10} {:12} {name}{ended}",
            process.pid,
            process.parent,
            process.threads,
            process.handles,
            process.cpu_ns / 1_000_000,
            process.resident >> 10,
        );
    }
    Ok(())
}

fn free(_: &str) -> Result<()> {
    let now = system::system_info()?;
    let used = now.memory_total.saturating_sub(now.memory_free);
    for (name, bytes) in [
        ("total", now.memory_total),
        ("used", used),
        ("free", now.memory_free),
        ("cached", now.memory_cached),
        ("kernel", now.memory_kernel),
    ] {
        println!("{name:7}{:9} KiB", bytes >> 10);
    }
    Ok(())
}

fn net(_: &str) -> Result<()> {
    let now = system::system_info()?;
    println!("sockets {}, frames received {}, sent {}", now.sockets, now.frames_received, now.frames_sent);
    Ok(())
}

fn uptime(_: &str) -> Result<()> {
    let now = system::system_info()?;
    let seconds = now.uptime_ns / 1_000_000_000;
    let busy = now.uptime_ns.saturating_mul(u64::from(now.cpus)).saturating_sub(now.idle_ns) / 1_000_000;
    print!("up {}:{:02}:{:02}, ", seconds / 3600, seconds / 60 % 60, seconds % 60);
    println!("{} CPUs busy for {busy} ms, {} calls, {} processes", now.cpus, now.calls, now.processes);
    println!("{} blocks verified, {} refused", now.blocks_verified, now.blocks_refused);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::suits;

    #[test]
    fn a_command_gets_what_it_needs() {
        assert!(suits("", "") && suits("", "  ") && !suits("", "more"));
        assert!(suits("FILE", "/a") && suits("FILE", "/a b") && !suits("FILE", "") && !suits("FILE", " "));
        assert!(suits("[PATH]", "") && suits("[PATH]", "/tmp"));
        assert!(suits("FROM TO", "/a  /b") && suits("FILE TEXT", "/a b c") && !suits("FROM TO", "/a "));
    }
}
