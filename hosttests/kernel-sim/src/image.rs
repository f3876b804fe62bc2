//! A base image with programs in it.

use swos_swosbase::{Attributes, BLOCK_SIZE, Node, TEST_SEED, Tree, v3, v4};

/// A file to put into the image.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Relative path; its directories are made.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Programs that one image can hold: their number is a byte at the entry.
pub const PROGRAM_SLOTS: usize = 256;

/// Where in the file execution begins.
const ENTRY: usize = 0x200;

/// A signed image with these programs under `/bin`, and files.
pub(crate) fn build(programs: &[&str], files: &[ImageFile]) -> Vec<u8> {
    v4::write(&tree(programs, files), &v4::Options { image_version: 1 }, &TEST_SEED).unwrap()
}

/// The same as version 3, filled up to a whole block.
pub(crate) fn build_v3(programs: &[&str], files: &[ImageFile]) -> Vec<u8> {
    let mut image = v3::write(&tree(programs, files), &TEST_SEED).unwrap();
    image.resize(image.len().next_multiple_of(BLOCK_SIZE), 0);
    image
}

fn tree(programs: &[&str], files: &[ImageFile]) -> Tree {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    for directory in [&b"bin"[..], b"dev", b"run", b"sys", b"tmp"] {
        tree.add(directory, Attributes::DIRECTORY, Node::Directory).unwrap();
    }
    for (number, name) in programs.iter().enumerate() {
        let path = format!("bin/{name}");
        tree.add(path.as_bytes(), Attributes::PROGRAM, Node::File(program(u8::try_from(number).unwrap())))
            .unwrap();
    }
    for file in files {
        for (at, _) in file.path.match_indices('/') {
            let directory = &file.path.as_bytes()[..at];
            if tree.get(directory).is_none() {
                tree.add(directory, Attributes::DIRECTORY, Node::Directory).unwrap();
            }
        }
        tree.add(file.path.as_bytes(), Attributes::FILE, Node::File(file.bytes.clone())).unwrap();
    }
    tree
}

/// An ELF with a code page, whose byte at the entry says which function it stands for, and a data segment of which the
/// first 256 bytes come from the file.
fn program(number: u8) -> Vec<u8> {
    let mut elf = vec![0; 0x1100];
    elf[..16].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &3_u16.to_le_bytes());
    put(18, &183_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &(ENTRY as u64).to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &2_u16.to_le_bytes());
    for (index, (flags, at, file, memory)) in
        [(5_u32, 0_u64, 0x1000_u64, 0x1000_u64), (6, 0x1000, 0x100, 0x3000)].into_iter().enumerate()
    {
        let header = 64 + 56 * index;
        put(header, &1_u32.to_le_bytes());
        put(header + 4, &flags.to_le_bytes());
        for (offset, value) in [(8, at), (16, at), (24, at), (32, file), (40, memory), (48, 0x1000)] {
            put(header + offset, &value.to_le_bytes());
        }
    }
    put(ENTRY, &[number]);
    put(0x1000, &[0xD0 | number & 0xF; 0x100]);
    elf
}
