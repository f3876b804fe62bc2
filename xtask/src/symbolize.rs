//! `xtask symbolize`: names the addresses of a kernel panic.

use crate::workspace::Workspace;
use addr2line::Loader;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use core::fmt::Write;
use elf::ElfBytes;
use elf::endian::LittleEndian;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

/// Reads the console's text and repeats it with function, file and line behind each address of a backtrace. Refuses a
/// kernel that is not the one that panicked: the report carries the build id.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask symbolize console.txt
  cargo xtask symbolize < console.txt
  cargo xtask symbolize --kernel old/kernel.elf console.txt")]
pub(crate) struct Options {
    /// Text of the console [default: standard input].
    text: Option<PathBuf>,
    /// The linked kernel [default: build/kernel.elf].
    #[arg(long)]
    kernel: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let text = match &options.text {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
    };
    let kernel = options.kernel.clone().unwrap_or_else(|| workspace.kernel_elf());
    let file =
        fs::read(&kernel).with_context(|| format!("cannot read {} (cargo xtask build)", kernel.display()))?;
    let own = build_id(&file).with_context(|| format!("{} has no build id", kernel.display()))?;
    if let Some(reported) = text.lines().find_map(|line| line.trim().strip_prefix("build-id "))
        && reported != own
    {
        bail!("the report is of build {reported}, but {} is build {own}", kernel.display());
    }
    let loader =
        Loader::new(&kernel).map_err(|error| anyhow!("cannot read {}: {error}", kernel.display()))?;
    print!("{}", explain(&text, |address| name(&loader, address)));
    Ok(())
}

/// The text with an explanation behind each line that holds an address of a trace.
fn explain(text: &str, mut name: impl FnMut(u64) -> Option<String>) -> String {
    let mut out = String::new();
    let mut fault = None;
    for line in text.lines() {
        let line = line.trim_end();
        out.push_str(line);
        if let Some(address) = program_counter(line) {
            fault = Some(address);
            push(&mut out, name(address));
        } else if let Some(address) = trace_entry(line) {
            // A return address is behind the call that it belongs to; only the fault itself is where it says.
            push(&mut out, name(if fault == Some(address) { address } else { address.saturating_sub(4) }));
        }
        out.push('\n');
    }
    out
}

fn push(out: &mut String, name: Option<String>) {
    // Writing to a String cannot fail.
    let _ = write!(out, "  {}", name.as_deref().unwrap_or("(not in this kernel)"));
}

/// `pc 0x...` at the start of a line of registers.
fn program_counter(line: &str) -> Option<u64> {
    hexadecimal(line.strip_prefix("pc ")?)
}

/// `#N 0x...`.
fn trace_entry(line: &str) -> Option<u64> {
    let (depth, rest) = line.strip_prefix('#')?.split_once(' ')?;
    depth.parse::<u32>().ok()?;
    hexadecimal(rest)
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.split_whitespace().next()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

/// Functions at an address, innermost first, each with its place in the sources.
fn name(loader: &Loader, address: u64) -> Option<String> {
    let mut names = Vec::new();
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let function =
                frame.function.as_ref().and_then(|function| function.demangle().ok().map(String::from));
            let function = function.unwrap_or_else(|| "?".into());
            let place = frame.location.and_then(|location| Some((location.file?.to_owned(), location.line?)));
            names.push(match place {
                Some((file, line)) => format!("{function} ({file}:{line})"),
                None => function,
            });
        }
    }
    if names.is_empty() {
        names.extend(loader.find_symbol(address).map(str::to_owned));
    }
    (!names.is_empty()).then(|| names.join(" in "))
}

/// The build id of the kernel, in hexadecimal. Its linker script keeps the note among the read-only data, between two symbols.
fn build_id(file: &[u8]) -> Result<String> {
    let parsed = ElfBytes::<LittleEndian>::minimal_parse(file).context("not an ELF file")?;
    let (symbols, names) = parsed.symbol_table().context("no symbols")?.context("no symbols")?;
    let address = |wanted: &str| {
        let named = |symbol: &elf::symbol::Symbol| {
            names.get(usize::try_from(symbol.st_name).unwrap_or(0)).is_ok_and(|name| name == wanted)
        };
        symbols
            .iter()
            .find(named)
            .map(|symbol| symbol.st_value)
            .with_context(|| format!("no symbol {wanted}"))
    };
    let (start, end) = (address("_build_id")?, address("_build_id_end")?);
    let segments = parsed.segments().context("no program headers")?;
    let holds = |segment: &elf::segment::ProgramHeader| {
        segment.p_vaddr <= start && end <= segment.p_vaddr.saturating_add(segment.p_filesz)
    };
    let segment = segments.iter().find(holds).context("the note is not in the file")?;
    let offset = usize::try_from(segment.p_offset + (start - segment.p_vaddr))?;
    let note =
        file.get(offset..offset + usize::try_from(end.saturating_sub(start))?).context("a cut file")?;
    let mut text = String::new();
    for byte in note.get(NOTE_HEAD_BYTES..).context("no build id")? {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Sizes of name and description, type, and the name `GNU`.
const NOTE_HEAD_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_trace_are_named() {
        let text = "panic: x\r\nbuild-id ab\npc 0x0000000000001000 sp 0x20\nx0  0x0000000000001000 x1 0x0\n#0 0x1000\n#1 0x2004\nend of panic\n";
        let expected = "panic: x\nbuild-id ab\npc 0x0000000000001000 sp 0x20  f1000\nx0  0x0000000000001000 x1 0x0\n#0 0x1000  f1000\n#1 0x2004  f2000\nend of panic\n";
        assert_eq!(explain(text, |address| Some(format!("f{address:x}"))), expected);
    }

    #[test]
    fn an_unknown_address_is_said_to_be_unknown() {
        assert_eq!(explain("#3 0x10", |_| None), "#3 0x10  (not in this kernel)\n");
    }

    #[test]
    fn ordinary_lines_stay() {
        for line in ["#x 0x10", "# 0x10", "#1 10", "pc", "issue #12 0xzz"] {
            assert_eq!(explain(line, |_| Some("wrong".into())), format!("{line}\n"));
        }
    }
}
