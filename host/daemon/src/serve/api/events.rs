//! The records, as far as they are at hand, and those to come.

use std::collections::VecDeque;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use bellwether_core::id::ModuleName;
use bellwether_core::moment::Moment;
use bellwether_core::record::Record;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::stream::{HEARTBEAT, line, response};
use super::{Handle, RecordQuery};
use crate::clock::Clock;
use crate::serve::wire::{EventLine, Problem};

/// As it stands behind the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    module: Option<String>,
    since: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// No answer holds more records.
const MAX_RECORDS: usize = 10_000;

impl Asked {
    fn query(self, clock: Clock) -> Result<RecordQuery, Problem> {
        let module = match &self.module {
            None => None,
            Some(name) => Some(ModuleName::new(name).map_err(|_| Problem::no_such_module(name))?),
        };
        let since = self.since.as_deref().map(|text| moment(text, clock)).transpose()?;
        let limit = self.limit.unwrap_or(MAX_RECORDS).min(MAX_RECORDS);
        Ok(RecordQuery { module, since, after: self.after, limit })
    }
}

fn moment(text: &str, clock: Clock) -> Result<Moment, Problem> {
    let wall: jiff::Timestamp = text
        .parse()
        .map_err(|_| Problem::bad_request(format!("`{text}` is not a moment like 2026-11-22T21:30:00Z")))?;
    // The time line and the wall clock differ by how often the clock was set since.
    let set = clock.wall_micros(Moment::default());
    Ok(Moment::from_micros(wall.as_microsecond().saturating_sub(set)))
}

pub(super) async fn list(
    State(daemon): State<Handle>,
    Query(asked): Query<Asked>,
) -> Result<Json<Vec<EventLine>>, Problem> {
    let clock = daemon.clock();
    let records = daemon.records(&asked.query(clock)?);
    Ok(Json(records.iter().map(|record| EventLine::new(record, clock)).collect()))
}

/// Follows without a gap: what was written between two answers, or while the
/// reader was slow, is read from the records at hand.
pub(super) async fn stream(
    State(daemon): State<Handle>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let mut query = asked.query(daemon.clock())?;
    query.limit = MAX_RECORDS;
    // Subscribe first, so that nothing falls between.
    let live = daemon.follow();
    let ready = if query.after.is_some() || query.since.is_some() {
        daemon.records(&query).into()
    } else {
        // What is written from now on, also if it must be read again.
        let latest = daemon.records(&RecordQuery { limit: 1, ..RecordQuery::default() });
        query.after = Some(latest.last().map_or(0, |record| record.seq));
        VecDeque::new()
    };
    let follower = Follower { daemon, query, live, ready };
    Ok(response(unfold(follower, |mut follower| async move {
        let text = follower.next().await?;
        Some((Ok(text), follower))
    })))
}

struct Follower {
    daemon: Handle,
    query: RecordQuery,
    live: broadcast::Receiver<Record>,
    ready: VecDeque<Record>,
}

impl Follower {
    /// The next line; nothing once the daemon ends.
    async fn next(&mut self) -> Option<String> {
        let heartbeat = tokio::time::Instant::now() + HEARTBEAT;
        loop {
            if let Some(record) = self.ready.pop_front() {
                if self.query.wants(&record) {
                    self.query.after = Some(record.seq);
                    return Some(line(&EventLine::new(&record, self.daemon.clock())));
                }
                continue;
            }
            match tokio::time::timeout_at(heartbeat, self.live.recv()).await {
                Ok(Ok(record)) => self.ready.push_back(record),
                Ok(Err(RecvError::Lagged(_))) => self.ready = self.daemon.records(&self.query).into(),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => return Some("\n".to_owned()),
            }
        }
    }
}
