//! Users, tokens, and the caller's own account.

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bellwether_core::access::{ONE_TIME, ONE_TIME_MOST, Role};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::extract::{Json, Path};
use super::{Caller, Handle};
use crate::access::Refusal;
use bellwether_api::{MeAnswer, OneTimeAnswer, Problem, TokenAnswer, TokenLine, UserLine};

/// Longer lifetimes are as good as unlimited.
const LIFE_AT_MOST_S: u64 = 10 * 366 * 86_400;

fn problem(refusal: &Refusal) -> Problem {
    Problem::from(refusal)
}

pub(super) async fn me(Extension(caller): Extension<Caller>) -> Json<MeAnswer> {
    Json(MeAnswer { name: caller.name, role: caller.role })
}

pub(super) async fn users(State(daemon): State<Handle>) -> Json<Vec<UserLine>> {
    Json(daemon.access().users().iter().map(UserLine::new).collect())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    #[schemars(with = "bellwether_api::shapes::Role")]
    role: Role,
    #[serde(default)]
    #[schemars(length(min = 10, max = 250))]
    password: Option<String>,
}

pub(super) async fn add_user(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewUser>,
) -> Result<StatusCode, Problem> {
    let NewUser { name, role, password } = new;
    daemon.access().add_user(&name, role, password, &caller.by()).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::CREATED)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    #[schemars(with = "bellwether_api::shapes::Role")]
    role: Role,
}

pub(super) async fn set_role(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(NewRole { role }): Json<NewRole>,
) -> Result<StatusCode, Problem> {
    daemon.access().set_role(&name, role, &caller.by()).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    #[schemars(length(min = 10, max = 250))]
    password: String,
}

pub(super) async fn set_password(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(NewPassword { password }): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let set = daemon.access().set_password(&name, password, &caller.by()).await;
    set.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_user(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    daemon.access().remove_user(&name, &caller.by()).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tokens(State(daemon): State<Handle>) -> Json<Vec<TokenLine>> {
    Json(daemon.access().tokens().iter().map(TokenLine::new).collect())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    name: String,
    #[schemars(with = "bellwether_api::shapes::Role")]
    role: Role,
    /// Its lifetime; by default until it is revoked.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 316_224_000))]
    expires_in_s: Option<u64>,
}

/// An integer may also be written as `60.0` (JSON Schema, 6.1.1: an integer is a number without a fraction).
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    let spelled = number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number.to_string());
    let whole = number.as_u64().or_else(|| spelled?.parse().ok());
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("{number} is not a number of seconds")))
}

pub(super) async fn create_token(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Json<TokenAnswer>), Problem> {
    let NewToken { name, role, expires_in_s } = new;
    if expires_in_s.is_some_and(|seconds| seconds == 0 || seconds > LIFE_AT_MOST_S) {
        return Err(Problem::bad_request("a token lasts for a second at least, and for ten years at most"));
    }
    let lasts = expires_in_s.map(Duration::from_secs);
    let made = daemon.access().create_token(&name, role, lasts, &caller.by()).await;
    let secret = made.map_err(|error| problem(&error))?;
    Ok((StatusCode::CREATED, Json(TokenAnswer { name, secret })))
}

pub(super) async fn revoke_token(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    daemon.access().revoke_token(&name, &caller.by()).await.map_err(|error| problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSignIn {
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    user: String,
    /// How long it is valid; by default a minute.
    #[serde(default, deserialize_with = "whole")]
    #[schemars(range(min = 1, max = 600))]
    good_for_s: Option<u64>,
}

pub(super) async fn one_time(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Json(NewSignIn { user, good_for_s }): Json<NewSignIn>,
) -> Result<(StatusCode, Json<OneTimeAnswer>), Problem> {
    let within = good_for_s.map_or(ONE_TIME, Duration::from_secs);
    if within.is_zero() || within > ONE_TIME_MOST {
        let most = ONE_TIME_MOST.as_secs();
        return Err(Problem::bad_request(format!(
            "good_for_s: expected a number of seconds from 1 to {most}"
        )));
    }
    let code = daemon.access().one_time(&user, within, &caller.by()).map_err(|error| problem(&error))?;
    let answer = OneTimeAnswer { user, path: format!("/login/{code}"), expires_in_s: within.as_secs() };
    Ok((StatusCode::CREATED, Json(answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lasts_for_whole_seconds_however_they_are_written() {
        let lasts = |text: &str| {
            let token = format!(r#"{{"name":"uptime","role":"monitor","expires_in_s":{text}}}"#);
            serde_json::from_str::<NewToken>(&token).map(|token| token.expires_in_s).ok()
        };
        for (text, meant) in [
            ("60", Some(Some(60))),
            ("60.0", Some(Some(60))),
            ("6e1", Some(Some(60))),
            ("null", Some(None)),
            ("60.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"60\"", None),
        ] {
            assert_eq!(lasts(text), meant, "{text}");
        }
        let token = serde_json::from_str::<NewToken>(r#"{"name":"uptime","role":"monitor"}"#).unwrap();
        assert_eq!(token.expires_in_s, None);
    }
}
