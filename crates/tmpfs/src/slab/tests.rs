use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn ids_name_one_thing_ever_and_empty_pieces_go(steps in proptest::collection::vec((0..3_u8, any::<u16>()), 1..600)) {
        let (mut slab, mut model, mut dead) = (Slab::new(), BTreeMap::new(), Vec::new());
        for (what, value) in steps {
            if what < 2 {
                let id = slab.insert(value).unwrap();
                prop_assert!(model.insert(id, value).is_none() && !dead.contains(&id));
            } else if let Some(&id) = model.keys().nth(usize::from(value) % model.len().max(1)) {
                *slab.get_mut(id).unwrap() ^= 1;
                prop_assert_eq!(slab.remove(id), model.remove(&id).map(|value| value ^ 1));
                dead.push(id);
            }
            prop_assert_eq!(slab.len(), model.len());
            prop_assert!(model.iter().all(|(&id, value)| slab.get(id) == Some(value)));
            prop_assert!(dead.iter().all(|&id| slab.get(id).is_none() && slab.remove(id).is_none()));
            for chunk in &slab.chunks {
                prop_assert_eq!(chunk.places.is_empty(), chunk.used == 0);
            }
            prop_assert!(slab.chunks[..slab.room].iter().all(|chunk| chunk.used == u64::MAX));
        }
        for id in model.into_keys() {
            slab.remove(id);
        }
        prop_assert_eq!(slab.chunks.capacity(), 0);
    }
}
