//! The journal records, and a stream of new ones.

use std::collections::VecDeque;

use axum::extract::{Extension, State};
use axum::response::Response;
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::record::RecordKind;
use futures_util::stream::unfold;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::extract::{Json, Query};
use super::problem::not_read;
use super::stream::{HEARTBEAT, line, response};
use super::{Caller, Handle};
use bellwether_api::{EventLine, Problem};
use bellwether_bus::Entry;
use bellwether_journal::RecordQuery;

/// The query parameters of the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only of this module.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    module: Option<String>,
    /// Only of this kind.
    #[schemars(extend("enum" = RecordKind::WORDS))]
    kind: Option<String>,
    /// Only about this checker.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    checker: Option<String>,
    /// With this text in the sentence.
    #[schemars(length(max = 200))]
    search: Option<String>,
    /// Only records since this time.
    #[schemars(extend("format" = "date-time"), length(max = 40))]
    since: Option<String>,
    /// Only records until this time.
    #[schemars(extend("format" = "date-time"), length(max = 40))]
    until: Option<String>,
    /// After the record of this number.
    #[schemars(range(max = u64::MAX))]
    after: Option<u64>,
    /// Before the record of this number.
    #[schemars(range(max = u64::MAX))]
    before: Option<u64>,
    /// At most this number.
    #[schemars(range(max = u64::MAX))]
    limit: Option<usize>,
}

/// The maximum number of records in one answer.
const MAX_RECORDS: usize = 10_000;
/// The maximum length of a search text.
const MAX_SEARCH: usize = 200;

impl Asked {
    fn query(self) -> Result<RecordQuery, Problem> {
        let module = self.module.as_deref().map(module).transpose()?;
        let checker = self.checker.as_deref().map(checker).transpose()?;
        if self.search.as_ref().is_some_and(|text| text.chars().count() > MAX_SEARCH) {
            let what = format!("a text to search for has at most {MAX_SEARCH} characters");
            return Err(Problem::bad_request(what));
        }
        if let Some(kind) = self.kind.as_ref().filter(|kind| !RecordKind::WORDS.contains(&kind.as_str())) {
            let what =
                format!("`{kind}` is not a kind of record; expected one of {}", RecordKind::WORDS.join(", "));
            return Err(Problem::bad_request(what));
        }
        Ok(RecordQuery {
            module,
            kind: self.kind,
            checker,
            search: self.search,
            since: self.since.as_deref().map(wall_micros).transpose()?,
            until: self.until.as_deref().map(wall_micros).transpose()?,
            after: self.after,
            before: self.before,
            limit: self.limit.unwrap_or(MAX_RECORDS).min(MAX_RECORDS),
        })
    }
}

fn module(name: &str) -> Result<ModuleName, Problem> {
    ModuleName::new(name).map_err(|_| Problem::no_such_module(name))
}

pub(super) fn checker(name: &str) -> Result<CheckerName, Problem> {
    CheckerName::new(name)
        .map_err(|error| Problem::bad_request(format!("`{name}` is not a checker name: {error}")))
}

/// A moment in one of the readable forms, in microseconds since the Unix epoch.
pub(super) fn wall_micros(text: &str) -> Result<i64, Problem> {
    let wall: jiff::Timestamp = text
        .parse()
        .map_err(|_| Problem::bad_request(format!("`{text}` is not a moment like 2026-11-22T21:30:00Z")))?;
    Ok(wall.as_microsecond())
}

pub(super) async fn list(
    State(daemon): State<Handle>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<EventLine>>, Problem> {
    let records = daemon.records(asked.query()?).await.map_err(|error| not_read(&error))?;
    Ok(Json(records.iter().map(EventLine::new).collect()))
}

/// A stream without gaps: records that were written between two answers, or while the reader was slow, are read
/// again.
pub(super) async fn stream(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let mut query = asked.query()?;
    query.limit = MAX_RECORDS;
    // Subscribe first, so that no record is lost in between.
    let live = daemon.follow();
    let ready = if query.after.is_some() || query.since.is_some() {
        daemon.records(query.clone()).await.map_err(|error| not_read(&error))?.into()
    } else {
        // Records that are written from now on, even if they must be read again.
        let latest = daemon.records(RecordQuery { limit: 1, ..RecordQuery::default() }).await;
        let latest = latest.map_err(|error| not_read(&error))?;
        query.after = Some(latest.last().map_or(0, |record| record.seq));
        VecDeque::new()
    };
    let follower = Follower { daemon, query, live, ready };
    Ok(response(
        caller,
        unfold(follower, |mut follower| async move {
            let text = follower.next().await?;
            Some((Ok(text), follower))
        }),
    ))
}

struct Follower {
    daemon: Handle,
    query: RecordQuery,
    live: broadcast::Receiver<Entry>,
    ready: VecDeque<Entry>,
}

impl Follower {
    /// The next line; `None` once the daemon shuts down.
    async fn next(&mut self) -> Option<String> {
        let heartbeat = tokio::time::Instant::now() + HEARTBEAT;
        loop {
            if let Some(record) = self.ready.pop_front() {
                if self.query.wants(&record) {
                    self.query.after = Some(record.seq);
                    return Some(line(&EventLine::new(&record)));
                }
                continue;
            }
            match tokio::time::timeout_at(heartbeat, self.live.recv()).await {
                Ok(Ok(record)) => self.ready.push_back(record),
                Ok(Err(RecvError::Lagged(_))) => match self.daemon.records(self.query.clone()).await {
                    Ok(records) => self.ready = records.into(),
                    // Ending the stream, which the client notices, is better than a gap.
                    Err(_) => return None,
                },
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => return Some("\n".to_owned()),
            }
        }
    }
}
