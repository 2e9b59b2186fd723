//! The interfaces of `wit/guest.wit`, and conversions from their types to those of this crate.
//!
//! Each exported interface is bound separately, because the macros that export them must have different names:
//! `describe` belongs to both worlds. A crate exports `describe` and one of the others, which together are the
//! world `checker` or `restart-script`.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_code,
    clippy::pedantic,
    reason = "wit-bindgen generates most of this"
)]

mod convert;

/// The imports of both worlds.
pub mod component {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package bellwether:sdk;
            world component {
                import bellwether:guest/log@1.1.0;
                import bellwether:guest/state@1.1.0;
                export bellwether:guest/describe@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "bellwether_guest::bindings::component",
    });
}

/// The interfaces that need a grant. A component imports only those that it calls: the linker omits the others.
pub mod granted {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package bellwether:sdk;
            world granted {
                import bellwether:guest/secrets@1.1.0;
                import bellwether:guest/commands@1.1.0;
                import bellwether:guest/processes@1.1.0;
                import bellwether:guest/ping@1.1.0;
                import bellwether:guest/connections@1.1.0;
            }
        ",
        generate_all,
        with: {
            "bellwether:guest/types@1.1.0": crate::bindings::component::bellwether::guest::types,
        },
    });
}

/// HTTP. Imported only by components that call it, too.
pub mod requests {
    wit_bindgen::generate!({
        path: "wit/http",
        world: "bellwether:sdk-http/requests",
        generate_all,
    });
}

pub mod checker {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package bellwether:sdk;
            world checks {
                export bellwether:guest/check@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_checker",
        default_bindings_module: "bellwether_guest::bindings::checker",
        with: {
            "bellwether:guest/types@1.1.0": crate::bindings::component::bellwether::guest::types,
        },
    });
}

pub mod restart_script {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package bellwether:sdk;
            world plans {
                export bellwether:guest/plan@1.1.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_restart_script",
        default_bindings_module: "bellwether_guest::bindings::restart_script",
        with: {
            "bellwether:guest/types@1.1.0": crate::bindings::component::bellwether::guest::types,
        },
    });
}
