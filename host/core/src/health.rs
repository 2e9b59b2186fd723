//! The answers for load balancers: a function of a question and a snapshot.
//!
//! ```text
//!                     ┌─ /health, /health/MODULE ──────▶ 200 or 503, `ok` or one line with the reason
//!  path ─▶ Question ──┤    the same with Accept ───────▶ application/health+json (report.rs)
//!                     ├─ /var/modules/MODULE/ready.txt ▶ 200 or 404 (set up for SafeKit)
//!                     ├─ /haproxy, /haproxy/MODULE ────▶ 200, 404 while it drains, or 503 (disable-on-404)
//!                     └─ anything else ────────────────▶ 404
//!  a connection for `HAProxy`'s agent-check ─────────────▶ one line (agent.rs)
//!  gRPC's health protocol ───────────────────────────────▶ SERVING or NOT_SERVING (grpc.rs)
//! ```
//! While the daemon starts, a question has no answer until the application has been checked ([`can_tell`]). Where a
//! module's file asks for it, a positive answer also tells whether to send less traffic ([`Load`]): in Envoy's
//! `x-envoy-degraded`, and in the weight that an agent sends to `HAProxy`. The answer is positive only while the
//! core is running, and only for a module that is ready in [`StateName::Up`]; otherwise it is negative. Every
//! client may ask, so the text is short, on one line, and passes through `line.rs`, which masks what looks like a
//! secret.

mod agent;
mod grpc;
mod line;
mod report;

use std::borrow::Cow;

pub use self::agent::{Agent, agent_line};
pub use self::grpc::{ServingStatus, serving_status};
pub use self::report::{Check, Level, Report};
use crate::moment::Moment;
use crate::snapshot::{Load, ModuleView, Snapshot};
use crate::state::StateName;

/// The maximum length of a plain answer, in bytes.
pub const MAX_PLAIN: usize = 200;

const BEGINS: &str = "the daemon is starting: it is not known yet whether the application serves";
const STALLED: &str = "the daemon's core has stalled";
const NO_MODULES: &str = "no module is loaded";
/// The answer for a module that is not there.
pub const NO_SUCH_MODULE: &str = "no module of that name";

/// The subject of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// All modules together: ready only if there are some and all of them serve.
    All,
    /// The module of that name.
    Module(&'a str),
}

/// A question, and the form of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// For a load balancer: 200 or 503.
    Health(Subject<'a>),
    /// The same with all checkers, as `application/health+json`.
    Report(Subject<'a>),
    /// For a load balancer that was configured for `SafeKit`: 200 or 404.
    ReadyFile(&'a str),
    /// For `HAProxy` with `http-check disable-on-404`: 200, 404 while it drains and still serves existing sessions,
    /// or 503.
    DisableOn404(Subject<'a>),
    /// Not a path of the health endpoint: 404.
    Elsewhere,
}

impl<'a> Question<'a> {
    /// The question in the target of an HTTP request (RFC 9112, section 3.2); `report`: whether its `Accept` field
    /// [asks for a report](asks_for_report).
    ///
    /// A query and a slash at the end are ignored. `/` and `*`, which some load balancers send by default, mean
    /// `/health`.
    pub fn new(target: &'a str, report: bool) -> Self {
        let path = path_of(target);
        let path = path.strip_suffix('/').unwrap_or(path);
        let subject = match path {
            "" | "*" | "/health" => Subject::All,
            _ => match path.strip_prefix("/health/") {
                Some(name) if is_segment(name) => Subject::Module(name),
                Some(_) => return Self::Elsewhere,
                None => return Self::of_others(path),
            },
        };
        if report { Self::Report(subject) } else { Self::Health(subject) }
    }

    /// Paths for load balancers with conventions of their own.
    fn of_others(path: &'a str) -> Self {
        if path == "/haproxy" {
            return Self::DisableOn404(Subject::All);
        }
        if let Some(name) = path.strip_prefix("/haproxy/").filter(|name| is_segment(name)) {
            return Self::DisableOn404(Subject::Module(name));
        }
        let name = path.strip_prefix("/var/modules/").and_then(|rest| rest.strip_suffix("/ready.txt"));
        match name {
            Some(name) if is_segment(name) => Self::ReadyFile(name),
            _ => Self::Elsewhere,
        }
    }
}

/// The path of a request target, which may be a whole URL and carry a query.
fn path_of(target: &str) -> &str {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    }
}

fn is_segment(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Whether the value of an `Accept` field (RFC 9110, section 12.5.1) names
/// `application/health+json`. A wildcard does not: plain is the default.
pub fn asks_for_report(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/health+json"));
        let refused = parts.filter_map(|part| part.strip_prefix("q=")).any(|q| q.parse() == Ok(0.0));
        named && !refused
    })
}

/// The HTTP status codes of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 200: the subject is ready.
    Ok,
    /// 404: no such page, or not ready in the convention of `SafeKit`.
    NotFound,
    /// 503: the subject is not ready.
    Unavailable,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// One line of `text/plain` with its line end, of at most [`MAX_PLAIN`] bytes.
    Plain(Cow<'static, str>),
    /// To be written as `application/health+json`.
    Report(Box<Report>),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthAnswer {
    /// Yes or no.
    pub code: Code,
    /// The answer in words.
    pub body: Body,
    /// Less traffic should be sent to this node (Envoy's `x-envoy-degraded`).
    pub degraded: bool,
}

/// The state of the core that creates the snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The daemon starts: not all modules are loaded yet.
    Begins,
    /// All of them are loaded, and the core is running.
    Turns,
    /// It has not been running for too long.
    Stalled,
}

/// Whether a question can be answered correctly yet. It cannot while the daemon starts and has not checked the
/// application: a negative answer would be as wrong as a positive one.
pub fn can_tell(snapshot: &Snapshot, core: Core, question: Question<'_>) -> bool {
    let is_looked_at = |name: &str| !snapshot.looking.iter().any(|module| module.as_str() == name);
    match question {
        Question::Health(Subject::All)
        | Question::Report(Subject::All)
        | Question::DisableOn404(Subject::All) => core != Core::Begins && snapshot.looking.is_empty(),
        Question::Health(Subject::Module(name))
        | Question::Report(Subject::Module(name))
        | Question::DisableOn404(Subject::Module(name))
        | Question::ReadyFile(name) => match snapshot.module(name) {
            Some(_) => is_looked_at(name),
            None => core != Core::Begins,
        },
        Question::Elsewhere => true,
    }
}

/// Answers a question. `timestamp` formats a moment as RFC 3339.
pub fn answer(
    snapshot: &Snapshot,
    core: Core,
    question: Question<'_>,
    timestamp: impl Fn(Moment) -> String,
) -> HealthAnswer {
    match question {
        Question::Health(subject) => plain(snapshot, core, subject, |_| Code::Unavailable),
        Question::ReadyFile(name) => plain(snapshot, core, Subject::Module(name), |_| Code::NotFound),
        Question::DisableOn404(subject) => {
            let no = |standing: &Standing<'_>| {
                if standing.drains() { Code::NotFound } else { Code::Unavailable }
            };
            plain(snapshot, core, subject, no)
        }
        Question::Report(subject) => {
            let standing = standing(snapshot, core, subject);
            let ready = matches!(standing, Standing::Ready);
            let report = report::report(snapshot, subject, &standing, timestamp);
            HealthAnswer {
                code: if ready { Code::Ok } else { Code::Unavailable },
                body: Body::Report(Box::new(report)),
                degraded: ready && load(snapshot, subject) == Some(Load::Degraded),
            }
        }
        Question::Elsewhere => {
            let body = Body::Plain("not found\n".into());
            HealthAnswer { code: Code::NotFound, body, degraded: false }
        }
    }
}

fn plain(
    snapshot: &Snapshot,
    core: Core,
    subject: Subject<'_>,
    no: impl Fn(&Standing<'_>) -> Code,
) -> HealthAnswer {
    match standing(snapshot, core, subject) {
        Standing::Ready => HealthAnswer {
            code: Code::Ok,
            body: Body::Plain("ok\n".into()),
            degraded: load(snapshot, subject) == Some(Load::Degraded),
        },
        standing => HealthAnswer {
            code: no(&standing),
            body: Body::Plain(standing.sentence().into()),
            degraded: false,
        },
    }
}

/// How much traffic the subject asks for, if load balancers are to be told.
fn load(snapshot: &Snapshot, subject: Subject<'_>) -> Option<Load> {
    match subject {
        Subject::Module(name) => snapshot.module(name)?.load,
        Subject::All => {
            let mut told = snapshot.modules.iter().filter_map(|module| module.load);
            let first = told.next()?;
            Some(if told.chain([first]).any(|load| load == Load::Degraded) { Load::Degraded } else { first })
        }
    }
}

/// Whether the subject serves, and if not, the reason.
#[derive(Debug, Clone, Copy)]
enum Standing<'a> {
    /// It is ready to serve.
    Ready,
    /// The daemon starts, and has not loaded it yet.
    Begins,
    /// The core has been stalled for too long: the snapshot is outdated.
    Stalled,
    /// There are no modules.
    NoModules,
    /// There is no module of that name.
    NoSuchModule,
    /// This one does not serve. `others` is the number of others that do not.
    NotReady { module: &'a ModuleView, named: bool, others: usize },
}

fn standing<'a>(snapshot: &'a Snapshot, core: Core, subject: Subject<'_>) -> Standing<'a> {
    if core == Core::Stalled {
        return Standing::Stalled;
    }
    match subject {
        Subject::Module(name) => match snapshot.module(name) {
            None if core == Core::Begins => Standing::Begins,
            None => Standing::NoSuchModule,
            Some(module) if serves(module) => Standing::Ready,
            Some(module) => Standing::NotReady { module, named: false, others: 0 },
        },
        // A module that is not loaded yet may not serve.
        Subject::All if core == Core::Begins => Standing::Begins,
        Subject::All if snapshot.modules.is_empty() => Standing::NoModules,
        Subject::All => {
            let not_ready = || snapshot.modules.iter().map(AsRef::as_ref).filter(|m| !serves(m));
            match not_ready().min_by_key(|m| agent::precedence(m.state)) {
                None => Standing::Ready,
                Some(module) => Standing::NotReady { module, named: true, others: not_ready().count() - 1 },
            }
        }
    }
}

/// The answer is positive only in Up, whatever else the snapshot claims.
fn serves(module: &ModuleView) -> bool {
    module.ready && module.state == StateName::Up
}

impl Standing<'_> {
    /// Whether a drain is the only obstacle: existing sessions are still served.
    fn drains(&self) -> bool {
        matches!(self, Self::NotReady { module, .. } if module.state == StateName::Draining)
    }

    /// The reason: `web: restarting: …`. Not escaped yet.
    fn reason(&self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Begins => BEGINS.to_owned(),
            Self::Stalled => STALLED.to_owned(),
            Self::NoModules => NO_MODULES.to_owned(),
            Self::NoSuchModule => NO_SUCH_MODULE.to_owned(),
            Self::NotReady { module, named, others } => {
                let name = if *named { format!("{}: ", module.name) } else { String::new() };
                let more = match others {
                    0 => String::new(),
                    n => format!(" (and {n} more not ready)"),
                };
                // The count comes first, because the end of a long reason is cut off.
                let room = MAX_PLAIN.saturating_sub(name.len() + more.len() + 32);
                let reason = line::shown(&module.reason, room);
                format!("{name}{}: {reason}{more}", module.state)
            }
        }
    }

    /// The whole plain answer.
    fn sentence(&self) -> String {
        let mut sentence = match self {
            Self::NoSuchModule => NO_SUCH_MODULE.to_owned(),
            _ => line::shown(&format!("not ready: {}", self.reason()), MAX_PLAIN - 1),
        };
        sentence.push('\n');
        sentence
    }
}

#[cfg(test)]
mod tests;
