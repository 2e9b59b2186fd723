//! Small guests: the body of a function becomes a component.
//!
//! They use the first interface, `bellwether:guest@1.0.0`, directly in WebAssembly: this allows what no compiler
//! would generate.

mod witness;
mod worlds;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub use witness::{WITNESS, witness};

use worlds::{FUNCTIONS, WORLDS};

/// The interface as it was first released, and the present one.
const FIRST_INTERFACE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/guests/kept/guest-1.0.0.wit"));
const INTERFACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/wit/guest.wit"));

/// A component under construction. The fields are WebAssembly text.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its world: `checker`, `restart-script`, `stranger`, `tomorrow` or `neither`.
    pub world: &'static str,
    /// The body of `describe`, which leaves the address of an `about`: mostly `$about`.
    pub describe: String,
    /// The body of `check`, which leaves the address of an observation: mostly the result of `$answer`. Its
    /// parameters: `$run` and `$limit` (of time), and the rest by number.
    pub check: String,
    /// The body of `plan`, which leaves the address of a result.
    pub plan: Option<String>,
    /// The body of `cabi_realloc`, which leaves an address: mostly the result of `$room`.
    pub realloc: String,
    /// Further parts of the module.
    pub parts: String,
    /// Its memory, in pages of 64 KiB.
    pub memory_pages: u32,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            world: "checker",
            describe: "(call $about)".to_owned(),
            check: WELL.to_owned(),
            plan: None,
            realloc: "(call $room (local.get $align) (local.get $size))".to_owned(),
            parts: String::new(),
            memory_pages: 1,
        }
    }
}

/// A `check` that passes with the words `allwell`.
pub const WELL: &str = "(call $answer (i32.const 0) (i32.const 16) (i32.const 7))";

/// The address of texts in the guest's memory (see [`text`]).
const TEXTS: usize = 1024;

impl Guest {
    /// A checker with this body of `check`.
    pub fn checking(check: impl Into<String>) -> Self {
        Self { check: check.into(), ..Self::default() }
    }

    /// A restart script with this body of `plan`.
    pub fn planning(plan: impl Into<String>) -> Self {
        Self { world: "restart-script", plan: Some(plan.into()), ..Self::default() }
    }

    /// The same guest with further parts.
    #[must_use]
    pub fn with(self, parts: impl Into<String>) -> Self {
        Self { parts: parts.into(), ..self }
    }

    /// The component.
    ///
    /// # Panics
    /// If its parts are not a valid component.
    pub fn build(&self) -> Vec<u8> {
        let text = self.module();
        let mut module =
            wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{}", shortened(&text)));
        let mut resolve = Resolve::default();
        resolve.push_str("guest-1.0.0.wit", FIRST_INTERFACE).expect("the first interface");
        resolve.push_str("guest.wit", INTERFACE).expect("the interface");
        let package = resolve.push_str("worlds.wit", WORLDS).expect("the worlds");
        let world = resolve.select_world(&[package], Some(self.world)).expect("the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world fits");
        let encoder = ComponentEncoder::default().module(&module);
        let mut encoder =
            encoder.unwrap_or_else(|error| panic!("{error:#}\n{}", shortened(&text))).validate(true);
        encoder.encode().unwrap_or_else(|error| panic!("{error:#}\n{}", shortened(&text)))
    }

    /// Memory: 16 texts, 128 `about`, 256 the answer, 512 results of calls, from 1024 what a
    /// guest has there itself, from 8192 what is passed in.
    fn module(&self) -> String {
        let Self { world, describe, check, plan, realloc, parts, memory_pages } = self;
        if *world == "neither" {
            return r#"(module (memory (export "memory") 1) (func (export "hello")))"#.to_owned();
        }
        let entry = match plan {
            None => format!(
                r#"(func (export "bellwether:guest/check@1.0.0#check")
                    (param i32 i32 i32 i32 i32 i32) (param $run i64) (param i32 i32)
                    (param $limit i32) (param i32 i32) (result i32) (local $i i32) (local $n i64) {check})"#
            ),
            Some(plan) => format!(
                r#"(func (export "bellwether:guest/plan@1.0.0#plan") (param $request i32) (result i32) {plan})"#
            ),
        };
        // Only the functions that it calls, so that no guest depends on what another one needs.
        let body = format!("{describe} {entry} {realloc} {parts}");
        let calls = |name: &str| {
            body.match_indices(name).any(|(at, _)| body[at + name.len()..].starts_with([' ', ')', '\n']))
        };
        let called = FUNCTIONS.iter().filter(|(name, ..)| calls(name));
        let import = |(name, interface, function, shape): &(&str, &str, &str, &str)| {
            format!("(import \"{interface}\" \"{function}\" (func {name} {shape}))\n")
        };
        let imports = called.map(import).collect::<Vec<_>>().concat();
        format!(
            r#"(module {imports}
                (memory (export "memory") {memory_pages})
                (global $next (mut i32) (i32.const 8192))
                (func $room (param $align i32) (param $size i32) (result i32)
                    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get $size))))
                (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
                    {realloc})
                (data (i32.const 16) "allwell")
                (data (i32.const 32) "test1.0.0runs")
                (data (i32.const 128) "\20\00\00\00\04\00\00\00" "\24\00\00\00\05\00\00\00" "\10\00\00\00\07\00\00\00")
                (func $about (result i32) (i32.const 128))
                (func $answer (param $status i32) (param $text i32) (param $length i32) (result i32)
                    (i32.store8 (i32.const 256) (local.get $status))
                    (i32.store (i32.const 260) (local.get $text))
                    (i32.store (i32.const 264) (local.get $length))
                    (i32.const 256))
                (func (export "bellwether:guest/describe@1.0.0#describe") (result i32) {describe})
                {entry}
                {parts})"#
        )
    }
}

fn shortened(text: &str) -> &str {
    text.get(..4000).unwrap_or(text)
}

/// A data segment with this text, and the expressions of its address and its length. A guest can have only one of
/// them.
pub fn text(words: &str) -> (String, String) {
    let escaped: Vec<_> = words.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let escaped = escaped.concat();
    let length = words.len();
    let segment = format!("(data (i32.const {TEXTS}) \"{escaped}\")");
    (segment, format!("(i32.const {TEXTS}) (i32.const {length})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_makes_a_component() {
        for (world, check) in [
            ("checker", WELL.to_owned()),
            ("stranger", format!("(call $brew) {WELL}")),
            ("tomorrow", format!("(drop (call $foresee)) {WELL}")),
            ("neither", String::new()),
        ] {
            let guest = Guest { world, check, ..Guest::default() };
            assert!(guest.build().starts_with(b"\0asm"), "{world}");
        }
        assert!(Guest::planning("unreachable").build().starts_with(b"\0asm"));
        assert_ne!(witness(1), witness(2));
    }
}
