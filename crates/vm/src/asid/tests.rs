use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[test]
fn a_valid_tag_is_left_alone() {
    let mut pool = AsidPool::<4>::new(AsidWidth::Bits16);
    let Assigned::Fresh(tag) = pool.assign(Tag::default(), &[]) else { panic!("no fresh tag") };
    assert_eq!(tag.asid(), Some(Asid(1)));
    assert_eq!(pool.assign(tag, &[]), Assigned::Unchanged(Asid(1)));
    assert!(pool.is_current(tag) && !pool.is_current(Tag::default()));
}

#[test]
fn running_spaces_keep_their_numbers_over_a_rollover() {
    let mut pool = AsidPool::<2>::new(AsidWidth::Bits8);
    let mut tags = Vec::new();
    for _ in 1..256 {
        let Assigned::Fresh(tag) = pool.assign(Tag::default(), &[]) else { panic!("early rollover") };
        tags.push(tag);
    }
    let running = [tags[0], tags[9]];
    let Assigned::Rollover(fresh) = pool.assign(Tag::default(), &running) else { panic!("no rollover") };
    assert_eq!(fresh.asid(), Some(Asid(2)));
    let Assigned::Fresh(kept) = pool.assign(tags[9], &running) else { panic!("not kept") };
    assert_eq!(kept.asid(), tags[9].asid());
    let Assigned::Fresh(moved) = pool.assign(tags[4], &running) else { panic!("not moved") };
    assert_eq!(moved.asid(), Some(Asid(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Spaces come, run, move between CPUs and end. Whatever a TLB may still hold under a number, the space that is about
    /// to run with that number put it there.
    #[test]
    fn no_space_ever_sees_anothers_translations(
        moves in prop::collection::vec((0..3_usize, 0..300_u32, any::<bool>()), 1..3000),
    ) {
        let mut pool = AsidPool::<3>::new(AsidWidth::Bits8);
        let mut tags: HashMap<u32, Tag> = HashMap::new();
        let mut cpus: [Option<(u32, Asid)>; 3] = [None; 3];
        let mut tlb: HashSet<(u16, u32)> = HashSet::new();
        let mut next_name = 1000;
        let mut names: Vec<u32> = (0..300).collect();
        for (cpu, choice, ends) in moves {
            let name = names[choice as usize];
            let running: Vec<Tag> = cpus.iter().flatten().map(|(name, _)| tags[name]).collect();
            let stored = tags.get(&name).copied().unwrap_or_default();
            let asid = match pool.assign(stored, &running) {
                Assigned::Unchanged(asid) => asid,
                Assigned::Fresh(tag) => {
                    tags.insert(name, tag);
                    tag.asid().unwrap()
                }
                Assigned::Rollover(tag) => {
                    tags.insert(name, tag);
                    tlb = cpus.iter().flatten().map(|(name, asid)| (asid.get(), *name)).collect();
                    tag.asid().unwrap()
                }
            };
            cpus[cpu] = Some((name, asid));
            tlb.insert((asid.get(), name));
            for (number, owner) in &tlb {
                prop_assert!(*number != asid.get() || *owner == name, "{name} shares {asid:?} with {owner}");
            }
            for (other, used) in cpus.iter().flatten() {
                prop_assert!(*other != name || *used == asid, "{name} runs with two numbers");
            }
            if ends && cpus.iter().flatten().filter(|(other, _)| *other == name).count() == 1 {
                cpus[cpu] = None;
                tags.remove(&name);
                names[choice as usize] = next_name;
                next_name += 1;
            }
        }
    }
}
