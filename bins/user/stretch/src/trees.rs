//! Deep directories, wide ones, long files.

use alloc::{format, string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, Handle, OpenFlags, PATH_MAX, PIECES_MAX, Protection},
    fs::{self, File},
    sys,
    testing::text,
};

use crate::{Case, this_program};

pub(crate) const CASES: &[Case] = &[
    ("deep-tree", || deep(LEVELS).and_then(close)),
    ("getcwd-2040-deep", || getcwd(2040).map(drop)),
    ("getcwd-7900-deep", || getcwd(7900).map(drop)),
    ("up-from-7900-deep", up),
    ("chdir-7900-deep", || (0..4).try_for_each(|_| enter(7900))),
    ("confine-7900-deep", confine),
    ("spawn-below-7900-deep", spawn_below),
    ("rename-into-2000-deep", rename),
    ("cut-64-mib", || big_file(|file, _| sys::set_size(file, 0))),
    ("remove-64-mib", || big_file(|_, path| sys::unlink(Handle::CWD, path))),
    ("open-truncated-64-mib", || big_file(|_, path| open(Handle::CWD, path, TRUNCATE).and_then(close_raw))),
    ("directory-of-10000", wide_directory),
    ("pieces", pieces),
    ("page-cache-gives-way", page_cache),
];

/// Of the deepest directory below `/tmp`.
const LEVELS: usize = 7900;
/// Of one path.
const AT_ONCE: usize = 2000;
const TRUNCATE: OpenFlags = OpenFlags::WRITE.union(OpenFlags::TRUNCATE);
const MAKE: OpenFlags = OpenFlags::WRITE.union(OpenFlags::CREATE);

fn open(directory: Handle, path: &[u8], flags: OpenFlags) -> Result<Handle, Errno> {
    sys::open(directory, path, flags, if flags.contains(OpenFlags::CREATE) { 0o600 } else { 0 })
}

fn close_raw(handle: Handle) -> Result<(), Errno> {
    sys::close(handle)
}

fn close(handle: Handle) -> Result<(), String> {
    sys::close(handle).map_err(text)
}

fn open_directory(directory: Handle, path: &[u8]) -> Result<Handle, Errno> {
    open(directory, path, OpenFlags::READ | OpenFlags::DIRECTORY)
}

/// Makes a directory that may be there already.
fn make_directory(directory: Handle, path: &[u8]) -> Result<(), Errno> {
    match sys::mkdir(directory, path, 0o700) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// The directory so many levels below `/tmp`, all of them in a chain that one case makes and the next ones find.
fn deep(levels: usize) -> Result<Handle, String> {
    let mut at = open_directory(Handle::CWD, b"/tmp").map_err(text)?;
    let mut left = levels;
    while left > 0 {
        let path = b"d/".repeat(left.min(AT_ONCE));
        let below = match open_directory(at, &path) {
            Ok(below) => {
                left -= left.min(AT_ONCE);
                below
            }
            Err(_) => {
                make_directory(at, b"d").map_err(text)?;
                left -= 1;
                open_directory(at, b"d").map_err(text)?
            }
        };
        close(at)?;
        at = below;
    }
    Ok(at)
}

fn enter(levels: usize) -> Result<(), String> {
    let directory = deep(levels)?;
    sys::chdir(directory, b".").map_err(text)?;
    close(directory)
}

fn getcwd(levels: usize) -> Result<usize, String> {
    enter(levels)?;
    match sys::getcwd(&mut [0; PATH_MAX]) {
        Ok(length) if length == "/tmp".len() + 2 * levels => Ok(length),
        Err(Errno::NAMETOOLONG) if 2 * levels >= PATH_MAX => Ok(PATH_MAX),
        other => Err(format!("{other:?}")),
    }
}

/// By one path that leads nowhere but up, and one that leads up and down again.
fn up() -> Result<(), String> {
    enter(LEVELS)?;
    for path in [b"../".repeat(PATH_MAX / 3 - 1), b"../d/".repeat(PATH_MAX / 5 - 1)] {
        sys::stat(Handle::CWD, &path, OpenFlags::empty()).map_err(text)?;
    }
    Ok(())
}

fn confine() -> Result<(), String> {
    enter(LEVELS)?;
    // The current directory stays where it is, which is far below the new root as well.
    sys::confine(Handle::CWD, b"/tmp").map_err(text)
}

fn spawn_below() -> Result<(), String> {
    enter(LEVELS)?;
    let root = open_directory(Handle::CWD, b".").map_err(text)?;
    this_program("nothing").root(root).status().map_err(text)?;
    // Its own directory is looked for below its root.
    this_program("nothing").root(Handle::CWD).status().map_err(text)?;
    close(root)
}

/// A directory with a directory in it, to and from a place that no path leads much further down than.
fn rename() -> Result<(), String> {
    let below = deep(2000)?;
    make_directory(Handle::CWD, b"/tmp/moved").map_err(text)?;
    make_directory(Handle::CWD, b"/tmp/moved/inner").map_err(text)?;
    let long = |name: &[u8]| [&b"./".repeat(2000)[..], name].concat();
    for _ in 0..2 {
        sys::rename(
            (Handle::CWD, &[b"/tmp/".as_slice(), &long(b"moved")].concat()),
            (below, &long(b"moved")),
        )
        .map_err(text)?;
        sys::rename((below, b"moved"), (Handle::CWD, b"/tmp/moved")).map_err(text)?;
    }
    match sys::rename((Handle::CWD, b"/tmp/d"), (below, b"itself")) {
        Err(Errno::INVAL) => close(below),
        other => Err(format!("{other:?}")),
    }
}

/// A file of so many bytes, of which not one is a hole.
fn big_file(deed: impl FnOnce(Handle, &[u8]) -> Result<(), Errno>) -> Result<(), String> {
    let path = b"/tmp/big";
    let file = open(Handle::CWD, path, MAKE).map_err(text)?;
    let buffer = vec![1; 1 << 20];
    let mut written = 0;
    while written < 64 << 20 {
        written += sys::write(file, &buffer).map_err(text)?;
    }
    deed(file, path).map_err(text)?;
    close(file)?;
    match sys::unlink(Handle::CWD, path) {
        Err(errno) if errno != Errno::NOENT => Err(text(errno)),
        _ => Ok(()),
    }
}

fn wide_directory() -> Result<(), String> {
    const NAMES: usize = 10_000;
    make_directory(Handle::CWD, b"/tmp/wide").map_err(text)?;
    let directory = open_directory(Handle::CWD, b"/tmp/wide").map_err(text)?;
    let name = |number: usize| format!("name-{number}").into_bytes();
    for number in 0..NAMES {
        sys::mkfifo(directory, &name(number), 0o600).map_err(text)?;
    }
    let mut buffer = vec![0; 1 << 16];
    while sys::readdir(directory, &mut buffer).map_err(text)? > 0 {}
    sys::rename((directory, &name(0)), (directory, b"other")).map_err(text)?;
    sys::rename((directory, &name(NAMES - 1)), (Handle::CWD, b"/tmp/wide-other")).map_err(text)?;
    sys::unlink(Handle::CWD, b"/tmp/wide-other").map_err(text)?;
    sys::unlink(directory, b"other").map_err(text)?;
    // What is left at the end is found behind many places that are empty.
    for number in 1..NAMES - 1 {
        sys::unlink(directory, &name(number)).map_err(text)?;
        if number % 1000 == 0 {
            sys::seek(directory, 0, 0).map_err(text)?;
            sys::readdir(directory, &mut buffer).map_err(text)?;
        }
    }
    close(directory)?;
    sys::rmdir(Handle::CWD, b"/tmp/wide").map_err(text)
}

/// As many pieces as a call takes, of a byte and of pages.
fn pieces() -> Result<(), String> {
    let path = b"/tmp/pieces";
    let file = sys::open(Handle::CWD, path, MAKE | OpenFlags::READ, 0o600).map_err(text)?;
    let zero = sys::open(Handle::CWD, b"/dev/zero", OpenFlags::READ | OpenFlags::WRITE, 0).map_err(text)?;
    let random = sys::open(Handle::CWD, b"/dev/random", OpenFlags::READ, 0).map_err(text)?;
    let pipe = sys::pipe(0).map_err(text)?;
    let most = usize::try_from(PIECES_MAX).map_err(text)?;
    for length in [1, 63, 511, 1024, 16 << 10] {
        let mut memory = vec![vec![1_u8; length]; most];
        let parts: Vec<&[u8]> = memory.iter().map(Vec::as_slice).collect();
        let small: Vec<&[u8]> =
            parts.iter().copied().map(|part| part.get(..length.min(1000)).unwrap_or(part)).collect();
        sys::writev(file, &parts).map_err(text)?;
        sys::writev(zero, &parts).map_err(text)?;
        sys::writev(pipe.writer, &small).map_err(text)?;
        let mut parts: Vec<&mut [u8]> = memory.iter_mut().map(Vec::as_mut_slice).collect();
        sys::readv(pipe.reader, &mut parts).map_err(text)?;
        sys::seek(file, 0, 0).map_err(text)?;
        for handle in [file, zero, random] {
            sys::readv(handle, &mut parts).map_err(text)?;
        }
    }
    close(file)?;
    sys::unlink(Handle::CWD, path).map_err(text)
}

/// All of the image is in the page cache, most of it mapped, and memory goes.
fn page_cache() -> Result<(), String> {
    let child = this_program("hungry").spawn().map_err(text)?;
    // It is the one that is ended for it.
    child.wait().map(drop).map_err(text)
}

pub(crate) fn hungry() -> Result<(), String> {
    let mut mapped = Vec::new();
    for entry in fs::read_dir("/bin").map_err(text)? {
        let entry = entry.map_err(text)?;
        let file = File::open([b"/bin/".as_slice(), &entry.name].concat()).map_err(text)?;
        let length = usize::try_from(file.metadata().map_err(text)?.size).map_err(text)?;
        if let Ok(start) = sys::map_file(file.handle(), 0, length, Protection::READ) {
            for page in (0..length).step_by(4096) {
                // SAFETY: within the mapping.
                unsafe { start.add(page).read_volatile() };
            }
            mapped.push(start);
        }
    }
    loop {
        crate::memory::touched(1 << 20).map_err(text)?;
    }
}
