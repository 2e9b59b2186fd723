//! Files with thousands of entries: what is done for each of them does not grow with the others.

use std::fmt::Write as _;

use bellwether_core::id::ComponentName;

use super::parse;
use crate::cross_check::{ComponentKind, check_module};
use crate::mistake::{MAX_MISTAKES, Mistakes};
use crate::read::parse_node;
use crate::source::READINGS;

const SCHEMA: &str =
    r#"{ "type": "object", "additionalProperties": false, "properties": { "url": { "type": "string" } } }"#;

fn known(kind: ComponentKind, name: &ComponentName) -> Option<String> {
    match (kind, name.as_str()) {
        (ComponentKind::Checker, "http") => Some(SCHEMA.to_owned()),
        (ComponentKind::RestartScript, "command") => Some(String::new()),
        _ => None,
    }
}

/// So many checkers, each with these keys.
fn checkers(count: usize, keys: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        write!(text, "[[checker]]\nname = \"c{number}\"\n{keys}\n").unwrap();
    }
    text
}

/// How many mistakes there are, whether they are shown or counted.
fn count(mistakes: &Mistakes) -> usize {
    let shown = mistakes.iter().count();
    let last = mistakes.iter().last().unwrap();
    match last.message.split_once(" more errors") {
        Some((more, _)) => shown - 1 + more.parse::<usize>().unwrap(),
        None => shown,
    }
}

#[test]
fn a_file_is_read_once_to_tell_what_is_wrong_with_its_components() {
    for (keys, each) in
        [("component = \"htpp\"", 1), ("component = \"http\"\nconfig = { urll = 1, url = 2 }", 2)]
    {
        let module = parse(&checkers(3_000, keys)).unwrap();
        let before = READINGS.get();
        let mistakes = check_module(&module, &known).unwrap_err();
        assert_eq!(READINGS.get() - before, 1);
        // Of one checker all mistakes that its schema finds are counted as long as mistakes are described.
        assert!((3_000..=3_000 * each).contains(&count(&mistakes)), "{}", count(&mistakes));
        assert_eq!(mistakes.iter().count(), MAX_MISTAKES + 1);
        let lines: Vec<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert!(lines.is_sorted() && lines[0] <= 4, "{lines:?}");
    }
}

#[test]
fn values_in_effect_and_uses_of_components_are_found_by_reading_a_file_once() {
    let module = parse(&checkers(3_000, "component = \"http\"")).unwrap();
    let before = READINGS.get();
    assert!(module.effective().len() > 3_000);
    assert_eq!(module.component_uses().len(), 3_001);
    assert_eq!(READINGS.get() - before, 2);
}

#[test]
fn a_hundred_thousand_mistakes_of_a_kind_are_counted() {
    let keys =
        |table: &str| (0..100_000).fold(table.to_owned(), |text, number| text + &format!("k{number}=1\n"));
    let lines = |line: &str| line.repeat(100_000);
    let named = |number: usize| format!("[[agent-check]]\nlisten = {number}\n");
    let agents = (0..20_000).map(named).collect::<String>();
    for (text, least) in [
        (keys(""), 100_000),
        (keys("[restart]\n"), 100_000),
        (lines("x y\n"), 1_000),
        (checkers(20_000, "process = 7"), 20_000),
        ("[[checker]]\n".repeat(60_000), 60_000),
        (checkers(20_000, "interval = \"1x\"\ncomponent = \"http\""), 20_000),
    ] {
        let mistakes = parse(&text).unwrap_err();
        assert!(count(&mistakes) >= least, "{}: {}", text.get(..40).unwrap(), count(&mistakes));
    }
    for text in [keys(""), agents] {
        assert!(count(&parse_node(&text, "host").unwrap_err()) >= 20_000);
    }
}

#[test]
fn a_very_long_line_with_many_mistakes_is_shown_in_part() {
    let keys: Vec<String> = (0..50_000).map(|number| format!("k{number} = 1")).collect();
    let mistakes = parse(&format!("restart = {{ {} }}", keys.join(", "))).unwrap_err();
    assert_eq!(count(&mistakes), 50_000);
    assert!(mistakes.iter().all(|mistake| mistake.line == 1 && mistake.text.len() < 400));
}
