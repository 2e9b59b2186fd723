//! The operations on notification targets.

use std::time::Duration;

use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Json, Query};
use super::problem::overdue;
use super::{Caller, Handle};
use bellwether_api::{NotifyStatus, Problem, TestAnswer};

/// No attempt takes longer than a minute; other tests may be running.
const TEST_WITHIN: Duration = Duration::from_secs(75);

/// The query parameters of the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    target: Option<String>,
}

pub(super) async fn list(State(daemon): State<Handle>) -> Json<Vec<NotifyStatus>> {
    Json(daemon.notifications())
}

pub(super) async fn test(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<TestAnswer>>, Problem> {
    let tested =
        tokio::time::timeout(TEST_WITHIN, daemon.test_notifications(asked.target.clone(), caller.by())).await;
    let tested = tested.map_err(|_| overdue())?;
    if !tested.is_empty() {
        return Ok(Json(tested.iter().map(TestAnswer::new).collect()));
    }
    let names: Vec<String> = daemon.notifications().iter().map(|status| status.target.to_string()).collect();
    let (detail, next) = match asked.target {
        Some(target) if !names.is_empty() => (
            format!("there is no notification target `{target}`"),
            format!("those who are: {}", names.join(", ")),
        ),
        _ => (
            "this node has no notification targets".to_owned(),
            "add a `[[notify]]` table to bellwether.toml, and restart the daemon".to_owned(),
        ),
    };
    Err(Problem { title: "no such target".into(), status: 404, detail, next })
}
