use super::*;
use crate::{FrameRange, FrameState};

#[test]
fn frames_go_round_and_none_is_lost() {
    let ram = [FrameRange::new(Frame::from_number(0x80).unwrap(), 64).unwrap()];
    let mut states = vec![FrameState::default(); 64];
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    let mut cache = FrameCache::<8>::new();
    assert_eq!(cache.take(), None);
    assert_eq!((cache.refill(&mut pmm), pmm.free_frames()), (4, 60));
    assert_eq!(cache.refill(&mut pmm), 0);
    let taken: Vec<Frame> = core::iter::from_fn(|| cache.take()).collect();
    assert_eq!(taken.len(), 4);
    for frame in &taken {
        cache.put(*frame).unwrap();
        assert_eq!(pmm.references(*frame), Some(1));
    }
    for _ in 0..4 {
        cache.put(pmm.alloc_one().unwrap()).unwrap();
    }
    let surplus = pmm.alloc_one().unwrap();
    assert_eq!(cache.put(surplus), Err(surplus));
    assert_eq!((cache.drain(&mut pmm), cache.len()), (Ok(4), 4));
    assert_eq!((cache.drain_all(&mut pmm), cache.is_empty()), (Ok(4), true));
    pmm.free(surplus, Order::ONE).unwrap();
    assert_eq!((pmm.free_frames(), pmm.largest_free()), (64, Order::new(6)));
}

#[test]
fn refill_takes_what_there_is() {
    let ram = [FrameRange::new(Frame::from_number(5).unwrap(), 3).unwrap()];
    let mut states = vec![FrameState::default(); 3];
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    let mut cache = FrameCache::<32>::new();
    assert_eq!((cache.refill(&mut pmm), pmm.free_frames()), (3, 0));
}

#[test]
fn a_frame_that_was_not_allocated_is_refused_when_drained() {
    let ram = [FrameRange::new(Frame::from_number(0).unwrap(), 8).unwrap()];
    let mut states = vec![FrameState::default(); 8];
    let mut pmm = Pmm::new(&mut states, &ram, &[]).unwrap();
    let mut cache = FrameCache::<4>::new();
    let stray = Frame::from_number(3).unwrap();
    cache.put(stray).unwrap();
    assert_eq!(cache.drain_all(&mut pmm), Err(Error::NotAllocated(stray)));
    assert_eq!((cache.len(), pmm.free_frames()), (0, 8));
}
