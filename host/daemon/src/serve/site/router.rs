//! What the console's listener serves: the pages and the API, behind whoever guards them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use crate::serve::api::{self, Daemon};
use crate::serve::console;

/// The pages and the API.
pub(crate) fn router(daemon: &Arc<dyn Daemon>) -> Router {
    let pages = console::router(Arc::clone(daemon));
    api::bounded(api::routes(Arc::clone(daemon)).merge(pages)).layer(from_fn(refuse))
}

/// What is open to everybody.
const OPEN: [&str; 2] = ["/assets/", "/icon/"];

/// Nobody can sign in yet.
async fn refuse(request: Request, next: Next) -> Response {
    if OPEN.iter().any(|open| request.uri().path().starts_with(open)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "sign in first\n").into_response()
}
