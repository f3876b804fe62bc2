//! What the door does with linked ELF files: a flat kernel image, and programs without their symbols.

use anyhow::{Context, Result, ensure};
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD};
use elf::endian::LittleEndian;

/// Largest flat image that is plausible; a stray physical address would ask for gigabytes.
const FLAT_LIMIT_BYTES: u64 = 64 << 20;

/// The loadable bytes of an ELF file as one block, from its lowest physical address on. What is zero at the end
/// (`.bss`) is left out: the image header states the full size, and the kernel clears it.
pub(crate) fn flatten(file: &[u8]) -> Result<Vec<u8>> {
    let segments = loaded(file)?;
    let base = segments.iter().map(|segment| segment.p_paddr).min().context("no segment to load")?;
    let end =
        segments.iter().map(|segment| segment.p_paddr + segment.p_filesz).max().context("no segment")?;
    ensure!(end - base <= FLAT_LIMIT_BYTES, "segments are {} bytes apart", end - base);
    let mut flat = vec![0; usize::try_from(end - base)?];
    for segment in &segments {
        let bytes = contents(file, segment.p_offset, segment.p_filesz)?;
        let start = usize::try_from(segment.p_paddr - base)?;
        flat.get_mut(start..start + bytes.len())
            .context("a segment lies inside the image")?
            .copy_from_slice(bytes);
    }
    Ok(flat)
}

/// The file up to the end of its last segment, without a section table: all that a loader reads.
pub(crate) fn strip(file: &[u8]) -> Result<Vec<u8>> {
    let parsed = ElfBytes::<LittleEndian>::minimal_parse(file).context("not an ELF file")?;
    let headers = parsed.ehdr.e_phoff + u64::from(parsed.ehdr.e_phentsize) * u64::from(parsed.ehdr.e_phnum);
    let ends = loaded(file)?.into_iter().map(|segment| segment.p_offset + segment.p_filesz);
    let end = ends.max().context("no segment to load")?.max(headers);
    let mut kept = contents(file, 0, end)?.to_vec();
    // e_shoff, then e_shentsize, e_shnum and e_shstrndx (ELF-64, "ELF Header").
    for field in [0x28..0x30, 0x3a..0x40] {
        kept.get_mut(field).context("a 64-bit ELF header")?.fill(0);
    }
    Ok(kept)
}

/// Addresses of the instructions in executable segments that `wanted` says yes to.
pub(crate) fn instructions(file: &[u8], wanted: impl Fn(u32) -> bool) -> Result<Vec<u64>> {
    let mut found = Vec::new();
    for segment in loaded(file)?.iter().filter(|segment| segment.p_flags & PF_X != 0) {
        let bytes = contents(file, segment.p_offset, segment.p_filesz)?;
        let words = bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word));
        found.extend(
            (segment.p_vaddr..).step_by(4).zip(words).filter(|&(_, word)| wanted(word)).map(|at| at.0),
        );
    }
    Ok(found)
}

fn loaded(file: &[u8]) -> Result<Vec<elf::segment::ProgramHeader>> {
    let parsed = ElfBytes::<LittleEndian>::minimal_parse(file).context("not an ELF file")?;
    let segments = parsed.segments().context("no program headers")?;
    Ok(segments.iter().filter(|segment| segment.p_type == PT_LOAD && segment.p_memsz > 0).collect())
}

fn contents(file: &[u8], offset: u64, size: u64) -> Result<&[u8]> {
    let start = usize::try_from(offset)?;
    let end = start.checked_add(usize::try_from(size)?).context("a segment ends behind the file")?;
    file.get(start..end).context("a segment ends behind the file")
}

#[cfg(test)]
mod tests;
