//! A written image, mounted and read through the resolver and the page sources, is the tree it was written from.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use swos_basefs::BaseFs;
use swos_pagecache::ObjectId;
use swos_path::{Name, Path};
use swos_swosbase::v4::{self, BlockVerifier, Options};
use swos_swosbase::{Attributes, BLOCK_SIZE, Node, Sha256, Software, TEST_PUBLIC_KEY, TEST_SEED, Tree};
use swos_units::Frame;
use swos_vfs::{
    Access, Cursor, Error, FileSystem, Kind, LastLink, Namespace, NewNode, NodeId, PageSource, Principal,
    Resolved, Scope, Vfs,
};

const WHO: Principal = Principal(1000);
const IMAGE: ObjectId = ObjectId(7);

struct World {
    image: Vec<u8>,
    blocks: BlockVerifier,
    vfs: Vfs,
    namespace: Namespace,
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

fn world() -> World {
    let mut tree = Tree::new(Attributes::DIRECTORY);
    let secret = Attributes { mode: 0o600, owner: 5, modified_s: 1_700_000_000 };
    for (path, attributes, node) in [
        (&b"bin"[..], Attributes::DIRECTORY, Node::Directory),
        (b"bin/init", Attributes::PROGRAM, Node::File(content(10_000))),
        (b"bin/sh", Attributes::SYMLINK, Node::Symlink(b"init".to_vec())),
        (b"etc", Attributes::DIRECTORY, Node::Directory),
        (b"etc/secret", secret, Node::File(content(BLOCK_SIZE))),
        (b"etc/empty", Attributes::FILE, Node::File(Vec::new())),
        (b"www", Attributes::SYMLINK, Node::Symlink(b"/srv/site".to_vec())),
        (b"srv", Attributes::DIRECTORY, Node::Directory),
        (b"srv/site", Attributes::DIRECTORY, Node::Directory),
        (b"srv/site/index.html", Attributes::FILE, Node::File(content(3))),
    ] {
        tree.add(path, attributes, node).unwrap();
    }
    let image = v4::write(&tree, &Options::default(), &TEST_SEED).unwrap();
    let mounted = v4::verify_all(&Software, &image, &[TEST_PUBLIC_KEY], 0).unwrap();
    let mut vfs = Vfs::new();
    let root = vfs.attach(Box::new(BaseFs::new(mounted.index, IMAGE))).unwrap();
    let namespace = Namespace::new(vfs.root_of(root).unwrap());
    World { image, blocks: mounted.blocks, vfs, namespace }
}

impl World {
    fn resolve(&self, path: &[u8]) -> Result<Resolved, Error> {
        let root = self.namespace.root();
        let scope = Scope { namespace: &self.namespace, root, start: root, who: WHO };
        self.vfs.resolve(&scope, Path::new(path).unwrap(), LastLink::Follow)
    }

    fn node(&self, path: &[u8]) -> NodeId {
        self.resolve(path).unwrap().vnode.node
    }

    /// Reads a file as the kernel would: page by page, each verified by its block number.
    fn read(&self, path: &[u8]) -> Vec<u8> {
        let found = self.resolve(path).unwrap().vnode;
        let file_system = self.vfs.file_system(found.mount).unwrap();
        let size = usize::try_from(file_system.attributes(found.node).unwrap().size).unwrap();
        let mut bytes = Vec::new();
        for index in 0.. {
            let Some(source) = file_system.page(found.node, index).unwrap() else { break };
            let PageSource::Cached(key) = source else { break };
            assert_eq!(key.object, IMAGE);
            let block = self.image[usize::try_from(key.page).unwrap() * BLOCK_SIZE..].first_chunk().unwrap();
            self.blocks.verify(&Software, key.page, block).unwrap();
            bytes.extend_from_slice(block);
        }
        assert_eq!(bytes.len(), size.next_multiple_of(BLOCK_SIZE));
        assert!(bytes[size..].iter().all(|&byte| byte == 0));
        bytes.truncate(size);
        bytes
    }
}

#[test]
fn bytes_come_back() {
    let world = world();
    assert_eq!(world.read(b"/bin/init"), content(10_000));
    assert_eq!(world.read(b"/bin/sh"), content(10_000));
    assert_eq!(world.read(b"/etc/secret"), content(BLOCK_SIZE));
    assert_eq!(world.read(b"/etc/empty"), b"");
    assert_eq!(world.read(b"/www/index.html"), content(3));
    assert_eq!(world.read(b"www/../site/./index.html"), content(3));
}

/// Of an image that is kept as a whole each page is a frame, by its place in the image.
#[test]
fn pages_that_are_kept_are_frames() {
    let world = world();
    let index = v4::verify_all(&Software, &world.image, &[TEST_PUBLIC_KEY], 0).unwrap().index;
    let node = world.node(b"/bin/init");
    let Some(PageSource::Cached(first)) =
        world.vfs.file_system(world.namespace.root().mount).unwrap().page(node, 0).unwrap()
    else {
        panic!("a page of the cache")
    };
    let at = usize::try_from(first.page).unwrap();
    let frames: Vec<Frame> =
        (0..at as u64 + 2).map(|number| Frame::from_number(1000 + number).unwrap()).collect();
    let kept = BaseFs::resident(index, frames.clone());
    assert_eq!(kept.page(node, 0), Ok(Some(PageSource::Frame(frames[at]))));
    assert_eq!(kept.page(node, 1), Ok(Some(PageSource::Frame(frames[at + 1]))));
    assert_eq!(kept.page(node, 2), Err(Error::Corrupt), "fewer frames than pages");
    assert_eq!(kept.page(node, 3), Ok(None));
    assert_eq!(kept.page(world.node(b"/bin"), 0), Err(Error::IsDirectory));
}

#[test]
fn attributes_and_content_hash() {
    let world = world();
    let root = world.namespace.root();
    let vnode = world.resolve(b"/etc/secret").unwrap().vnode;
    let attributes = world.vfs.attributes(vnode).unwrap();
    assert_eq!((attributes.mode, attributes.owner, attributes.kind), (0o600, Principal(5), Kind::File));
    assert_eq!(attributes.modified_ns, 1_700_000_000_000_000_000);
    let hash = Sha256::digest(&Software, &content(BLOCK_SIZE));
    assert_eq!(attributes.content_hash, Some(hash));
    let stat = attributes.to_stat(vnode);
    assert_eq!((stat.mode, stat.size, stat.hash_known, stat.content_hash), (0o100_600, 4096, 1, hash));
    let top = world.vfs.attributes(root).unwrap();
    assert_eq!((top.kind, top.size, top.content_hash), (Kind::Directory, 4, None));
}

#[test]
fn directories_list_each_name_once_in_order() {
    let world = world();
    let root = world.namespace.root();
    let mut cursor = Cursor::default();
    let mut names = Vec::new();
    while let Some(entry) = world.vfs.read_directory(root, cursor).unwrap() {
        names.push((entry.name.as_bytes().to_vec(), entry.child.kind));
        cursor = entry.next;
    }
    let expected = [
        (&b"bin"[..], Kind::Directory),
        (b"etc", Kind::Directory),
        (b"srv", Kind::Directory),
        (b"www", Kind::Symlink),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_vec(), kind)));
    assert_eq!(world.vfs.read_directory(root, cursor), Ok(None), "the end stays the end");
    assert_eq!(world.vfs.read_directory(root, Cursor(cursor.0 + 1)), Err(Error::Invalid));
    let file = world.resolve(b"/bin/init").unwrap().vnode;
    assert_eq!(world.vfs.read_directory(file, Cursor(0)), Err(Error::NotDirectory));
}

#[test]
fn access_is_reading_and_starting() {
    let world = world();
    let mount = world.namespace.root().mount;
    let file_system = world.vfs.file_system(mount).unwrap();
    let access = |path: &[u8], access| file_system.access(WHO, world.node(path), access);
    assert_eq!(access(b"/etc/secret", Access::Read), Ok(()));
    assert_eq!(access(b"/etc/secret", Access::Write), Err(Error::ReadOnly));
    assert_eq!(access(b"/etc/secret", Access::Execute), Err(Error::AccessDenied));
    assert_eq!(access(b"/bin/init", Access::Execute), Ok(()));
    assert_eq!(access(b"/bin", Access::Execute), Err(Error::AccessDenied));
}

#[test]
fn nonsense_is_an_error() {
    let mut world = world();
    let mount = world.namespace.root().mount;
    let (file, directory) = (world.node(b"/bin/init"), world.node(b"/bin"));
    let name = Name::new(b"x").unwrap();
    let file_system = world.vfs.file_system_mut(mount).unwrap();
    for stale in [NodeId(1000), NodeId(u64::MAX), NodeId(1 << 32)] {
        assert_eq!(file_system.attributes(stale), Err(Error::NotFound));
        assert_eq!(file_system.page(stale, 0), Err(Error::NotFound));
        assert_eq!(file_system.parent(stale), Err(Error::NotFound));
        assert!(file_system.lookup(WHO, stale, name).is_err());
    }
    assert_eq!(file_system.page(directory, 0), Err(Error::IsDirectory));
    assert_eq!(file_system.page(file, 3), Ok(None));
    assert_eq!(file_system.page(file, u64::MAX), Ok(None));
    assert_eq!(file_system.lookup(WHO, file, name), Err(Error::NotDirectory));
    assert_eq!(file_system.lookup(WHO, directory, name), Err(Error::NotFound));
    assert_eq!(file_system.read_link(file), Err(Error::Invalid));
    assert_eq!(file_system.parent(file), Err(Error::NotDirectory));
    assert_eq!(file_system.create(WHO, directory, name, NewNode::File, 0o644, 0), Err(Error::ReadOnly));
    assert_eq!(world.resolve(b"/bin/init/x"), Err(Error::NotDirectory));
    assert_eq!(world.resolve(b"/nothing"), Err(Error::NotFound));
}
