//! Guests that compute forever, recurse too deep, or take forever to compile.

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::{Guest, WELL};

use super::act::{Act, Becomes, SPIN};
use super::family;

const COMPUTING: Becomes = Becomes::Unknown("ended after 300ms: it was still computing");
const UNDESCRIBED: Becomes =
    Becomes::Refused("its describe() gave no answer: ended after 1s: it was still computing");
const TOO_DEEP: Becomes = Becomes::Unknown("its calls went too deep: the stack is full");
const FIFTY_MS: Becomes = Becomes::Unknown("used more than 50ms of processor time");

#[test]
fn guests_that_compute_without_end_are_ended_and_nobody_else_notices() {
    family::run("cpu", [endless(), deep(), laborious()].concat());
}

fn endless() -> Vec<Act> {
    let spin = || SPIN.to_owned();
    let after =
        format!(r#"(func (export "cabi_post_bellwether:guest/check@1.0.0#check") (param i32) {SPIN})"#);
    let fill =
        "(loop $l (memory.fill (i32.const 65536) (i32.const 1) (i32.const 39000000)) (br $l)) unreachable";
    let branches = "(loop $a (loop $b (br_table $a $b (i32.and (local.tee $i (i32.add (local.get $i) \
                    (i32.const 1))) (i32.const 1))))) unreachable";
    vec![
        Act::checking("spin-in-check", SPIN, COMPUTING).endless(),
        Act::new("spin-in-realloc", &Guest { realloc: spin(), ..Guest::default() }, COMPUTING).endless(),
        Act::new("spin-after-return", &Guest::default().with(after), COMPUTING).endless(),
        Act::new(
            "spin-at-start",
            &Guest::default().with(format!("(func $s {SPIN}) (start $s)")),
            UNDESCRIBED,
        ),
        Act::new("spin-in-describe", &Guest { describe: spin(), ..Guest::default() }, UNDESCRIBED),
        Act::new("fill-for-ever", &Guest { memory_pages: 700, ..Guest::checking(fill) }, COMPUTING).endless(),
        Act::checking("branch-for-ever", branches, COMPUTING).endless(),
        Act::of_rust("spin", COMPUTING).endless(),
    ]
}

fn deep() -> Vec<Act> {
    let down = "(func $down (result i32) (i32.add (call $down) (i32.const 1)))";
    let two = "(type $f (func (result i32))) (table 2 funcref) (elem (i32.const 0) $ping $pong)
        (func $ping (result i32) (i32.add (call_indirect (type $f) (i32.const 1)) (i32.const 1)))
        (func $pong (result i32) (i32.add (call_indirect (type $f) (i32.const 0)) (i32.const 1)))";
    vec![
        Act::new("recurse-deeply", &Guest::checking("(call $down)").with(down), TOO_DEEP),
        Act::new("recurse-by-two", &Guest::checking("(call $ping)").with(two), TOO_DEEP),
        Act::of_rust("recurse", Becomes::Unknown("calls that went too deep")),
    ]
}

fn laborious() -> Vec<Act> {
    let asking = "(loop $l (drop (call $now)) (br $l)) unreachable";
    let many: Vec<_> = (0..5000).map(|n| format!("(func (result i32) (i32.const {n}))\n")).collect();
    let many = many.concat();
    let steps = "(local.set $i (i32.mul (i32.add (local.get $i) (i32.const 3)) (i32.const 7)))\n";
    let long = format!("{}{WELL}", steps.repeat(20_000));
    vec![
        Act::checking("spin-cheaply", SPIN, FIFTY_MS).limited("cpu = \"50ms\""),
        Act::checking("ask-and-spin", asking, FIFTY_MS).limited("cpu = \"50ms\", host-calls = 100000000"),
        Act::new("many-functions", &Guest::default().with(many), Becomes::Told(Outcome::Pass, "allwell")),
        Act::checking("long-function", &long, Becomes::Told(Outcome::Pass, "allwell")),
    ]
}
