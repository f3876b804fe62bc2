use super::*;

fn defects(text: &str, planned: &[&str]) -> Vec<Defect> {
    let mut report = Report::default();
    text.lines().for_each(|line| report.line(line));
    report.defects(Plan::Exactly(planned))
}

#[test]
fn all_planned_and_counted_is_a_pass() {
    let text = "boot noise\r\n@test a\n@ok a\nnoise\n@test b\n@ok b\r\n@done 2\n";
    assert_eq!(defects(text, &["a", "b"]), []);
}

#[test]
fn silence_is_a_failure() {
    assert_eq!(defects("", &["a"]), [Defect::NeverRan("a".into()), Defect::NotDone]);
    assert_eq!(defects("@done 0", &["a"]), [Defect::NeverRan("a".into())]);
}

#[test]
fn each_defect_is_seen() {
    let one = |text, planned: &[&str]| defects(text, planned).remove(0);
    assert_eq!(
        one("@test a\n@fail a it broke\n@done 1", &["a"]),
        Defect::Failed("a".into(), "it broke".into())
    );
    assert_eq!(one("@test a\n@done 0", &["a"]), Defect::NeverEnded("a".into()));
    assert_eq!(one("@test a\n@ok a\n@ok a\n@done 1", &["a"]), Defect::OutOfOrder("a".into()));
    assert_eq!(one("@ok a\n@test a\n@ok a\n@done 1", &["a"]), Defect::OutOfOrder("a".into()));
    assert_eq!(one("@test a\n@ok a\n@test a\n@ok a\n@done 1", &["a"]), Defect::OutOfOrder("a".into()));
    assert_eq!(one("@test a\n@ok a\n@done 1", &[]), Defect::Unplanned("a".into()));
    assert_eq!(one("@test a\n@ok a\n@done 2", &["a"]), Defect::Miscounted { seen: 1, said: 2 });
    assert_eq!(one("@test a\n@ok a", &["a"]), Defect::NotDone);
}

#[test]
fn ordinary_output_is_no_event() {
    for line in ["", "@", "@done", "@done x", "@testing a", "@ok"] {
        assert_eq!(Event::parse(line), None, "{line}");
    }
}

#[test]
fn noise_before_an_event_is_skipped() {
    assert_eq!(Event::parse("\u{fffd}\0x@ok a\r"), Some(Event::Ok("a")));
    assert_eq!(Event::parse("swos> @fail a found @ok in b"), Some(Event::Fail("a", "found @ok in b")));
}

#[test]
fn others_are_welcome_where_the_plan_says_so() {
    let mut report = Report::default();
    "@test a\n@ok a\n@test b\n@ok b\n@done 2".lines().for_each(|line| report.line(line));
    assert_eq!(report.defects(Plan::AtLeast(&["a"])), []);
    assert_eq!(report.defects(Plan::AtLeast(&["c"])), [Defect::NeverRan("c".into())]);
    assert_eq!(report.defects(Plan::Exactly(&["a"])), [Defect::Unplanned("b".into())]);
}
