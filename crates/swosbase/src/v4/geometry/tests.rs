use super::*;

#[test]
fn extents_follow_each_other_and_leaves_number_all_but_tree_and_superblock() {
    for (meta, data) in [(1, 0), (1, 127), (1, 128), (2, 126), (5, 16_379), (5, 16_380), (3, 40_000)] {
        let geometry = Geometry::new(meta, data).unwrap();
        let (m, t, d) = (geometry.meta(), geometry.tree(), geometry.data());
        assert_eq!((m.first, t.first, d.first), (1, 1 + meta, 1 + meta + t.count));
        assert_eq!(geometry.total(), d.first + data);
        let leaves: Vec<_> = (0..geometry.total() + 2).filter_map(|block| geometry.leaf(block)).collect();
        assert_eq!(leaves, (0..meta + data).collect::<Vec<_>>());
    }
}

#[test]
fn node_and_place_agree() {
    let geometry = Geometry::new(3, 128 * 128 * 2).unwrap();
    assert_eq!(geometry.levels(), 3);
    assert_eq!(geometry.tree().count, 1 + 3 + 257);
    for leaf in [0, 1, 127, 128, 128 * 128 - 1, 128 * 128, 128 * 128 * 2 + 2] {
        for level in 0..3 {
            let (position, slot) = geometry.node(leaf, level);
            assert!(slot < 128);
            let (found, place) = geometry.place(position);
            assert_eq!(found, level);
            assert_eq!(place * 128 + slot as u64, leaf / 128_u64.pow(u32::try_from(level).unwrap()));
        }
    }
    assert_eq!(geometry.node(5, 2).0, 0, "the root block comes first");
}

#[test]
fn absurd_counts_are_refused() {
    assert_eq!(Geometry::new(0, 5), None);
    assert_eq!(Geometry::new(META_BLOCKS_MAX + 1, 0), None);
    assert_eq!(Geometry::new(1, u64::MAX), None);
    assert_eq!(Geometry::new(1, BLOCKS_MAX), None);
    assert!(Geometry::new(META_BLOCKS_MAX, 1 << 31).is_some());
}
