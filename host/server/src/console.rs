//! The console: pages for a browser, rendered here and readable without scripts.
//!
//! ```text
//!   /                              all nodes of the farm; without other nodes, this one
//!   /nodes/N                       one node
//!   /nodes/N/modules/M             one module of another node; …/COMMAND: as below
//!   /farm/…                        invite and remove nodes
//!   /modules/M                     one module
//!   /modules/M/checkers/C/run      POST: run it once
//!   /modules/M/COMMAND             what a command will do; POST: do it
//!   /events                        what happened, with search
//!   /components, /components/F/N   what runs in the sandbox; …/approve: let a version in
//!   /configuration                 the files, what they come to, what is wrong with them
//!   /users, /tokens, /me           who may do what
//!   /login, /login/CODE, /logout   signing in and out
//!   /assets/…, /icon/N.svg         what pages are made of
//! ```
//! Pages are rendered from the published snapshot and the journal; only a command waits for the core. All scripts
//! are part of the binary, and no page needs one to be readable.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use bellwether_core::access::Role;
use bellwether_core::text::without_marks;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::api::Daemon;
use super::guard::page_needs;

mod assets;
mod command;
mod components;
mod configuration;
mod events;
mod farm;
mod filters;
mod frame;
pub(super) mod headers;
mod login;
mod look;
mod missing;
mod module;
mod node;
mod nodes;
mod outcome;
mod users;

pub(super) use self::frame::Bare;

type Handle = Arc<dyn Daemon>;

/// The routes of all pages.
pub(crate) fn router(daemon: Handle) -> Router {
    Router::new()
        .route("/", get(farm::page))
        .route("/nodes/{node}", get(nodes::page))
        .route("/nodes/{node}/modules/{module}", get(nodes::module::page))
        .route(
            "/nodes/{node}/modules/{module}/{command}",
            get(command::there::ask).post(command::there::give),
        )
        .route("/modules/{module}", get(module::page))
        .route("/modules/{module}/checkers/{checker}/run", post(module::run::run))
        .route("/modules/{module}/{command}", get(command::ask).post(command::give))
        .route("/events", get(events::page))
        .route("/components", get(components::list))
        .route("/components/{folder}/{name}", get(components::one))
        .route("/configuration", get(configuration::page))
        .route("/users", get(users::page))
        .route("/me", get(users::account))
        .route("/me/password", post(users::set_own_password))
        .merge(admins())
        .route("/login", get(login::page).post(login::sign_in))
        .route("/login/{code}", get(login::once).post(login::redeem))
        .route("/logout", post(login::sign_out))
        .route("/assets/{file}", get(assets::file))
        .route("/icon/{file}", get(assets::icon))
        .fallback(missing::page)
        .with_state(daemon)
}

/// The routes that need the admin role.
fn admins() -> Router<Handle> {
    Router::new()
        .route("/components/{folder}/{name}/approve", get(components::ask).post(components::approve))
        .route("/farm/invitations", post(farm::membership::invite))
        .route("/farm/nodes/{node}/remove", get(farm::membership::ask_remove).post(farm::membership::remove))
        .route("/users", post(users::add))
        .route("/users/{name}/role", post(users::set_role))
        .route("/users/{name}/password", post(users::set_password))
        .route("/users/{name}/remove", get(users::ask_remove).post(users::remove))
        .route("/tokens", post(users::create_token))
        .route("/tokens/{name}/revoke", get(users::ask_revoke).post(users::revoke))
        .route_layer(from_fn(|request, next| page_needs(Role::Admin, request, next)))
}

/// Encoded for a query (RFC 3986, section 2.1).
pub(super) fn encoded(text: &str) -> String {
    /// The unreserved characters (section 2.3) and the slash are not encoded.
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The page, or the error of its template.
fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        // Templates contain no characters that a text may not contain. An escape sequence is not removed as a
        // whole, because the rest of the page follows it.
        Ok(text) => (status, Html(without_marks(&text).into_owned())).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the console cannot be made");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be made: see the daemon's log")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Template)]
    #[template(source = "<html><p>{{ said }}</p></html>", ext = "html")]
    struct Page {
        said: &'static str,
    }

    #[tokio::test]
    async fn an_escape_in_a_page_swallows_nothing_of_it() {
        let said = "a\u{1b}]b\u{1b}[\u{202e}c\u{9b}";
        let response = html(StatusCode::OK, &Page { said });
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(body, "<html><p>a]b[c</p></html>");
    }
}
