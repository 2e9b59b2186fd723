//! The two worlds of `wit/guest.wit`, and the way from their types to ours.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_code,
    clippy::pedantic,
    reason = "wit-bindgen generates most of this"
)]

mod convert;

pub mod checker {
    wit_bindgen::generate!({
        path: "wit",
        world: "checker",
        pub_export_macro: true,
        export_macro_name: "export_checker",
        default_bindings_module: "bellwether_guest::bindings::checker",
    });
}

pub mod restart_script {
    wit_bindgen::generate!({
        path: "wit",
        world: "restart-script",
        pub_export_macro: true,
        export_macro_name: "export_restart_script",
        default_bindings_module: "bellwether_guest::bindings::restart_script",
        with: {
            "bellwether:guest/types@1.0.0": crate::bindings::checker::bellwether::guest::types,
            "bellwether:guest/log@1.0.0": crate::bindings::checker::bellwether::guest::log,
            "bellwether:guest/state@1.0.0": crate::bindings::checker::bellwether::guest::state,
        },
    });
}
