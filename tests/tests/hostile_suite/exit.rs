//! Guests that abort, and what remains of them for the next run.

use bellwether_tests::composed::{Guest, WELL, text};

use super::act::{Act, Becomes};
use super::family;

const NO_REASON: Becomes = Becomes::Unknown("panicked: it gave no reason");

#[test]
fn guests_that_give_up_leave_nothing_behind_and_nobody_else_notices() {
    family::run("exit", [exits(), traps(), remembering()].concat());
}

fn exits() -> Vec<Act> {
    let early = |code: u32| format!("(call $exit (i32.const {code})) unreachable");
    let described = Guest { describe: early(0), ..Guest::default() };
    let started = Guest::default().with("(func $s (call $exit (i32.const 1))) (start $s)");
    vec![
        Act::checking("exit-0", &early(0), Becomes::Unknown("called exit(0) instead of returning an answer")),
        Act::checking("exit-1", &early(1), Becomes::Unknown("called exit(1) instead of returning an answer")),
        Act::new(
            "exit-in-describe",
            &described,
            Becomes::Refused("its describe() gave no answer: called exit(0)"),
        ),
        Act::new(
            "exit-at-start",
            &started,
            Becomes::Refused("its describe() gave no answer: called exit(1)"),
        ),
        Act::of_rust("exit", Becomes::Unknown("called exit(1) instead of returning an answer")),
    ]
}

fn traps() -> Vec<Act> {
    let (segment, place) =
        text("thread '<unnamed>' panicked at src/lib.rs:3:5:\nthe well is poisoned\nnote: run with");
    let words = format!("(call $write (call $stderr) {place} (i32.const 512)) unreachable");
    let described = Guest { describe: "unreachable".to_owned(), ..Guest::default() };
    let divide = "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 4096)))) unreachable";
    let float = "(drop (i32.trunc_f64_s (f64.load (i32.const 1536)))) unreachable";
    let nowhere = "(call_indirect (result i32) (i32.const 0))";
    let other = "(type $f (func (param i64))) (table 1 funcref) (elem (i32.const 0) $g) (func $g (type $f))";
    vec![
        Act::checking("unreachable", "unreachable", NO_REASON),
        Act::new(
            "words-then-trap",
            &Guest::checking(words).with(segment),
            Becomes::Unknown("panicked: the well is poisoned (at src/lib.rs:3:5)"),
        ),
        Act::new(
            "trap-in-describe",
            &described,
            Becomes::Refused("its describe() gave no answer: panicked: it gave no reason"),
        ),
        Act::checking("divide-by-nothing", divide, Becomes::Unknown("trapped: integer divide by zero")),
        Act::new(
            "no-such-number",
            &Guest::checking(float).with(r#"(data (i32.const 1536) "\00\00\00\00\00\00\f8\7f")"#),
            Becomes::Unknown("trapped: "),
        ),
        Act::new(
            "call-nobody",
            &Guest::checking(nowhere).with("(table 1 funcref)"),
            Becomes::Unknown("trapped: uninitialized element"),
        ),
        Act::new(
            "call-another",
            &Guest::checking(nowhere).with(other),
            Becomes::Unknown("trapped: indirect call type mismatch"),
        ),
        Act::checking(
            "read-outside",
            "(i32.load (i32.const -4))",
            Becomes::Unknown("trapped: out of bounds"),
        ),
        Act::of_rust("panic", Becomes::Unknown("panicked: the wolf is here")),
    ]
}

/// Each fails, and with it the test, if it finds anything of a run that trapped.
fn remembering() -> Vec<Act> {
    let fail = "(return (call $answer (i32.const 2) (i32.const 16) (i32.const 7)))";
    let in_memory = format!(
        "(if (i32.or (global.get $used) (i32.load (i32.const 4096))) (then {fail}))
         (global.set $used (i32.const 1)) (i32.store (i32.const 4096) (i32.const 1)) unreachable"
    );
    let in_state = format!(
        "(call $get (i32.const 16) (i32.const 3) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then {fail}))
         (call $set (i32.const 16) (i32.const 3) (i32.const 16) (i32.const 7) (i32.const 512)) unreachable"
    );
    // The state of an earlier run still exists, whatever the runs in between did.
    let by_turns = format!(
        "(call $get (i32.const 16) (i32.const 3) (i32.const 512))
         (if (i32.and (i64.ne (local.get $run) (i64.const 1)) (i32.eqz (i32.load8_u (i32.const 512)))) (then {fail}))
         (call $set (i32.const 16) (i32.const 3) (i32.const 16) (i32.const 7) (i32.const 512))
         (if (i64.eqz (i64.rem_u (local.get $run) (i64.const 2))) (then unreachable)) {WELL}"
    );
    vec![
        Act::new(
            "trap-then-reuse",
            &Guest::checking(in_memory).with("(global $used (mut i32) (i32.const 0))"),
            NO_REASON,
        ),
        Act::checking("trap-then-remember", &in_state, NO_REASON),
        Act::checking("trap-by-turns", &by_turns, NO_REASON),
    ]
}
