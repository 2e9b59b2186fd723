//! The page of one module: its state, the reason, its history and its actions.

use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::attention::spent;
use bellwether_core::moment::{Moment, plain};
use bellwether_core::permission::COMMANDS_NEED;
use bellwether_core::record::Record;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::why::{Brief, brief, why};
use serde::Deserialize;

use self::buttons::{CommandButton, buttons};
use self::chart::{Chart, charts};
use self::checkers::{CheckerRow, checkers};
use self::given::{LastCommand, given};
use self::log::{Log, logs};
use self::plans::{PastPlan, plans};
use self::timeline::{Timeline, TimelineData, timeline};
use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::missing::not_there;
use super::node::capitalised;
use super::{Handle, filters, html};
use crate::api::Caller;
use bellwether_api::WhyAnswer;
use bellwether_bus::Entry;
use bellwether_core::chart::ChartQuery;
use bellwether_journal::RecordQuery;

mod buttons;
mod chart;
mod checkers;
mod given;
mod log;
mod plans;
pub(super) mod run;
mod timeline;

pub(super) use self::timeline::kind_look;

/// The time ranges to choose from: as written in the address, in words, and in seconds.
const RANGES: [(&str, &str, i64); 5] = [
    ("15m", "last 15 minutes", 900),
    ("1h", "last hour", 3_600),
    ("6h", "last 6 hours", 21_600),
    ("1d", "last 24 hours", 86_400),
    ("7d", "last 7 days", 604_800),
];
/// The maximum number of records that are drawn.
const DRAWN: usize = 1_000;
/// The number of records that the story of the latest change fits into.
const STORY: usize = 500;
/// The number of points of a chart that are read: an hour in the finest resolution. Fewer are drawn.
const POINTS: u64 = 360;
/// The number of lines of the history; all of it is on the events page.
const LINES: usize = 5;

#[derive(Debug, Template)]
#[template(path = "module.html")]
struct ModulePage {
    frame: Frame,
    name: String,
    look: Look,
    answer: Look,
    since: Time,
    reason: String,
    suspended: bool,
    spent: bool,
    due: Option<Time>,
    next: String,
    command: Option<String>,
    led: Led,
    given: Option<LastCommand>,
    buttons: Vec<CommandButton>,
    may_act: bool,
    restarts: u32,
    allowed: u32,
    within: String,
    /// Empty if it stops immediately.
    drain: Option<String>,
    processes: Vec<String>,
    under_way: Option<UnderWay>,
    checkers: Vec<CheckerRow>,
    ranges: Vec<Range>,
    /// `the last 1h`, or since when there is data.
    range: String,
    timeline: Timeline,
    charts: Vec<Chart>,
    /// The link to the other charts, and their number.
    more_charts: Option<(String, usize)>,
    plans: Vec<PastPlan>,
    logs: Vec<Log>,
    problem: Option<String>,
    /// Files that are not active, and what to do about each.
    waits: Vec<String>,
}

/// The history in a few lines.
#[derive(Debug)]
struct Led {
    lines: Vec<LedLine>,
    left_out: usize,
}

#[derive(Debug)]
struct LedLine {
    at: Time,
    text: String,
    /// The number of repetitions and the last time, if more than one.
    times: Option<(usize, Time)>,
}

#[derive(Debug)]
struct UnderWay {
    occasion: String,
    summary: String,
    steps: Vec<(String, &'static str)>,
}

#[derive(Debug)]
struct Range {
    word: &'static str,
    href: String,
    here: bool,
}

/// The query parameters of the page.
#[derive(Debug, Deserialize)]
pub(super) struct ModuleQuery {
    #[serde(default)]
    since: String,
    #[serde(default)]
    charts: String,
}

/// The handler of `GET /modules/M?since=1h&charts=all`.
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(asked): Query<ModuleQuery>,
) -> Response {
    let snapshot = daemon.snapshot();
    let Some(module) = snapshot.module(&name) else {
        return not_there(&daemon, caller, format!("There is no module `{name}` on this node."));
    };
    let (word, in_words, seconds) = *RANGES.iter().find(|range| range.0 == asked.since).unwrap_or(&RANGES[1]);
    let clock = daemon.clock();
    let now = clock.now();
    let until = clock.wall_micros(now);
    let past = Past::read(&daemon, module, until - seconds * 1_000_000, until).await;
    let since = past.begins(until - seconds * 1_000_000, until);
    let times = Times::new(clock);
    let story: Vec<Record> = past.story.iter().map(|entry| entry.record.clone()).collect();
    let told = why(module, &story, now).beside(&daemon.inactive(&module.name));
    let in_short = brief(&module.reason, &told.chain, LINES);
    let answer = WhyAnswer::new(module.name.clone(), told, &past.story, clock);
    let role = caller.role;
    let all_charts = asked.charts == "all";
    let drawn = charts(module, &past.chart, since / 1_000_000, until / 1_000_000, all_charts);
    let more = drawn.left_out;
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &name);
    frame.about = Some(name.clone());
    let page = ModulePage {
        frame,
        look: Look::module(module),
        answer: Look::answer(module.ready),
        since: times.of(module.shown_since()),
        reason: sentence(&module.reason),
        suspended: module.desired.suspended,
        spent: spent(module),
        due: module.next.filter(|due| *due != Moment::NEVER).map(|due| times.of(due)),
        buttons: buttons(module, role, answer.command.as_deref()),
        given: given(module, &past.story, until, &times),
        led: led(in_short, &answer, &times),
        next: answer.next,
        command: answer.command,
        may_act: role.may(COMMANDS_NEED),
        restarts: module.restarts,
        allowed: module.restarts_allowed,
        within: plain(module.restarts_within),
        drain: (!module.drain.is_zero()).then(|| plain(module.drain)),
        processes: processes(module),
        under_way: under_way(module),
        checkers: checkers(module, &times),
        ranges: ranges(&name, word),
        range: if since == until - seconds * 1_000_000 {
            in_words.to_owned()
        } else {
            format!("since {}, the start of the data", times.short(since, false))
        },
        timeline: timeline(module, past.known(), since, until, &times),
        charts: drawn.charts,
        more_charts: (more > 0).then(|| (format!("/modules/{name}?since={word}&charts=all#charts"), more)),
        plans: plans(&past.story, &times),
        logs: logs(&daemon, module).await,
        problem: past.problem,
        waits: answer.waits,
        name,
    };
    html(StatusCode::OK, &page)
}

/// The module's records in the journal.
struct Past {
    records: Vec<Entry>,
    /// Records of the daemon, and of files that belong to no module.
    around: Vec<Entry>,
    story: Vec<Entry>,
    chart: bellwether_core::chart::Chart,
    problem: Option<String>,
}

impl Past {
    /// The beginning of the axis: `since`, or the beginning of the module's data, if that is later.
    fn begins(&self, since: i64, until: i64) -> i64 {
        let first = self.story.first().map(|entry| entry.wall);
        let measured = self.chart.series.iter().filter_map(|series| series.buckets.first());
        let measured = measured.map(|bucket| bucket.start.saturating_mul(1_000_000)).min();
        let known = first.into_iter().chain(measured).min();
        // The whole history, unless its beginning is known.
        let whole = self.story.len() < STORY;
        begins(since, until, known.filter(|_| whole))
    }

    fn known(&self) -> TimelineData<'_> {
        let cut = self.records.len() >= DRAWN;
        TimelineData { records: &self.records, around: &self.around, measured: &self.chart, cut }
    }

    async fn read(daemon: &Handle, module: &ModuleView, since: i64, until: i64) -> Self {
        let own = RecordQuery { module: Some(module.name.clone()), ..RecordQuery::default() };
        let of_kind = |kind: &str| RecordQuery {
            kind: Some(kind.to_owned()),
            since: Some(since),
            limit: DRAWN / 10,
            ..RecordQuery::default()
        };
        let query = ChartQuery {
            module: module.name.clone(),
            checker: None,
            since: since / 1_000_000,
            until: until / 1_000_000,
            points: POINTS,
        };
        let drawn = RecordQuery { since: Some(since), limit: DRAWN, ..own.clone() };
        let queries = vec![drawn, RecordQuery { limit: STORY, ..own }, of_kind("daemon"), of_kind("reload")];
        let (read, chart) = tokio::join!(daemon.records_of(queries), daemon.chart(query));
        let mut problem = None;
        let mut read = read.unwrap_or_else(|error| {
            problem = Some(error.to_string());
            Vec::new()
        });
        read.resize_with(4, Vec::new);
        let [records, story, mut around, reloads]: [Vec<Entry>; 4] = read.try_into().unwrap_or_default();
        around.extend(reloads.into_iter().filter(|entry: &Entry| entry.module.is_none()));
        let chart = chart.unwrap_or_else(|error| {
            problem = Some(error.to_string());
            bellwether_core::chart::Chart { step_s: 1, series: Vec::new() }
        });
        Self { records, around, story, chart, problem }
    }
}

/// The shortest axis, in microseconds.
const SHORTEST: i64 = 10_000_000;

/// `known` is the beginning of the data, if all of it was read.
fn begins(since: i64, until: i64, known: Option<i64>) -> i64 {
    known.map_or(since, |known| known.min(until - SHORTEST).max(since))
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    if text.is_empty() { String::new() } else { format!("{}.", capitalised(text)) }
}

fn led(brief: Brief, answer: &WhyAnswer, times: &Times) -> Led {
    let line = |line: bellwether_core::why::BriefLine| {
        let at = |place: usize| Some(times.told(answer.chain.get(place)?.at.clone()));
        let repeated = if line.times > 1 { Some((line.times, at(line.last)?)) } else { None };
        Some(LedLine { at: at(line.first)?, text: line.text, times: repeated })
    };
    Led { lines: brief.lines.into_iter().filter_map(line).collect(), left_out: brief.left_out }
}

fn processes(module: &ModuleView) -> Vec<String> {
    const SHOWN: usize = 12;
    let shown =
        module.processes.iter().take(SHOWN).map(|process| format!("{} {}", process.name, process.pid));
    let more = module.processes.len().saturating_sub(SHOWN);
    shown.chain((more > 0).then(|| format!("and {more} more"))).collect()
}

fn under_way(module: &ModuleView) -> Option<UnderWay> {
    let plan = module.plan.as_ref()?;
    let how = |index: usize| match index.cmp(&plan.step) {
        std::cmp::Ordering::Less => "done",
        std::cmp::Ordering::Equal => "now",
        std::cmp::Ordering::Greater => "to come",
    };
    let steps = plan.steps.iter().enumerate().map(|(index, step)| (step.clone(), how(index)));
    Some(UnderWay { occasion: plan.occasion.clone(), summary: plan.summary.clone(), steps: steps.collect() })
}

fn ranges(name: &str, here: &str) -> Vec<Range> {
    let href = |word: &str| format!("/modules/{name}?since={word}");
    RANGES.into_iter().map(|(word, _, _)| Range { word, href: href(word), here: word == here }).collect()
}

/// A duration such as `3.1 ms`.
pub(super) fn took(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_begins_where_the_data_begin() {
        let hour = 3_600_000_000;
        assert_eq!(begins(0, hour, None), 0, "it is not known where the data begin");
        assert_eq!(begins(0, hour, Some(hour / 2)), hour / 2);
        assert_eq!(begins(0, hour, Some(-hour)), 0, "they begin before");
        assert_eq!(begins(0, hour, Some(hour - 1)), hour - SHORTEST, "an axis has a length");
    }

    #[test]
    fn a_reason_is_a_sentence() {
        assert_eq!(sentence("the application serves"), "The application serves.");
        assert_eq!(sentence("done."), "Done.");
        assert_eq!(sentence(""), "");
    }
}
