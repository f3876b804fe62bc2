//! Random sequences over several tables, beside a model that knows where each handle's authority comes from.

use core::cell::Cell;
use std::rc::Rc;

use proptest::{prelude::*, sample::Index};
use swos_abi::{Handle, Rights};
use swos_handles::{Error, Grant, HandleTable, Progress};

const TABLES: usize = 3;

/// Counts its living copies.
#[derive(Debug)]
struct Object {
    name: usize,
    alive: Rc<Cell<usize>>,
}

impl Object {
    fn new(name: usize, alive: &Rc<Cell<usize>>) -> Self {
        alive.set(alive.get() + 1);
        Self { name, alive: alive.clone() }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        Self::new(self.name, &self.alive)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

/// What the model knows of one handle, open or closed.
#[derive(Clone)]
struct Known {
    table: usize,
    handle: Handle,
    open: bool,
    object: usize,
    rights: Rights,
    /// The loans it descends from, outermost first.
    lease: Vec<usize>,
    /// The loan under which it lends, until it is revoked.
    lends: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, Rights),
    Close(Index),
    Restrict(Index, Rights),
    Duplicate(Index, Rights),
    Share(Index, usize, Rights),
    Lend(Index, usize, Rights),
    Take(Index, usize),
    Revoke(Index),
    Replace(Index, Rights),
}

fn rights() -> impl Strategy<Value = Rights> {
    let give = (Rights::DUPLICATE | Rights::TRANSFER).bits();
    prop_oneof![
        Just(Rights::all()),
        (0..256_u32).prop_map(move |bits| Rights::from_bits_truncate(bits | give)),
        (0..256_u32).prop_map(Rights::from_bits_truncate),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = any::<Index>;
    let step = prop_oneof![
        2 => (0..TABLES, rights()).prop_map(|(table, rights)| Step::Insert(table, rights)),
        1 => which().prop_map(Step::Close),
        1 => (which(), rights()).prop_map(|(of, mask)| Step::Restrict(of, mask)),
        3 => (which(), rights()).prop_map(|(of, mask)| Step::Duplicate(of, mask)),
        3 => (which(), 0..TABLES, rights()).prop_map(|(of, to, mask)| Step::Share(of, to, mask)),
        4 => (which(), 0..TABLES, rights()).prop_map(|(of, to, mask)| Step::Lend(of, to, mask)),
        2 => (which(), 0..TABLES).prop_map(|(of, to)| Step::Take(of, to)),
        2 => which().prop_map(Step::Revoke),
        1 => (which(), rights()).prop_map(|(of, rights)| Step::Replace(of, rights)),
    ];
    prop::collection::vec(step, 0..80)
}

struct Model {
    known: Vec<Known>,
    revoked: Vec<bool>,
}

impl Model {
    /// What using `known` with the right `needed` should answer.
    fn verdict(&self, known: &Known, needed: Rights) -> Result<(), Error> {
        if !known.open {
            Err(Error::BadHandle)
        } else if known.lease.iter().any(|&loan| self.revoked[loan]) {
            Err(Error::Revoked)
        } else if known.rights.contains(needed) {
            Ok(())
        } else {
            Err(Error::MissingRights)
        }
    }
}

fn other_error<T>(outcome: Result<T, Error>) -> Result<(), Error> {
    outcome.map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rights_never_grow_the_stale_stay_dead_and_revocation_reaches_all(steps in steps()) {
        let alive = Rc::new(Cell::new(0));
        let mut tables = [(); TABLES].map(|()| HandleTable::new(40));
        let mut model = Model { known: Vec::new(), revoked: Vec::new() };
        for (name, step) in steps.into_iter().enumerate() {
            let pick = |of: Index| (!model.known.is_empty()).then(|| of.index(model.known.len()));
            match step {
                Step::Insert(table, rights) => {
                    if let Ok(handle) = tables[table].insert(Object::new(name, &alive), rights) {
                        let lease = Vec::new();
                        model.known.push(Known { table, handle, open: true, object: name, rights, lease, lends: None });
                    }
                }
                Step::Close(of) => if let Some(at) = pick(of) {
                    let known = &mut model.known[at];
                    prop_assert_eq!(tables[known.table].close(known.handle).is_ok(), known.open);
                    known.open = false;
                },
                Step::Restrict(of, mask) => if let Some(at) = pick(of) {
                    let verdict = model.verdict(&model.known[at], Rights::empty());
                    let known = &mut model.known[at];
                    prop_assert_eq!(tables[known.table].restrict(known.handle, mask), verdict);
                    if verdict.is_ok() {
                        known.rights &= mask;
                    }
                },
                Step::Duplicate(of, mask) => if let Some(at) = pick(of) {
                    let known = model.known[at].clone();
                    let outcome = tables[known.table].duplicate(known.handle, mask);
                    if outcome == Err(Error::Full) {
                        continue;
                    }
                    prop_assert_eq!(other_error(outcome), model.verdict(&known, Rights::DUPLICATE));
                    if let Ok(handle) = outcome {
                        model.known.push(Known { handle, rights: known.rights & mask, lends: None, ..known });
                    }
                },
                Step::Share(of, to, mask) => if let Some(at) = pick(of) {
                    let known = model.known[at].clone();
                    let grant = tables[known.table].share(known.handle, mask);
                    prop_assert_eq!(grant.as_ref().map(|_| ()).map_err(|&e| e), model.verdict(&known, Rights::TRANSFER));
                    if let Ok(Ok(handle)) = grant.map(|grant| tables[to].accept(grant)) {
                        model.known.push(Known { table: to, handle, rights: known.rights & mask, lends: None, ..known });
                    }
                },
                Step::Lend(of, to, mask) => if let Some(at) = pick(of) {
                    let known = model.known[at].clone();
                    let grant = tables[known.table].lend(known.handle, mask);
                    if matches!(grant, Err(Error::TooDeep)) {
                        prop_assert_eq!(known.lease.len(), swos_handles::DEPTH_MAX);
                        continue;
                    }
                    prop_assert_eq!(grant.as_ref().map(|_| ()).map_err(|&e| e), model.verdict(&known, Rights::DUPLICATE));
                    let Ok(grant) = grant else { continue };
                    let loan = known.lends.unwrap_or_else(|| {
                        model.revoked.push(false);
                        model.revoked.len() - 1
                    });
                    model.known[at].lends = Some(loan);
                    if let Ok(handle) = tables[to].accept(grant) {
                        let mut lease = known.lease.clone();
                        lease.push(loan);
                        model.known.push(Known { table: to, handle, rights: known.rights & mask, lease, lends: None, ..known });
                    }
                },
                Step::Take(of, to) => if let Some(at) = pick(of) {
                    let known = model.known[at].clone();
                    let grant = tables[known.table].take(known.handle);
                    prop_assert_eq!(grant.as_ref().map(|_| ()).map_err(|&e| e), model.verdict(&known, Rights::TRANSFER));
                    if let Ok(grant) = grant {
                        model.known[at].open = false;
                        if let Ok(handle) = tables[to].accept(grant) {
                            model.known.push(Known { table: to, handle, ..known });
                        }
                    }
                },
                Step::Revoke(of) => if let Some(at) = pick(of) {
                    let verdict = model.verdict(&model.known[at], Rights::empty());
                    let known = &mut model.known[at];
                    prop_assert_eq!(tables[known.table].revoke(known.handle).map(drop), verdict);
                    if let (Ok(()), Some(loan)) = (verdict, known.lends) {
                        model.revoked[loan] = true;
                        known.lends = None;
                    }
                },
                Step::Replace(of, rights) => if let Some(at) = pick(of) {
                    let known = &mut model.known[at];
                    let grant = Grant::new(Object::new(name, &alive), rights);
                    prop_assert_eq!(tables[known.table].replace(known.handle, grant).is_ok(), known.open);
                    if known.open {
                        (known.object, known.rights, known.lease, known.lends) = (name, rights, Vec::new(), None);
                    }
                },
            }
            // Every handle ever seen answers as the model says, and no two open ones share a number.
            for known in &model.known {
                let answer = tables[known.table].get(known.handle);
                prop_assert_eq!(other_error(answer), model.verdict(known, Rights::empty()));
                if let Ok((object, rights)) = answer {
                    prop_assert_eq!((object.name, rights), (known.object, known.rights));
                }
            }
            let open = model.known.iter().filter(|known| known.open).count();
            prop_assert_eq!(alive.get(), open);
            prop_assert_eq!(tables.iter().map(HandleTable::len).sum::<usize>(), open);
        }
        for table in &mut tables {
            while table.teardown(7, drop) == Progress::More {}
        }
        prop_assert_eq!(alive.get(), 0);
    }

    #[test]
    fn numbers_out_of_the_air_name_nothing(number in any::<u64>(), count in 0..20_u32) {
        let mut table = HandleTable::new(64);
        let open: Vec<_> = (0..count).map(|n| table.insert(n, Rights::all()).unwrap()).collect();
        let named = open.contains(&Handle(number));
        prop_assert_eq!(table.get(Handle(number)).is_ok(), named);
        prop_assert_eq!(table.close(Handle(number)).is_ok(), named);
    }
}
