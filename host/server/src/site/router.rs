//! The routes of the console's listener: the pages and the API, behind the guard.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::api::{self, Daemon};
use crate::console;
use crate::guard::{Guard, guard};
use crate::in_time;

/// The pages and the API. `names`: the accepted host names of this node.
pub fn router(daemon: &Arc<dyn Daemon>, names: &[String]) -> Router {
    let guarded = Guard::new(daemon.access().clone(), names.to_vec());
    let pages = console::router(Arc::clone(daemon));
    api::bounded(api::routes(Arc::clone(daemon)).merge(pages))
        .layer(from_fn_with_state(guarded, guard))
        .layer(from_fn(in_time::body))
        .layer(from_fn(console::headers::secure))
}
