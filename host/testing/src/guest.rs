//! Small guests: the body of a function becomes a component.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The interface as it was first released, and the present one.
pub const FIRST_INTERFACE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guests/kept/guest-1.0.0.wit"));
pub const INTERFACE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/wit/guest.wit"));

/// The parts of WASI that the guests of these tests use, and worlds that have it.
const WORLDS: &str = r"
package test:guests;

world checker {
    include bellwether:guest/checker@1.0.0;
    import wasi:clocks/monotonic-clock@0.2.0;
    import wasi:cli/exit@0.2.0;
    import wasi:cli/stderr@0.2.0;
    import wasi:sockets/tcp-create-socket@0.2.0;
}
world restart-script { include bellwether:guest/restart-script@1.0.0; }
world stranger {
    include bellwether:guest/checker@1.0.0;
    import wasi:http/types@0.9.0;
}
world neither { export hello: func(); }

package wasi:io@0.2.0 {
    interface poll { resource pollable { block: func(); } }
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }
}
package wasi:clocks@0.2.0 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.0.{pollable};
        subscribe-duration: func(when: u64) -> pollable;
    }
}
package wasi:cli@0.2.0 {
    interface exit { exit: func(status: result); exit-with-code: func(status-code: u8); }
    interface stderr {
        use wasi:io/streams@0.2.0.{output-stream};
        get-stderr: func() -> output-stream;
    }
}
package wasi:sockets@0.2.0 {
    interface network {
        enum ip-address-family { ipv4, ipv6 }
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
            concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
            address-not-bindable, address-in-use, remote-unreachable, connection-refused,
            connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
            temporary-resolver-failure, permanent-resolver-failure,
        }
    }
    interface tcp { resource tcp-socket; }
    interface tcp-create-socket {
        use network.{error-code, ip-address-family};
        use tcp.{tcp-socket};
        create-tcp-socket: func(address-family: ip-address-family) -> result<tcp-socket, error-code>;
    }
}
package wasi:http@0.9.0 { interface types { brew: func(); } }
";

/// A component under construction. The fields are WebAssembly text.
pub struct Guest {
    /// Its world, one of `WORLDS`.
    pub world: &'static str,
    /// The body of `describe`, which leaves the address of an `about`.
    pub describe: &'static str,
    /// The body of `check`, which leaves the address of an observation: mostly the result of `$answer`.
    pub check: &'static str,
    /// The body of `plan`, which leaves the address of a result.
    pub plan: Option<&'static str>,
    /// Further parts of the module.
    pub parts: &'static str,
    pub memory_pages: u32,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            world: "checker",
            describe: "(call $about)",
            check: "(call $answer (i32.const 0) (i32.const 16) (i32.const 7))",
            plan: None,
            parts: "",
            memory_pages: 1,
        }
    }
}

impl Guest {
    /// A checker with this body of `check`. Its parameters: `$run` and `$limit` (of time), and the rest by number.
    pub fn checking(check: &'static str) -> Self {
        Self { check, ..Self::default() }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).expect("the text is WebAssembly");
        let mut resolve = Resolve::default();
        // These guests use 1.0.0, and run on every later host.
        resolve.push_str("guest-1.0.0.wit", FIRST_INTERFACE).expect("the first interface");
        resolve.push_str("guest.wit", INTERFACE).expect("the interface");
        let package = resolve.push_str("worlds.wit", WORLDS).expect("the worlds");
        let world = resolve.select_world(&[package], Some(self.world)).expect("the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world fits");
        let encoder = ComponentEncoder::default().module(&module).expect("the module fits the world");
        encoder.validate(true).encode().expect("a component")
    }

    /// Memory: 16 texts, 128 `about`, 256 the answer, 512 results of calls, 4096 what is passed in.
    fn module(&self) -> String {
        let Self { world, describe, check, plan, parts, memory_pages } = self;
        if *world == "neither" {
            return r#"(module (memory (export "memory") 1) (func (export "hello")))"#.to_owned();
        }
        let entry = match plan {
            None => format!(
                r#"(func (export "bellwether:guest/check@1.0.0#check")
                    (param i32 i32 i32 i32 i32 i32) (param $run i64) (param i32 i32)
                    (param $limit i32) (param i32 i32) (result i32) {check})"#
            ),
            Some(plan) => format!(
                r#"(func (export "bellwether:guest/plan@1.0.0#plan") (param $request i32) (result i32) {plan})"#
            ),
        };
        let imports = if *world == "checker" { WASI } else { "" };
        let stranger =
            if *world == "stranger" { r#"(import "wasi:http/types@0.9.0" "brew" (func $brew))"# } else { "" };
        format!(
            r#"(module {OWN} {imports} {stranger}
                (memory (export "memory") {memory_pages})
                (global $next (mut i32) (i32.const 4096))
                (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get $size))))
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

const OWN: &str = r#"
    (import "bellwether:guest/log@1.0.0" "log" (func $log (param i32 i32 i32)))
    (import "bellwether:guest/state@1.0.0" "get" (func $get (param i32 i32 i32)))
    (import "bellwether:guest/state@1.0.0" "set" (func $set (param i32 i32 i32 i32 i32)))
"#;
const WASI: &str = r#"
    (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $timer (param i64) (result i32)))
    (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:cli/exit@0.2.0" "exit" (func $exit (param i32)))
    (import "wasi:cli/exit@0.2.0" "exit-with-code" (func $exit_with_code (param i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $socket (param i32 i32)))
    (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
"#;
