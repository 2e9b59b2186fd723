//! Guests that break the rules of passing values (component model, CanonicalABI.md).

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::{Guest, WELL, text};

use super::act::{Act, Becomes, SPIN};
use super::family;

const TRAPPED: Becomes = Becomes::Unknown("trapped: ");
const WELL_SAID: Becomes = Becomes::Told(Outcome::Pass, "allwell");
const TOO_MUCH: Becomes = Becomes::Unknown("passed more than 1 MiB to the host in one call");

#[test]
fn guests_that_break_the_rules_of_passing_values_are_ended_and_nobody_else_notices() {
    family::run("abi", [answers(), calls(), handles(), callbacks()].concat());
}

/// Invalid results of `check`.
fn answers() -> Vec<Act> {
    let large = Guest {
        memory_pages: 40,
        ..Guest::checking("(call $answer (i32.const 0) (i32.const 0) (i32.const 2000000))")
    };
    let not_utf8 = Guest::checking("(call $answer (i32.const 0) (i32.const 1024) (i32.const 4))")
        .with(r#"(data (i32.const 1024) "\ff\ff\ff\ff")"#);
    let (escapes, words) = text("\u{1b}[31mred\u{1b}[0m\nand two lines");
    let shown = Guest::checking(format!("(call $answer (i32.const 0) {words})")).with(escapes);
    // A list of measurements at 268, of attributes at 276: address and length.
    let list = |at: u32, first: i64, count: u32| {
        format!(
            "(i32.store (i32.const {at}) (i32.const {first})) (i32.store (i32.const {}) (i32.const {count})) {WELL}",
            at + 4
        )
    };
    let no_number = format!(
        "(f64.store (i32.const 1608) (f64.const nan)) (f64.store (i32.const 1632) (f64.const inf)) {}",
        list(268, 1600, 2)
    );
    vec![
        Act::checking(
            "text-beyond-memory",
            "(call $answer (i32.const 0) (i32.const 0) (i32.const 100000000))",
            TRAPPED,
        ),
        Act::checking("text-outside", "(call $answer (i32.const 0) (i32.const -16) (i32.const 8))", TRAPPED),
        Act::new("text-too-large", &large, TOO_MUCH),
        Act::new("not-utf8", &not_utf8, Becomes::Unknown("utf-8")),
        Act::new("escapes", &shown, Becomes::Told(Outcome::Pass, "red and two lines")),
        Act::checking(
            "status-9",
            "(call $answer (i32.const 9) (i32.const 16) (i32.const 7))",
            Becomes::Unknown("discriminant"),
        ),
        Act::checking("answer-askew", "(i32.const 257)", TRAPPED),
        Act::checking("answer-outside", "(i32.const -8)", TRAPPED),
        Act::checking("endless-attributes", &list(276, 8192, 1 << 28), TRAPPED),
        Act::checking("attributes-outside", &list(276, -8, 3), TRAPPED),
        Act::checking("attributes-askew", &list(276, 1601, 1), TRAPPED),
        Act::checking("nothing-anywhere", &list(276, -8, 0), TRAPPED),
        Act::checking("many-attributes", &list(276, 16384, 1000), WELL_SAID),
        Act::checking("no-number", &no_number, WELL_SAID),
    ]
}

/// Invalid arguments to the host.
fn calls() -> Vec<Act> {
    let logged = Guest {
        memory_pages: 40,
        ..Guest::checking("(call $log (i32.const 1) (i32.const 0) (i32.const 2000000)) unreachable")
    };
    let bad_key = Guest::checking("(call $get (i32.const 1024) (i32.const 4) (i32.const 512)) unreachable")
        .with(r#"(data (i32.const 1024) "\ff\fe\fd\fc")"#);
    let small = Guest {
        memory_pages: 2,
        ..Guest::checking("(call $log (i32.const 1) (i32.const 0) (i32.const 20000)) unreachable")
    };
    vec![
        Act::new("log-too-large", &logged, TOO_MUCH),
        Act::new("log-too-large-for-one", &small, Becomes::Unknown("passed more than 8 KiB to the host"))
            .limited("call-data = \"8KiB\""),
        Act::checking(
            "log-level-9",
            "(call $log (i32.const 9) (i32.const 16) (i32.const 7)) unreachable",
            Becomes::Unknown("discriminant"),
        ),
        Act::checking(
            "log-outside",
            "(call $log (i32.const 1) (i32.const -4) (i32.const 7)) unreachable",
            TRAPPED,
        ),
        Act::new("key-not-utf8", &bad_key, Becomes::Unknown("utf-8")),
        Act::checking(
            "result-outside",
            "(call $get (i32.const 16) (i32.const 3) (i32.const -4)) unreachable",
            TRAPPED,
        ),
    ]
}

/// Handles of the host's resources.
fn handles() -> Vec<Act> {
    let twice = "(local.set $i (call $timer (i64.const 1))) (call $drop_timer (local.get $i)) \
                 (call $drop_timer (local.get $i)) unreachable";
    let after = "(local.set $i (call $timer (i64.const 1))) (call $drop_timer (local.get $i)) \
                 (call $block (local.get $i)) unreachable";
    let hoard = "(loop $l (drop (call $timer (i64.const 1))) (br $l)) unreachable";
    vec![
        Act::checking("foreign-handle", "(call $block (i32.const 77)) unreachable", TRAPPED),
        Act::checking("handle-zero", "(call $block (i32.const 0)) unreachable", TRAPPED),
        Act::checking("wrong-handle", "(call $block (call $stderr)) unreachable", TRAPPED),
        Act::checking("dropped-twice", twice, TRAPPED),
        Act::checking("used-after-drop", after, TRAPPED),
        Act::checking("hoard-handles", hoard, Becomes::Unknown("held more than 1000 handles at once")),
        Act::checking("few-handles", hoard, Becomes::Unknown("held more than 32 handles at once"))
            .limited("handles = 32"),
    ]
}

/// Functions that the host calls in between.
fn callbacks() -> Vec<Act> {
    let realloc = |realloc: &str| Guest { realloc: realloc.to_owned(), ..Guest::default() };
    // A list of numbers must be aligned.
    let askew = Guest {
        realloc: "(i32.add (call $room (local.get $align) (local.get $size)) \
                  (i32.eq (local.get $align) (i32.const 4)))"
            .to_owned(),
        ..Guest::checking(
            "(i32.store (i32.const 1024) (call $timer (i64.const 1))) \
             (call $poll (i32.const 1024) (i32.const 1) (i32.const 512)) unreachable",
        )
    };
    let after = |body: &str| {
        let end =
            format!(r#"(func (export "cabi_post_bellwether:guest/check@1.0.0#check") (param i32) {body})"#);
        Guest::default().with(end)
    };
    let logging = "(call $log (i32.const 1) (i32.const 16) (i32.const 7))";
    let forever = format!(
        "(if (i32.gt_u (local.get $size) (i32.const 4)) (then {SPIN})) (call $room (local.get $align) (local.get $size))"
    );
    vec![
        Act::new("room-outside", &realloc("(i32.const -16)"), TRAPPED),
        Act::new("room-askew", &askew, TRAPPED),
        Act::new("no-room", &realloc("unreachable"), Becomes::Unknown("panicked: ")),
        Act::new(
            "no-room-for-long",
            &realloc(&forever),
            Becomes::Unknown("ended after 300ms: it was still computing"),
        )
        .endless(),
        Act::new(
            "call-from-realloc",
            &realloc(&format!("{logging} (call $room (local.get $align) (local.get $size))")),
            TRAPPED,
        ),
        Act::new("trap-after-return", &after("unreachable"), Becomes::Unknown("panicked: ")),
        Act::new("call-after-return", &after(logging), TRAPPED),
    ]
}
