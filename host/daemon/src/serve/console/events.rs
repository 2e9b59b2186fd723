//! Everything that happened, newest first, with search. Every search is an address.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::record::RecordKind;
use serde::Deserialize;

use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::module::kind_look;
use super::{Handle, encoded, filters, html};
use crate::journal::{Entry, RecordQuery};
use crate::serve::api::Caller;

/// Records of one page.
const SHOWN: usize = 100;
/// Nobody searches for more.
const MAX_SEARCH: usize = 200;

#[derive(Debug, Template)]
#[template(path = "events.html")]
struct EventsPage {
    frame: Frame,
    asked: Asked,
    modules: Vec<String>,
    days: Vec<Day>,
    kinds: &'static [&'static str],
    older: Option<String>,
    first_page: bool,
    json: String,
    problem: Option<String>,
}

#[derive(Debug)]
struct Day {
    day: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    seq: u64,
    at: Time,
    look: Look,
    kind: &'static str,
    module: Option<String>,
    text: String,
    details: Vec<String>,
}

/// As it stands behind the question mark.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    module: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    checker: String,
    #[serde(default)]
    search: String,
    #[serde(default)]
    before: Option<u64>,
}

impl Asked {
    fn query(&self) -> RecordQuery {
        let search: String = self.search.chars().take(MAX_SEARCH).collect();
        RecordQuery {
            module: ModuleName::new(&self.module).ok(),
            kind: Some(self.kind.clone()).filter(|kind| RecordKind::WORDS.contains(&kind.as_str())),
            checker: CheckerName::new(&self.checker).ok(),
            search: Some(search).filter(|search| !search.is_empty()),
            before: self.before,
            limit: SHOWN + 1,
            ..RecordQuery::default()
        }
    }

    /// The same search, as it stands in an address.
    fn address(&self) -> String {
        let parts = [
            ("module", &self.module),
            ("kind", &self.kind),
            ("checker", &self.checker),
            ("search", &self.search),
        ];
        let said = parts.iter().filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| format!("{key}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }
}

/// `GET /events?module=&kind=&checker=&search=&before=`
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Response {
    let (mut entries, problem) = match daemon.records(asked.query()).await {
        Ok(entries) => (entries, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let more = entries.len() > SHOWN;
    if more {
        entries.remove(0);
    }
    let address = asked.address();
    let join = if address.is_empty() { "" } else { "&" };
    let oldest = entries.first().map(|entry| entry.seq);
    let times = Times::new(daemon.clock());
    let page = EventsPage {
        modules: daemon.snapshot().modules.iter().map(|module| module.name.to_string()).collect(),
        days: days(&entries, &times),
        kinds: &RecordKind::WORDS,
        older: oldest.filter(|_| more).map(|seq| format!("/events?{address}{join}before={seq}")),
        first_page: asked.before.is_none(),
        json: format!("/api/v1/events?{address}{join}limit=1000"),
        problem,
        frame: Frame::new(&daemon, caller, Page::Events, "Events"),
        asked,
    };
    html(StatusCode::OK, &page)
}

fn days(entries: &[Entry], times: &Times) -> Vec<Day> {
    let mut days: Vec<Day> = Vec::new();
    for entry in entries.iter().rev() {
        let utc = entry.timestamp(entry.at);
        let day = times.day(&utc);
        if days.last().is_none_or(|last| last.day != day) {
            days.push(Day { day, lines: Vec::new() });
        }
        if let Some(last) = days.last_mut() {
            last.lines.push(line(entry, times.told(utc)));
        }
    }
    days
}

fn line(entry: &Entry, at: Time) -> Line {
    let details = match &entry.kind {
        RecordKind::Incident { incident } => incident
            .observations
            .iter()
            .map(|seen| format!("saw {}: {}", seen.status, seen.summary))
            .collect(),
        RecordKind::Plan { steps, .. } => steps.clone(),
        RecordKind::Approval { asks, .. } => asks.clone(),
        RecordKind::Quarantine { digest, .. } => vec![format!("digest {digest}")],
        _ => Vec::new(),
    };
    Line {
        seq: entry.seq,
        at,
        look: kind_look(&entry.kind),
        kind: entry.kind.word(),
        module: entry.module.as_ref().map(ToString::to_string),
        text: entry.kind.sentence(),
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_an_address() {
        let asked = Asked { module: "web".into(), search: "a b&c".into(), ..Asked::default() };
        assert_eq!(asked.address(), "module=web&search=a%20b%26c");
        let query = asked.query();
        assert_eq!((query.module.unwrap().as_str(), query.search.as_deref()), ("web", Some("a b&c")));
    }

    #[test]
    fn what_makes_no_sense_is_not_asked_for() {
        let asked = Asked { module: "!".into(), kind: "nonsense".into(), ..Asked::default() };
        let query = asked.query();
        assert_eq!((query.module, query.kind, query.search), (None, None, None));
    }
}
