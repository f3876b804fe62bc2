//! A file of the image as a slice, and a file in memory that two mappings share.

use swos_ulib::{
    fs::{self, File},
    io::Result,
    memory::Use,
    println,
};

pub(crate) fn main() -> Result<()> {
    // Nobody can change a file of the signed image, so its bytes are a slice: read from disk where they are looked at.
    let program = File::open("/bin/guide")?.map()?;
    println!(
        "{} {}",
        program.starts_with(b"\x7fELF"),
        program.len() as u64 == fs::metadata("/bin/guide")?.size
    );

    // Anybody may change a file in /tmp: bytes are copied out and in.
    let board = File::options().read(true).write(true).create_new(true).open("/tmp/board")?;
    board.set_len(4096)?;
    let (ours, theirs) = (board.map_part(0, 4096, Use::Write)?, board.map_part(0, 4096, Use::Read)?);
    ours.write(0, b"chalk");
    let mut seen = [0; 5];
    theirs.read(0, &mut seen);
    println!("{}", seen.escape_ascii());

    // What is stored in a copy, only its owner sees.
    let copy = board.map_part(0, 4096, Use::Own)?;
    copy.write(0, b"sponge");
    board.read_at(&mut seen, 0)?;
    println!("{}", seen.escape_ascii());
    fs::remove_file("/tmp/board")?;
    Ok(())
}
