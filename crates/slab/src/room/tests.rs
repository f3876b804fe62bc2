use super::*;

#[test]
fn a_list_gives_back_what_is_far_too_much() {
    let mut spare = Spare::new();
    let mut list: Vec<u32> = Vec::with_capacity(1024);
    list.extend(0..257);
    spare.give_back(&mut list, 257, 16);
    assert_eq!(list.capacity(), 1024);
    list.pop();
    spare.give_back(&mut list, 256, 16);
    assert_eq!((list.capacity(), list.len()), (512, 256));
    list.truncate(3);
    spare.give_back(&mut list, 100, 16);
    assert_eq!((list.capacity(), list.len()), (256, 3), "others may come");
    spare.give_back(&mut list, 3, 16);
    assert_eq!((list.capacity(), list.as_slice()), (16, [0, 1, 2].as_slice()));
    let mut odd: Vec<u32> = Vec::with_capacity(20);
    odd.extend(0..4);
    spare.give_back(&mut odd, 4, 20);
    assert_eq!(odd.capacity(), 20);
}

#[test]
fn a_list_is_where_it_was_when_a_crowd_has_gone() {
    let (mut spare, mut list) = (Spare::new(), Vec::new());
    spare.make_room(&mut list, 1, 16).unwrap();
    list.push(0_u32);
    let (place, room) = (list.as_ptr(), list.capacity());
    for crowd in [17, 100, 1000] {
        for value in 1..crowd {
            spare.make_room(&mut list, 1, 16).unwrap();
            assert!(list.capacity() > list.len());
            list.push(value);
        }
        assert_ne!(list.as_ptr(), place);
        while list.len() > 1 {
            list.pop();
            let left = list.len();
            spare.give_back(&mut list, left, 16);
        }
        assert_eq!(
            (list.as_ptr(), list.capacity(), list.as_slice()),
            (place, room, [0].as_slice()),
            "{crowd}"
        );
    }
    assert_eq!(spare.make_room(&mut list, usize::MAX / 2, 16), Err(NoMemory));
    assert_eq!((list.as_ptr(), list.as_slice()), (place, [0].as_slice()));
}

#[test]
fn a_queue_keeps_its_order_when_it_moves() {
    let (mut spare, mut queue) = (Spare::new(), VecDeque::with_capacity(1024));
    // Across the end of its memory.
    queue.extend(0..1000_u32);
    queue.drain(..900);
    queue.extend(1000..1157);
    assert_eq!(queue.pop_front(), Some(900));
    spare.give_back(&mut queue, 256, 16);
    assert_eq!(queue.capacity(), 512);
    assert!(queue.iter().copied().eq(901..1157));
    queue.clear();
    spare.give_back(&mut queue, 0, 16);
    assert_eq!((queue.capacity(), queue.len()), (16, 0));
}
