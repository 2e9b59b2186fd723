//! All records, newest first, with a search. Every search has a URL of its own.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::record::RecordKind;
use jiff::Timestamp;
use serde::Deserialize;

use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::module::kind_look;
use super::{Handle, encoded, filters, html};
use crate::api::Caller;
use bellwether_api::time_format::TimeFormat;
use bellwether_bus::Entry;
use bellwether_journal::RecordQuery;

/// The number of records on one page.
const SHOWN: usize = 100;
/// The maximum length of a search text.
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
    /// The errors in the query.
    mistakes: Vec<String>,
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

/// The query parameters of the page.
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
    /// In a readable form: see [`TimeFormat::read`].
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    before: Option<u64>,
}

impl Asked {
    /// The query of the journal; or the errors, one sentence each.
    fn query(&self, when: &TimeFormat) -> Result<RecordQuery, Vec<String>> {
        let mut mistakes = Vec::new();
        let module = read(&self.module, "module", ModuleName::new, &mut mistakes);
        let checker = read(&self.checker, "checker", CheckerName::new, &mut mistakes);
        let moment = |text: &str| when.read(text).map(Timestamp::as_microsecond);
        let since = read(&self.since, "since", moment, &mut mistakes);
        let until = read(&self.until, "until", moment, &mut mistakes);
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            mistakes.push(format!("since `{}` is after until `{}`", self.since, self.until));
        }
        let known = |kind: &str| {
            let found = RecordKind::WORDS.into_iter().find(|word| *word == kind).map(str::to_owned);
            found.ok_or_else(|| {
                format!("`{kind}` is not a kind: expected one of {}", RecordKind::WORDS.join(", "))
            })
        };
        let kind = read(&self.kind, "kind", known, &mut mistakes);
        if self.search.chars().count() > MAX_SEARCH {
            mistakes.push(format!("search: at most {MAX_SEARCH} characters"));
        }
        let search = Some(self.search.clone()).filter(|search| !search.is_empty());
        let before = self.before;
        let query = RecordQuery {
            module,
            kind,
            checker,
            search,
            since,
            until,
            before,
            after: None,
            limit: SHOWN + 1,
        };
        if mistakes.is_empty() { Ok(query) } else { Err(mistakes) }
    }

    /// The same search, as a URL.
    fn address(&self) -> String {
        self.parts(&self.since, &self.until).join("&")
    }

    /// The same search in the API, whose moments are in RFC 3339.
    fn json(&self, when: &TimeFormat) -> String {
        let exact = |text: &str| when.read(text).map_or_else(|_| String::new(), |moment| moment.to_string());
        let mut parts = self.parts(&exact(&self.since), &exact(&self.until));
        parts.push("limit=1000".to_owned());
        format!("/api/v1/events?{}", parts.join("&"))
    }

    fn parts(&self, since: &str, until: &str) -> Vec<String> {
        let parts = [
            ("module", self.module.as_str()),
            ("kind", &self.kind),
            ("checker", &self.checker),
            ("search", &self.search),
            ("since", since),
            ("until", until),
        ];
        let said = parts.iter().filter(|(_, value)| !value.is_empty());
        said.map(|(key, value)| format!("{key}={}", encoded(value))).collect()
    }
}

/// A field that is filled in. An invalid value is reported among the errors.
fn read<'t, T, E: std::fmt::Display>(
    text: &'t str,
    field: &str,
    read: impl Fn(&'t str) -> Result<T, E>,
    mistakes: &mut Vec<String>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    read(text).map_err(|error| mistakes.push(format!("{field}: {error}"))).ok()
}

/// The handler of `GET /events`, with its query parameters.
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Response {
    let when = TimeFormat::here();
    let (mut entries, mistakes, problem) = match asked.query(&when) {
        Err(mistakes) => (Vec::new(), mistakes, None),
        Ok(query) => match daemon.records(query).await {
            Ok(entries) => (entries, Vec::new(), None),
            Err(error) => (Vec::new(), Vec::new(), Some(error.to_string())),
        },
    };
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
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
        json: asked.json(&when),
        mistakes,
        problem,
        frame: Frame::new(&daemon, caller, Page::Events, "Events"),
        asked,
    };
    html(status, &page)
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

    fn when() -> TimeFormat {
        TimeFormat::at("2026-11-22T21:07:13Z").unwrap()
    }

    #[test]
    fn a_search_is_an_address() {
        let asked =
            Asked { module: "web".into(), search: "a b&c".into(), since: "2h".into(), ..Asked::default() };
        assert_eq!(asked.address(), "module=web&search=a%20b%26c&since=2h");
        let query = asked.query(&when()).unwrap();
        assert_eq!((query.module.unwrap().as_str(), query.search.as_deref()), ("web", Some("a b&c")));
        assert_eq!(query.since, Some(1_795_374_433_000_000));
        assert_eq!(
            asked.json(&when()),
            "/api/v1/events?module=web&search=a%20b%26c&since=2026-11-22T19%3A07%3A13Z&limit=1000"
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_field_by_field() {
        let asked = Asked {
            module: "!".into(),
            kind: "nonsense".into(),
            since: "yesterday".into(),
            until: "20:00".into(),
            ..Asked::default()
        };
        let mistakes = asked.query(&when()).unwrap_err();
        let fields: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.split(':').next()).collect();
        assert_eq!(fields, ["module", "since", "kind"], "{mistakes:?}");
        let backwards = Asked { since: "20:00".into(), until: "19:00".into(), ..Asked::default() };
        assert_eq!(backwards.query(&when()).unwrap_err(), ["since `20:00` is after until `19:00`"]);
        assert_eq!(Asked::default().query(&when()).unwrap().limit, SHOWN + 1);
    }
}
