use super::*;
use crate::{MountId, NodeId};

fn file(flags: OpenFlags) -> OpenFile {
    OpenFile::new(VnodeId { mount: MountId { index: 0, generation: 1 }, node: NodeId(1) }, flags)
}

#[test]
fn seek_keeps_its_limits() {
    let mut open = file(OpenFlags::READ);
    assert_eq!(open.seek(Whence::End, -3, 10), Ok(7));
    assert_eq!(open.seek(Whence::Current, 100, 10), Ok(107));
    assert_eq!(open.seek(Whence::Start, -1, 10), Err(Error::Invalid));
    assert_eq!(open.seek(Whence::Current, i64::MAX, 10), Err(Error::Invalid));
    assert_eq!(open.position(), 107);
    assert_eq!(open.seek(Whence::Start, i64::MAX, 10), Ok(i64::MAX.unsigned_abs()));
    assert_eq!(Whence::from_raw(3), Err(Error::Invalid));
}

#[test]
fn append_writes_at_the_end_of_the_moment() {
    let mut open = file(OpenFlags::WRITE | OpenFlags::APPEND);
    assert_eq!(open.write_position(5), 5);
    open.set_position(6);
    assert_eq!(open.write_position(9), 9);
    assert_eq!(file(OpenFlags::WRITE).write_position(9), 0);
}
