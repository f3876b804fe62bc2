//! Names: made, removed, listed, linked.

use alloc::{format, string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, Node, OpenFlags},
    env,
    fs::{self, File},
    handle::OwnedHandle,
    sys,
    testing::{equal, text},
};

use crate::{Area, UNKNOWN, files::place};

pub(crate) const AREA: Area = Area {
    name: "dirs",
    checks: &[
        ("a directory is made and removed", made),
        ("what is there is not made again", exists),
        ("a directory that is not empty stays", not_empty),
        ("each kind is removed in its own way", kinds),
        ("names are listed in the order they came", order),
        ("a listing goes on while names come and go", listing),
        ("links count their names", hard_links),
        ("a directory has one name", no_directory_link),
        ("a link leads on, and is what is removed", symlinks),
        ("links that go round end", round),
        ("paths start at a handle", at_handles),
        ("names and paths have a length", long_names),
        ("a removed directory takes no names", removed),
        ("the current directory has a path", current),
        ("the current directory may be removed", current_removed),
        ("a directory has as many links as it has directories", link_counts),
        ("what others put into the sticky directory stays", sticky),
        ("a tree is removed whole, and links are not followed", remove_all),
        ("a thousand names are found", many),
        ("the image's directories take no names", read_only),
    ],
    child: |_| UNKNOWN,
};

pub(crate) fn touch(path: &str) -> Result<(), String> {
    File::create_new(path).map(drop).map_err(text)
}

/// The names in a directory, in their order.
pub(crate) fn names(path: &str) -> Result<String, String> {
    let entries = fs::read_dir(path).map_err(text)?;
    let names: Result<Vec<String>, String> =
        entries.map(|entry| String::from_utf8(entry.map_err(text)?.name).map_err(text)).collect();
    Ok(names?.join(" "))
}

fn made() -> Result<(), String> {
    let top = place("made")?;
    let path = [&top, "/d/"].concat();
    fs::create_dir(&path).map_err(text)?;
    let stat = fs::metadata(&path).map_err(text)?;
    equal((stat.mode, stat.links, stat.size), (Node::DIRECTORY.0 | 0o755, 2, 0))?;
    fs::remove_dir(&path).map_err(text)?;
    equal(fs::metadata(&path).err(), Some(Errno::NOENT))?;
    fs::create_dir_all([&top, "/a/b/../c"].concat()).map_err(text)?;
    equal(names(&[&top, "/a"].concat())?.as_str(), "b c")
}

fn exists() -> Result<(), String> {
    let top = place("exists")?;
    touch("/tmp/exists/file")?;
    for path in [&top, "/tmp/exists/file", "/", "/tmp/exists/.", "/tmp/exists/.."] {
        equal(fs::create_dir(path), Err(Errno::EXIST))?;
    }
    equal(fs::mkfifo("/tmp/exists/file", 0o600), Err(Errno::EXIST))?;
    equal(fs::symlink("x", "/tmp/exists/file"), Err(Errno::EXIST))?;
    equal(fs::hard_link("/tmp/exists/file", &top), Err(Errno::EXIST))?;
    equal(fs::create_dir("/tmp/exists/none/d"), Err(Errno::NOENT))?;
    equal(fs::create_dir("/tmp/exists/file/d"), Err(Errno::NOTDIR))?;
    equal(fs::create_dir(""), Err(Errno::NOENT))
}

fn not_empty() -> Result<(), String> {
    let top = place("not-empty")?;
    touch("/tmp/not-empty/x")?;
    equal(fs::remove_dir(&top), Err(Errno::NOTEMPTY))?;
    fs::remove_file("/tmp/not-empty/x").map_err(text)?;
    fs::remove_dir(&top).map_err(text)
}

fn kinds() -> Result<(), String> {
    place("kinds").map(drop)?;
    touch("/tmp/kinds/file")?;
    fs::create_dir("/tmp/kinds/dir").map_err(text)?;
    equal(fs::remove_dir("/tmp/kinds/file"), Err(Errno::NOTDIR))?;
    equal(fs::remove_file("/tmp/kinds/dir"), Err(Errno::ISDIR))?;
    equal(fs::remove_file("/tmp/kinds/none"), Err(Errno::NOENT))?;
    equal(fs::remove_file("/tmp/kinds/file/"), Err(Errno::NOTDIR))?;
    equal(fs::remove_dir("/tmp/kinds/."), Err(Errno::INVAL))
}

fn order() -> Result<(), String> {
    let top = place("order")?;
    for name in ["z", "a", "m"] {
        touch(&format!("{top}/{name}"))?;
    }
    fs::remove_file("/tmp/order/a").map_err(text)?;
    touch("/tmp/order/b")?;
    fs::rename("/tmp/order/z", "/tmp/order/y").map_err(text)?;
    equal(names(&top)?.as_str(), "y m b")
}

fn listing() -> Result<(), String> {
    let top = place("listing")?;
    for number in 0..200 {
        touch(&format!("{top}/{number}"))?;
    }
    let mut seen = vec![];
    for entry in fs::read_dir(&top).map_err(text)? {
        let name = String::from_utf8_lossy(&entry.map_err(text)?.name).into_owned();
        let number: usize = name.parse().map_err(text)?;
        seen.push(number);
        // Those with even numbers go when they were seen, and each leaves a new one behind, up to a limit.
        if number.is_multiple_of(2) && number < 200 {
            fs::remove_file(format!("{top}/{number}")).map_err(text)?;
            touch(&format!("{top}/{}", number + 1000))?;
        }
    }
    // What was there all the time is seen once, in order.
    let old: Vec<usize> = seen.iter().copied().filter(|&number| number < 200).collect();
    equal(old, (0..200).collect::<Vec<_>>())?;
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    equal(sorted.len(), seen.len())
}

fn hard_links() -> Result<(), String> {
    place("hard-links").map(drop)?;
    fs::write("/tmp/hard-links/a", "one").map_err(text)?;
    fs::hard_link("/tmp/hard-links/a", "/tmp/hard-links/b").map_err(text)?;
    fs::write("/tmp/hard-links/b", "both").map_err(text)?;
    equal(fs::read("/tmp/hard-links/a").map_err(text)?.as_slice(), b"both")?;
    let (a, b) = (fs::metadata("/tmp/hard-links/a"), fs::metadata("/tmp/hard-links/b"));
    let (a, b) = (a.map_err(text)?, b.map_err(text)?);
    equal((a.links, a.inode == b.inode), (2, true))?;
    fs::remove_file("/tmp/hard-links/a").map_err(text)?;
    equal(fs::metadata("/tmp/hard-links/b").map_err(text)?.links, 1)?;
    equal(fs::hard_link("/tmp/hard-links/a", "/tmp/hard-links/c"), Err(Errno::NOENT))?;
    // A link is linked itself.
    fs::symlink("b", "/tmp/hard-links/s").map_err(text)?;
    fs::hard_link("/tmp/hard-links/s", "/tmp/hard-links/t").map_err(text)?;
    equal(fs::read_link("/tmp/hard-links/t").map_err(text)?.as_slice(), b"b")
}

fn no_directory_link() -> Result<(), String> {
    let top = place("directory-link")?;
    equal(fs::hard_link(&top, "/tmp/directory-link/x"), Err(Errno::PERM))
}

fn symlinks() -> Result<(), String> {
    place("symlinks").map(drop)?;
    fs::write("/tmp/symlinks/file", "text").map_err(text)?;
    fs::symlink("file", "/tmp/symlinks/link").map_err(text)?;
    equal(fs::read("/tmp/symlinks/link").map_err(text)?.as_slice(), b"text")?;
    let stat = fs::symlink_metadata("/tmp/symlinks/link").map_err(text)?;
    equal((Node::of_mode(stat.mode), stat.size), (Node::SYMLINK, 4))?;
    equal(fs::read_link("/tmp/symlinks/link").map_err(text)?.as_slice(), b"file")?;
    equal(fs::read_link("/tmp/symlinks/file"), Err(Errno::INVAL))?;
    fs::remove_file("/tmp/symlinks/link").map_err(text)?;
    equal(fs::exists("/tmp/symlinks/file"), Ok(true))?;
    fs::symlink("/tmp/symlinks", "/tmp/symlinks/up").map_err(text)?;
    equal(fs::read("/tmp/symlinks/up/up/file").map_err(text)?.as_slice(), b"text")?;
    equal(fs::symlink("", "/tmp/symlinks/empty"), Err(Errno::NOENT))?;
    equal(fs::symlink("x", "/tmp/symlinks/y/"), Err(Errno::NOENT))?;
    // Times and modes go through it, unless that is not wanted.
    fs::set_permissions("/tmp/symlinks/up/file", 0o600).map_err(text)?;
    equal(fs::metadata("/tmp/symlinks/file").map_err(text)?.mode & 0o777, 0o600)
}

fn round() -> Result<(), String> {
    place("round").map(drop)?;
    fs::symlink("b", "/tmp/round/a").map_err(text)?;
    fs::symlink("a", "/tmp/round/b").map_err(text)?;
    equal(fs::metadata("/tmp/round/a").err(), Some(Errno::LOOP))?;
    equal(File::create("/tmp/round/a").err(), Some(Errno::LOOP))
}

fn at_handles() -> Result<(), String> {
    let top = place("at")?;
    let directory = OwnedHandle::new(
        sys::open(Handle::CWD, top.as_bytes(), OpenFlags::READ | OpenFlags::DIRECTORY, 0).map_err(text)?,
    );
    let at = directory.get();
    sys::mkdir(at, b"d", 0o700).map_err(text)?;
    sys::symlink(b"d", at, b"s").map_err(text)?;
    sys::rename((at, b"d"), (at, b"e")).map_err(text)?;
    sys::mkfifo(at, b"f", 0o600).map_err(text)?;
    sys::link((at, b"f"), (at, b"g")).map_err(text)?;
    sys::set_mode(at, b"e", OpenFlags::empty(), 0o711).map_err(text)?;
    equal(fs::metadata("/tmp/at/e").map_err(text)?.mode & 0o777, 0o711)?;
    sys::unlink(at, b"f").map_err(text)?;
    equal(names(&top)?.as_str(), "e s g")?;
    sys::rmdir(at, b"e").map_err(text)?;
    fs::write("/tmp/at/file", "x").map_err(text)?;
    let file = File::open("/tmp/at/file").map_err(text)?;
    equal(sys::mkdir(file.handle(), b"d", 0o700), Err(Errno::NOTDIR))?;
    equal(sys::mkdir(Handle(77_777), b"d", 0o700), Err(Errno::BADF))
}

fn long_names() -> Result<(), String> {
    let top = place("long")?;
    let name = |length: usize| [&top, "/", &"n".repeat(length)].concat();
    touch(&name(255))?;
    equal(File::create(name(256)).err(), Some(Errno::NAMETOOLONG))?;
    equal(fs::create_dir(top.clone() + &"/x".repeat(2050)), Err(Errno::NAMETOOLONG))?;
    equal(fs::create_dir("/tmp/long/a\0b"), Err(Errno::INVAL))?;
    equal(names(&top)?.len(), 255)
}

fn removed() -> Result<(), String> {
    let top = place("removed")?;
    let flags = OpenFlags::READ | OpenFlags::DIRECTORY;
    let directory = OwnedHandle::new(sys::open(Handle::CWD, top.as_bytes(), flags, 0).map_err(text)?);
    fs::remove_dir(&top).map_err(text)?;
    equal(sys::mkdir(directory.get(), b"x", 0o700), Err(Errno::NOENT))?;
    equal(sys::stat(directory.get(), b"x", OpenFlags::empty()).err(), Some(Errno::NOENT))?;
    equal(sys::readdir(directory.get(), &mut [0; 512]), Ok(0))?;
    equal(sys::fstat(directory.get()).map_err(text)?.links, 0)
}

fn current() -> Result<(), String> {
    place("current").map(drop)?;
    let mut small = [0; 4];
    for (go, path) in
        [("/", "/"), ("/tmp/current", "/tmp/current"), ("/etc/../bin/.", "/bin"), ("/dev", "/dev")]
    {
        env::set_current_dir(go).map_err(text)?;
        equal(env::current_dir().map_err(text)?.as_slice(), path.as_bytes())?;
    }
    env::set_current_dir("/tmp/current").map_err(text)?;
    let short = sys::getcwd(&mut small);
    fs::write("file", "here").map_err(text)?;
    let found = fs::exists("/tmp/current/file");
    let file = env::set_current_dir("file");
    env::set_current_dir("/").map_err(text)?;
    equal((short, found, file), (Err(Errno::RANGE), Ok(true), Err(Errno::NOTDIR)))
}

fn current_removed() -> Result<(), String> {
    let top = place("gone")?;
    env::set_current_dir(&top).map_err(text)?;
    fs::remove_dir(&top).map_err(text)?;
    let path = env::current_dir();
    let made = File::create("x").err();
    let up = fs::metadata("..").err();
    env::set_current_dir("/").map_err(text)?;
    equal((path, made, up), (Err(Errno::NOENT), Some(Errno::NOENT), Some(Errno::NOENT)))
}

fn link_counts() -> Result<(), String> {
    let top = place("counts")?;
    fs::create_dir_all("/tmp/counts/a/b").map_err(text)?;
    fs::create_dir("/tmp/counts/c").map_err(text)?;
    touch("/tmp/counts/file")?;
    let links = |path: &str| fs::metadata(path).map(|stat| stat.links).map_err(text);
    equal((links(&top)?, links("/tmp/counts/a")?), (4, 3))?;
    fs::rename("/tmp/counts/a/b", "/tmp/counts/b").map_err(text)?;
    equal((links(&top)?, links("/tmp/counts/a")?), (5, 2))
}

fn sticky() -> Result<(), String> {
    place("sticky").map(drop)?;
    fs::set_permissions("/tmp/sticky", 0o1777).map_err(text)?;
    fs::write("/tmp/sticky/theirs", "x").map_err(text)?;
    let me = fs::metadata("/tmp/sticky").map_err(text)?.owner;
    fs::chown("/tmp/sticky/theirs", me + 1).map_err(text)?;
    fs::chown("/tmp/sticky", me + 1).map_err(text)?;
    equal(fs::remove_file("/tmp/sticky/theirs"), Err(Errno::ACCES))?;
    equal(fs::rename("/tmp/sticky/theirs", "/tmp/sticky/mine"), Err(Errno::ACCES))?;
    touch("/tmp/sticky/mine")?;
    equal(fs::rename("/tmp/sticky/mine", "/tmp/sticky/theirs"), Err(Errno::ACCES))?;
    fs::remove_file("/tmp/sticky/mine").map_err(text)
}

fn remove_all() -> Result<(), String> {
    let top = place("remove-all")?;
    fs::create_dir_all("/tmp/remove-all/a/b/c").map_err(text)?;
    fs::symlink("/etc", "/tmp/remove-all/a/etc").map_err(text)?;
    fs::mkfifo("/tmp/remove-all/a/b/fifo", 0o600).map_err(text)?;
    fs::remove_dir_all(&top).map_err(text)?;
    equal((fs::exists(&top), fs::exists("/etc/motd")), (Ok(false), Ok(true)))
}

fn many() -> Result<(), String> {
    let top = place("many")?;
    let before = fs::file_system_info("/tmp").map_err(text)?.nodes_used;
    for number in 0..1000 {
        touch(&format!("{top}/{number}"))?;
    }
    equal(fs::exists("/tmp/many/777"), Ok(true))?;
    equal(fs::exists("/tmp/many/1000"), Ok(false))?;
    equal(names(&top)?.split(' ').count(), 1000)?;
    equal(fs::file_system_info("/tmp").map_err(text)?.nodes_used, before + 1000)?;
    for number in (0..1000).rev() {
        fs::remove_file(format!("{top}/{number}")).map_err(text)?;
    }
    equal(fs::file_system_info("/tmp").map_err(text)?.nodes_used, before)
}

fn read_only() -> Result<(), String> {
    equal(fs::create_dir("/etc/d"), Err(Errno::ROFS))?;
    equal(fs::remove_file("/etc/motd"), Err(Errno::ROFS))?;
    equal(fs::rename("/etc/motd", "/etc/other"), Err(Errno::ROFS))?;
    equal(fs::hard_link("/etc/motd", "/etc/other"), Err(Errno::ROFS))?;
    equal(fs::symlink("motd", "/etc/other"), Err(Errno::ROFS))?;
    equal(fs::create_dir("/dev/d"), Err(Errno::ROFS))
}
