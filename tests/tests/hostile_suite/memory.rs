//! Guests that need more memory than they may have.

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::{Guest, WELL};

use super::act::{Act, Becomes};
use super::family;

const MUCH: Becomes = Becomes::Unknown("wanted more than 64 MiB of memory");
const WELL_SAID: Becomes = Becomes::Told(Outcome::Pass, "allwell");

#[test]
fn guests_that_hoard_are_ended_and_nobody_else_notices() {
    family::run("memory", [growing(), large_from_the_start()].concat());
}

fn growing() -> Vec<Act> {
    let page = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let at_once = "(drop (memory.grow (i32.const 65000))) unreachable";
    let content = format!("(drop (memory.grow (i32.const 65000))) {WELL}");
    let all = format!(
        "(drop (memory.grow (i32.const 960))) (memory.fill (i32.const 65536) (i32.const 7) (i32.const 62914560)) {WELL}"
    );
    let table = "(drop (table.grow $t (ref.null func) (i32.const 10000000))) unreachable";
    let elements = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";
    let tabled = |check: &str| Guest::checking(check).with("(table $t 1 funcref)");
    let in_realloc = Guest {
        realloc: "(drop (memory.grow (i32.const 65000))) unreachable".to_owned(),
        ..Guest::default()
    };
    vec![
        Act::checking("grow-by-pages", page, MUCH),
        Act::checking("grow-at-once", at_once, MUCH),
        Act::new("grow-in-realloc", &in_realloc, MUCH),
        Act::checking("content-with-less", &content, WELL_SAID),
        Act::checking("all-that-is-allowed", &all, WELL_SAID),
        Act::new("grow-a-table", &tabled(table), MUCH),
        Act::new("grow-a-table-slowly", &tabled(elements), MUCH),
        Act::of_rust("eat-memory", MUCH),
        Act::checking("little-is-much", page, Becomes::Unknown("wanted more than 2 MiB of memory"))
            .limited("memory = \"2MiB\""),
    ]
}

fn large_from_the_start() -> Vec<Act> {
    let sized = |memory_pages| Guest { memory_pages, ..Guest::default() };
    let refused = Becomes::Refused("its describe() gave no answer: ");
    let outside = "(data (i32.const 65530) \"out of the memory\")";
    vec![
        Act::new("large-memory", &sized(1100), Becomes::Refused("wanted more than 64 MiB of memory")),
        Act::new("too-large-for-one", &sized(32), Becomes::Unknown("wanted more than 1 MiB of memory"))
            .limited("memory = \"1MiB\""),
        Act::new("many-memories", &Guest::default().with("(memory 1) ".repeat(90)), Becomes::Refused("")),
        Act::new("large-table", &Guest::default().with("(table 10000000 funcref)"), Becomes::Refused("")),
        Act::new("data-outside", &Guest::default().with(outside), refused),
    ]
}
