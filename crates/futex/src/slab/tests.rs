use super::*;

#[test]
fn places_are_used_again_under_another_generation() {
    let mut slab = Slab::new();
    let (a, b) = (slab.insert('a').unwrap(), slab.insert('b').unwrap());
    assert_eq!((slab.remove(a), slab.remove(a), slab.get(a)), (Some('a'), None, None));
    assert_eq!((slab.insert('c'), slab.generation(a), slab.generation(b)), (Ok(a), 1, 0));
    assert_eq!(slab.get_mut(b).copied(), Some('b'));
    assert_eq!((slab.get(a), slab.get(9)), (Some(&'c'), None));
}

#[test]
fn a_place_without_generations_is_retired() {
    let mut slab = Slab::new();
    let place = slab.insert(1).unwrap();
    slab.places[0].generation = u32::MAX;
    assert_eq!(slab.remove(place), Some(1));
    assert_eq!(slab.insert(2), Ok(1));
}
