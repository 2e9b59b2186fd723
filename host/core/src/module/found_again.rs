//! An application that was up when it was watched last: is it there still, and as it was?
//!
//! ```text
//!   was up ── is looked at ─┬─ has ended ─────────────▶ an incident like any other: restarted, and counted
//!                           ├─ runs, and is the same ─▶ Up, ready by the verdicts of the last core
//!                           │                             │ each has run   │ one of them is late
//!                           │                             ▼                ▼
//!                           │                            Up          Up, not ready until it has run
//!                           └─ runs, and is not known ▶ Starting, settles
//! ```
//! A daemon that is restarted has no reason to say no of an application that serves, and a load
//! balancer would take the node out. What is known is only carried over if the application is seen
//! to be the same: its process runs, and ran when the last core knew it; or, where no checker looks
//! at processes, every checker has run and saw that it is well. A checker that runs and fails counts
//! as if there had been one core all along. What is known of a checker that was edited since belongs
//! to the one before: it is [on probation](super::probation), and only what it sees itself is used.
//!
//! Between two daemons nothing sees a death. The story goes on from where it was: the state that is told
//! next follows the one that was told last. While the module's file is away, people look after the
//! application themselves: it is found again all the same, and what has ended is started as usual.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::CheckerName;
use crate::memory::Serving;
use crate::moment::{Moment, plain};
use crate::observation::Status;
use crate::outbox::Outbox;
use crate::plan::Incident;
use crate::policy::{CheckerKind, OnDown};
use crate::record::RecordKind;
use crate::verdict::Verdict;

use super::checker::Checker;
use super::checkers::Keeper;
use super::moves::Cause;
use super::starting::uptime;
use super::{INCIDENTS, Module, State};

/// Verdicts of the last core count for so long, or for as long as one run of the slowest checker may take.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// How exactly it is known when a process was started: its age is measured a little before it is told.
const ROUNDING: Duration = Duration::from_secs(1);
/// So many process ids are named.
const NAMED: usize = 3;

/// Whether an application is up, or was and nothing has been done since to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Service {
    /// It is not.
    #[default]
    Over,
    /// It is.
    Lasts,
    /// It was when an earlier core watched it to its own end. No state has been told since.
    Watched,
    /// It was when the module's file was there last. No state has been told since.
    Unattended,
}

impl Service {
    /// What an earlier core says of it; `away`: the module's file has been away since.
    pub(super) fn before(serves: bool, away: bool) -> Self {
        match (serves, away) {
            (false, _) => Self::Over,
            (true, false) => Self::Lasts,
            (true, true) => Self::Unattended,
        }
    }

    pub(super) fn lasts(self) -> bool {
        self != Self::Over
    }

    /// Up is the state that was told last, and not by this core.
    pub(super) fn is_untold(self) -> bool {
        matches!(self, Self::Watched | Self::Unattended)
    }
}

impl Module {
    /// Whether this core has yet to find out whether the application runs.
    pub(crate) fn is_first_look(&self) -> bool {
        self.first_look
    }

    /// Sees whether the application is as it was. What comes of it is told, not the look.
    pub(super) fn look_again(&mut self, out: &mut Outbox<'_>) {
        self.begin_look(true, out);
        "looking whether the application runs as before".clone_into(&mut self.reason);
        self.since = out.now;
        self.unremembered = true;
        if self.service == Service::Lasts {
            self.service = Service::Watched;
        }
    }

    /// A look has found that the application runs.
    pub(super) fn is_found(&mut self, out: &mut Outbox<'_>) {
        if self.serves_as_before() {
            return self.go_on_serving(out);
        }
        // What has been running for long is not starting.
        let left = self.has_run_for().and_then(|uptime| self.policy.start_within.checked_sub(uptime));
        let left = left.filter(|left| !left.is_zero());
        let found = if self.service.lasts() { "found again" } else { "the application runs already" };
        let reason = format!("{found}{}: waiting for the checkers to be up", self.which());
        if !self.service.is_untold() {
            self.tell_of_find(&reason, out);
        }
        self.settle(&reason, left, out);
    }

    /// For how long the application has been running, as far as that is known.
    fn has_run_for(&self) -> Option<Duration> {
        self.witnesses().into_iter().filter_map(|c| c.last.as_deref().and_then(uptime)).max()
    }

    /// Which processes a look has found, and how old they are, in brackets.
    fn which(&self) -> String {
        let witnesses = self.witnesses();
        let seen = witnesses.iter().filter_map(|c| c.last.as_deref());
        let mut pids: Vec<u32> = seen.flat_map(|last| &last.processes).map(|process| process.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        let more = pids.len().saturating_sub(NAMED);
        let named: Vec<String> = pids.iter().take(NAMED).map(ToString::to_string).collect();
        let mut facts = match named.as_slice() {
            [] => Vec::new(),
            [only] => vec![format!("pid {only}")],
            several if more > 0 => vec![format!("pids {} and {more} more", several.join(", "))],
            several => vec![format!("pids {}", several.join(", "))],
        };
        facts.extend(self.has_run_for().map(|uptime| format!("running for {}", plain(uptime))));
        if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) }
    }

    /// Where no change of state says it: that it runs, and is not started.
    fn tell_of_find(&self, reason: &str, out: &mut Outbox<'_>) {
        let (decision, reason) = ("leave it running".to_owned(), reason.to_owned());
        out.record(Some(&self.name), RecordKind::Decision { decision, reason });
    }

    /// Whether the application, which runs, is the one that was ready under the last core.
    pub(super) fn serves_as_before(&self) -> bool {
        let Some(serving) = self.serving.as_ref().filter(|_| self.first_look) else { return false };
        let gating = || self.checkers.iter().filter(|(_, c)| c.policy.on_down.gates_health());
        let proven = || gating().filter(|(_, c)| !c.on_probation());
        let nothing_against = proven()
            .all(|(name, c)| serving.verdicts.get(name).is_some() && !(c.spoken() && c.judge.failing()));
        let is_same = |name: &CheckerName, c: &Checker| {
            serving.processes.get(name).is_some_and(|pid| sees(c, *pid, serving.since))
        };
        let is_native =
            |c: &Checker| c.policy.kind == CheckerKind::Process && c.policy.on_down != OnDown::Wait;
        // That an edited one does not see the process says nothing; that it does is as good as ever.
        let mut native =
            gating().filter(|(name, c)| is_native(c) && (!c.on_probation() || is_same(name, c))).peekable();
        let known = if native.peek().is_some() {
            native.all(|(name, c)| is_same(name, c))
        } else {
            let some_proven = proven().any(|(_, c)| c.policy.on_down != OnDown::Wait);
            gating()
                .filter(|(_, c)| !(some_proven && c.on_probation()))
                .all(|(_, c)| c.spoken() && c.saw_life())
        };
        nothing_against && known
    }

    /// The application goes on as the last core knew it.
    fn go_on_serving(&mut self, out: &mut Outbox<'_>) {
        let Some(serving) = self.serving.clone() else { return };
        self.checkers.for_each(|name, checker| {
            let known = serving.verdicts.get(name).copied().filter(|_| !checker.on_probation());
            checker.trust(known.unwrap_or_default(), out.now);
        });
        let reason = format!("the application was found again{}, and serves on", self.which());
        if self.service.is_untold() {
            self.tell_of_find(&reason, out);
        }
        self.enter(State::Up, reason, out);
        let slowest = self.checkers.values().filter(|c| c.is_trusted()).map(|c| c.policy.timeout).max();
        self.trusted_until = slowest.map(|timeout| out.now + timeout.max(TRUSTED_FOR));
    }

    /// Checkers that have run speak for themselves. What one that has not run by now said earlier counts no more.
    pub(super) fn end_trust(&mut self, now: Moment) {
        let Some(until) = self.trusted_until else { return };
        if !self.checkers.any(|c| c.trusted) {
            self.trusted_until = None;
            self.reason = self.up_reason();
        } else if now >= until {
            self.trusted_until = Some(Moment::NEVER);
            for name in self.checkers.such(|c| c.trusted) {
                if let Some(mut checker) = self.checkers.get_mut(&name) {
                    checker.distrust(now);
                }
            }
        }
    }

    /// Whose answer is late, if that is so: until it comes, nobody knows whether the application serves.
    pub(super) fn awaits_first_run(&self) -> Option<&CheckerName> {
        self.trusted_until.filter(|until| *until == Moment::NEVER)?;
        self.checkers.first(|c| c.gates_health() && c.trusted).map(|(name, _)| name)
    }

    /// Keeps in mind what the application is like while it is ready.
    pub(super) fn keep_serving(&mut self, now: Moment) {
        // What the last core knew is good for the next one, too, until this one knows better.
        let ready = self.is_ready();
        if self.first_look || (self.trusted_until.is_some() && ready) {
            return;
        }
        if !self.is_kept_in_mind(ready) {
            let before = self.serving.take();
            self.serving = ready.then(|| self.serving_now(before, now));
            self.unremembered = true;
        }
        self.checkers.known(Keeper::Serving);
    }

    /// What the application is like. All but what has changed is as it was kept in mind `before`, if it was.
    fn serving_now(&self, before: Option<Serving>, now: Moment) -> Serving {
        let (mut serving, names): (Serving, Vec<&CheckerName>) = match before {
            Some(before) => (before, self.checkers.changed(Keeper::Serving).iter().collect()),
            None => (Serving::default(), self.checkers.names().collect()),
        };
        serving.since = now;
        for name in names {
            let checker = self.checkers.get(name);
            serving.verdicts.set(name, checker.map(Checker::verdict));
            serving.processes.set(name, checker.and_then(lowest));
        }
        serving
    }

    /// Whether that is what was kept in mind before: whether no checker has changed in what is.
    fn is_kept_in_mind(&self, ready: bool) -> bool {
        let Some(before) = &self.serving else { return !ready };
        let is_kept = |name: &CheckerName| {
            let checker = self.checkers.get(name);
            before.verdicts.get(name).copied() == checker.map(Checker::verdict)
                && before.processes.get(name).copied() == checker.and_then(lowest)
        };
        ready && self.checkers.changed(Keeper::Serving).iter().all(is_kept)
    }

    /// The application was up, and a look at its processes found none. Returns whether a move was made.
    pub(super) fn act_on_death(&mut self, out: &mut Outbox<'_>) -> bool {
        let dead = self.checkers.iter().find(|(_, c)| {
            let failed = c.last.as_deref().is_some_and(|last| last.status == Status::Fail);
            let native = c.policy.kind == CheckerKind::Process && c.policy.on_down != OnDown::Wait;
            let counts = !c.on_probation() || c.saw_its_end();
            native && counts && c.spoken() && failed && !c.saw_life()
        });
        let watched = matches!(self.service, Service::Lasts | Service::Watched);
        let Some((name, checker)) = dead.filter(|_| watched) else { return false };
        let (name, on_down) = (name.clone(), checker.policy.on_down);
        let incident = Incident { at: out.now, ..checker.incident(&name) };
        let reason =
            format!("checker `{name}` is down, and was up when it was last watched: {}", incident.summary);
        self.keep_incident(incident.clone(), out);
        match on_down {
            OnDown::Restart => {
                match self.missing_prerequisite().map(|(name, _)| name.clone()) {
                    Some(prerequisite) => self.wait_for(prerequisite, out),
                    None => self.try_again(Cause::Incident(incident), reason, out),
                }
                true
            }
            OnDown::Stop => {
                self.stop_for(&name, reason, out);
                true
            }
            // Nothing follows from it: the application is started as any that does not run.
            OnDown::Wait | OnDown::Out | OnDown::Notify => false,
        }
    }

    /// An incident is written down, and told to restart scripts from here on.
    pub(super) fn keep_incident(&mut self, incident: Incident, out: &mut Outbox<'_>) {
        if self.incidents.len() == INCIDENTS {
            self.incidents.pop_front();
        }
        self.incidents.push_back(incident.clone());
        self.unremembered = true;
        out.record(Some(&self.name), RecordKind::Incident { incident });
    }
}

impl Checker {
    /// Whether it has yet to confirm a verdict that it had under the last core.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The application is the one that the last core knew, which had this verdict of it. What has been
    /// seen since counts more.
    pub(super) fn trust(&mut self, verdict: Verdict, now: Moment) {
        if verdict == Verdict::Up && self.verdict() != Verdict::Up {
            self.judge.carry_up(now);
            self.trusted = !self.spoken();
        }
        self.judge.end_grace(now);
    }

    /// It has not run in time to confirm its verdict.
    pub(super) fn distrust(&mut self, now: Moment) {
        self.judge.begin(now, now);
    }
}

/// Of the processes that it saw, the lowest id.
pub(super) fn lowest(checker: &Checker) -> Option<u32> {
    checker.last.as_ref()?.processes.iter().map(|process| process.pid).min()
}

/// Whether a process checker sees this process, which was there at that moment. An id that was given to another
/// process since is told from it by the age of the oldest process.
fn sees(checker: &Checker, pid: u32, at: Moment) -> bool {
    let Some(last) = checker.last.as_deref().filter(|_| checker.spoken()) else { return false };
    let is_there = last.processes.iter().any(|process| process.pid == pid);
    is_there && uptime(last).is_some_and(|uptime| last.at - uptime <= at + ROUNDING)
}
