//! Whether an application that was up when it was last monitored is still running, unchanged.
//!
//! ```text
//!   was up ── is looked at ─┬─ has ended ─────────────▶ an incident like any other: restarted, and counted
//!                           ├─ runs, and is the same ─▶ Up, ready by the verdicts of the last core
//!                           │                             │ each has run   │ one of them is late
//!                           │                             ▼                ▼
//!                           │                            Up          Up, not ready until it has run
//!                           └─ runs, and is not known ▶ Starting, settles
//! ```
//! A daemon that is restarted has no reason to give a negative answer for an application that serves: a load
//! balancer would take the node out. The previous state is kept only if the application is seen to be the same: its
//! process runs, and ran when the last core knew it; or, if no checker observes processes, every checker has run
//! and passed. A checker that runs and fails counts as if there had been a single core all along. The previous
//! verdict of a checker that was edited since belongs to its earlier version: it is [on
//! probation](super::probation), and only its own observations count.
//!
//! Between two daemons no exit is noticed. The history continues where it ended: the state that is recorded next
//! follows the one that was recorded last. While the module's file is absent, operators are responsible for the
//! application: it is found again all the same, and an application that has ended is started as usual.

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

/// Verdicts of the last core are valid for this long, or for as long as one run of the slowest checker may take.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// The accuracy of the start time of a process: its age is measured a little before it is reported.
const ROUNDING: Duration = Duration::from_secs(1);
/// The maximum number of process ids that are named.
const NAMED: usize = 3;

/// Whether an application is up, or was and nothing has been done since to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Service {
    /// It is not up.
    #[default]
    Over,
    /// It is up now.
    Lasts,
    /// It was up until an earlier core ended. No state has been recorded since.
    Watched,
    /// It was up when the module's file was last present. No state has been recorded since.
    Unattended,
}

impl Service {
    /// According to an earlier core; `away`: the module's file has been absent since.
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

    /// Up is the state that was recorded last, and not by this core.
    pub(super) fn is_untold(self) -> bool {
        matches!(self, Self::Watched | Self::Unattended)
    }
}

impl Module {
    /// Whether this core has yet to find out whether the application runs.
    pub(crate) fn is_first_look(&self) -> bool {
        self.first_look
    }

    /// Checks whether the application is unchanged. The result is recorded, not the check.
    pub(super) fn look_again(&mut self, out: &mut Outbox<'_>) {
        self.begin_look(true, out);
        "checking whether the application runs as before".clone_into(&mut self.reason);
        self.since = out.now;
        self.unremembered = true;
        if self.service == Service::Lasts {
            self.service = Service::Watched;
        }
    }

    /// A check has found that the application runs.
    pub(super) fn is_found(&mut self, out: &mut Outbox<'_>) {
        if self.serves_as_before() {
            return self.go_on_serving(out);
        }
        // An application that has been running for long is not starting.
        let left = self.has_run_for().and_then(|uptime| self.policy.start_within.checked_sub(uptime));
        let left = left.filter(|left| !left.is_zero());
        let found = if self.service.lasts() { "found again" } else { "the application runs already" };
        let reason = format!("{found}{}: waiting for the checkers to be up", self.which());
        if !self.service.is_untold() {
            self.tell_of_find(&reason, out);
        }
        self.settle(&reason, left, out);
    }

    /// How long the application has been running, as far as that is known.
    fn has_run_for(&self) -> Option<Duration> {
        self.witnesses().into_iter().filter_map(|c| c.last.as_deref().and_then(uptime)).max()
    }

    /// The processes that were found, and their age, in brackets.
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

    /// For when no change of state shows it: the application runs, and is not started.
    fn tell_of_find(&self, reason: &str, out: &mut Outbox<'_>) {
        let (decision, reason) = ("leave it running".to_owned(), reason.to_owned());
        out.record(Some(&self.name), RecordKind::Decision { decision, reason });
    }

    /// Whether the running application is the one that was ready under the last core.
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
        // It means nothing that an edited checker does not see the process; that it does see it is as good as
        // before.
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

    /// Continues with the state of the last core.
    fn go_on_serving(&mut self, out: &mut Outbox<'_>) {
        let Some(serving) = self.serving.clone() else { return };
        self.checkers.for_each(|name, checker| {
            let known = serving.verdicts.get(name).copied().filter(|_| !checker.on_probation());
            checker.trust(known.unwrap_or_default(), out.now);
        });
        let reason = format!("the application was found again{} and keeps serving", self.which());
        if self.service.is_untold() {
            self.tell_of_find(&reason, out);
        }
        self.enter(State::Up, reason, out);
        let slowest = self.checkers.values().filter(|c| c.is_trusted()).map(|c| c.policy.timeout).max();
        self.trusted_until = slowest.map(|timeout| out.now + timeout.max(TRUSTED_FOR));
    }

    /// Checkers that have run count with their own results. The earlier verdict of one that has not run by now no
    /// longer counts.
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

    /// A checker whose result is overdue, if there is one: until it comes, it is unknown whether the application
    /// serves.
    pub(super) fn awaits_first_run(&self) -> Option<&CheckerName> {
        self.trusted_until.filter(|until| *until == Moment::NEVER)?;
        self.checkers.first(|c| c.gates_health() && c.trusted).map(|(name, _)| name)
    }

    /// Remembers the application while it is ready.
    pub(super) fn keep_serving(&mut self, now: Moment) {
        // The state of the last core is valid for the next one, too, until this one knows better.
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

    /// The application was up, and a scan found no process. Returns whether a transition was made.
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
            format!("checker `{name}` is down, and was up when it was last monitored: {}", incident.summary);
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
            // It has no consequences: the application is started like any that does not run.
            OnDown::Wait | OnDown::Out | OnDown::Notify => false,
        }
    }

    /// An incident is recorded, and included in requests to restart scripts from here on.
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
    /// Whether it has yet to confirm its verdict from the last core.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The application is the one that the last core knew, with this verdict. Later observations take precedence.
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

/// Whether a process checker sees this process, which existed at that moment. An id that was reused since is
/// recognised by the age of the oldest process.
fn sees(checker: &Checker, pid: u32, at: Moment) -> bool {
    let Some(last) = checker.last.as_deref().filter(|_| checker.spoken()) else { return false };
    let is_there = last.processes.iter().any(|process| process.pid == pid);
    is_there && uptime(last).is_some_and(|uptime| last.at - uptime <= at + ROUNDING)
}
