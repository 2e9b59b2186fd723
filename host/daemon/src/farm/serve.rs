//! Answers API requests that other nodes forward to this one.

use std::sync::{Arc, OnceLock};

use bellwether_links::{Body, BoxError, ForwardedCaller, Serve};
use bellwether_server::api::farm::ForwardedApi;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};

/// The API for other nodes, once it has been built: it needs the links, which need it.
#[derive(Clone, Default)]
pub(crate) struct ServeLater(Arc<OnceLock<ForwardedApi>>);

impl ServeLater {
    /// From now on, requests are answered by `api`.
    pub(crate) fn begin(&self, api: ForwardedApi) {
        // There is one daemon, and it begins once.
        let _ = self.0.set(api);
    }
}

impl Serve for ServeLater {
    fn answer(
        &self,
        request: http::Request<hyper::body::Incoming>,
        caller: ForwardedCaller,
    ) -> BoxFuture<'static, http::Response<Body>> {
        let Some(api) = self.0.get().cloned() else { return std::future::ready(not_yet()).boxed() };
        async move {
            let request = request.map(axum_core::body::Body::new);
            let answer = api.answer(request, &caller.name, caller.role, &caller.through).await;
            answer.map(outward)
        }
        .boxed()
    }
}

fn not_yet() -> http::Response<Body> {
    let text = Full::new(Bytes::from_static(b"the daemon is starting\n"));
    let mut answer = http::Response::new(text.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// A body of the API, as the links take it.
pub(super) fn outward(body: axum_core::body::Body) -> Body {
    body.map_err(BoxError::from).boxed_unsync()
}
