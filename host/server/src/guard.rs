//! Authenticates every request before it is handled.
//!
//! ```text
//!   request ──▶ asked for by our name? ──▶ open to all? ───────────────▶ answered
//!                     │ no: 421               │ no
//!                     ▼                       ▼
//!                                   token or cookie? ──▶ a change by cookie? ──▶ ours, and with ──▶ answered
//!                                     │ none              ▲ no: answered          the key?
//!                                     ▼                                            │ no: 403
//!                            401, or the page to sign in
//! ```
//! A cookie is not sufficient for a change: cookies are shared by all ports of a host (RFC 6265, section 8.5), and
//! the monitored application runs on the same host. Changes must come from a page of the console, with the key that
//! only its pages have, or with the password.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Form;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bellwether_core::access::Role;
use serde::Deserialize;
use tokio::sync::watch;

use super::api::{Caller, Way};
use super::site::Peer;
use crate::access::{Access, AccountKind, Identity, Refusal};
use bellwether_api::Problem;

mod cookie;
mod host;
mod origin;
mod refused;

pub(crate) use self::cookie::SessionCookie;
pub(crate) use self::origin::is_ours;

/// A form with a password is small.
const MAX_FORM: usize = 64 << 10;
/// The header with the session's key for changes.
const ACT: &str = "bellwether-act";

/// The guard of the pages and the API.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    access: Access,
    /// The names of this node, besides its addresses.
    names: Arc<[String]>,
}

impl Guard {
    pub(crate) fn new(access: Access, names: Vec<String>) -> Self {
        Self { access, names: names.into() }
    }
}

/// Whether the path is open to everyone.
fn is_open(path: &str) -> bool {
    path == "/login"
        || path == "/api/v1/openapi.json"
        || ["/login/", "/assets/", "/icon/"].iter().any(|prefix| path.starts_with(prefix))
}

/// Handles every request first.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if !host::is_ours(request.headers(), &guard.names) {
        return host::misdirected();
    }
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let known = match bearer(request.headers()) {
        Some(token) => guard.access.by_token(token).map(|known| (Caller::token(known, peer), None)),
        None => SessionCookie::of(request.headers(), peer).and_then(|cookie| {
            let known = guard.access.by_cookie(cookie.value())?;
            Some((Caller::user(known, peer), Some(cookie)))
        }),
    };
    let Some((caller, cookie)) = known else { return refused::nobody(&request) };
    if let Some(cookie) = cookie.filter(|_| is_change(request.method())) {
        request = match guard.may_act(request, &cookie, peer).await {
            Ok(request) => request,
            Err(response) => return response,
        };
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[derive(Debug, Deserialize)]
struct WithPassword {
    password: Option<String>,
}

impl Guard {
    /// Returns the request, if it may change something.
    async fn may_act(
        &self,
        request: Request,
        cookie: &SessionCookie,
        peer: Peer,
    ) -> Result<Request, Response> {
        if is_ours(request.headers(), peer) != Some(true) {
            return Err(refused::forged(&request));
        }
        // Signing out only ends the session, and without a script there is no key.
        if request.uri().path() == "/logout" {
            return Ok(request);
        }
        let key = request.headers().get(ACT).and_then(|key| key.to_str().ok());
        if key.is_some_and(|key| self.access.may_act(cookie.value(), key)) {
            return Ok(request);
        }
        self.with_password(request, cookie, peer.address.ip()).await
    }

    /// Without the key, the form's password is accepted instead.
    async fn with_password(
        &self,
        request: Request,
        cookie: &SessionCookie,
        from: IpAddr,
    ) -> Result<Request, Response> {
        let (parts, body) = request.into_parts();
        let bytes =
            to_bytes(body, MAX_FORM).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
        let form = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
        let request = Request::from_parts(parts, Body::from(bytes));
        let password =
            Form::<WithPassword>::from_request(form, &()).await.ok().and_then(|form| form.0.password);
        let Some(password) = password.filter(|password| !password.is_empty()) else {
            return Err(refused::no_key(&request));
        };
        match self.access.confirm(cookie.value(), password, from).await {
            Ok(()) => Ok(request),
            Err(refusal) => Err(refused::wrong_password(&request, &refusal)),
        }
    }
}

/// Rejects programs without this role.
pub(crate) async fn needs(role: Role, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role.may(role) => next.run(request).await,
        Some(caller) => forbidden(caller, role).into_response(),
        None => refused::nobody(&request),
    }
}

/// Rejects users without this role, with a page.
pub(crate) async fn page_needs(role: Role, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role.may(role) => next.run(request).await,
        Some(caller) => refused::forbidden(&forbidden(caller, role)),
        None => refused::nobody(&request),
    }
}

/// The caller's role is not sufficient.
pub(crate) fn forbidden(caller: &Caller, needed: Role) -> Problem {
    Problem {
        title: "forbidden".into(),
        status: 403,
        detail: format!("{} has the role {}; this needs the role {needed}", caller.name, caller.role),
        next: match caller.name.strip_prefix("token ") {
            // The role of a token is set when it is created.
            Some(token) => {
                format!(
                    "ask an admin for another token in place of it: bellwether token create {token}-{needed} --role {needed}"
                )
            }
            None => format!("ask an admin for it: bellwether user role {} {needed}", caller.name),
        },
    }
}

impl Caller {
    fn user(known: Identity, peer: Peer) -> Self {
        let Identity { name, role, ended } = known;
        Self {
            name,
            role,
            origin: format!("from {}", peer.address.ip()),
            way: Way::Console,
            signed_in: true,
            ended,
        }
    }

    fn token(known: Identity, peer: Peer) -> Self {
        let Identity { name, role, ended } = known;
        let origin = format!("from {}", peer.address.ip());
        Self { name: format!("token {name}"), role, origin, way: Way::Console, signed_in: false, ended }
    }

    /// Completes when the caller's session or token has ended.
    pub(crate) async fn ended(&mut self) {
        if self.ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// For a caller without a session or token.
pub(crate) fn never_ends() -> watch::Receiver<bool> {
    watch::channel(false).1
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let (title, status, next) = match refusal {
            Refusal::Wrong | Refusal::UsedUp | Refusal::NotSignedIn => {
                ("not signed in", 401, "sign in again")
            }
            Refusal::TooSoon(_) => ("too many tries", 429, "wait, then try again"),
            Refusal::NoSuch(AccountKind::User, _) => {
                ("no such user", 404, "`bellwether user list` lists the users")
            }
            Refusal::NoSuch(AccountKind::Token, _) => {
                ("no such token", 404, "`bellwether token list` lists the tokens")
            }
            Refusal::Taken(AccountKind::User, _) => {
                ("taken", 409, "choose another name; `bellwether user list` lists the users")
            }
            Refusal::Taken(AccountKind::Token, _) => {
                ("taken", 409, "choose another name; `bellwether token list` lists the tokens")
            }
            Refusal::LastAdmin => ("the last admin", 409, "make another user an admin first"),
            Refusal::TooMany => ("too many", 409, "remove unused ones"),
            Refusal::BadName(_) | Refusal::BadPassword { .. } => {
                ("bad request", 400, "correct it and try again")
            }
            Refusal::Ending => ("ending", 503, "try again once the daemon is back"),
            Refusal::NotWritten(_) => ("not written", 503, "make room on the disk of state/, then try again"),
            Refusal::Other(_) => ("failed", 500, "see the daemon's log"),
        };
        Self { title: title.into(), status, detail: refusal.to_string(), next: next.into() }
    }
}

#[cfg(test)]
mod tests;
