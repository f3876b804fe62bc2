//! Names that move, and where they can't go.

use alloc::string::String;

use swos_ulib::{
    abi::Errno,
    env,
    fs::{self, File},
    testing::{equal, text},
};

use crate::{
    Area, UNKNOWN,
    dirs::{names, touch},
    files::place,
};

pub(crate) const AREA: Area = Area {
    name: "renames",
    checks: &[
        ("a name moves within and between directories", rename),
        ("a name moves onto a file", rename_onto),
        ("a name that is the same file stays", rename_same),
        ("kinds do not replace each other", rename_kinds),
        ("a directory moves onto an empty one", rename_directory),
        ("a directory does not move into itself", rename_into_itself),
        ("a moved directory has a new parent", rename_parent),
        ("names stay within their file system", cross),
        ("a place where something is mounted stays", mounted),
    ],
    child: |_| UNKNOWN,
};

fn rename() -> Result<(), String> {
    place("rename").map(drop)?;
    fs::create_dir("/tmp/rename/d").map_err(text)?;
    fs::write("/tmp/rename/a", "bytes").map_err(text)?;
    let before = fs::metadata("/tmp/rename/a").map_err(text)?.inode;
    fs::rename("/tmp/rename/a", "/tmp/rename/b").map_err(text)?;
    fs::rename("/tmp/rename/b", "/tmp/rename/d/c").map_err(text)?;
    equal(names("/tmp/rename")?.as_str(), "d")?;
    equal(fs::metadata("/tmp/rename/d/c").map_err(text)?.inode, before)?;
    equal(fs::rename("/tmp/rename/a", "/tmp/rename/b"), Err(Errno::NOENT))?;
    equal(fs::rename("/tmp/rename/d/c", "/tmp/rename/no/c"), Err(Errno::NOENT))?;
    equal(fs::rename("/tmp/rename/d/c", "/tmp/rename/new/"), Err(Errno::NOTDIR))
}

fn rename_onto() -> Result<(), String> {
    place("rename-onto").map(drop)?;
    fs::write("/tmp/rename-onto/a", "new").map_err(text)?;
    fs::write("/tmp/rename-onto/b", "old").map_err(text)?;
    let old = File::open("/tmp/rename-onto/b").map_err(text)?;
    fs::rename("/tmp/rename-onto/a", "/tmp/rename-onto/b").map_err(text)?;
    equal(names("/tmp/rename-onto")?.as_str(), "b")?;
    equal(fs::read("/tmp/rename-onto/b").map_err(text)?.as_slice(), b"new")?;
    // Who had the old one open has it still.
    let mut bytes = [0; 3];
    equal((old.read_at(&mut bytes, 0), bytes), (Ok(3), *b"old"))
}

fn rename_same() -> Result<(), String> {
    place("rename-same").map(drop)?;
    touch("/tmp/rename-same/a")?;
    fs::hard_link("/tmp/rename-same/a", "/tmp/rename-same/b").map_err(text)?;
    fs::rename("/tmp/rename-same/a", "/tmp/rename-same/b").map_err(text)?;
    fs::rename("/tmp/rename-same/a", "/tmp/rename-same/a").map_err(text)?;
    equal(names("/tmp/rename-same")?.as_str(), "a b")
}

fn rename_kinds() -> Result<(), String> {
    place("rename-kinds").map(drop)?;
    fs::create_dir("/tmp/rename-kinds/d").map_err(text)?;
    touch("/tmp/rename-kinds/f")?;
    equal(fs::rename("/tmp/rename-kinds/f", "/tmp/rename-kinds/d"), Err(Errno::ISDIR))?;
    equal(fs::rename("/tmp/rename-kinds/d", "/tmp/rename-kinds/f"), Err(Errno::NOTDIR))?;
    touch("/tmp/rename-kinds/d/x")?;
    fs::create_dir("/tmp/rename-kinds/e").map_err(text)?;
    equal(fs::rename("/tmp/rename-kinds/e", "/tmp/rename-kinds/d"), Err(Errno::NOTEMPTY))
}

fn rename_directory() -> Result<(), String> {
    place("rename-directory").map(drop)?;
    fs::create_dir_all("/tmp/rename-directory/a/in").map_err(text)?;
    fs::create_dir("/tmp/rename-directory/b").map_err(text)?;
    fs::rename("/tmp/rename-directory/a/", "/tmp/rename-directory/b/").map_err(text)?;
    equal(names("/tmp/rename-directory")?.as_str(), "b")?;
    equal(names("/tmp/rename-directory/b")?.as_str(), "in")
}

fn rename_into_itself() -> Result<(), String> {
    place("into-itself").map(drop)?;
    fs::create_dir_all("/tmp/into-itself/a/b/c").map_err(text)?;
    for to in ["/tmp/into-itself/a/x", "/tmp/into-itself/a/b/c/x"] {
        equal(fs::rename("/tmp/into-itself/a", to), Err(Errno::INVAL))?;
    }
    equal(fs::rename("/tmp/into-itself/a/b", "/tmp/into-itself/a"), Err(Errno::NOTEMPTY))
}

fn rename_parent() -> Result<(), String> {
    place("new-parent").map(drop)?;
    fs::create_dir_all("/tmp/new-parent/a/moved").map_err(text)?;
    fs::create_dir("/tmp/new-parent/b").map_err(text)?;
    touch("/tmp/new-parent/b/here")?;
    fs::rename("/tmp/new-parent/a/moved", "/tmp/new-parent/b/moved").map_err(text)?;
    equal(fs::exists("/tmp/new-parent/b/moved/../here"), Ok(true))?;
    env::set_current_dir("/tmp/new-parent/b/moved").map_err(text)?;
    let path = env::current_dir();
    env::set_current_dir("/").map_err(text)?;
    equal(path.map_err(text)?.as_slice(), b"/tmp/new-parent/b/moved")
}

fn cross() -> Result<(), String> {
    place("cross").map(drop)?;
    touch("/tmp/cross/a")?;
    equal(fs::rename("/tmp/cross/a", "/run/a"), Err(Errno::XDEV))?;
    equal(fs::hard_link("/tmp/cross/a", "/run/a"), Err(Errno::XDEV))?;
    equal(fs::hard_link("/etc/motd", "/tmp/cross/motd"), Err(Errno::XDEV))
}

fn mounted() -> Result<(), String> {
    equal(fs::remove_dir("/tmp"), Err(Errno::BUSY))?;
    equal(fs::rename("/tmp", "/run/tmp"), Err(Errno::BUSY))?;
    place("mounted").map(drop)?;
    equal(fs::rename("/tmp/mounted", "/dev").err(), Some(Errno::BUSY))
}
