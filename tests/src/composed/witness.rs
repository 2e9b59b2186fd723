//! A guest that detects whether one of its runs was skipped or its state lost.

use super::{Guest, text};

/// Its table in a module's file: the intervals of a good checker.
pub const WITNESS: &str = r#"
[[checker]]
name = "witness"
component = "witness"
interval = "100ms"
timeout = "10s"
rise = 1
fall = 1
grace = "0s"
"#;

/// Passes as long as each run follows the run in its state; otherwise it fails permanently. Measures `run`,
/// `version` (its own), and `longest-gap`: the longest time between two runs, in milliseconds.
///
/// Its state, at 1536: the last run, its time (ms), the longest gap (ms), whether it was lost.
#[must_use]
pub fn witness(version: u32) -> Vec<u8> {
    let (words, _) = text("all runs so fara run was lost  state  run  version  longest-gap  ms");
    let check = format!(
        r"
        (local $ms i64)
        (call $get (i32.const 1055) (i32.const 5) (i32.const 512))
        (if (i32.load8_u (i32.const 512)) (then
            (memory.copy (i32.const 1536) (i32.load (i32.const 516)) (i32.const 32))))
        (call $clock (i32.const 528))
        (local.set $ms (i64.add (i64.mul (i64.load (i32.const 528)) (i64.const 1000))
            (i64.div_u (i64.extend_i32_u (i32.load (i32.const 536))) (i64.const 1000000))))
        (if (i64.ne (local.get $run) (i64.add (i64.load (i32.const 1536)) (i64.const 1)))
            (then (i64.store (i32.const 1560) (i64.const 1))))
        (if (i64.ne (i64.load (i32.const 1544)) (i64.const 0)) (then
            (local.set $n (i64.sub (local.get $ms) (i64.load (i32.const 1544))))
            (if (i64.gt_s (local.get $n) (i64.load (i32.const 1552)))
                (then (i64.store (i32.const 1552) (local.get $n))))))
        (i64.store (i32.const 1536) (local.get $run))
        (i64.store (i32.const 1544) (local.get $ms))
        (call $set (i32.const 1055) (i32.const 5) (i32.const 1536) (i32.const 32) (i32.const 512))
        (call $measured (i32.const 1600) (i32.const 1062) (i32.const 3) (f64.convert_i64_u (local.get $run)))
        (call $measured (i32.const 1624) (i32.const 1067) (i32.const 7) (f64.const {version}))
        (call $measured (i32.const 1648) (i32.const 1076) (i32.const 11)
            (f64.convert_i64_s (i64.load (i32.const 1552))))
        (i32.store (i32.const 1664) (i32.const 1089))
        (i32.store (i32.const 1668) (i32.const 2))
        (i32.store (i32.const 268) (i32.const 1600))
        (i32.store (i32.const 272) (i32.const 3))
        (if (result i32) (i64.eqz (i64.load (i32.const 1560)))
            (then (call $answer (i32.const 0) (i32.const 1024) (i32.const 15)))
            (else (call $answer (i32.const 2) (i32.const 1039) (i32.const 14))))"
    );
    let measured = r"
        (func $measured (param $at i32) (param $name i32) (param $length i32) (param $value f64)
            (i32.store (local.get $at) (local.get $name))
            (i32.store offset=4 (local.get $at) (local.get $length))
            (f64.store offset=8 (local.get $at) (local.get $value)))";
    Guest::checking(check).with(words + measured).build()
}
