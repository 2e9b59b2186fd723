//! The operations on one module.

use std::time::Duration;

use axum::extract::{Extension, State};
use bellwether_core::command::{Command, CommandOutcome, DeniedReason, LASTS_AT_MOST, Order, reason};
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::permission::{Authorization, COMMANDS_NEED};
use bellwether_core::record::{Record, RecordKind};
use bellwether_core::why::why as explain;
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Json, Path, Query};
use super::problem::{no_such_page, not_read, overdue};
use super::{COMMAND_WITHIN, Caller, Daemon, Handle};
use crate::guard::forbidden;
use bellwether_api::{CommandAnswer, ObservationStatus, Problem, WhyAnswer};
use bellwether_journal::RecordQuery;

/// The number of records that the story of the latest change fits into.
const STORY: usize = 2_000;

pub(super) fn known(daemon: &dyn Daemon, name: &str) -> Result<ModuleName, Problem> {
    let snapshot = daemon.snapshot();
    snapshot.module(name).map(|m| m.name.clone()).ok_or_else(|| Problem::no_such_module(name))
}

pub(super) async fn why(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<WhyAnswer>, Problem> {
    let module = known(&*daemon, &name)?;
    let query = RecordQuery { module: Some(module.clone()), limit: STORY, ..RecordQuery::default() };
    let entries = daemon.records(query).await.map_err(|error| not_read(&error))?;
    let records: Vec<Record> = entries.iter().map(|entry| entry.record.clone()).collect();
    let snapshot = daemon.snapshot();
    let view = snapshot.module(&name).ok_or_else(|| Problem::no_such_module(&name))?;
    let clock = daemon.clock();
    Ok(Json(WhyAnswer::new(module, explain(view, &records, clock.now()), &entries, clock)))
}

/// The state that the user decided on, as query parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    /// The generation of the snapshot that was seen.
    #[schemars(range(max = u64::MAX))]
    seen: Option<u64>,
    /// The reason: one line, which is recorded together with the user.
    #[schemars(length(max = 200), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    reason: Option<String>,
    /// For `suspend`: the duration in seconds; by default until `resume`.
    #[schemars(range(min = 1, max = 2_592_000))]
    for_s: Option<u64>,
    /// The name of the module, repeated: required where no node would serve the module (`last_ready` of the
    /// command's consequences), and without effect elsewhere.
    confirm: Option<String>,
}

impl Decided {
    fn order(&self, module: &ModuleName, command: Command) -> Result<Order, Problem> {
        let lasts = self.for_s.map(Duration::from_secs);
        if lasts.is_some() && command != Command::Suspend {
            return Err(Problem::denied(module, command, "only a suspension lasts for a time (`for_s`)"));
        }
        if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LASTS_AT_MOST) {
            let most = LASTS_AT_MOST.as_secs();
            return Err(Problem::bad_request(format!(
                "for_s: expected a number of seconds from 1 to {most}"
            )));
        }
        let reason = reason(self.reason.as_deref().unwrap_or_default())
            .map_err(|why| Problem::bad_request(why.to_string()))?;
        Ok(Order { command, lasts, reason })
    }
}

pub(super) async fn command(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, word)): Path<(String, String)>,
    Query(decided): Query<Decided>,
) -> Result<Json<CommandAnswer>, Problem> {
    let Ok(command) = word.parse::<Command>() else { return Err(no_such_page().await) };
    let module = known(&*daemon, &name)?;
    let order = decided.order(&module, command)?;
    let authorization = Authorization { role: caller.role, seen: decided.seen, confirmed: decided.confirm };
    let asked = daemon.command(module.clone(), order, authorization, caller.by());
    let outcome = tokio::time::timeout(COMMAND_WITHIN, asked).await.map_err(|_| overdue())?;
    match &outcome {
        CommandOutcome::Accepted(_) | CommandOutcome::AlreadySo(_) => Ok(Json((&outcome).into())),
        CommandOutcome::Denied(DeniedReason::NoSuchModule) => Err(Problem::no_such_module(&name)),
        CommandOutcome::Denied(DeniedReason::Unconfirmed) => Err(Problem::unconfirmed(&module, command)),
        CommandOutcome::Denied(DeniedReason::Forbidden) => Err(forbidden(&caller, COMMANDS_NEED)),
        CommandOutcome::Denied(reason) => Err(Problem::denied(&module, command, &reason.to_string())),
    }
}

pub(super) async fn run_checker(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((name, checker)): Path<(String, String)>,
) -> Result<Json<ObservationStatus>, Problem> {
    let module = known(&*daemon, &name)?;
    let checker = known_checker(&*daemon, &name, &checker)?;
    let what = format!("ran checker `{checker}` once");
    daemon.note(Some(module.clone()), RecordKind::Access { by: caller.by(), what });
    let observation = daemon.run_checker(module, checker).await.map_err(|reason| Problem {
        title: "cannot be run".into(),
        status: 409,
        detail: reason.to_string(),
        next: "see `bellwether status` for files that were refused".into(),
    })?;
    Ok(Json(ObservationStatus::new(&observation, daemon.clock())))
}

pub(super) fn known_checker(
    daemon: &dyn Daemon,
    module: &str,
    checker: &str,
) -> Result<CheckerName, Problem> {
    let snapshot = daemon.snapshot();
    let checkers = snapshot.module(module).map(|m| m.checkers.as_slice()).unwrap_or_default();
    if let Some(found) = checkers.iter().find(|c| c.name.as_str() == checker) {
        return Ok(found.name.clone());
    }
    let names: Vec<&str> = checkers.iter().map(|c| c.name.as_str()).collect();
    Err(Problem {
        title: "no such checker".into(),
        status: 404,
        detail: format!("module `{module}` has no checker `{checker}`"),
        next: format!("its checkers are: {}", names.join(", ")),
    })
}
