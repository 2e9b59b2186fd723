//! What the console's listener serves: the pages and the API, behind the guard.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::serve::api::{self, Daemon};
use crate::serve::console;
use crate::serve::guard::{Guard, guard};

/// The pages and the API. `names` are those by which the node is asked.
pub(crate) fn router(daemon: &Arc<dyn Daemon>, names: &[String]) -> Router {
    let pages = console::router(Arc::clone(daemon));
    let guarded = Guard::new(daemon.access().clone(), names.to_vec());
    api::bounded(api::routes(Arc::clone(daemon)).merge(pages)).layer(from_fn_with_state(guarded, guard))
}
