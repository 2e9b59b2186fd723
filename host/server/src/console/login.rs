//! Signing in and out.
//!
//! ```text
//!   /login ──name and password──▶ /login (POST) ──┐
//!   /login/CODE ──button──▶ /login/CODE (POST) ───┴─▶ a page with the act-key ──▶ where one wanted to go
//! ```
//! Opening a one-time link has no effect by itself: software that fetches links in advance does not use it up.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::frame::Bare;
use super::{Handle, html};
use crate::access::{Refusal, SignedIn};
use crate::api::Caller;
use crate::guard::{SessionCookie, is_ours};
use crate::site::Peer;

#[derive(Debug, Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Bare,
    next: String,
    name: String,
    refusal: Option<String>,
    nobody: bool,
}

#[derive(Debug, Template)]
#[template(path = "login_once.html")]
struct OncePage {
    frame: Bare,
    code: String,
    user: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "login_done.html")]
struct DonePage {
    frame: Bare,
    user: String,
    act_key: String,
    next: String,
}

/// The page to continue with.
#[derive(Debug, Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
}

/// The fields of the form.
#[derive(Debug, Deserialize)]
pub(super) struct LoginForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// The handler of `GET /login`.
pub(super) async fn page(State(daemon): State<Handle>, Query(asked): Query<LoginQuery>) -> Response {
    show(&daemon, StatusCode::OK, asked.next, String::new(), None)
}

fn show(
    daemon: &Handle,
    status: StatusCode,
    next: String,
    name: String,
    refusal: Option<String>,
) -> Response {
    let nobody = !daemon.access().has_users();
    html(status, &LoginPage { frame: Bare::new("Sign in"), next: local(next), name, refusal, nobody })
}

/// The handler of `POST /login`.
pub(super) async fn sign_in(
    State(daemon): State<Handle>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Form(given): Form<LoginForm>,
) -> Response {
    if is_ours(&headers, peer) == Some(false) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let LoginForm { name, password, next } = given;
    match daemon.access().sign_in(&name, password, peer.address.ip()).await {
        Ok(signed_in) => done(signed_in, local(next), &headers, peer),
        Err(refusal) => {
            let status = match refusal {
                Refusal::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
                Refusal::Wrong => StatusCode::UNAUTHORIZED,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            show(&daemon, status, next, name, Some(sentence(&refusal)))
        }
    }
}

/// The error as a sentence: `The name or the password is wrong.`
fn sentence(refusal: &Refusal) -> String {
    format!("{}.", super::node::capitalised(&refusal.to_string()))
}

/// `GET /login/CODE`: the user that it would sign in.
pub(super) async fn once(State(daemon): State<Handle>, Path(code): Path<String>) -> Response {
    let user = daemon.access().one_time_for(&code);
    let status = if user.is_some() { StatusCode::OK } else { StatusCode::GONE };
    html(status, &OncePage { frame: Bare::new("Sign in"), code, user })
}

/// The handler of `POST /login/CODE`.
pub(super) async fn redeem(
    State(daemon): State<Handle>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(code): Path<String>,
) -> Response {
    if is_ours(&headers, peer) == Some(false) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match daemon.access().redeem(&code, peer.address.ip()).await {
        Ok(signed_in) => done(signed_in, "/".to_owned(), &headers, peer),
        Err(Refusal::UsedUp) => {
            html(StatusCode::GONE, &OncePage { frame: Bare::new("Sign in"), code, user: None })
        }
        Err(refusal) => show(
            &daemon,
            StatusCode::SERVICE_UNAVAILABLE,
            String::new(),
            String::new(),
            Some(sentence(&refusal)),
        ),
    }
}

fn done(signed_in: SignedIn, next: String, headers: &HeaderMap, peer: Peer) -> Response {
    let SignedIn { user, cookie, act_key } = signed_in;
    let jar = CookieJar::new().add(SessionCookie::set(cookie, headers, peer));
    (jar, html(StatusCode::OK, &DonePage { frame: Bare::new("Signed in"), user, act_key, next }))
        .into_response()
}

/// The handler of `POST /logout`.
pub(super) async fn sign_out(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let Some(Extension(peer)) = peer else { return Redirect::to("/").into_response() };
    if let Some(cookie) = SessionCookie::of(&headers, peer)
        && let Err(refusal) = daemon.access().sign_out(cookie.value(), caller.by()).await
    {
        tracing::warn!(%refusal, "a sign-in has not ended for good");
    }
    let jar = CookieJar::new().add(SessionCookie::unset(&headers, peer));
    let forget = [(header::HeaderName::from_static("clear-site-data"), "\"storage\"")];
    (jar, forget, Redirect::to("/login")).into_response()
}

/// A page of the console, or the first one: a link cannot redirect to another site.
fn local(next: String) -> String {
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r', '\t']);
    if ours { next } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_by_an_address() {
        assert_eq!(local("/modules/web?since=1h".into()), "/modules/web?since=1h");
        for elsewhere in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:x",
            "/\t/evil.example",
        ] {
            assert_eq!(local(elsewhere.into()), "/", "{elsewhere}");
        }
    }
}
