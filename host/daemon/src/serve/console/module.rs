//! One module: how it is, why, what happened to it, what can be done.

use std::time::Duration;

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::access::Role;
use bellwether_core::attention::{Attention, spent};
use bellwether_core::command::Command;
use bellwether_core::consequence::Consequence;
use bellwether_core::moment::{Moment, plain};
use bellwether_core::record::Record;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::why::why;
use serde::Deserialize;

use self::chart::{Chart, charts};
use self::checkers::{CheckerRow, checkers};
use self::log::{Log, logs};
use self::plans::{PastPlan, plans};
use self::timeline::{Known, Timeline, timeline};
use super::farm::capitalised;
use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::missing::not_there;
use super::{Handle, filters, html};
use crate::journal::{ChartQuery, Entry, RecordQuery};
use crate::serve::api::Caller;
use crate::serve::wire::WhyAnswer;
use crate::serve::wire::configuration::module_path;

mod chart;
mod checkers;
mod log;
mod plans;
pub(super) mod run;
mod timeline;

pub(super) use self::timeline::kind_look;

/// What can be chosen, in seconds, as it is written in the address.
const RANGES: [(&str, i64); 5] =
    [("15m", 900), ("1h", 3_600), ("6h", 21_600), ("1d", 86_400), ("7d", 604_800)];
/// More records than these are not drawn.
const DRAWN: usize = 1_000;
/// The story of the latest change fits into so many records.
const STORY: usize = 500;
/// Points of a chart, as they are read: an hour in the finest resolution there is. Fewer are drawn.
const POINTS: u64 = 360;

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
    why: WhyView,
    buttons: Vec<Button>,
    restarts: u32,
    allowed: u32,
    within: String,
    drain: String,
    processes: Vec<String>,
    under_way: Option<UnderWay>,
    checkers: Vec<CheckerRow>,
    may_run: bool,
    ranges: Vec<Range>,
    range: &'static str,
    timeline: Timeline,
    charts: Vec<Chart>,
    plans: Vec<PastPlan>,
    logs: Vec<Log>,
    problem: Option<String>,
    /// What is wrong with its file as it is now.
    refused: Vec<String>,
}

/// What led to it.
#[derive(Debug)]
struct WhyView {
    open: bool,
    links: Vec<(Time, &'static str, String)>,
}

#[derive(Debug)]
struct Button {
    word: String,
    href: String,
    idle: Option<String>,
    danger: bool,
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

/// Behind the question mark.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    since: String,
}

/// `GET /modules/M?since=1h`
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let snapshot = daemon.snapshot();
    let Some(module) = snapshot.module(&name) else {
        return not_there(&daemon, caller, format!("There is no module `{name}` on this node."));
    };
    let (word, seconds) = RANGES.into_iter().find(|(word, _)| *word == asked.since).unwrap_or(RANGES[1]);
    let clock = daemon.clock();
    let now = clock.now();
    let until = clock.wall_micros(now);
    let since = until - seconds * 1_000_000;
    let past = Past::read(&daemon, module, since, until).await;
    let times = Times::new(clock);
    let story: Vec<Record> = past.story.iter().map(|entry| entry.record.clone()).collect();
    let answer = WhyAnswer::new(module.name.clone(), why(module, &story, now), &past.story, clock);
    let may = caller.role.may(Role::Control);
    let mut frame = Frame::new(&daemon, caller, Page::Elsewhere, &name);
    frame.about = Some(name.clone());
    let page = ModulePage {
        frame,
        look: Look::module(module),
        answer: Look::answer(module.ready),
        since: times.of(module.shown_since()),
        reason: module.reason.clone(),
        suspended: module.wish.suspended,
        spent: spent(module),
        due: module.next.filter(|due| *due != Moment::NEVER).map(|due| times.of(due)),
        next: answer.next.clone(),
        command: answer.command.clone(),
        why: why_view(module, answer, &times),
        buttons: buttons(module, may),
        restarts: module.restarts,
        allowed: module.restarts_allowed,
        within: plain(module.restarts_within),
        drain: plain(module.drain),
        processes: processes(module),
        under_way: under_way(module),
        checkers: checkers(module, &times),
        may_run: may,
        ranges: ranges(&name, word),
        range: word,
        timeline: timeline(module, past.known(), since, until, &times),
        charts: charts(&past.chart, since / 1_000_000, until / 1_000_000),
        plans: plans(&past.story, &times),
        logs: logs(&daemon, module).await,
        problem: past.problem,
        refused: refused(daemon.problems(), &name),
        name,
    };
    html(StatusCode::OK, &page)
}

/// What the journal has of it.
struct Past {
    records: Vec<Entry>,
    /// Of the daemon, and of files that belong to no module.
    around: Vec<Entry>,
    story: Vec<Entry>,
    chart: crate::journal::Chart,
    problem: Option<String>,
}

impl Past {
    fn known(&self) -> Known<'_> {
        let cut = self.records.len() >= DRAWN;
        Known { records: &self.records, around: &self.around, measured: &self.chart, cut }
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
        let (records, story, daemons, reloads, chart) = tokio::join!(
            daemon.records(RecordQuery { since: Some(since), limit: DRAWN, ..own.clone() }),
            daemon.records(RecordQuery { limit: STORY, ..own }),
            daemon.records(of_kind("daemon")),
            daemon.records(of_kind("reload")),
            daemon.chart(query),
        );
        let mut problem = None;
        let mut told = |read: Result<Vec<Entry>, crate::journal::NotRead>| {
            read.unwrap_or_else(|error| {
                problem = Some(error.to_string());
                Vec::new()
            })
        };
        let (records, story) = (told(records), told(story));
        let mut around = told(daemons);
        around.extend(told(reloads).into_iter().filter(|entry| entry.module.is_none()));
        let chart = chart.unwrap_or_else(|error| {
            problem = Some(error.to_string());
            crate::journal::Chart { step_s: 1, series: Vec::new() }
        });
        Self { records, around, story, chart, problem }
    }
}

/// Those of the node's problems that are about its file.
fn refused(problems: Vec<String>, name: &str) -> Vec<String> {
    let file = format!("{}:", module_path(&format!("{name}.toml")));
    problems.into_iter().filter(|problem| problem.starts_with(&file)).collect()
}

fn why_view(module: &ModuleView, answer: WhyAnswer, times: &Times) -> WhyView {
    let links = answer.chain.into_iter().map(|link| {
        let depth = ["depth-0", "depth-1", "depth-2"].get(link.role.depth()).copied().unwrap_or("depth-2");
        (times.told(link.at), depth, link.text)
    });
    WhyView { open: Attention::of(module) < Attention::Held, links: links.collect() }
}

fn buttons(module: &ModuleView, may: bool) -> Vec<Button> {
    let button = |consequence: Consequence| Button {
        word: capitalised(consequence.command.word()),
        href: format!("/modules/{}/{}", module.name, consequence.command),
        danger: consequence.takes_out,
        idle: if may { consequence.idle } else { Some(format!("needs the role {}", Role::Control)) },
    };
    // Most often there is nothing to confirm: the button is there when there is.
    let offered = |c: &Consequence| c.command != Command::Confirm || c.idle.is_none();
    Consequence::of_all(module, 0).into_iter().filter(offered).map(button).collect()
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
    let range = |(word, _)| Range { word, href: format!("/modules/{name}?since={word}"), here: word == here };
    RANGES.into_iter().map(range).collect()
}

/// `3.1 ms`
pub(super) fn took(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    match took.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}
