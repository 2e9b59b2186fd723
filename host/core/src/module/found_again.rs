//! An application that was up when it was watched last: is it there still?
//!
//! ```text
//!                          ┌─ it runs ────▶ found again: settling, then Up
//!   was up ──▶ is looked at┤
//!                          └─ it has ended ─▶ an incident like any other: restarted, and counted
//! ```
//! Between two daemons nothing sees a death. The story goes on from where it was: the state that is told
//! next follows the one that was told last. While the module's file is away, people look after the
//! application themselves: it is found again all the same, and what has ended is started as usual.

use serde::{Deserialize, Serialize};

use crate::moment::plain;
use crate::observation::Status;
use crate::outbox::Outbox;
use crate::plan::Incident;
use crate::policy::{CheckerKind, OnDown};
use crate::record::RecordKind;
use crate::verdict::Verdict;

use super::checker::Checker;
use super::moves::Cause;
use super::starting::uptime;
use super::{INCIDENTS, Module};

/// How an application was up that this core has not seen yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WasUp {
    /// An earlier daemon watched it to its own end.
    Watched,
    /// The module's file has been away since.
    Unattended,
}

/// So many process ids are named.
const NAMED: usize = 3;

impl Module {
    /// Sees whether the application is as it was. What comes of it is told, not the look.
    pub(super) fn look_again(&mut self, out: &mut Outbox<'_>) {
        self.begin_look(true, out);
        "looking whether the application runs as before".clone_into(&mut self.reason);
        self.since = out.now;
        self.unremembered = true;
        self.told_last.get_or_insert(WasUp::Watched);
    }

    /// How a look that found the application is told.
    pub(super) fn found(&self, witnesses: &[&Checker]) -> String {
        let seen = || witnesses.iter().filter_map(|c| c.last.as_deref());
        let mut pids: Vec<u32> = seen().flat_map(|last| &last.processes).map(|process| process.pid).collect();
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
        facts.extend(seen().filter_map(uptime).max().map(|uptime| format!("running for {}", plain(uptime))));
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        let found = if self.serves { "found again" } else { "the application runs already" };
        format!("{found}{facts}: waiting for the checkers to be up")
    }

    /// Where no change of state says it: that it runs, and is not started.
    pub(super) fn tell_of_find(&self, found: &str, out: &mut Outbox<'_>) {
        if self.told_last.is_none() {
            let decision = "leave it running".to_owned();
            out.record(Some(&self.name), RecordKind::Decision { decision, reason: found.to_owned() });
        }
    }

    /// The application was up, and a look at its processes found none. Returns whether a move was made.
    pub(super) fn act_on_death(&mut self, out: &mut Outbox<'_>) -> bool {
        let dead = self.checkers.iter().find(|(_, c)| {
            let failed = c.last.as_deref().is_some_and(|last| last.status == Status::Fail);
            let native = c.policy.kind == CheckerKind::Process && c.policy.on_down != OnDown::Wait;
            native && c.spoken() && failed && !c.saw_life() && !c.on_probation()
        });
        let Some((name, checker)) = dead.filter(|_| self.serves && self.told_last != Some(WasUp::Unattended))
        else {
            return false;
        };
        let (name, on_down) = (name.clone(), checker.policy.on_down);
        let incident = Incident { at: out.now, ..checker.incident(&name) };
        let reason =
            format!("checker `{name}` is down, and was up when it was last watched: {}", incident.summary);
        self.serves = false;
        self.keep_incident(incident.clone(), out);
        match on_down {
            OnDown::Restart => {
                let missing = self.prerequisites().find(|(_, c)| c.verdict() != Verdict::Up);
                match missing.map(|(name, _)| name.clone()) {
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
