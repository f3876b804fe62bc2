//! Bytes of files: written, cut, shared, counted.

use alloc::{string::String, vec, vec::Vec};

use swos_ulib::{
    abi::{Errno, HANDLE_FLAGS, OpenFlags, Rights},
    fs::{self, File, OpenOptions, SeekFrom},
    io::{self, Read as _, Write as _},
    net::{SocketAddrV4, TcpListener, TcpStream},
    pipe::pipe,
    sys,
    testing::{equal, text},
};

use crate::{
    Area, UNKNOWN,
    files::{both, file},
};

pub(crate) const AREA: Area = Area {
    name: "bytes",
    checks: &[
        ("two who append do not write over each other", append),
        ("append can be switched on and off", append_later),
        ("copies of a handle share its position", shared_position),
        ("writing at a place leaves the position", write_at),
        ("seeking beyond the end leaves zeros", sparse),
        ("a hole takes no room", hole),
        ("a file that grows is zero there", grow),
        ("what was cut off comes back as zeros", cut_and_grow),
        ("a file can't be longer than the limit", too_long),
        ("an unlinked file lives as long as its handle", unlinked),
        ("room comes back when the last handle goes", room_back),
        ("a full file system says so, and a short write what fitted", full),
        ("many pieces are one write and one read", pieces),
        ("too many or bad pieces are refused", bad_pieces),
        ("a file is sent into a file and a pipe", send),
        ("bytes on their way are those that were sent", on_their_way),
        ("a sync is for files", sync),
        ("a file of a megabyte comes back", large),
    ],
    child: |_| UNKNOWN,
};

fn append() -> Result<(), String> {
    let path = file("append")?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let (mut one, mut two) = (options.open(&path).map_err(text)?, options.open(&path).map_err(text)?);
    for _ in 0..100 {
        one.write_all(b"1").map_err(text)?;
        two.write_all(b"22").map_err(text)?;
    }
    one.seek(SeekFrom::Start(0)).map_err(text)?;
    one.write_all(b"end").map_err(text)?;
    let bytes = fs::read(&path).map_err(text)?;
    equal((bytes.len(), bytes.ends_with(b"22end")), (303, true))
}

fn append_later() -> Result<(), String> {
    let path = file("append-later")?;
    let mut writer = both(&path)?;
    writer.write_all(b"abc").map_err(text)?;
    writer.seek(SeekFrom::Start(0)).map_err(text)?;
    let flags = |on: bool| if on { OpenFlags::APPEND } else { OpenFlags::empty() };
    sys::handle_set_flags(writer.handle(), OpenFlags::APPEND, flags(true)).map_err(text)?;
    writer.write_all(b"d").map_err(text)?;
    let shown = sys::handle_flags(writer.handle()).map_err(text)?;
    equal(shown, OpenFlags::READ | OpenFlags::WRITE | OpenFlags::APPEND)?;
    sys::handle_set_flags(writer.handle(), OpenFlags::APPEND, flags(false)).map_err(text)?;
    writer.seek(SeekFrom::Start(0)).map_err(text)?;
    writer.write_all(b"A").map_err(text)?;
    equal(fs::read(&path).map_err(text)?.as_slice(), b"Abcd")?;
    let reader = File::open(&path).map_err(text)?;
    equal(sys::handle_set_flags(reader.handle(), HANDLE_FLAGS, OpenFlags::APPEND), Err(Errno::ACCES))
}

fn shared_position() -> Result<(), String> {
    let path = file("shared-position")?;
    let mut one = both(&path)?;
    let mut two = one.try_clone().map_err(text)?;
    one.write_all(b"ab").map_err(text)?;
    two.write_all(b"cd").map_err(text)?;
    one.seek(SeekFrom::Start(1)).map_err(text)?;
    let mut bytes = [0; 8];
    equal(two.read(&mut bytes).map_err(text)?, 3)?;
    equal(bytes.get(..3), Some(b"bcd".as_slice()))
}

fn write_at() -> Result<(), String> {
    let path = file("write-at")?;
    let mut both = both(&path)?;
    both.write_all(b"abc").map_err(text)?;
    equal(both.write_at(b"XY", 1), Ok(2))?;
    both.write_all(b"d").map_err(text)?;
    equal(fs::read(&path).map_err(text)?.as_slice(), b"aXYd")
}

fn sparse() -> Result<(), String> {
    let path = file("sparse")?;
    let mut writer = both(&path)?;
    writer.write_all(b"x").map_err(text)?;
    writer.seek(SeekFrom::Start(10_000)).map_err(text)?;
    writer.write_all(b"y").map_err(text)?;
    let bytes = fs::read(&path).map_err(text)?;
    equal((bytes.len(), bytes.first(), bytes.last()), (10_001, Some(&b'x'), Some(&b'y')))?;
    equal(bytes.iter().filter(|&&byte| byte != 0).count(), 2)
}

fn hole() -> Result<(), String> {
    let path = file("hole")?;
    let writer = both(&path)?;
    equal(writer.write_at(b"y", 1 << 40), Ok(1))?;
    let stat = writer.metadata().map_err(text)?;
    equal((stat.size, stat.allocated), ((1 << 40) + 1, 4096))?;
    let mut bytes = [1; 64];
    equal(writer.read_at(&mut bytes, 1 << 39), Ok(64))?;
    equal(bytes, [0; 64])
}

fn grow() -> Result<(), String> {
    let path = file("grow")?;
    fs::write(&path, "abc").map_err(text)?;
    let both = both(&path)?;
    both.set_len(5000).map_err(text)?;
    let bytes = fs::read(&path).map_err(text)?;
    equal(
        (bytes.len(), bytes.starts_with(b"abc\0"), bytes.iter().filter(|&&byte| byte != 0).count()),
        (5000, true, 3),
    )
}

fn cut_and_grow() -> Result<(), String> {
    let path = file("cut-and-grow")?;
    fs::write(&path, vec![9; 20_000]).map_err(text)?;
    let both = both(&path)?;
    both.set_len(5000).map_err(text)?;
    equal(both.metadata().map_err(text)?.allocated, 8192)?;
    both.set_len(20_000).map_err(text)?;
    let bytes = fs::read(&path).map_err(text)?;
    equal(bytes.iter().position(|&byte| byte == 0), Some(5000))?;
    equal(bytes.iter().skip(5000).all(|&byte| byte == 0), true)
}

fn too_long() -> Result<(), String> {
    let path = file("too-long")?;
    let both = both(&path)?;
    equal(both.set_len(1 << 44), Ok(()))?;
    equal(both.set_len((1 << 44) + 1), Err(Errno::FBIG))?;
    equal(both.write_at(b"x", 1 << 44), Err(Errno::FBIG))?;
    equal(both.write_at(b"xy", (1 << 44) - 1), Ok(1))?;
    equal(both.write_at(b"x", u64::MAX), Err(Errno::FBIG))
}

fn unlinked() -> Result<(), String> {
    let path = file("unlinked")?;
    let mut both = both(&path)?;
    both.write_all(b"alive").map_err(text)?;
    fs::remove_file(&path).map_err(text)?;
    equal(fs::exists(&path), Ok(false))?;
    equal(both.metadata().map_err(text)?.links, 0)?;
    both.write_all(b"!").map_err(text)?;
    let mut bytes = [0; 8];
    equal(both.read_at(&mut bytes, 0), Ok(6))?;
    equal(bytes.get(..6), Some(b"alive!".as_slice()))
}

fn room_back() -> Result<(), String> {
    let path = file("room-back")?;
    let used = || fs::file_system_info("/tmp").map(|room| (room.pages_used, room.nodes_used)).map_err(text);
    let before = used()?;
    let mut writer = both(&path)?;
    // More than is given back in one slice.
    for _ in 0..600 {
        writer.write_all(&[1; 4096]).map_err(text)?;
    }
    fs::hard_link(&path, "/tmp/room-back/other").map_err(text)?;
    equal(used()?, (before.0 + 600, before.1 + 1))?;
    fs::remove_file(&path).map_err(text)?;
    fs::remove_file("/tmp/room-back/other").map_err(text)?;
    equal(used()?, (before.0 + 600, before.1 + 1))?;
    drop(writer);
    equal(used()?, before)
}

fn full() -> Result<(), String> {
    let path = "/run/full";
    let mut writer = both(path)?;
    let bytes = vec![5; 65_536 + 100];
    let mut total = 0;
    let last = loop {
        match writer.write(&bytes) {
            Ok(count) => total += count,
            Err(error) => break error,
        }
    };
    let room = fs::file_system_info("/run").map_err(text)?;
    let size = writer.metadata().map_err(text)?.size;
    // What one principal may have is used up to the last byte of the last page.
    equal((last, size, size % 4096), (io::Error::Os(Errno::NOSPC), total as u64, 0))?;
    equal((room.pages_used, room.pages_used > room.pages / 2), (size / 4096, true))?;
    fs::remove_file(path).map_err(text)?;
    drop(writer);
    equal(fs::file_system_info("/run").map_err(text)?.pages_used, 0)
}

fn pieces() -> Result<(), String> {
    let path = file("pieces")?;
    let mut both = both(&path)?;
    equal(both.write_vectored(&[b"ab", b"", b"cde", &[b'z'; 5000]]), Ok(5005))?;
    both.seek(SeekFrom::Start(1)).map_err(text)?;
    let (mut one, mut two, mut three) = ([0; 2], [0; 3], vec![0; 6000]);
    equal(both.read_vectored(&mut [&mut one, &mut two, &mut three]), Ok(5004))?;
    equal((&one, &two, three.iter().filter(|&&byte| byte == b'z').count()), (b"bc", b"dez", 4999))?;
    let (mut reader, writer) = pipe().map_err(text)?;
    equal(sys::writev(writer.handle(), &[b"over", b" and out"]), Ok(12))?;
    let (mut one, mut two) = ([0; 4], [0; 32]);
    equal(sys::readv(reader.handle(), &mut [&mut one, &mut two]), Ok(12))?;
    equal((&one, two.get(..8)), (b"over", Some(b" and out".as_slice())))?;
    drop(writer);
    equal(reader.read(&mut one), Ok(0))
}

fn bad_pieces() -> Result<(), String> {
    let path = file("bad-pieces")?;
    let both = both(&path)?;
    equal(sys::writev(both.handle(), &[b"x".as_slice(); 64]), Ok(64))?;
    equal(sys::writev(both.handle(), &[b"x".as_slice(); 65]), Err(Errno::INVAL))?;
    equal(sys::readv(both.handle(), &mut []), Ok(0))?;
    equal(both.metadata().map_err(text)?.size, 64)
}

fn send() -> Result<(), String> {
    let path = file("send")?;
    let bytes: Vec<u8> = (0..20_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    fs::write(&path, &bytes).map_err(text)?;
    let from = File::open(&path).map_err(text)?;
    let to = both("/tmp/send/to")?;
    equal(sys::sendfile(to.handle(), from.handle(), 100, 1 << 20, &[]), Ok(19_900))?;
    equal(fs::read("/tmp/send/to").map_err(text)?.get(..), bytes.get(100..))?;
    let (mut reader, writer) = pipe().map_err(text)?;
    equal(sys::sendfile(writer.handle(), from.handle(), 0, 5000, &[]), Ok(5000))?;
    drop(writer);
    let mut back = vec![];
    reader.read_to_end(&mut back).map_err(text)?;
    equal(back.get(..), bytes.get(..5000))?;
    equal(sys::sendfile(to.handle(), from.handle(), 0, 1, b"head"), Err(Errno::INVAL))?;
    equal(sys::sendfile(from.handle(), from.handle(), 0, 1, &[]), Err(Errno::ACCES))
}

/// Pages that wait in a socket are the file's own: writing the file must not write them.
fn on_their_way() -> Result<(), String> {
    let path = file("on-their-way")?;
    fs::write(&path, vec![1; 8192]).map_err(text)?;
    let listener = TcpListener::bind(SocketAddrV4::new([127, 0, 0, 1].into(), 0), 1).map_err(text)?;
    let mut near = TcpStream::connect(listener.local_addr().map_err(text)?).map_err(text)?;
    let (far, _) = listener.accept().map_err(text)?;
    let source = both(&path)?;
    equal(sys::sendfile(far.handle(), source.handle(), 0, 8192, &[]), Ok(8192))?;
    equal(source.write_at(&[2; 8192], 0), Ok(8192))?;
    source.set_len(0).map_err(text)?;
    drop(far);
    let mut back = vec![];
    near.read_to_end(&mut back).map_err(text)?;
    equal((back.len(), back.iter().all(|&byte| byte == 1)), (8192, true))
}

fn sync() -> Result<(), String> {
    let path = file("sync")?;
    both(&path)?.sync_all().map_err(text)?;
    let (reader, _writer) = pipe().map_err(text)?;
    equal(sys::sync(reader.handle()), Err(Errno::INVAL))?;
    equal(sys::set_size(reader.handle(), 0), Err(Errno::ACCES))
}

fn large() -> Result<(), String> {
    let path = file("large")?;
    let bytes: Vec<u8> = (0..1_100_000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    fs::write(&path, &bytes).map_err(text)?;
    equal(fs::read(&path).map_err(text)? == bytes, true)?;
    let handle = both(&path)?;
    let less = sys::handle_duplicate(handle.handle(), Rights::READ, 0).map_err(text)?;
    equal(sys::set_size(less, 0), Err(Errno::ACCES))?;
    sys::close(less).map_err(text)
}
