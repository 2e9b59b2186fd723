//! Every text, however broken, leads to a result.

use proptest::prelude::*;

use super::{GOOD, parse};
use crate::read::parse_node;

#[test]
fn deep_nesting_is_a_mistake_and_not_a_crash() {
    for text in
        [format!("a = {}", "[".repeat(20_000)), "[restart]\nconfig = ".to_owned() + &"{a=".repeat(20_000)]
    {
        assert!(parse(&text).is_err());
    }
    let dotted = format!("[restart.config]\n{}x = 1\n", "a.".repeat(20_000));
    assert!(parse(&dotted).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_its_mistakes_stand_in_it(text in "(\\PC|\n|\\[|\\]|=|\"){0,200}") {
        for mistakes in [parse(&text).err(), parse_node(&text, "host").err()].into_iter().flatten() {
            let lines = text.split('\n').count();
            for mistake in &mistakes {
                prop_assert!((1..=lines).contains(&mistake.line));
                prop_assert!(mistake.text.get(mistake.underline.clone()).is_some());
            }
            mistakes.render(true);
        }
    }

    #[test]
    fn a_character_lost_is_harmless_or_told(at in 0..GOOD.len()) {
        let mut text = GOOD.to_owned();
        text.remove(at);
        if let Err(mistakes) = parse(&text) {
            let lines = text.lines().count();
            for mistake in &mistakes {
                prop_assert!((1..=lines).contains(&mistake.line), "{mistake}");
            }
        }
    }

    #[test]
    fn two_lines_exchanged_are_harmless_or_told(a in 0..GOOD.lines().count(), b in 0..GOOD.lines().count()) {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        lines.swap(a, b);
        let _ = parse(&lines.join("\n")).map_err(|mistakes| mistakes.render(false));
    }
}
