//! The console: pages that a browser shows, made here and readable without a script.
//!
//! ```text
//!   /                              the farm
//!   /modules/M                     one module
//!   /modules/M/checkers/C/run      POST: run it once
//!   /modules/M/COMMAND             what a command will do; POST: do it
//!   /login, /login/CODE, /logout   signing in and out
//!   /assets/…, /icon/N.svg         what pages are made of
//! ```
//! Pages are made from the published snapshot and the journal; nothing here waits for the core
//! but a command. Scripts are our own, and no page needs one to be read.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use super::api::Daemon;

mod assets;
mod command;
mod farm;
mod filters;
mod frame;
pub(super) mod headers;
mod login;
mod look;
mod missing;
mod module;

pub(super) use self::frame::Bare;

type Handle = Arc<dyn Daemon>;

/// All pages.
pub(crate) fn router(daemon: Handle) -> Router {
    Router::new()
        .route("/", get(farm::page))
        .route("/modules/{module}", get(module::page))
        .route("/modules/{module}/checkers/{checker}/run", post(module::run::run))
        .route("/modules/{module}/{command}", get(command::ask).post(command::give))
        .route("/login", get(login::page).post(login::sign_in))
        .route("/login/{code}", get(login::once).post(login::redeem))
        .route("/logout", post(login::sign_out))
        .route("/assets/{file}", get(assets::file))
        .route("/icon/{file}", get(assets::icon))
        .fallback(missing::page)
        .with_state(daemon)
}

/// The page, or what is wrong with its template.
fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the console cannot be made");
            (StatusCode::INTERNAL_SERVER_ERROR, "this page cannot be made: see the daemon's log")
                .into_response()
        }
    }
}
