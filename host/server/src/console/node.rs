//! The overview of all modules of this node, worst first.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::attention::{Attention, spent};
use bellwether_core::moment::{Moment, plain};
use bellwether_core::permission::{COMMANDS_NEED, Permission};
use bellwether_core::snapshot::ModuleView;
use bellwether_core::verdict::Verdict;
use bellwether_core::why::next_step;

use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::{Handle, encoded, filters, html};
use crate::api::Caller;
use crate::api::status::{counts, never_loaded};

use self::lately::{Lately, Recent};

mod lately;

#[derive(Debug, Template)]
#[template(path = "node.html")]
struct NodePage {
    frame: Frame,
    headline: String,
    look: Look,
    tallies: Vec<Tally>,
    problems: Vec<String>,
    rows: Vec<ModuleRow>,
}

/// The number of modules in each state.
#[derive(Debug)]
struct Tally {
    count: usize,
    words: &'static str,
    look: Look,
}

/// One module on this node.
#[derive(Debug)]
struct ModuleRow {
    name: String,
    /// The page of the module; for one without an active version, that of its file.
    href: String,
    look: Look,
    /// The style of the cell: a held module stays conspicuous even if it is healthy.
    tone: &'static str,
    suspended: bool,
    spent: bool,
    since: Option<Time>,
    reason: String,
    /// What happens automatically or can be done; empty if nothing is needed.
    next: String,
    command: Option<String>,
    /// The button for the next step, if it is a command.
    button: Option<QuickButton>,
    answer: Look,
    checkers: Vec<CheckerTally>,
    restarts: Option<String>,
    lately: Lately,
    due: Option<Time>,
    step: Option<String>,
}

#[derive(Debug)]
struct CheckerTally {
    count: usize,
    look: Look,
}

#[derive(Debug)]
struct QuickButton {
    word: String,
    href: String,
    /// Why it is disabled, for this user or at present.
    idle: Option<String>,
}

/// The page of this node.
pub(super) async fn page(daemon: Handle, caller: Caller) -> Response {
    let snapshot = daemon.snapshot();
    let times = Times::new(daemon.clock());
    let now = daemon.clock().now();
    let recent = Recent::read(&daemon, &times).await;
    let mut modules: Vec<&ModuleView> = snapshot.modules.iter().map(AsRef::as_ref).collect();
    modules.sort_by_key(|module| (Attention::of(module), module.shown_since()));
    let mut rows: Vec<ModuleRow> = modules
        .iter()
        .map(|module| ModuleRow {
            lately: recent.of(module.name.as_str()),
            ..ModuleRow::new(module, &caller, &times, now)
        })
        .collect();
    // Modules that are not monitored come after those that are known to be down.
    let down = modules.iter().filter(|module| Attention::of(module) == Attention::Down).count();
    let not_in_force = daemon.not_in_force();
    let missing: Vec<ModuleRow> = not_in_force
        .iter()
        .filter_map(|(file, why)| {
            Some(ModuleRow::never_loaded(never_loaded(file, &snapshot)?, file, why, &recent))
        })
        .collect();
    let never = missing.len();
    rows.splice(down..down, missing);
    let headline = counts(&*daemon, &snapshot).headline();
    let page = NodePage {
        headline: headline.sentence,
        look: overall(headline.worst),
        tallies: tallies(&modules, never),
        problems: daemon.problems(),
        rows,
        frame: Frame::new(&daemon, caller, Page::Overview, "Node"),
    };
    html(StatusCode::OK, &page)
}

pub(super) fn overall(worst: Attention) -> Look {
    match worst {
        Attention::Down => Look { glyph: "failed", word: "down", tone: "bad" },
        Attention::Moving => Look { glyph: "restarting", word: "in transition", tone: "move" },
        Attention::Held => Look { glyph: "suspended", word: "held", tone: "held" },
        Attention::Warned => Look { glyph: "warned", word: "warned", tone: "warn" },
        Attention::Well => Look { glyph: "ready", word: "healthy", tone: "ok" },
    }
}

fn tallies(modules: &[&ModuleView], never_loaded: usize) -> Vec<Tally> {
    let count = |attention| modules.iter().filter(|module| Attention::of(module) == attention).count();
    let never = Tally { count: never_loaded, words: "without an active version", look: Look::never_loaded() };
    let mut tallies: Vec<Tally> = Attention::ALL
        .into_iter()
        .map(|attention| {
            let (words, glyph, tone) = match attention {
                Attention::Down => ("down", "failed", "bad"),
                Attention::Moving => ("in transition", "restarting", "move"),
                Attention::Held => ("suspended or stopped", "suspended", "held"),
                Attention::Warned => ("ready, with a warning", "warned", "warn"),
                Attention::Well => ("ready", "ready", "ok"),
            };
            Tally { count: count(attention), words, look: Look { glyph, word: words, tone } }
        })
        .collect();
    tallies.insert(1, never);
    tallies.retain(|tally| tally.count > 0);
    tallies
}

impl ModuleRow {
    fn new(module: &ModuleView, caller: &Caller, times: &Times, now: Moment) -> Self {
        let next = next_step(module, now);
        let within = plain(module.restarts_within);
        Self {
            name: module.name.to_string(),
            href: format!("/modules/{}", module.name),
            tone: if Attention::of(module) == Attention::Held { "held" } else { Look::module(module).tone },
            look: Look::module(module),
            suspended: module.desired.suspended,
            spent: spent(module),
            since: Some(times.of(module.shown_since())),
            reason: module.reason.clone(),
            next: if next.sentence == "Nothing to do." { String::new() } else { next.sentence },
            button: next.command.as_deref().and_then(|command| button(module, command, caller)),
            command: next.command,
            answer: quiet(module, Look::answer(module.ready)),
            checkers: checkers(module),
            restarts: Some(format!("{} of {} in {within}", module.restarts, module.restarts_allowed)),
            lately: Lately::default(),
            due: module.next.filter(|due| *due != Moment::NEVER).map(|due| times.of(due)),
            step: module.plan.as_ref().and_then(|plan| plan.steps.get(plan.step).cloned()),
        }
    }

    /// A module's file without an active version.
    fn never_loaded(name: &str, file: &str, why: &str, recent: &Recent) -> Self {
        Self {
            name: name.to_owned(),
            href: format!("/configuration?file={}#wrong", encoded(file)),
            look: Look::never_loaded(),
            tone: "bad",
            suspended: false,
            spent: false,
            since: recent.refused(file),
            reason: why.to_owned(),
            next:
                "No version of this file is active: the application is not monitored. A corrected file takes \
                   effect automatically."
                    .to_owned(),
            command: None,
            button: None,
            answer: Look::answer(false),
            checkers: Vec::new(),
            restarts: None,
            lately: recent.of(name),
            due: None,
            step: None,
        }
    }
}

/// The button for the next step. `command` is in the form of the command line: `start web`.
fn button(module: &ModuleView, command: &str, caller: &Caller) -> Option<QuickButton> {
    let word = command.split(' ').next()?;
    let command = word.parse().ok()?;
    let idle = match Permission::shown(command, caller.role, module) {
        Permission::Forbidden => Some(format!("needs the role {COMMANDS_NEED}")),
        Permission::Idle(why) => Some(why),
        Permission::Granted | Permission::Unconfirmed | Permission::Moved(_) => None,
    };
    Some(QuickButton { word: capitalised(word), href: format!("/modules/{}/{word}", module.name), idle })
}

/// Capitalises a word: `start` becomes `Start`.
pub(super) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A module that should not run raises no alarm when it does not run.
fn quiet(module: &ModuleView, look: Look) -> Look {
    if module.desired.started || look.tone == "ok" { look } else { Look { tone: "idle", ..look } }
}

fn checkers(module: &ModuleView) -> Vec<CheckerTally> {
    let mut tallies: Vec<CheckerTally> = Vec::new();
    let mut views: Vec<_> = module.checkers.iter().collect();
    views.sort_by_key(|checker| match checker.verdict {
        _ if !checker.watched => 3,
        Verdict::Down => 0,
        Verdict::Undecided => 1,
        Verdict::Up => 2,
    });
    for look in views.into_iter().map(|checker| quiet(module, Look::verdict(checker))) {
        match tallies.iter_mut().find(|tally| tally.look == look) {
            Some(tally) => tally.count += 1,
            None => tallies.push(CheckerTally { count: 1, look }),
        }
    }
    tallies
}
