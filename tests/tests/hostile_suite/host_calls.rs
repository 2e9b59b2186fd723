//! Guests that ask the host for what is not granted, or for too much of what is.

use std::fmt::Write as _;

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::{Guest, WELL, text};

use super::act::{Act, Becomes};
use super::family;

const WAITING: Becomes = Becomes::Unknown("ended after 2s: it was still waiting");
const WELL_SAID: Becomes = Becomes::Told(Outcome::Pass, "allwell");

#[test]
fn guests_that_flood_and_guests_that_wait_are_ended_and_nobody_else_notices() {
    family::run("floods", [floods(), waits()].concat());
}

#[test]
fn guests_that_reach_for_what_is_not_theirs_get_nothing_and_nobody_else_notices() {
    family::run("reach", [addresses(), nothing_there()].concat());
}

/// The same call repeatedly.
fn again(call: &str) -> String {
    format!("(loop $l {call} (br $l)) unreachable")
}

fn floods() -> Vec<Act> {
    let log = again("(call $log (i32.const 2) (i32.const 16) (i32.const 7))");
    let (segment, place) = text(&"wolf ".repeat(500));
    let shout = again(&format!("(call $write (call $stderr) {place} (i32.const 512))"));
    let random = again("(drop (call $random))");
    let tcp = again("(call $tcp_socket (i32.const 0) (i32.const 512))");
    let dropped = again(
        "(call $tcp_socket (i32.const 0) (i32.const 512)) (call $drop_socket (i32.load (i32.const 516)))",
    );
    let udp = again("(call $udp_socket (i32.const 1) (i32.const 512))");
    let keep = |bytes: u32| {
        format!(
            "(call $set (i32.const 16) (i32.const 3) (i32.const 0) (i32.const {bytes}) (i32.const 512))
             (if (i32.eqz (i32.load8_u (i32.const 512))) (then unreachable)) {WELL}"
        )
    };
    let entries = "(loop $l (i32.store (i32.const 600) (i32.add (i32.load (i32.const 600)) (i32.const 1)))
         (call $set (i32.const 600) (i32.const 1) (i32.const 0) (i32.const 2000) (i32.const 512))
         (br_if $l (i32.eqz (i32.load8_u (i32.const 512))))) ";
    vec![
        Act::checking("flood-the-log", &log, Becomes::Unknown("said more than 1 MiB in one run")),
        Act::checking("flood-a-small-log", &log, Becomes::Unknown("said more than 4 KiB in one run"))
            .limited("output = \"4KiB\", log-lines = 1"),
        Act::new(
            "shout-in-webassembly",
            &Guest::checking(shout).with(segment),
            Becomes::Unknown("said more than 1 MiB in one run"),
        ),
        Act::of_rust("shout", Becomes::Unknown("said more than 1 MiB in one run")),
        Act::checking(
            "a-million-numbers",
            &random,
            Becomes::Unknown("called the host more than 100000 times in one run"),
        ),
        Act::checking(
            "few-calls",
            &random,
            Becomes::Unknown("called the host more than 1000 times in one run"),
        )
        .limited("host-calls = 1000"),
        Act::checking(
            "much-randomness",
            "(call $random_bytes (i64.const 1000000000) (i32.const 512)) unreachable",
            Becomes::Unknown("trapped: "),
        ),
        Act::checking("sockets", &tcp, Becomes::Unknown("made more than 64 sockets in one run")),
        Act::checking("dropped-sockets", &dropped, Becomes::Unknown("made more than 64 sockets in one run")),
        Act::checking("few-sockets", &udp, Becomes::Unknown("made more than 3 sockets in one run"))
            .limited("sockets = 3"),
        Act::checking("too-much-to-keep", &keep(65_530), WELL_SAID),
        Act::checking("little-is-kept", &keep(1010), WELL_SAID).limited("state = \"1KiB\""),
        Act::checking("many-to-keep", &format!("{entries}{WELL}"), WELL_SAID),
    ]
}

fn waits() -> Vec<Act> {
    let asleep = "(call $block (call $timer (i64.const 60000000000))) unreachable";
    let naps = again(
        "(local.set $i (call $timer (i64.const 1000000))) (call $block (local.get $i)) (call $drop_timer (local.get $i))",
    );
    // 400 timers that never expire, polled at the same time: each is two handles.
    let many = "(loop $l
            (i32.store (i32.add (i32.const 2048) (i32.mul (local.get $i) (i32.const 4)))
                (call $timer (i64.const 60000000000)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 400))))
        (call $poll (i32.const 2048) (i32.const 400) (i32.const 512)) unreachable";
    let input = format!("(call $read (call $stdin) (i64.const 100) (i32.const 512)) {WELL}");
    vec![
        Act::checking("asleep", asleep, WAITING).waiting(),
        Act::checking("naps", &naps, Becomes::Unknown("ended after 2s: it was still ")).waiting(),
        Act::checking("wait-for-many", many, WAITING).waiting(),
        Act::checking(
            "wait-for-nothing",
            "(call $poll (i32.const 2048) (i32.const 0) (i32.const 512)) unreachable",
            Becomes::Unknown("trapped: "),
        ),
        Act::checking("listen-to-nobody", &input, WELL_SAID),
        Act::of_rust("sleep", WAITING).waiting(),
    ]
}

/// An address as arguments: the family, and eleven numbers.
fn address(family: u32, numbers: &[u32]) -> String {
    let mut text = format!("(i32.const {family})");
    for at in 0..11 {
        let number = numbers.get(at).copied().unwrap_or_default();
        let _ = write!(text, " (i32.const {number})");
    }
    text
}

/// With a socket of that family: `call` it with the address, and report that it failed.
fn with_socket(family: u32, make: &str, call: &str, numbers: &[u32]) -> String {
    format!(
        "(call {make} (i32.const {family}) (i32.const 512))
         (if (i32.load8_u (i32.const 512)) (then
            (return (call $answer (i32.const 3) (i32.const 16) (i32.const 7)))))
         (call {call} (i32.load (i32.const 516)) (call $network) {} (i32.const 520))
         (if (i32.eqz (i32.load8_u (i32.const 520))) (then (return {WELL})))
         (call $answer (i32.const 3) (i32.const 16) (i32.const 7))",
        address(family, numbers)
    )
}

/// Connects to that address, and passes if it succeeded.
fn connect(family: u32, numbers: &[u32]) -> String {
    // 8 is would-block: try again.
    format!(
        "(call $tcp_socket (i32.const {family}) (i32.const 512))
         (call $connect (i32.load (i32.const 516)) (call $network) {} (i32.const 520))
         (if (i32.eqz (i32.load8_u (i32.const 520))) (then (loop $again
            (call $finish_connect (i32.load (i32.const 516)) (i32.const 520))
            (if (i32.eqz (i32.load8_u (i32.const 520))) (then (return {WELL})))
            (br_if $again (i32.eq (i32.load8_u (i32.const 524)) (i32.const 8))))))
         (call $answer (i32.const 3) (i32.const 16) (i32.const 7))",
        address(family, numbers)
    )
}

/// Resolves that name, and passes if it succeeded.
fn look_up(name: &str) -> Guest {
    let (segment, place) = text(name);
    let check = format!(
        "(call $resolve (call $network) {place} (i32.const 520))
         (if (i32.eqz (i32.load8_u (i32.const 520))) (then (return {WELL})))
         (call $answer (i32.const 3) (i32.const 16) (i32.const 7))"
    );
    Guest::checking(check).with(segment)
}

fn addresses() -> Vec<Act> {
    let connecting =
        |name, family, numbers: &[u32], becomes| Act::checking(name, &connect(family, numbers), becomes);
    let binding = |name, make, call, numbers: &[u32], becomes| {
        Act::checking(name, &with_socket(0, make, call, numbers), becomes)
    };
    let looking_up = |name, sought| Act::new(name, &look_up(sought), Becomes::Unknown("refused: look up "));
    let refused = Becomes::Unknown;
    let told = Becomes::Told(Outcome::Unknown, "allwell");
    let listen = format!(
        "(call $tcp_socket (i32.const 0) (i32.const 512))
         (local.set $i (i32.load (i32.const 516)))
         (call $bind (local.get $i) (call $network) {} (i32.const 520))
         (call $finish_bind (local.get $i) (i32.const 520))
         (call $listen (local.get $i) (i32.const 520))
         (if (i32.eqz (i32.load8_u (i32.const 520))) (then (return {WELL})))
         (call $answer (i32.const 3) (i32.const 16) (i32.const 7))",
        address(0, &[])
    );
    vec![
        connecting("connect", 0, &[9, 127, 0, 0, 1], refused("refused: connect to 127.0.0.1:9")),
        connecting(
            "connect-to-metadata",
            0,
            &[80, 169, 254, 169, 254],
            refused("refused: connect to 169.254.169.254:80"),
        ),
        connecting(
            "connect-to-ipv6",
            1,
            &[9, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            refused("refused: connect to [::1]:9"),
        ),
        connecting("connect-to-mapped", 1, &[9, 0, 0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], told),
        binding("bind", "$tcp_socket", "$bind", &[8080, 127, 0, 0, 1], refused("refused: ")),
        binding("bind-udp", "$udp_socket", "$udp_bind", &[5353, 127, 0, 0, 1], told),
        Act::checking("listen", &listen, refused("refused: ")),
        looking_up("look-up", "db.internal"),
        looking_up("tell-by-looking-up", "the-secret-is-xyzzy.attacker.example"),
        looking_up("look-up-itself", "localhost"),
    ]
}

/// What a guest finds empty, in every way.
fn nothing_there() -> Vec<Act> {
    let none = |call: &str| {
        format!("(call {call} (i32.const 512)) (if (i32.load (i32.const 516)) (then unreachable)) {WELL}")
    };
    vec![
        Act::checking("environment", &none("$environment"), WELL_SAID),
        Act::checking("folders", &none("$folders"), WELL_SAID),
    ]
}
