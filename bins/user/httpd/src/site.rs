//! The files: opened once, kept open while they are asked for.

use alloc::{collections::BTreeMap, rc::Rc, vec::Vec};

use swos_http1::{date, media_type, path};
use swos_httpserver::{Entity, Entry, EntryKind, Status};
use swos_ulib::{
    abi::{Errno, Handle, Node, OpenFlags, Stat},
    fs::{self, File},
};

/// Files kept open. When there are more, all are let go: a site is smaller, and who asks for everything once gains nothing from a
/// better choice.
const KEPT: usize = 256;
/// A kept file is compared with what its path names after so many seconds.
const FRESH_SECONDS: u64 = 1;
/// Longest target that is looked up, in bytes: the buffer for its decoded form.
const LONGEST: usize = 2048;

/// A file to send, and what its replies say about it.
#[derive(Debug)]
pub(crate) struct Opened {
    file: File,
    stat: Stat,
    etag: Option<[u8; 34]>,
    fields: Vec<u8>,
}

impl Opened {
    pub(crate) const fn handle(&self) -> Handle {
        self.file.handle()
    }

    pub(crate) fn entity(&self) -> Entity<'_> {
        Entity {
            size: self.stat.size,
            etag: self.etag.as_ref().map(<[u8; 34]>::as_slice),
            modified: modified(&self.stat),
            fields: &self.fields,
        }
    }
}

/// What a target names.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file.
    File(Rc<Opened>),
    /// A directory without an index: a page that lists it.
    Listing(Vec<u8>),
    /// A directory whose target lacks the slash: where it is.
    Elsewhere(Vec<u8>),
    /// Nothing to send.
    Error(Status),
}

#[derive(Debug)]
struct Kept {
    opened: Rc<Opened>,
    checked: u64,
}

#[derive(Debug)]
pub(crate) struct Site {
    root: File,
    kept: BTreeMap<Vec<u8>, Kept>,
    decoded: Vec<u8>,
}

impl Site {
    pub(crate) fn new(root: &str) -> Result<Self, Errno> {
        let root = File::open_at(Handle::CWD, root, OpenFlags::READ | OpenFlags::DIRECTORY)?;
        Ok(Self { root, kept: BTreeMap::new(), decoded: alloc::vec![0; LONGEST] })
    }

    /// Finds what `target` names, at `second` (of any count).
    pub(crate) fn find(&mut self, target: &[u8], second: u64) -> Found {
        let path = match path::decode(target, &mut self.decoded) {
            Ok(path) => path,
            Err(path::Error::TooLong) => return Found::Error(Status::URI_TOO_LONG),
            Err(_) => return Found::Error(Status::BAD_REQUEST),
        };
        let name: Vec<u8>;
        let name = match path.kind {
            path::Kind::File => path.relative,
            path::Kind::Directory => {
                name = index_of(path.relative);
                &name
            }
        };
        if let Some(kept) = self.kept.get_mut(name)
            && (second.abs_diff(kept.checked) <= FRESH_SECONDS || unchanged(&self.root, name, kept, second))
        {
            return Found::File(Rc::clone(&kept.opened));
        }
        let found = match (open(&self.root, name), path.kind) {
            (Ok(Some(opened)), _) => {
                let opened = Rc::new(opened);
                if self.kept.len() >= KEPT {
                    self.kept.clear();
                }
                self.kept.insert(name.to_vec(), Kept { opened: Rc::clone(&opened), checked: second });
                return Found::File(opened);
            }
            (Ok(None), path::Kind::File) => {
                let mut location = b"/".to_vec();
                path::encode(path.relative, &mut location);
                location.push(b'/');
                Found::Elsewhere(location)
            }
            (Ok(None) | Err(Errno::NOENT), path::Kind::Directory) => match list(&self.root, path.relative) {
                Ok(page) => Found::Listing(page),
                Err(errno) => Found::Error(status_of(errno)),
            },
            (Err(errno), _) => Found::Error(status_of(errno)),
        };
        self.kept.remove(name);
        found
    }

    /// Lets all files go that nobody is being sent, when handles are short.
    pub(crate) fn let_go(&mut self) {
        self.kept.clear();
    }
}

fn index_of(directory: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    [directory, slash, b"index.html"].concat()
}

fn unchanged(root: &File, name: &[u8], kept: &mut Kept, second: u64) -> bool {
    let same = swos_ulib::sys::stat(root.handle(), name, OpenFlags::empty())
        .is_ok_and(|stat| stat == kept.opened.stat);
    if same {
        kept.checked = second;
    }
    same
}

/// Opens a regular file; `None` = it is a directory.
fn open(root: &File, name: &[u8]) -> Result<Option<Opened>, Errno> {
    let file = File::open_at(root.handle(), name, OpenFlags::READ)?;
    let stat = file.metadata()?;
    match Node::of_mode(stat.mode) {
        Node::REGULAR => {}
        Node::DIRECTORY => return Ok(None),
        _ => return Err(Errno::ACCES),
    }
    let etag = etag_of(&stat);
    let mut fields = Vec::with_capacity(192);
    fields.extend_from_slice(b"Content-Type: ");
    fields.extend_from_slice(media_type(name).as_bytes());
    fields.extend_from_slice(b"\r\nAccept-Ranges: bytes\r\nX-Content-Type-Options: nosniff\r\n");
    if let Some(etag) = &etag {
        fields.extend_from_slice(b"ETag: ");
        fields.extend_from_slice(etag);
        fields.extend_from_slice(b"\r\n");
    }
    if let Some(modified) = modified(&stat) {
        fields.extend_from_slice(b"Last-Modified: ");
        fields.extend_from_slice(&date::format(modified));
        fields.extend_from_slice(b"\r\n");
    }
    Ok(Some(Opened { file, stat, etag, fields }))
}

const fn modified(stat: &Stat) -> Option<u64> {
    if stat.modified_ns == 0 { None } else { Some(stat.modified_ns / 1_000_000_000) }
}

/// Half of the content's hash, or, where that is unknown, when and where it was written; quoted.
fn etag_of(stat: &Stat) -> Option<[u8; 34]> {
    let mut half = [0; 16];
    if stat.hash_known == 1 {
        half.iter_mut().zip(stat.content_hash).for_each(|(into, byte)| *into = byte);
    } else if stat.modified_ns != 0 {
        let parts =
            stat.modified_ns.to_be_bytes().into_iter().chain((stat.inode ^ stat.size << 32).to_be_bytes());
        half.iter_mut().zip(parts).for_each(|(into, byte)| *into = byte);
    } else {
        return None;
    }
    let mut tag = [b'"'; 34];
    for (pair, byte) in tag.get_mut(1..33)?.chunks_exact_mut(2).zip(half) {
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        pair.iter_mut().zip([digit(byte >> 4), digit(byte & 15)]).for_each(|(into, digit)| *into = digit);
    }
    Some(tag)
}

fn list(root: &File, directory: &[u8]) -> Result<Vec<u8>, Errno> {
    let name = if directory.is_empty() { b"." } else { directory };
    let mut entries = Vec::new();
    for entry in fs::read_dir_at(root.handle(), name)? {
        let entry = entry?;
        if entry.name.first() != Some(&b'.') {
            let kind = if entry.kind == Node::DIRECTORY { EntryKind::Directory } else { EntryKind::File };
            entries.push(Entry { kind, name: entry.name });
        }
    }
    let mut page = Vec::new();
    swos_httpserver::render_listing(directory, &mut entries, &mut page);
    Ok(page)
}

const fn status_of(errno: Errno) -> Status {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::INVAL => Status::NOT_FOUND,
        Errno::NAMETOOLONG => Status::URI_TOO_LONG,
        Errno::ACCES | Errno::PERM => Status::FORBIDDEN,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS => Status::SERVICE_UNAVAILABLE,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
}
