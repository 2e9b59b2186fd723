//! The urgency of a module, for lists of modules: worst first.

use serde::{Deserialize, Serialize};

use crate::observation::Status;
use crate::snapshot::{CheckerView, ModuleView};
use crate::state::StateName;
use crate::verdict::Verdict;

/// The urgency of a module, the worst first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// It should serve and does not, and nothing in progress is certain to change that.
    Down,
    /// It does not serve, and something is in progress.
    Moving,
    /// An operator has taken it out of automatic care: suspended, or stopped.
    Held,
    /// It serves, but something about it is wrong.
    Warned,
    /// It serves, and nothing is wrong.
    #[default]
    Well,
}

impl Attention {
    /// All values, the worst first.
    pub const ALL: [Self; 5] = [Self::Down, Self::Moving, Self::Held, Self::Warned, Self::Well];

    /// The urgency of a module.
    pub fn of(module: &ModuleView) -> Self {
        let ready = module.ready;
        match module.state {
            // A failure counts also while it is suspended.
            StateName::Failed => Self::Down,
            StateName::Stopped => Self::Held,
            _ if module.desired.suspended => Self::Held,
            StateName::Backoff | StateName::Waiting => Self::Down,
            StateName::Up if !ready => Self::Down,
            StateName::Starting | StateName::Restarting | StateName::Draining | StateName::Stopping => {
                Self::Moving
            }
            StateName::Up if spent(module) || module.checkers.iter().any(ails) => Self::Warned,
            StateName::Up => Self::Well,
        }
    }

    /// The urgency of several modules: that of the worst.
    pub fn of_all<'a>(modules: impl IntoIterator<Item = &'a ModuleView>) -> Self {
        modules.into_iter().map(Self::of).min().unwrap_or(Self::Well)
    }
}

/// Whether no restart is left for the next incident.
pub fn spent(module: &ModuleView) -> bool {
    module.restarts > 0 && module.restarts >= module.restarts_allowed
}

/// Whether a checker needs attention although the module serves.
fn ails(checker: &CheckerView) -> bool {
    let told = |last: &std::sync::Arc<_>| {
        let last: &crate::observation::Observation = last;
        !matches!(last.status, Status::Pass)
    };
    checker.watched && (checker.verdict == Verdict::Down || checker.last.as_ref().is_some_and(told))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::event::DesiredState;
    use crate::moment::Moment;
    use crate::observation::Observation;
    use crate::policy::{CheckerKind, OnDown};

    fn module(state: StateName, ready: bool) -> ModuleView {
        ModuleView {
            ready,
            restarts_allowed: 3,
            restarts_within: Duration::from_hours(1),
            ..ModuleView::empty("web".parse().unwrap(), state)
        }
    }

    #[test]
    fn every_state_has_its_place() {
        use StateName::*;
        let of = |state, ready| Attention::of(&module(state, ready));
        assert_eq!(of(Up, true), Attention::Well);
        assert_eq!(of(Up, false), Attention::Down);
        for state in [Failed, Backoff, Waiting] {
            assert_eq!(of(state, false), Attention::Down);
        }
        for state in [Starting, Restarting, Draining, Stopping] {
            assert_eq!(of(state, false), Attention::Moving);
        }
        assert_eq!(of(Stopped, false), Attention::Held);
    }

    #[test]
    fn a_suspended_module_stays_on_the_screen_and_a_failed_one_is_down_nevertheless() {
        let suspended = |state| {
            let desired = DesiredState { suspended: true, ..DesiredState::default() };
            Attention::of(&ModuleView { desired, ..module(state, state == StateName::Up) })
        };
        assert_eq!(suspended(StateName::Up), Attention::Held);
        assert_eq!(suspended(StateName::Failed), Attention::Down);
    }

    #[test]
    fn a_module_that_serves_without_a_restart_left_or_with_an_ailing_checker_is_warned_of() {
        let spent = ModuleView { restarts: 3, ..module(StateName::Up, true) };
        assert_eq!(Attention::of(&spent), Attention::Warned);
        let checker = |status| CheckerView {
            name: "home".parse().unwrap(),
            kind: CheckerKind::Component,
            on_down: OnDown::Notify,
            verdict: Verdict::Up,
            since: Moment::from_micros(0),
            watched: true,
            on_probation: false,
            definition: 1,
            interval: Duration::from_secs(5),
            next: None,
            last: Some(Arc::new(Observation::new(status, "", Moment::from_micros(0)))),
        };
        let with =
            |status| ModuleView { checkers: vec![checker(status)].into(), ..module(StateName::Up, true) };
        assert_eq!(Attention::of(&with(Status::Pass)), Attention::Well);
        assert_eq!(Attention::of(&with(Status::Unknown)), Attention::Warned);
    }

    #[test]
    fn several_modules_need_what_the_worst_one_needs() {
        let modules = [module(StateName::Up, true), module(StateName::Failed, false)];
        assert_eq!(Attention::of_all(&modules), Attention::Down);
        assert_eq!(Attention::of_all([]), Attention::Well);
    }
}
