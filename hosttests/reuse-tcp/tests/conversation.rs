//! The example of the book does what the book says.

use proptest::prelude::*;
use swos_reuse_tcp::cable::conversation;

const ANSWER: &[u8] = b"21.5 C\n";

#[test]
fn the_book_shows_what_the_program_prints() {
    let story = conversation(|number| number % 3 == 0);
    let shown = include_str!("../transcript.txt");
    let printed = format!("{}the client read {:?}\n", story.text, String::from_utf8_lossy(&story.answer));
    assert_eq!(printed, shown, "renew it: cargo run -p swos-reuse-tcp > hosttests/reuse-tcp/transcript.txt");
}

#[test]
fn a_good_cable_needs_no_repetition() {
    let story = conversation(|_| false);
    assert_eq!(story.answer, ANSWER);
    assert!(story.text.lines().count() <= 9, "{}", story.text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_lost_the_answer_arrives_once(losses in any::<u16>()) {
        let story = conversation(|number| number <= 16 && losses >> (number - 1) & 1 == 1);
        // Sixteen losses in a row outlast the patience of a handshake: then nothing may arrive.
        prop_assert!(story.answer == ANSWER || (story.answer.is_empty() && story.lost > 4), "{}", story.text);
    }
}
