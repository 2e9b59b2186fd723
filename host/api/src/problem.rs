//! An error as the answer to a request (RFC 9457).

use axum_core::body::Body;
use axum_core::response::{IntoResponse, Response};
use bellwether_core::command::{Command, DeniedReason};
use bellwether_core::id::ModuleName;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of [`Problem::unconfirmed`], and of nothing else: Precondition Required (RFC 6585).
pub const UNCONFIRMED: u16 = 428;

/// An error in the form of RFC 9457, with the next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The kind of error, in a few words.
    pub title: String,
    /// The status code of HTTP.
    pub status: u16,
    /// The details of this error.
    pub detail: String,
    /// What to do next.
    pub next: String,
}

impl Problem {
    /// No module with that name.
    pub fn no_such_module(name: &str) -> Self {
        Self {
            title: "no such module".into(),
            status: 404,
            detail: format!("there is no module `{name}` on this node"),
            next: "see `bellwether status` for the modules that there are, or add a file to `modules/`"
                .into(),
        }
    }

    /// A command that is not carried out.
    pub fn denied(module: &ModuleName, command: Command, reason: &str) -> Self {
        Self {
            title: "denied".into(),
            status: 409,
            detail: format!("`{command} {module}` is not carried out: {reason}"),
            next: format!("see `bellwether why {module}`"),
        }
    }

    /// A command that the module does not take in its present state.
    pub fn not_taken(module: &ModuleName, command: Command, reason: &DeniedReason) -> Self {
        Self {
            next: match reason {
                DeniedReason::Stopped => format!("bellwether start {module}"),
                DeniedReason::Stopping => format!(
                    "wait until `bellwether status {module}` shows `stopped`, then: bellwether start {module}"
                ),
                DeniedReason::Waiting(checker) => {
                    format!("to run that checker now: bellwether check {module} {checker}")
                }
                DeniedReason::Moved(_) => {
                    format!(
                        "look at `bellwether status {module}`, and repeat the command if it is still right"
                    )
                }
                DeniedReason::Ending => "repeat the command when the next daemon runs".into(),
                DeniedReason::NoSuchModule | DeniedReason::Forbidden | DeniedReason::Unconfirmed => {
                    format!("see `bellwether why {module}`")
                }
            },
            ..Self::denied(module, command, &reason.to_string())
        }
    }

    /// A command that has to be confirmed first.
    pub fn unconfirmed(module: &ModuleName, command: Command) -> Self {
        Self {
            title: "not confirmed".into(),
            status: UNCONFIRMED,
            detail: format!(
                "`{command} {module}` is not confirmed: this node would stop serving `{module}`, and does not know whether another one serves it"
            ),
            next: format!(
                "to {command} it nevertheless, send the same request with `confirm={module}`; the command line takes --yes"
            ),
        }
    }

    /// The request is not valid.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self {
            title: "bad request".into(),
            status: 400,
            detail: detail.into(),
            next: "correct the request; `bellwether help` lists what can be asked".into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Texts and a number can always be serialised as JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}
