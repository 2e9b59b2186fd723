//! Requests of users of other nodes: another node has authenticated the user, and this node checks the role.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use bellwether_core::access::Role;
use bellwether_core::id::NodeName;
use bellwether_core::text::one_line;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use crate::api::{Caller, Daemon, Way, bounded, problem, routes};
use crate::guard::never_ends;
use crate::in_time;

/// The maximum length of a user's name in bytes, with `token ` before it.
const MAX_CALLER: usize = 80;

/// The API for requests that other nodes forward. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ForwardedApi {
    router: Router,
}

/// The API for requests that other nodes forward.
pub fn forwarded(daemon: Arc<dyn Daemon>) -> ForwardedApi {
    let router = bounded(routes(daemon).fallback(problem::no_such_page)).layer(from_fn(in_time::body));
    ForwardedApi { router }
}

impl ForwardedApi {
    /// Answers a request of the user `name` with this role, whom the node `through` has authenticated. The path is
    /// that of the API: `/api/v1/status`. The request's body and the response's head have time limits.
    pub async fn answer(&self, request: Request, name: &str, role: Role, through: &NodeName) -> Response {
        let caller = Caller {
            name: one_line(name, MAX_CALLER),
            role,
            origin: format!("through {through}"),
            way: Way::OtherNode,
            signed_in: false,
            ended: never_ends(),
        };
        call(self.router.clone().layer(Extension(caller)), request).await
    }
}

/// Calls a router.
pub(super) async fn call(router: Router, request: Request) -> Response {
    match TowerToHyperService::new(router).call(request).await {
        Ok(response) => response,
        // A router always answers.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
