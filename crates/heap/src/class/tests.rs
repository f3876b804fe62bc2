use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn the_smallest_class_that_fits() {
    for size in 0..=LARGEST {
        let Place::Slab(class) = place(layout(size, 8)) else { panic!("{size} bytes in frames") };
        assert!(class.size() >= size);
        assert!(
            class.index() == 0 || usize::from(SIZES[class.index() - 1]) < size,
            "{size} in {}",
            class.size()
        );
    }
    assert_eq!(place(layout(LARGEST + 1, 8)), Place::Frames(0));
    assert_eq!(place(layout(4096, 8)), Place::Frames(0));
    assert_eq!(place(layout(4097, 8)), Place::Frames(1));
    assert_eq!(place(layout(3 << 20, 8)), Place::Frames(10));
}

#[test]
fn objects_end_with_the_frame_behind_the_header() {
    for index in 0..14 {
        let class = Class(index);
        assert!(class.first() >= HEADER_BYTES);
        assert_eq!(class.first() + class.capacity() * class.size(), PAGE_SIZE);
        assert!(class.size() > PAGE_SIZE / 3 || class.first() < 64 + class.size());
    }
}

#[test]
fn alignment_is_kept_by_place() {
    for shift in 0..14 {
        let align = 1 << shift;
        for size in [0, 1, 17, 64, 100, 500, 512, 513, 1000, 2000, 3000, 5000] {
            match place(layout(size, align)) {
                Place::Slab(class) => {
                    assert!(class.size() >= size);
                    assert_eq!(
                        (class.size() % align, class.first() % align),
                        (0, 0),
                        "{size} aligned to {align}"
                    );
                }
                Place::Frames(order) => {
                    let bytes = PAGE_SIZE << order;
                    assert!(bytes >= size && bytes >= align);
                    assert!(order == 0 || bytes / 2 < size.max(align));
                }
            }
        }
    }
}
