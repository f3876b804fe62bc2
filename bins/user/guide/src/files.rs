//! Files: made, written, read, listed, removed.

use swos_ulib::{
    abi::Errno,
    fs::{self, File, SeekFrom},
    io::{Read as _, Result, Write as _},
    println,
};

pub(crate) fn main() -> Result<()> {
    fs::create_dir("/tmp/notes")?;
    let mut file = File::options().read(true).write(true).create_new(true).open("/tmp/notes/today")?;
    file.write_all(b"buy bread\nread a book\n")?;

    file.seek(SeekFrom::Start(4))?;
    let mut word = [0; 5];
    file.read_exact(&mut word)?;
    println!("{}", word.escape_ascii());

    // The offset is an argument here, so threads can share the file.
    file.write_at(b"salt!", 4)?;
    println!("{}", fs::read_to_string("/tmp/notes/today")?.trim_end());

    fs::rename("/tmp/notes/today", "/tmp/notes/yesterday")?;
    for entry in fs::read_dir("/tmp/notes")? {
        println!("{}: {} bytes", entry?.name.escape_ascii(), file.metadata()?.size);
    }

    // The image is signed: nobody writes there, whatever the rights.
    println!("a file in /etc: {}", fs::write("/etc/new", "").is_err_and(|wrong| wrong == Errno::ROFS.into()));
    fs::remove_dir_all("/tmp/notes")?;
    Ok(())
}
