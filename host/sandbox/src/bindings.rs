//! The interfaces of `guest-sdk/wit` in Rust. One module for each world, sharing all types.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::pedantic, reason = "generated code")]

// The other world's generated code exports these again.
pub use self::checker::bellwether::guest::{log, state, types};
pub(super) use self::checker::exports::bellwether::guest::check;
pub(super) use self::checker::{Checker, CheckerPre};
pub(super) use self::granted::bellwether::guest::{commands, connections, errors, ping, processes, secrets};
pub(super) use self::restart_script::exports::bellwether::guest::plan;
pub(super) use self::restart_script::{RestartScript, RestartScriptPre};

mod checker {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "checker",
        // Log and state never wait, so they need not be async.
        imports: { default: trappable },
        exports: { default: async },
    });
}

mod restart_script {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "restart-script",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "bellwether:guest/types": crate::bindings::types,
            "bellwether:guest/log": crate::bindings::log,
            "bellwether:guest/state": crate::bindings::state,
        },
    });
}

mod granted {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "granted",
        // Each of these waits for a disk, a process or the network.
        imports: { default: async | trappable },
        with: {
            "bellwether:guest/connections.connection": crate::imports::connections::Link,
            "bellwether:guest/types": crate::bindings::types,
        },
    });
}
