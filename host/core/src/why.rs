//! Explains the state of a module in plain words.
//!
//! Reads the journal's last records of one module backwards to the last time it was settled, and lists what has
//! happened since: observation → verdict → incident → decision → plan → steps → state. A headline precedes it, and
//! the next step follows it.

use serde::{Deserialize, Serialize};

use crate::counting::counted;
use crate::moment::{Moment, plain};
use crate::observation::Status;
use crate::plan::{Incident, PastObservation};
use crate::policy::BudgetPolicy;
use crate::record::{Record, RecordKind};
use crate::snapshot::{CheckerView, ModuleView, ON_PROBATION};
use crate::state::StateName;
use crate::verdict::Verdict;

mod brief;
mod inactive;

pub use self::brief::{Brief, BriefLine, brief};
pub use self::inactive::{Inactive, Remedy};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The state, and why it is not ready if it is not.
    pub headline: String,
    /// Since when it has this state.
    pub since: Moment,
    /// What led to it, the latest last.
    pub chain: Vec<Link>,
    /// What else waits for a person, one sentence each: files that are not active.
    pub waits: Vec<String>,
    /// What will happen by itself, or what a person can do.
    pub next: NextStep,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub at: Moment,
    /// Its role in the chain.
    pub role: Role,
    /// The event in plain words.
    pub text: String,
}

/// The role of a link in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The result of a checker.
    Observation,
    /// The verdict of a checker.
    Verdict,
    /// A checker went down.
    Incident,
    /// A decision of the core.
    Decision,
    /// The plan that was made.
    Plan,
    /// A step that was carried out.
    Step,
    /// The module's new state.
    State,
    Command,
    /// Something else (a reload, the daemon itself).
    Note,
    /// Stands for links that were omitted.
    Omission,
}

impl Role {
    /// How far to indent it below the changes of state.
    pub fn depth(self) -> usize {
        match self {
            Self::State | Self::Command | Self::Note | Self::Omission => 0,
            Self::Verdict | Self::Incident | Self::Decision | Self::Plan => 1,
            Self::Observation | Self::Step => 2,
        }
    }
}

/// The next step of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// The step in plain words.
    pub sentence: String,
    /// What a user can type after `bellwether`: `start web`.
    pub command: Option<String>,
}

/// The maximum number of links.
pub const MAX_LINKS: usize = 40;
/// The number of those from the beginning of the story; the others are from its end.
const FIRST_LINKS: usize = 12;

/// Explains `module` by its own records, the latest last. Records of other modules are ignored.
pub fn why(module: &ModuleView, records: &[Record], now: Moment) -> Why {
    let own: Vec<&Record> = records.iter().filter(|r| r.module.as_ref() == Some(&module.name)).collect();
    let mut chain: Vec<Link> =
        own.get(story_start(module, &own)..).unwrap_or_default().iter().flat_map(|r| links(r)).collect();
    // The observation comes before the verdict that followed from it.
    chain.sort_by_key(|link| (link.at, link.role != Role::Observation));
    omit_the_middle(&mut chain);
    chain.extend(evidence(module));
    chain.extend(on_probation(module));
    let next = next_step(module, now);
    Why { headline: headline(module), since: module.since, chain, waits: Vec::new(), next }
}

fn settled(state: StateName) -> bool {
    match state {
        StateName::Up | StateName::Stopped => true,
        StateName::Starting
        | StateName::Restarting
        | StateName::Backoff
        | StateName::Failed
        | StateName::Draining
        | StateName::Stopping
        | StateName::Waiting => false,
    }
}

/// The beginning of the story of the latest change: after the last time the module was settled before its present
/// state.
fn story_start(module: &ModuleView, own: &[&Record]) -> usize {
    let mut settlements = own.iter().enumerate().rev().filter_map(|(index, record)| match &record.kind {
        RecordKind::State { to, .. } if settled(*to) => Some((index, *to)),
        _ => None,
    });
    let Some((last, to)) = settlements.next() else { return 0 };
    if to != module.state {
        return last + 1;
    }
    if to == StateName::Up && !module.ready {
        // The cause of its being out of the load balancer happened since.
        return last;
    }
    settlements.next().map_or(0, |(before, _)| before + 1)
}

fn links(record: &Record) -> Vec<Link> {
    let role = match &record.kind {
        RecordKind::Incident { incident } => {
            let mut links = observations(incident);
            links.push(Link { at: record.at, role: Role::Incident, text: record.kind.sentence() });
            return links;
        }
        RecordKind::Verdict { .. } | RecordKind::CannotTell { .. } => Role::Verdict,
        RecordKind::Decision { .. } => Role::Decision,
        RecordKind::State { .. } => Role::State,
        RecordKind::Plan { .. } | RecordKind::NoPlan { .. } => Role::Plan,
        RecordKind::Step { .. } => Role::Step,
        RecordKind::Command { .. } => Role::Command,
        RecordKind::Access { .. }
        | RecordKind::Farm { .. }
        | RecordKind::Reload { .. }
        | RecordKind::Quarantine { .. }
        | RecordKind::Approval { .. }
        | RecordKind::Daemon { .. } => Role::Note,
    };
    vec![Link { at: record.at, role, text: record.kind.sentence() }]
}

/// The last pass of the checker and the failures after it; equal ones in a row are combined.
fn observations(incident: &Incident) -> Vec<Link> {
    let good = |o: &PastObservation| matches!(o.status, Status::Pass | Status::Warn);
    let from = incident.observations.iter().rposition(good).unwrap_or(0);
    let told = incident.observations.get(from..).unwrap_or_default();
    let same = |a: &PastObservation, b: &PastObservation| a.status == b.status && a.summary == b.summary;
    told.chunk_by(same)
        .filter_map(|run| {
            let first = run.first()?;
            let times = if run.len() > 1 { format!(" ({} times)", run.len()) } else { String::new() };
            let text =
                format!("checker `{}` saw {}: {}{times}", incident.checker, first.status, first.summary);
            Some(Link { at: first.at, role: Role::Observation, text })
        })
        .collect()
}

fn omit_the_middle(chain: &mut Vec<Link>) {
    let Some(left_out) = chain.len().checked_sub(MAX_LINKS).filter(|n| *n > 0) else { return };
    // The link that says so takes a place, too.
    let end = FIRST_LINKS + left_out + 1;
    let Some(at) = chain.get(FIRST_LINKS).map(|link| link.at) else { return };
    let text = format!("… {} more (`bellwether events` lists all)", left_out + 1);
    chain.splice(FIRST_LINKS..end, [Link { at, role: Role::Omission, text }]);
}

/// The last observations of the checkers that keep it from being ready.
fn evidence(module: &ModuleView) -> impl Iterator<Item = Link> + '_ {
    culprits(module).filter(|_| !module.ready).filter_map(|checker| {
        let last = checker.last.as_ref()?;
        let text = format!("last run of checker `{}`: {}: {}", checker.name, last.status, last.summary);
        Some(Link { at: last.at, role: Role::Observation, text })
    })
}

/// Results of checkers that have no effect yet, even if everything else is healthy.
fn on_probation(module: &ModuleView) -> impl Iterator<Item = Link> + '_ {
    let waiting = module.checkers.iter().filter(|checker| checker.watched && checker.on_probation);
    waiting.filter_map(|checker| {
        let last = checker.last.as_ref()?;
        let CheckerView { name, .. } = checker;
        let text =
            format!("checker `{name}` is {ON_PROBATION}; its last run: {}: {}", last.status, last.summary);
        Some(Link { at: last.at, role: Role::Observation, text })
    })
}

/// Watched checkers that affect the health answer and are not up.
fn culprits(module: &ModuleView) -> impl Iterator<Item = &CheckerView> {
    let has_a_say = |c: &&CheckerView| c.watched && c.on_down.gates_health() && !c.on_probation;
    module.checkers.iter().filter(has_a_say).filter(|c| c.verdict != Verdict::Up)
}

fn headline(module: &ModuleView) -> String {
    let ModuleView { name, state, reason, .. } = module;
    if module.ready {
        return format!("{name} is {state} and ready");
    }
    let reason = reason.trim_end_matches('.');
    if reason.is_empty() {
        format!("{name} is {state} and not ready")
    } else {
        format!("{name} is {state} and not ready: {reason}")
    }
}

/// What will happen automatically, or what a user can do.
pub fn next_step(module: &ModuleView, now: Moment) -> NextStep {
    let name = &module.name;
    let tell = |sentence: String| NextStep { sentence, command: None };
    let offer =
        |sentence: String, command: &str| NextStep { sentence, command: Some(format!("{command} {name}")) };
    if module.desired.suspended {
        let lasts = module.desired.suspended_until.map(|until| plain(until.since(now)));
        let sentence = match lasts {
            None => "It is suspended: its checkers run, but no automatic action is taken. To resume:".into(),
            Some(lasts) => format!(
                "It is suspended for another {lasts}: its checkers run, but no automatic action is taken until then. To resume now:"
            ),
        };
        return offer(sentence, "resume");
    }
    let due = module.next.map(|next| plain(next.since(now)));
    match module.state {
        // Who cannot tell does not come up by being confirmed either.
        StateName::Up if module.ready => blind(module).unwrap_or_else(|| match waits_for_proof(module) {
            Some(sentence) => offer(sentence, "confirm"),
            None => tell(nothing_to_do(module)),
        }),
        StateName::Up | StateName::Starting | StateName::Restarting => in_progress(module, due.as_deref()),
        StateName::Backoff => offer(
            match due {
                Some(due) => format!("The next automatic attempt is in {due}. To try now:"),
                None => "It is retried automatically. To try now:".into(),
            },
            "start",
        ),
        StateName::Failed => offer(
            "It waits for an operator. When the cause is fixed, this starts it and resets the count of restarts:"
                .into(),
            "start",
        ),
        StateName::Draining | StateName::Stopping => tell(going_down(module, due.as_deref())),
        StateName::Stopped => offer("It stays stopped, even after a reboot. To start it:".into(), "start"),
        StateName::Waiting => match culprits(module).next() {
            Some(checker) => NextStep {
                sentence: format!(
                    "It starts automatically when checker `{}` is up. To run that checker now:",
                    checker.name
                ),
                command: Some(format!("check {name} {}", checker.name)),
            },
            None => tell("It starts automatically when its prerequisites are up.".into()),
        },
    }
}

/// The application serves, and checkers that were edited have not been up since.
fn waits_for_proof(module: &ModuleView) -> Option<String> {
    let waiting = module.checkers.iter().filter(|checker| checker.on_probation);
    let names: Vec<String> = waiting.map(|checker| format!("`{}`", checker.name)).collect();
    let (word, verb) = match names.len() {
        0 => return None,
        1 => ("Checker", "is"),
        _ => ("Checkers", "are"),
    };
    Some(format!(
        "{word} {} {verb} {ON_PROBATION}. Until then the results have no effect: check that the file is \
         correct. To confirm it:",
        names.join(", ")
    ))
}

/// The application serves, and a checker cannot tell whether it does: nothing else shows that.
fn blind(module: &ModuleView) -> Option<NextStep> {
    let cannot_tell = |checker: &&CheckerView| {
        let unknown = checker.last.as_ref().is_some_and(|last| last.status == Status::Unknown);
        checker.watched && checker.verdict == Verdict::Undecided && unknown
    };
    let mut blind = module.checkers.iter().filter(cannot_tell);
    let first = blind.next()?;
    let summary = first.last.as_ref().map_or("", |last| last.summary.trim_end_matches('.'));
    let others = match blind.count() {
        0 => String::new(),
        others => format!(" {} no result either.", counted(others, "more checker has", "more checkers have")),
    };
    let sentence = format!(
        "Checker `{}` cannot tell whether the application works: {summary}.{others} It monitors nothing until this \
         is fixed. To run it now:",
        first.name
    );
    Some(NextStep { sentence, command: Some(format!("check {} {}", module.name, first.name)) })
}

/// What is said of a module that needs nobody.
pub const NOTHING_TO_DO: &str = "Nothing to do.";

fn nothing_to_do(module: &ModuleView) -> String {
    if module.restarts > 0 && module.restarts >= module.restarts_allowed {
        let budget = BudgetPolicy { restarts: module.restarts_allowed, within: module.restarts_within };
        return format!(
            "Nothing to do now, but {}: at the next incident it stops and waits for an operator.",
            budget.all_spent()
        );
    }
    NOTHING_TO_DO.into()
}

/// A plan is in progress, or a checker must come up first.
fn in_progress(module: &ModuleView, due: Option<&str>) -> NextStep {
    if let Some(plan) = &module.plan {
        let step = plan.steps.get(plan.step).map_or("its end", String::as_str);
        let sentence = format!(
            "Its plan is being carried out: {}, step {} of {} ({step}). Then its checkers must come up.",
            plan.summary,
            (plan.step + 1).min(plan.steps.len().max(1)),
            plan.steps.len().max(1),
        );
        return NextStep { sentence, command: None };
    }
    let missing: Vec<String> = culprits(module).map(|c| format!("`{}`", c.name)).collect();
    let Some(first) = culprits(module).next() else {
        return NextStep { sentence: "It continues automatically.".into(), command: None };
    };
    let limit = match due {
        Some(due) if module.state == StateName::Starting => {
            format!(" (if that takes longer than {due}, the start has failed)")
        }
        _ => String::new(),
    };
    let (word, verb) = if missing.len() == 1 { ("checker", "is") } else { ("checkers", "are") };
    NextStep {
        sentence: format!(
            "It becomes ready automatically when {word} {} {verb} up{limit}. To run one now:",
            missing.join(", ")
        ),
        command: Some(format!("check {} {}", module.name, first.name)),
    }
}

fn going_down(module: &ModuleView, due: Option<&str>) -> String {
    let then = if module.desired.started { "Then it is started again." } else { "Then it stays stopped." };
    match (module.state, due) {
        (StateName::Draining, Some(due)) => {
            format!("The application still serves; it is stopped in {due}. {then}")
        }
        (StateName::Draining, None) => format!("The application still serves; it is stopped soon. {then}"),
        _ => format!("The application is being stopped, by force if it takes too long. {then}"),
    }
}

#[cfg(test)]
mod tests;
