//! Users and tokens, for admins; the own account, for all users.

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::access::Role;
use serde::Deserialize;

use super::frame::{Frame, Page, Time, Times};
use super::outcome::{Outcome, told};
use super::{Handle, filters, html};
use crate::access::Refusal;
use crate::api::Caller;
use bellwether_os::clock::timestamp;

const DAY: u64 = 86_400;

#[derive(Debug, Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    /// Whether this user may not do it.
    forbidden: bool,
    users: Vec<UserRow>,
    tokens: Vec<TokenRow>,
    roles: [Role; 3],
}

#[derive(Debug)]
struct UserRow {
    name: String,
    role: Role,
    has_password: bool,
    last_sign_in: Option<Time>,
    sessions: usize,
    me: bool,
}

#[derive(Debug)]
struct TokenRow {
    name: String,
    role: Role,
    expires: Option<Time>,
    last_used: Option<Time>,
}

#[derive(Debug, Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    /// The user, if it has a password here.
    user: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "remove.html")]
struct RemovePage {
    frame: Frame,
    title: String,
    what: String,
    action: String,
    word: &'static str,
}

fn back() -> (String, String) {
    ("/users".to_owned(), "users and tokens".to_owned())
}

/// The handler of `GET /users`.
pub(super) async fn page(State(daemon): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    let forbidden = !caller.role.may(Role::Admin);
    let times = Times::new(daemon.clock());
    let at = |wall: i64| times.told(timestamp(wall));
    let (mut users, mut tokens) = (Vec::new(), Vec::new());
    if !forbidden {
        users.extend(daemon.access().users().into_iter().map(|user| UserRow {
            me: caller.signed_in && user.name == caller.name,
            name: user.name,
            role: user.role,
            has_password: user.has_password,
            last_sign_in: user.last_sign_in.map(at),
            sessions: user.sessions,
        }));
        tokens.extend(daemon.access().tokens().into_iter().map(|token| TokenRow {
            name: token.name,
            role: token.role,
            expires: token.expires.map(at),
            last_used: token.last_used.map(at),
        }));
    }
    let status = if forbidden { StatusCode::FORBIDDEN } else { StatusCode::OK };
    let frame = Frame::new(&daemon, caller, Page::Users, "Users and tokens");
    html(status, &UsersPage { frame, forbidden, users, tokens, roles: Role::ALL })
}

/// Shows the outcome, if this user may see the page.
fn done(
    daemon: &Handle,
    caller: Caller,
    result: Result<Outcome, Refusal>,
    back: (String, String),
) -> Response {
    match result {
        Ok(outcome) => told(daemon, caller, StatusCode::OK, outcome, back),
        Err(refusal) => {
            let status = bellwether_api::Problem::from(&refusal).status;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            told(daemon, caller, status, Outcome::no(format!("{refusal}.")), back)
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NewUser {
    name: String,
    role: Role,
    #[serde(rename = "new-password")]
    new_password: String,
}

/// The handler of `POST /users`.
pub(super) async fn add(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Form(new): Form<NewUser>,
) -> Response {
    let NewUser { name, role, new_password } = new;
    let password = Some(new_password).filter(|password| !password.is_empty());
    let added = daemon.access().add_user(&name, role, password, &caller.by()).await;
    let added = added.map(|()| Outcome::yes(format!("`{name}` can sign in now, with the role {role}.")));
    done(&daemon, caller, added, back())
}

#[derive(Debug, Deserialize)]
pub(super) struct NewRole {
    role: Role,
}

/// The handler of `POST /users/NAME/role`.
pub(super) async fn set_role(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Form(NewRole { role }): Form<NewRole>,
) -> Response {
    let set = daemon.access().set_role(&name, role, &caller.by()).await;
    let set =
        set.map(|()| Outcome::yes(format!("`{name}` has the role {role} now, and must sign in again.")));
    done(&daemon, caller, set, back())
}

#[derive(Debug, Deserialize)]
pub(super) struct NewPassword {
    #[serde(rename = "new-password")]
    new_password: String,
}

/// The handler of `POST /users/NAME/password`.
pub(super) async fn set_password(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Form(NewPassword { new_password }): Form<NewPassword>,
) -> Response {
    let set = daemon.access().set_password(&name, new_password, &caller.by()).await;
    let set =
        set.map(|()| Outcome::yes(format!("The password of `{name}` is set; `{name}` must sign in again.")));
    done(&daemon, caller, set, back())
}

/// The handler of `GET /users/NAME/remove`.
pub(super) async fn ask_remove(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let what = format!("`{name}` can no longer sign in, and all sessions end immediately.");
    let action = format!("/users/{}/remove", super::encoded(&name));
    ask(&daemon, caller, RemovePage::text(format!("Remove user {name}?"), what, action, "Remove"))
}

/// The handler of `POST /users/NAME/remove`.
pub(super) async fn remove(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let removed = daemon.access().remove_user(&name, &caller.by()).await;
    let removed = removed.map(|()| Outcome::yes(format!("`{name}` is removed.")));
    done(&daemon, caller, removed, back())
}

#[derive(Debug, Deserialize)]
pub(super) struct NewToken {
    name: String,
    role: Role,
    /// In days; empty: until it is revoked.
    #[serde(default)]
    days: String,
}

/// The duration, if one is given.
///
/// # Errors
/// If it is not a valid number of days.
fn duration(days: &str) -> Result<Option<Duration>, ()> {
    if days.is_empty() {
        return Ok(None);
    }
    let days = days.parse::<u64>().ok().filter(|days| (1..=3_660).contains(days)).ok_or(())?;
    Ok(Some(Duration::from_secs(days * DAY)))
}

/// The handler of `POST /tokens`.
pub(super) async fn create_token(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Form(new): Form<NewToken>,
) -> Response {
    let NewToken { name, role, days } = new;
    let Ok(lasts) = duration(days.trim()) else {
        let why = "A token is valid for 1 to 3660 days, or until it is revoked.".to_owned();
        return told(&daemon, caller, StatusCode::BAD_REQUEST, Outcome::no(why), back());
    };
    let made = daemon.access().create_token(&name, role, lasts, &caller.by()).await;
    let made = made.map(|secret| Outcome::yes(format!("Token `{name}` has the role {role}.")).secret(secret));
    done(&daemon, caller, made, back())
}

/// The handler of `GET /tokens/NAME/revoke`.
pub(super) async fn ask_revoke(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let what = "Requests with this token are rejected from now on.".to_owned();
    let action = format!("/tokens/{}/revoke", super::encoded(&name));
    ask(&daemon, caller, RemovePage::text(format!("Revoke token {name}?"), what, action, "Revoke"))
}

/// The handler of `POST /tokens/NAME/revoke`.
pub(super) async fn revoke(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Response {
    let revoked = daemon.access().revoke_token(&name, &caller.by()).await;
    let revoked = revoked.map(|()| Outcome::yes(format!("Token `{name}` is revoked.")));
    done(&daemon, caller, revoked, back())
}

/// The texts of the confirmation.
struct RemoveText {
    title: String,
    what: String,
    action: String,
    word: &'static str,
}

impl RemovePage {
    fn text(title: String, what: String, action: String, word: &'static str) -> RemoveText {
        RemoveText { title, what, action, word }
    }
}

fn ask(daemon: &Handle, caller: Caller, text: RemoveText) -> Response {
    let mut frame = Frame::new(daemon, caller, Page::Users, &text.title);
    frame.live = false;
    let RemoveText { title, what, action, word } = text;
    html(StatusCode::OK, &RemovePage { frame, title, what, action, word })
}

/// The handler of `GET /me`.
pub(super) async fn account(State(daemon): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    let user = caller.signed_in.then(|| caller.name.clone());
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, "Your account");
    frame.live = false;
    html(StatusCode::OK, &AccountPage { frame, user })
}

/// The handler of `POST /me/password`.
pub(super) async fn set_own_password(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Form(NewPassword { new_password }): Form<NewPassword>,
) -> Response {
    let back = ("/login".to_owned(), "the sign-in".to_owned());
    if !caller.signed_in {
        let why = "Only users have passwords.".to_owned();
        return told(&daemon, caller, StatusCode::CONFLICT, Outcome::no(why), back);
    }
    let set = daemon.access().set_password(&caller.name, new_password, &caller.by()).await;
    let set = set.map(|()| Outcome::yes("Your password is set. Sign in again with it.".to_owned()));
    done(&daemon, caller, set, back)
}
