//! The parser.

use alloc::vec::Vec;

use swos_abi::Capabilities;

use crate::{Error, Problem, Restart, Service, Stream, Words, service::in_text};

/// Longest text in bytes.
pub const TEXT_MAX: usize = 64 * 1024;
/// Most services of one text.
pub const SERVICES_MAX: usize = 256;

const NAME_MAX: usize = 32;

/// Keys of a section, in the order of their bits in [`Section::seen`].
const KEYS: [&str; 16] = [
    "program",
    "root",
    "args",
    "environment",
    "restart",
    "capabilities",
    "after",
    "receives",
    "sends",
    "registers",
    "stdin",
    "stdout",
    "stderr",
    "memory",
    "handles",
    "threads",
];

/// A problem and the offset it has in the piece at hand.
type Outcome<T> = Result<T, (usize, Problem)>;

/// A section being read.
struct Section<'a> {
    service: Service<'a>,
    line: u32,
    /// Bits by place in [`KEYS`].
    seen: u16,
}

/// Reads a text of service descriptions. Linear in its length, but for names, which are compared with all before.
///
/// # Errors
///
/// [`Error`] with the first problem and its place.
pub fn parse(text: &[u8]) -> Result<Vec<Service<'_>>, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error { line: 1, column: 1, problem: Problem::TooLong });
    }
    let mut services = Vec::new();
    let mut section = None;
    for (n, bytes) in (1_u32..).zip(text.split(|&byte| byte == b'\n')) {
        let blame = |(at, problem)| Error { line: n, column: column(at), problem };
        let line = characters(bytes).map_err(blame)?;
        let content = line.trim_matches([' ', '\t']);
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.starts_with('[') {
            finish(&mut services, section.take())?;
            let name = heading(content, &services).map_err(|(at, problem)| blame((indent + at, problem)))?;
            section = Some(Section { service: empty(name), line: n, seen: 0 });
        } else {
            entry(&mut section, content, &services).map_err(|(at, problem)| blame((indent + at, problem)))?;
        }
    }
    finish(&mut services, section)?;
    Ok(services)
}

fn column(at: usize) -> u32 {
    // TEXT_MAX is far below; the fallback is never seen.
    u32::try_from(at).map_or(u32::MAX, |at| at.saturating_add(1))
}

/// The line as text without control characters.
fn characters(bytes: &[u8]) -> Outcome<&str> {
    let line = core::str::from_utf8(bytes).map_err(|error| (error.valid_up_to(), Problem::NotText))?;
    match line.char_indices().find(|&(_, character)| character.is_control() && character != '\t') {
        Some((at, _)) => Err((at, Problem::ControlCharacter)),
        None => Ok(line),
    }
}

/// The name in `[service NAME]`.
fn heading<'a>(content: &'a str, services: &[Service<'_>]) -> Outcome<&'a str> {
    let inside = content
        .strip_prefix("[service")
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or((0, Problem::Section))?;
    let name = inside.trim_matches([' ', '\t']);
    if !name.is_empty() && !inside.starts_with([' ', '\t']) {
        return Err((0, Problem::Section));
    }
    let at = "[service".len() + inside.len() - inside.trim_start_matches([' ', '\t']).len();
    if !is_name(name) {
        return Err((at, Problem::Name));
    }
    if services.iter().any(|service| service.name == name) {
        return Err((at, Problem::DuplicateService));
    }
    Ok(name)
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

const fn empty(name: &str) -> Service<'_> {
    Service {
        name,
        program: "",
        root: None,
        args: Words::NONE,
        environment: Words::NONE,
        restart: Restart::Always,
        capabilities: Capabilities::empty(),
        after: Words::NONE,
        receives: None,
        sends: Words::NONE,
        registers: Words::NONE,
        stdin: Stream::Null,
        stdout: Stream::Console,
        stderr: Stream::Console,
        memory: 0,
        handles: 0,
        threads: 0,
    }
}

fn finish<'a>(services: &mut Vec<Service<'a>>, section: Option<Section<'a>>) -> Result<(), Error> {
    let Some(Section { service, line, .. }) = section else {
        return Ok(());
    };
    let blame = |problem| Error { line, column: 1, problem };
    if service.program.is_empty() {
        return Err(blame(Problem::NoProgram));
    }
    if services.len() == SERVICES_MAX || services.try_reserve(1).is_err() {
        return Err(blame(Problem::TooMany));
    }
    services.push(service);
    Ok(())
}

/// One `key = value`.
fn entry<'a>(section: &mut Option<Section<'a>>, content: &'a str, services: &[Service<'_>]) -> Outcome<()> {
    let (key, value) = content.split_once('=').ok_or((0, Problem::Line))?;
    let key = key.trim_end_matches([' ', '\t']);
    let section = section.as_mut().ok_or((0, Problem::NoSection))?;
    let index = KEYS.iter().position(|&known| known == key).ok_or((0, Problem::UnknownKey))?;
    if section.seen & 1 << index != 0 {
        return Err((0, Problem::DuplicateKey));
    }
    section.seen |= 1 << index;
    let value = value.trim_start_matches([' ', '\t']);
    let start = content.len() - value.len();
    if value.is_empty() {
        return Err((start, Problem::NoValue));
    }
    set(&mut section.service, key, value, services).map_err(|(at, problem)| (start + at, problem))
}

fn set<'a>(service: &mut Service<'a>, key: &str, value: &'a str, services: &[Service<'_>]) -> Outcome<()> {
    match key {
        "program" => service.program = path(value)?,
        "root" => service.root = Some(path(value)?),
        "args" => service.args = Words::new(value)?,
        "environment" => service.environment = environment(value)?,
        "restart" => service.restart = one_of(value, &Restart::ALL)?,
        "capabilities" => service.capabilities = capabilities(value)?,
        "after" => {
            let known = |name: &str| services.iter().any(|service| service.name == name);
            service.after = known_words(value, known, Problem::UnknownService)?;
        }
        "receives" => service.receives = Some(endpoint(value, services)?),
        "sends" => service.sends = senders(value, service.registers, services)?,
        "registers" => service.registers = senders(value, service.sends, services)?,
        "stdin" => service.stdin = stream(value)?,
        "stdout" => service.stdout = stream(value)?,
        "stderr" => service.stderr = stream(value)?,
        "memory" => service.memory = bytes(value)?,
        "handles" => service.handles = number(value).and_then(narrow)?,
        "threads" => service.threads = number(value).and_then(narrow)?,
        // Only keys of the table come here.
        _ => return Err((0, Problem::UnknownKey)),
    }
    Ok(())
}

fn one_of<T: Copy>(value: &str, words: &[(&str, T)]) -> Outcome<T> {
    words
        .iter()
        .find(|(word, _)| *word == value)
        .map(|&(_, meaning)| meaning)
        .ok_or((0, Problem::UnknownWord))
}

/// An absolute path that names one place only, as it stands. Blanks need no quotes.
fn path(value: &str) -> Outcome<&str> {
    let components = value.strip_prefix('/').ok_or((0, Problem::Path))?;
    if components.split('/').any(|component| matches!(component, "" | "." | "..")) {
        return Err((0, Problem::Path));
    }
    Ok(value)
}

fn stream(value: &str) -> Outcome<Stream<'_>> {
    match value {
        "null" => Ok(Stream::Null),
        "console" => Ok(Stream::Console),
        _ if value.starts_with('/') => path(value).map(Stream::File),
        _ => Err((0, Problem::UnknownWord)),
    }
}

fn environment(value: &str) -> Outcome<Words<'_>> {
    let words = Words::new(value)?;
    for (at, word) in words.with_offsets() {
        match word.split_once('=') {
            Some((name, _)) if !name.is_empty() => {}
            Some(_) | None => return Err((at, Problem::Environment)),
        }
    }
    Ok(words)
}

fn capabilities(value: &str) -> Outcome<Capabilities> {
    let mut held = Capabilities::empty();
    for (at, word) in Words::new(value)?.with_offsets() {
        let same = |name: &str| name.bytes().map(in_text).eq(word.bytes());
        let all = Capabilities::all();
        let (_, bit) = all.iter_names().find(|(name, _)| same(name)).ok_or((at, Problem::UnknownWord))?;
        if held.contains(bit) {
            return Err((at, Problem::DuplicateWord));
        }
        held |= bit;
    }
    Ok(held)
}

/// The name of an endpoint at which nobody receives yet.
fn endpoint<'a>(value: &'a str, services: &[Service<'_>]) -> Outcome<&'a str> {
    match services.iter().any(|service| service.receives == Some(value)) {
        _ if !is_name(value) => Err((0, Problem::Name)),
        true => Err((0, Problem::DuplicateEndpoint)),
        false => Ok(value),
    }
}

/// Endpoints of services described above, none of which is among the `others`.
fn senders<'a>(value: &'a str, others: Words<'_>, services: &[Service<'_>]) -> Outcome<Words<'a>> {
    let known = |name: &str| services.iter().any(|service| service.receives == Some(name));
    let words = known_words(value, known, Problem::UnknownEndpoint)?;
    match words.with_offsets().find(|&(_, word)| others.into_iter().any(|other| other == word)) {
        Some((at, _)) => Err((at, Problem::DuplicateWord)),
        None => Ok(words),
    }
}

/// Words that are known, each once.
fn known_words<'a>(value: &'a str, known: impl Fn(&str) -> bool, unknown: Problem) -> Outcome<Words<'a>> {
    let words = Words::new(value)?;
    for (n, (at, word)) in words.with_offsets().enumerate() {
        if !known(word) {
            return Err((at, unknown));
        }
        if words.into_iter().take(n).any(|other| other == word) {
            return Err((at, Problem::DuplicateWord));
        }
    }
    Ok(words)
}

/// Decimal digits; `u64::from_str` would also take a sign.
fn number(value: &str) -> Outcome<u64> {
    match value.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(at) => Err((at, Problem::Number)),
        None => value.parse().map_err(|_| (0, Problem::Number)),
    }
}

fn narrow(value: u64) -> Outcome<u32> {
    u32::try_from(value).map_err(|_| (0, Problem::Number))
}

fn bytes(value: &str) -> Outcome<u64> {
    let units = [('K', 1_u64 << 10), ('M', 1 << 20), ('G', 1 << 30)];
    let with_unit = units.iter().find_map(|&(suffix, unit)| Some((value.strip_suffix(suffix)?, unit)));
    let (digits, unit) = with_unit.unwrap_or((value, 1));
    number(digits)?.checked_mul(unit).ok_or((0, Problem::Number))
}

#[cfg(test)]
mod tests;
