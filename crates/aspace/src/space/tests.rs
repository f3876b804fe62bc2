use std::collections::BTreeMap;

use proptest::prelude::*;
use swos_units::PAGE_SIZE;

use super::*;
use crate::area::{FileWindow, ObjectId, ObjectWindow};

const TOP: u64 = 0x7_FFFF_0000;
const FILE: ObjectId = ObjectId(7);

fn page(number: u64) -> Page {
    Page::from_number(number).unwrap()
}

fn range(start: u64, count: u64) -> PageRange {
    PageRange::with_len(page(start), count).unwrap()
}

fn space() -> AddressSpace {
    AddressSpace::new(page(TOP), Limits::default())
}

fn anonymous(placement: Placement, pages: u64) -> Request {
    Request {
        placement,
        pages,
        access: Access::ReadWrite,
        permitted: Permitted::READ_WRITE,
        backing: Backing::Anonymous,
    }
}

fn file(placement: Placement, pages: u64, first: u64, bytes: u64) -> Request {
    let backing = Backing::File(FileWindow { object: FILE, first, bytes });
    Request { permitted: Permitted::ALL, backing, ..anonymous(placement, pages) }
}

fn write(space: &AddressSpace, number: u64) -> Decision {
    space.fault(page(number).start(), AccessKind::Write, Cause::Absent)
}

#[test]
fn mappings_go_down_from_the_base_and_fill_holes() {
    let mut space = space();
    let first = space.map(anonymous(Placement::Anywhere, 4)).unwrap();
    assert_eq!(first, range(TOP - 4, 4));
    let second = space.map(file(Placement::Anywhere, 2, 0, u64::MAX)).unwrap();
    assert_eq!(second, range(TOP - 6, 2));
    space.unmap(range(TOP - 3, 2), |_| {}).unwrap();
    assert_eq!(space.map(file(Placement::Anywhere, 2, 9, 1)).unwrap(), range(TOP - 3, 2));
    assert_eq!(space.map(anonymous(Placement::Hint(page(TOP - 1)), 1)).unwrap(), range(TOP - 7, 1));
    assert_eq!(space.map(anonymous(Placement::Hint(page(0x20)), 1)).unwrap(), range(0x20, 1));
    assert_eq!(space.map(anonymous(Placement::Hint(page(0)), 1)).unwrap(), range(TOP - 8, 1));
    assert_eq!(space.map(anonymous(Placement::At(page(0x20)), 1)), Err(Error::Occupied));
}

#[test]
fn a_full_lower_part_continues_above_the_base() {
    let mut space = AddressSpace::new(page(0x18), Limits { pages: u64::MAX, ..Limits::default() });
    assert_eq!(space.map(anonymous(Placement::Anywhere, 8)).unwrap(), range(0x10, 8));
    let end = USER_END.get() >> 12;
    assert_eq!(space.map(anonymous(Placement::Anywhere, 1)).unwrap(), range(end - 1, 1));
    assert_eq!(space.map(anonymous(Placement::Anywhere, 1 << 36)), Err(Error::NoSpace));
    assert_eq!(space.map(anonymous(Placement::Anywhere, u64::MAX)), Err(Error::NoSpace));
    let rest = end - 1 - 0x18;
    assert_eq!(space.map(anonymous(Placement::Anywhere, rest)).unwrap(), range(0x18, rest));
    assert_eq!(space.map(anonymous(Placement::Anywhere, 1)), Err(Error::NoSpace));
    assert_eq!(space.areas().len(), 1);
}

#[test]
fn null_and_what_is_outside_is_refused() {
    let mut space = space();
    let end = USER_END.get() >> 12;
    for (start, count) in
        [(0, 1), (0xF, 1), (0xF, 2), (end, 1), (end - 1, 2), (0x20, 1 << 52), (u64::MAX >> 12, 1)]
    {
        let request = anonymous(Placement::At(page(start)), count);
        assert_eq!(space.map(request), Err(Error::OutOfRange), "{start:#x} {count:#x}");
        assert_eq!(space.map_over(request, |_| panic!("removed")), Err(Error::OutOfRange));
    }
    assert_eq!(space.map(anonymous(Placement::At(page(0x10)), 0)), Err(Error::Empty));
    assert_eq!(space.map(anonymous(Placement::Anywhere, 0)), Err(Error::Empty));
    assert_eq!(space.unmap(range(0xF, 5), |_| {}), Err(Error::OutOfRange));
    assert_eq!(space.unmap(range(0x10, 0), |_| {}), Err(Error::Empty));
    assert_eq!(space.protect(range(end - 1, 2), Access::None), Err(Error::OutOfRange));
    space.map(anonymous(Placement::At(page(0x10)), 1)).unwrap();
    space.map(anonymous(Placement::At(page(end - 1)), 1)).unwrap();
    assert_eq!(write(&space, 0xF), Decision::Deny(Denied::Unmapped));
    assert_eq!(write(&space, end), Decision::Deny(Denied::Unmapped));
}

#[test]
fn a_stack_has_its_guard_below() {
    let mut space = space();
    let stack = space.map_stack(16, 1).unwrap();
    assert_eq!((stack.guard, stack.stack), (range(TOP - 17, 1), range(TOP - 16, 16)));
    assert_eq!(write(&space, TOP - 16), Decision::MapZero { access: Access::ReadWrite });
    assert_eq!(write(&space, TOP - 17), Decision::Deny(Denied::Guard));
    assert_eq!(space.protect(stack.guard, Access::None), Err(Error::NotPermitted));
    assert_eq!(space.map_stack(0, 1), Err(Error::Empty));
    assert_eq!(space.map_stack(1, 0), Err(Error::Empty));
    assert_eq!(space.map_stack(u64::MAX, 1), Err(Error::NoSpace));
    assert_eq!((space.pages(), space.areas().len()), (16, 2));
}

#[test]
fn access_never_exceeds_the_permission() {
    let mut space = space();
    let constant = Request {
        permitted: Permitted::READ,
        access: Access::ReadOnly,
        ..file(Placement::Anywhere, 4, 0, 9)
    };
    let pages = space.map(constant).unwrap();
    assert_eq!(space.protect(pages, Access::ReadWrite), Err(Error::NotPermitted));
    assert_eq!(space.protect(pages, Access::ReadExecute), Err(Error::NotPermitted));
    assert_eq!(space.protect(pages, Access::None), Ok(()));
    assert_eq!(space.protect(pages, Access::ReadOnly), Ok(()));
    let wrong = Request { access: Access::ReadExecute, ..anonymous(Placement::Anywhere, 1) };
    assert_eq!(space.map(wrong), Err(Error::NotPermitted));
    for backing in [Backing::Reserved, Backing::Guard] {
        let request = Request { backing, ..anonymous(Placement::Anywhere, 1) };
        assert_eq!(space.map(request), Err(Error::NotPermitted));
    }
    let reserved = Request {
        backing: Backing::Reserved,
        access: Access::None,
        permitted: Permitted::NONE,
        ..anonymous(Placement::Anywhere, 1)
    };
    let pages = space.map(reserved).unwrap();
    assert_eq!(space.protect(pages, Access::ReadWrite), Err(Error::NotPermitted));
    assert_eq!(write(&space, pages.start().number()), Decision::Deny(Denied::Access));
}

#[test]
fn a_reservation_becomes_memory_where_an_access_is_given_and_counts_from_then_on() {
    let mut space = AddressSpace::new(page(TOP), Limits { pages: 6, ..Limits::default() });
    let reserved = Request {
        backing: Backing::Reserved,
        access: Access::None,
        ..anonymous(Placement::At(page(0x20)), 100)
    };
    space.map(reserved).unwrap();
    assert_eq!(space.pages(), 0);
    assert_eq!(space.protect(range(0x20, 100), Access::None), Ok(()));
    assert_eq!(space.protect(range(0x28, 4), Access::ReadWrite), Ok(()));
    assert_eq!((space.pages(), space.areas().len()), (4, 3));
    assert_eq!(write(&space, 0x28), Decision::MapZero { access: Access::ReadWrite });
    assert_eq!(write(&space, 0x2C), Decision::Deny(Denied::Access));
    // Two of these are counted already: two more are the limit.
    assert_eq!(space.protect(range(0x2A, 5), Access::ReadWrite), Err(Error::TooManyPages));
    assert_eq!(write(&space, 0x2C), Decision::Deny(Denied::Access));
    assert_eq!(space.protect(range(0x2A, 4), Access::ReadWrite), Ok(()));
    // What was memory stays memory, without access.
    assert_eq!(space.protect(range(0x28, 6), Access::None), Ok(()));
    assert_eq!(space.pages(), 6);
    space.map_over(Request { placement: Placement::At(page(0x28)), pages: 6, ..reserved }, |_| {}).unwrap();
    assert_eq!((space.pages(), space.areas().len()), (0, 1));
}

#[test]
fn protecting_needs_every_page_and_splits_at_the_borders() {
    let mut space = space();
    space.map(anonymous(Placement::At(page(0x20)), 8)).unwrap();
    space.map(anonymous(Placement::At(page(0x29)), 8)).unwrap();
    assert_eq!(space.protect(range(0x24, 8), Access::ReadOnly), Err(Error::Unmapped));
    assert_eq!(space.protect(range(0x1F, 2), Access::ReadOnly), Err(Error::Unmapped));
    assert_eq!(space.protect(range(0x30, 2), Access::ReadOnly), Err(Error::Unmapped));
    assert_eq!(space.areas().len(), 2);
    space.protect(range(0x22, 4), Access::ReadOnly).unwrap();
    assert_eq!(space.areas().len(), 4);
    assert_eq!(write(&space, 0x22), Decision::Deny(Denied::Access));
    assert_eq!(write(&space, 0x26), Decision::MapZero { access: Access::ReadWrite });
    space.protect(range(0x22, 4), Access::ReadWrite).unwrap();
    assert_eq!(space.areas().len(), 2);
}

#[test]
fn file_pages_are_shared_until_written_and_end_in_zeroes() {
    let mut space = space();
    let bytes = PAGE_SIZE as u64 + 100;
    space.map(file(Placement::At(page(0x20)), 4, 5, bytes)).unwrap();
    let access = Access::ReadWrite;
    let read =
        |space: &AddressSpace, number| space.fault(page(number).start(), AccessKind::Read, Cause::Absent);
    assert_eq!(read(&space, 0x20), Decision::MapFile { object: FILE, page: 5, access });
    assert_eq!(write(&space, 0x20), Decision::CopyFile { object: FILE, page: 5, bytes: PAGE_SIZE, access });
    assert_eq!(read(&space, 0x21), Decision::CopyFile { object: FILE, page: 6, bytes: 100, access });
    assert_eq!(read(&space, 0x22), Decision::MapZero { access });
    space.unmap(range(0x20, 1), |_| {}).unwrap();
    assert_eq!(read(&space, 0x21), Decision::CopyFile { object: FILE, page: 6, bytes: 100, access });
    let execute = space.fault(page(0x21).start(), AccessKind::Execute, Cause::Absent);
    assert_eq!(execute, Decision::Deny(Denied::Access));
    let last = Backing::File(FileWindow { object: FILE, first: u64::MAX, bytes: 1 });
    let past = Request { backing: last, ..file(Placement::Anywhere, 1, 0, 0) };
    assert_eq!(space.map(past), Err(Error::WindowTooLong));
}

#[test]
fn file_areas_are_joined_if_one_can_say_both() {
    let page_bytes = PAGE_SIZE as u64;
    for (first_bytes, second_first, second_bytes, joined) in [
        (2 * page_bytes, 2, 9, true),
        (2 * page_bytes, 3, 9, false),
        (2 * page_bytes - 1, 2, 9, false),
        (2 * page_bytes - 1, 2, 0, true),
        (0, 2, 0, true),
        (0, 2, 1, false),
    ] {
        let mut space = space();
        space.map(file(Placement::At(page(0x20)), 2, 0, first_bytes)).unwrap();
        space.map(file(Placement::At(page(0x22)), 2, second_first, second_bytes)).unwrap();
        assert_eq!(space.areas().len() == 1, joined, "{first_bytes} {second_first} {second_bytes}");
    }
}

#[test]
fn a_forbidden_write_copies_private_pages_and_retries_shared_ones() {
    let mut space = space();
    space.map(anonymous(Placement::At(page(0x20)), 1)).unwrap();
    space.map(file(Placement::At(page(0x21)), 1, 0, u64::MAX)).unwrap();
    let object = ObjectWindow { object: ObjectId(9), first: 3 };
    space
        .map(Request { backing: Backing::Shared(object), ..anonymous(Placement::At(page(0x22)), 1) })
        .unwrap();
    let forbidden = |number, kind| space.fault(page(number).start(), kind, Cause::Forbidden);
    let access = Access::ReadWrite;
    assert_eq!(forbidden(0x20, AccessKind::Write), Decision::CopyOnWrite { access });
    assert_eq!(forbidden(0x21, AccessKind::Write), Decision::CopyOnWrite { access });
    assert_eq!(forbidden(0x22, AccessKind::Write), Decision::Stale);
    assert_eq!(forbidden(0x20, AccessKind::Read), Decision::Stale);
    assert_eq!(forbidden(0x20, AccessKind::Execute), Decision::Deny(Denied::Access));
    assert_eq!(write(&space, 0x22), Decision::MapShared { object: ObjectId(9), page: 3, access });
}

#[test]
fn limits_hold_and_a_refusal_changes_nothing() {
    let mut space = AddressSpace::new(page(TOP), Limits { areas: 3, pages: 10 });
    space.map(anonymous(Placement::At(page(0x20)), 10)).unwrap();
    assert_eq!(space.map(anonymous(Placement::Anywhere, 1)), Err(Error::TooManyPages));
    assert_eq!(space.map_stack(1, 1), Err(Error::TooManyPages));
    let same = anonymous(Placement::At(page(0x22)), 3);
    assert_eq!(space.map_over(same, |_| {}), Ok(range(0x22, 3)));
    let larger = anonymous(Placement::At(page(0x28)), 3);
    assert_eq!(space.map_over(larger, |_| panic!("removed")), Err(Error::TooManyPages));
    space.protect(range(0x22, 3), Access::ReadOnly).unwrap();
    assert_eq!(space.protect(range(0x27, 1), Access::ReadOnly), Err(Error::TooManyAreas));
    assert_eq!(space.unmap(range(0x27, 1), |_| panic!("removed")), Err(Error::TooManyAreas));
    assert_eq!(space.unmap(range(0x28, 2), |_| {}), Ok(()));
    assert_eq!((space.pages(), space.areas().len()), (8, 3));
}

#[test]
fn a_copy_has_the_same_areas() {
    let mut space = space();
    space.map_stack(16, 1).unwrap();
    space.map(file(Placement::Anywhere, 3, 0, 77)).unwrap();
    let mut child = space.duplicate().unwrap();
    assert!(child.areas().eq(space.areas()));
    child.unmap(range(TOP - 16, 16), |_| {}).unwrap();
    assert_eq!((space.pages(), child.pages()), (19, 3));
    let mut popped = 0;
    while let Some(area) = space.pop() {
        popped += area.pages.count();
    }
    assert_eq!((popped, space.pages(), space.areas().len()), (20, 0, 0));
}

/// One page of the model: what an area says about it, with the backing advanced to that page.
type PageModel = (Access, Permitted, Backing);

#[derive(Clone, Debug)]
enum Op {
    Map(Request),
    MapOver(Request),
    Stack(u64, u64),
    Unmap(u64, u64),
    Protect(u64, u64, Access),
}

const LOW: u64 = 0x10;
const HIGH: u64 = 0x10 + 96;

fn placement() -> impl Strategy<Value = Placement> {
    prop_oneof![
        2 => Just(Placement::Anywhere),
        1 => (LOW - 2..HIGH + 8).prop_map(|number| Placement::Hint(page(number))),
        4 => (LOW - 2..HIGH + 8).prop_map(|number| Placement::At(page(number))),
    ]
}

fn access() -> impl Strategy<Value = Access> {
    prop::sample::select(vec![Access::None, Access::ReadOnly, Access::ReadWrite, Access::ReadExecute])
}

fn backing() -> impl Strategy<Value = Backing> {
    let object = (0..2_u64).prop_map(ObjectId);
    prop_oneof![
        4 => Just(Backing::Anonymous),
        2 => (object.clone(), 0..20_u64, prop_oneof![0..40_000_u64, Just(u64::MAX)])
            .prop_map(|(object, first, bytes)| Backing::File(FileWindow { object, first, bytes })),
        2 => (object, 0..20_u64).prop_map(|(object, first)| Backing::Shared(ObjectWindow { object, first })),
        1 => Just(Backing::Reserved),
        1 => Just(Backing::Guard),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let permitted = prop::sample::select(vec![
        Permitted::NONE,
        Permitted::READ,
        Permitted::READ_WRITE,
        Permitted::READ_EXECUTE,
        Permitted::ALL,
    ]);
    (placement(), 0..14_u64, access(), permitted, backing()).prop_map(
        |(placement, pages, access, permitted, backing)| Request {
            placement,
            pages,
            access,
            permitted,
            backing,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => request().prop_map(Op::Map),
        3 => request().prop_map(Op::MapOver),
        1 => (0..5_u64, 0..3_u64).prop_map(|(pages, guard)| Op::Stack(pages, guard)),
        3 => (LOW - 1..HIGH + 4, 0..20_u64).prop_map(|(start, count)| Op::Unmap(start, count)),
        4 => (LOW - 1..HIGH + 4, 0..20_u64, access()).prop_map(|(start, count, access)| Op::Protect(start, count, access)),
    ]
}

struct Model {
    pages: BTreeMap<u64, PageModel>,
    base: u64,
}

impl Model {
    /// What a single page of an area looks like. A file page without file bytes has no page of the file.
    fn pages_of(
        pages: PageRange,
        access: Access,
        permitted: Permitted,
        backing: Backing,
    ) -> Vec<(u64, PageModel)> {
        let permitted = if backing == Backing::Guard { Permitted::NONE } else { permitted };
        (0..pages.count())
            .map(|offset| {
                let backing = backing.clipped(pages.count()).advanced(offset).clipped(1);
                (pages.start().number() + offset, (access, permitted, backing))
            })
            .collect()
    }

    fn is_free(&self, start: u64, count: u64) -> bool {
        self.pages.range(start..start + count).next().is_none()
    }

    fn in_user(start: u64, count: u64) -> bool {
        count > 0 && start >= LOW && start + count <= USER_END.get() >> 12
    }

    /// The highest free place below the base, else below the end.
    fn place(&self, count: u64) -> Option<u64> {
        let below = (LOW..=self.base.saturating_sub(count)).rev().find(|start| self.is_free(*start, count));
        below.or_else(|| {
            let end = USER_END.get() >> 12;
            (end - count - 500..=end - count).rev().find(|start| self.is_free(*start, count))
        })
    }

    fn admits(request: &Request) -> bool {
        request.access == Access::None
            || request.backing.has_pages() && request.permitted.allows(request.access)
    }

    fn insert(&mut self, pages: PageRange, request: &Request) {
        self.pages.extend(Self::pages_of(pages, request.access, request.permitted, request.backing));
    }
}

fn check(space: &AddressSpace, model: &Model) {
    let mut seen = BTreeMap::new();
    let mut last: Option<Area> = None;
    for area in space.areas() {
        assert!(!area.pages.is_empty() && area.permitted.allows(area.access));
        if let Some(last) = last {
            assert!(last.pages.end() <= area.pages.start(), "areas overlap");
            assert_eq!(last.joined(*area), None, "neighbours could be one");
        }
        seen.extend(Model::pages_of(area.pages, area.access, area.permitted, area.backing));
        last = Some(*area);
    }
    assert_eq!(seen, model.pages);
    let counted = model.pages.values().filter(|(_, _, backing)| backing.has_pages()).count();
    assert_eq!(space.pages(), counted as u64);
}

fn check_faults(space: &AddressSpace, model: &Model) {
    for number in LOW - 2..HIGH + 4 {
        for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Execute] {
            for cause in [Cause::Absent, Cause::Forbidden] {
                let address = VirtAddr::new((number << 12) + 0x123);
                let decision = space.fault(address, kind, cause);
                let expected = match model.pages.get(&number) {
                    None => Decision::Deny(Denied::Unmapped),
                    Some(page) => expected(*page, kind, cause),
                };
                assert_eq!(decision, expected, "page {number:#x} {kind:?} {cause:?}");
            }
        }
    }
}

/// The decision table, written out.
fn expected((access, _, backing): PageModel, kind: AccessKind, cause: Cause) -> Decision {
    let allowed = match kind {
        AccessKind::Read => access != Access::None,
        AccessKind::Write => access == Access::ReadWrite,
        AccessKind::Execute => access == Access::ReadExecute,
    };
    match (backing, cause) {
        (Backing::Guard, _) => Decision::Deny(Denied::Guard),
        _ if !allowed => Decision::Deny(Denied::Access),
        (Backing::Anonymous | Backing::File(_), Cause::Forbidden) if kind == AccessKind::Write => {
            Decision::CopyOnWrite { access }
        }
        (_, Cause::Forbidden) => Decision::Stale,
        (Backing::Anonymous, Cause::Absent) => Decision::MapZero { access },
        (Backing::Shared(window), Cause::Absent) => {
            Decision::MapShared { object: window.object, page: window.first, access }
        }
        (Backing::File(window), Cause::Absent) => match window.bytes {
            0 => Decision::MapZero { access },
            4096 if kind != AccessKind::Write => {
                Decision::MapFile { object: window.object, page: window.first, access }
            }
            bytes => Decision::CopyFile {
                object: window.object,
                page: window.first,
                bytes: usize::try_from(bytes).unwrap(),
                access,
            },
        },
        (Backing::Reserved, Cause::Absent) => unreachable!("reserved pages allow nothing"),
    }
}

/// Free pages, found by parts of two areas.
fn sought(space: &AddressSpace, count: u64) -> Option<u64> {
    let mut from = None;
    loop {
        match space.seek(count, from, 2) {
            Ok(Search::Found(start)) => return Some(start.number()),
            Ok(Search::Further(page)) => {
                assert!(from.is_none_or(|from| page < from || from.number() <= space.base.number()));
                from = Some(page);
            }
            Err(error) => {
                assert_eq!(error, Error::NoSpace);
                return None;
            }
        }
    }
}

/// Applies one operation to both and compares what they say.
fn apply(space: &mut AddressSpace, model: &mut Model, op: &Op) {
    let mut removed = Vec::new();
    let mut remove = |area: Area| {
        removed.extend(Model::pages_of(area.pages, area.access, area.permitted, area.backing));
    };
    match op {
        Op::Map(request) => {
            let wanted = match request.placement {
                Placement::At(page) => {
                    let start = page.number();
                    let fits = Model::in_user(start, request.pages) && model.is_free(start, request.pages);
                    fits.then_some(start)
                }
                Placement::Hint(page)
                    if Model::in_user(page.number(), request.pages)
                        && model.is_free(page.number(), request.pages) =>
                {
                    Some(page.number())
                }
                Placement::Anywhere | Placement::Hint(_) if request.pages == 0 => None,
                Placement::Anywhere | Placement::Hint(_) => model.place(request.pages),
            };
            if request.pages > 0 {
                assert_eq!(sought(space, request.pages), model.place(request.pages));
            }
            let wanted = wanted.filter(|_| Model::admits(request));
            let placed = space.map(*request);
            assert_eq!(placed.ok().map(|pages| pages.start().number()), wanted, "{placed:?}");
            if let Ok(pages) = placed {
                model.insert(pages, request);
            }
        }
        Op::MapOver(request) => {
            let (Placement::At(at) | Placement::Hint(at)) = request.placement else { return };
            let good = Model::in_user(at.number(), request.pages) && Model::admits(request);
            let placed = space.map_over(*request, &mut remove);
            assert_eq!(placed.is_ok(), good);
            if let Ok(pages) = placed {
                let gone: Vec<_> = (pages.start().number()..pages.end().number())
                    .filter_map(|number| Some((number, model.pages.remove(&number)?)))
                    .collect();
                assert_eq!(removed, gone);
                model.insert(pages, request);
            }
        }
        Op::Stack(pages, guard) => {
            let wanted = if *pages == 0 || *guard == 0 { None } else { model.place(pages + guard) };
            let placed = space.map_stack(*pages, *guard);
            assert_eq!(placed.ok().map(|stack| stack.guard.start().number()), wanted);
            if let Ok(stack) = placed {
                let request = anonymous(Placement::Anywhere, 0);
                let guard = Request { access: Access::None, backing: Backing::Guard, ..request };
                model.insert(stack.guard, &guard);
                model.insert(stack.stack, &request);
            }
        }
        Op::Unmap(start, count) => {
            let pages = range(*start, *count);
            let vacancy = space.vacancy(pages);
            // The same by parts of three areas, from above.
            let (mut rest, mut parts) = (pages, space.parts(pages).count());
            while parts > 3 {
                let part = space.highest(rest, 3);
                assert_eq!((space.parts(part).count(), part.end()), (3, rest.end()));
                (rest, parts) = (range(*start, part.start().number() - start), parts - 3);
                assert_eq!(space.parts(rest).count(), parts);
            }
            assert_eq!(space.highest(rest, 3), rest);
            let result = space.unmap(pages, &mut remove);
            assert_eq!(result.is_ok(), Model::in_user(*start, *count));
            if result.is_ok() {
                let gone: Vec<_> = (*start..start + count)
                    .filter_map(|number| Some((number, model.pages.remove(&number)?)))
                    .collect();
                assert_eq!(removed, gone);
                let below = model.pages.range(..*start).next_back().map_or(0, |(number, _)| number + 1);
                let above =
                    model.pages.range(*start..).next().map_or(USER_END.get() >> 12, |(number, _)| *number);
                assert_eq!(vacancy, PageRange::new(page(below), page(above)).unwrap());
            }
        }
        Op::Protect(start, count, access) => {
            let good = Model::in_user(*start, *count)
                && (*start..start + count).all(|number| {
                    model.pages.get(&number).is_some_and(|(_, permitted, backing)| {
                        permitted.allows(*access) && *backing != Backing::Guard
                    })
                });
            assert_eq!(space.protect(range(*start, *count), *access).is_ok(), good);
            if good {
                for (_, page) in model.pages.range_mut(*start..start + count) {
                    page.0 = *access;
                    if page.2 == Backing::Reserved && *access != Access::None {
                        page.2 = Backing::Anonymous;
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn agrees_with_a_map_of_pages(ops in prop::collection::vec(op(), 1..60), base in LOW..HIGH) {
        let mut space = AddressSpace::new(page(base), Limits::default());
        let mut model = Model { pages: BTreeMap::new(), base };
        for op in &ops {
            apply(&mut space, &mut model, op);
            check(&space, &model);
        }
        check_faults(&space, &model);
        for (number, page) in &model.pages {
            let parts: Vec<Area> = space.parts(range(*number, 1)).collect();
            prop_assert_eq!(parts.len(), 1);
            let part = parts[0];
            prop_assert_eq!((part.access, part.permitted, part.backing), *page);
        }
    }
}
