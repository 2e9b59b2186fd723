//! Whether a checker went down because of a prerequisite.
//!
//! ```text
//!            a checker went down
//!   (none) ─────────────────────▶ Asked ── all are well ──▶ act on the checker
//!                                   │ one fails               ▲
//!                                   ▼                         │ it is down still
//!             it is down: wait ◀── Held ── all are well ──▶ Returning
//! ```
//! An application fails as soon as a dependency is unavailable, often before the prerequisite's own checker has
//! run. A restart would be useless then, and would use up the budget. Therefore prerequisites are run once before a
//! checker is acted on, and while one of them fails nothing is done: it will soon be down, or recover. Then the
//! application gets time to recover.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::outbox::Outbox;
use crate::policy::{CheckerKind, OnDown};
use crate::record::RecordKind;
use crate::verdict::Verdict;

use super::Module;
use super::checker::Checker;
use super::checkers::Facets;

/// The time limit for the answers of prerequisites.
const ANSWERED: Duration = Duration::from_secs(10);

/// What is awaited before a checker that is down is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Doubt {
    /// The results of all prerequisites.
    Asked { until: Moment },
    /// That the failing prerequisite is down, or has recovered.
    Held { until: Moment },
    /// That the checker is up again, now that all prerequisites are healthy.
    Returning { until: Moment },
}

impl Module {
    /// A prerequisite on probation has no effect.
    pub(super) fn prerequisites(&self) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        self.checkers.iter().filter(|(_, c)| c.policy.on_down == OnDown::Wait && !c.on_probation())
    }

    /// The first prerequisite that is not up.
    pub(super) fn missing_prerequisite(&self) -> Option<(&CheckerName, &Checker)> {
        self.checkers.first(|c| c.is_prerequisite() && c.verdict != Verdict::Up)
    }

    /// When the doubt is over at the latest.
    pub(super) fn doubt_until(&self) -> Moment {
        match self.doubt {
            Some(Doubt::Asked { until } | Doubt::Held { until } | Doubt::Returning { until })
                if !self.desired.suspended =>
            {
                until
            }
            Some(_) | None => Moment::NEVER,
        }
    }

    /// Whether a checker that is down may be acted on: no prerequisite explains it.
    pub(super) fn is_not_a_prerequisites_doing(&mut self, down: &CheckerName, out: &mut Outbox<'_>) -> bool {
        if !self.checkers.any(Facets::is_prerequisite) {
            return true;
        }
        let failing = self.checkers.first(|c| c.is_prerequisite() && c.failing).map(|(name, _)| name.clone());
        let answered = !self.checkers.any(|c| c.is_prerequisite() && c.asked);
        let next = match (self.doubt, failing) {
            (None, _) => {
                for name in self.checkers.such(|c| c.on_down == OnDown::Wait) {
                    if let Some(mut checker) = self.checkers.get_mut(&name) {
                        checker.ask(out);
                    }
                }
                Some(Doubt::Asked { until: out.now + ANSWERED })
            }
            (Some(Doubt::Asked { until }), _) if !answered && out.now < until => return false,
            (Some(Doubt::Held { until }), Some(_)) if out.now < until => return false,
            (Some(Doubt::Asked { .. } | Doubt::Returning { .. }), Some(failing)) => {
                self.tell_of_hold(down, &failing, out);
                Some(Doubt::Held { until: out.now + self.time_to_be_down() })
            }
            (Some(Doubt::Held { .. }), None) if !self.is_over(down) => {
                Some(Doubt::Returning { until: out.now + self.time_to_return(down) })
            }
            (Some(Doubt::Returning { until }), None) if out.now < until && !self.is_over(down) => {
                return false;
            }
            (Some(_), _) => None,
        };
        self.doubt = next;
        next.is_none()
    }

    fn tell_of_hold(&self, down: &CheckerName, failing: &CheckerName, out: &mut Outbox<'_>) {
        let said = self.checkers.get(failing).map_or("", Checker::said);
        let decision = format!("do nothing about checker `{down}` for now");
        let reason = format!("prerequisite `{failing}` fails as well: {said}");
        out.record(Some(&self.name), RecordKind::Decision { decision, reason });
    }

    /// A process that has ended does not come back by itself.
    fn is_over(&self, down: &CheckerName) -> bool {
        self.checkers.get(down).is_none_or(|c| c.policy.kind == CheckerKind::Process && !c.saw_life())
    }

    /// Within this time a prerequisite that continues to fail is down.
    fn time_to_be_down(&self) -> Duration {
        let patience = |c: &Checker| c.policy.patience.saturating_mul(c.policy.thresholds.fall);
        let longest = self.prerequisites().map(|(_, c)| patience(c)).max().unwrap_or_default();
        longest.min(crate::plan::MAX_STEP_TIME)
    }

    /// Within this time a checker whose application has recovered is up.
    fn time_to_return(&self, down: &CheckerName) -> Duration {
        let rounds = |c: &Checker| c.policy.thresholds.fall.max(c.policy.thresholds.rise);
        let time = self.checkers.get(down).map(|c| c.policy.interval.saturating_mul(rounds(c)));
        time.unwrap_or_default().min(crate::plan::MAX_STEP_TIME)
    }

    /// Stops the application while a prerequisite is down. `None`: all are healthy.
    pub(super) fn stop_for_prerequisite(&mut self, out: &mut Outbox<'_>) -> Option<bool> {
        let (name, said) = self
            .checkers
            .first(|c| c.is_prerequisite() && c.verdict == Verdict::Down)
            .map(|(name, c)| (name.clone(), c.said().to_owned()))?;
        if self.desired.suspended {
            return Some(false);
        }
        let reason = format!("prerequisite `{name}` is down: {said}");
        let decision = "stop, and start again when it is up".to_owned();
        out.record(Some(&self.name), RecordKind::Decision { decision, reason: reason.clone() });
        self.begin_stop(super::AfterStop::Waiting(name), reason, out);
        Some(true)
    }
}
