//! The effect of a command, described before it is given.
//!
//! The same words wherever a user confirms: the console, the terminal, the API.

use serde::{Deserialize, Serialize};

use crate::attention::spent;
use crate::command::Command;
use crate::moment::plain;
use crate::snapshot::ModuleView;
use crate::state::StateName;

/// The effect of a command on one module on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consequence {
    pub command: Command,
    /// Why it has no effect at present; `None` if it has one.
    pub idle: Option<String>,
    /// What happens, one sentence each, in the order in which it happens.
    pub sentences: Vec<String>,
    /// The health check fails because of it.
    pub takes_out: bool,
    /// No node will serve the module: this is the last node that is ready.
    pub last_ready: bool,
}

impl Consequence {
    /// The effect of `command` here, if `others` more nodes are ready for this module now.
    pub fn of(module: &ModuleView, command: Command, others: usize) -> Self {
        let takes_out = module.ready && matches!(command, Command::Stop | Command::Restart);
        let idle = idle(module, command);
        let mut sentences = sentences(module, command);
        if takes_out {
            sentences.push(left(module, others));
        }
        let takes_out = takes_out && idle.is_none();
        Self { command, idle, sentences, takes_out, last_ready: takes_out && others == 0 }
    }

    /// The effects of all commands, in the order of [`Command::ALL`].
    pub fn of_all(module: &ModuleView, others: usize) -> Vec<Self> {
        Command::ALL.into_iter().map(|command| Self::of(module, command, others)).collect()
    }
}

/// Why the command would have no effect.
fn idle(module: &ModuleView, command: Command) -> Option<String> {
    use StateName as S;
    let why = match (command, module.state) {
        (Command::Start, S::Up) => "it is up",
        (Command::Start, S::Starting | S::Restarting) if !module.desired.suspended => "it is being started",
        (Command::Start | Command::Restart, S::Waiting) => {
            "it waits for a prerequisite, and starts automatically"
        }
        (Command::Stop, S::Stopped) => "it is stopped",
        (Command::Start | Command::Restart, S::Stopping) => "it is being stopped",
        (Command::Stop, S::Stopping) if !module.desired.started => "it is already being stopped",
        (Command::Stop, S::Draining) if !module.desired.started => "it is draining, then stops",
        (Command::Restart, S::Stopped) => "it is stopped: start it",
        // A suspension with a duration can be changed, and one without can replace it.
        (Command::Suspend, _) if until_resumed(module) => "it is suspended",
        (Command::Resume, _) if !module.desired.suspended => "it is not suspended",
        (Command::Reset, state) if state != S::Failed && module.restarts == 0 => "no restarts are counted",
        (Command::Confirm, _) if !module.checkers.iter().any(|c| c.on_probation) => {
            "no checker is on probation"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn until_resumed(module: &ModuleView) -> bool {
    module.desired.suspended && module.desired.suspended_until.is_none()
}

fn sentences(module: &ModuleView, command: Command) -> Vec<String> {
    let drains = module.ready && !module.drain.is_zero();
    let drain = || {
        let drain = plain(module.drain);
        format!("The health check fails from now on; the application keeps serving for {drain} (drain).")
    };
    let mut said = Vec::new();
    match command {
        Command::Start => {
            said.push("The application is started, and is ready when its checkers are up.".to_owned());
            said.extend(counted(module));
        }
        Command::Stop => {
            said.extend(drains.then(drain));
            said.push("The application is stopped. It stays stopped, even after a reboot, until it is started by a command.".to_owned());
            said.extend(counted(module));
        }
        Command::Restart => {
            said.extend(drains.then(drain));
            said.push("The application is stopped and started again.".to_owned());
            said.extend(counted(module));
        }
        Command::Suspend => said.push(
            "Its checkers keep running, but nothing is restarted, started or stopped automatically until the given time is over or the module is resumed.".to_owned(),
        ),
        Command::Resume => {
            said.push("Automatic actions resume.".to_owned());
            if !module.ready && module.desired.started {
                said.push(format!("It is {} and not ready: it may be started or restarted immediately.", module.state));
            }
        }
        Command::Reset if module.state == StateName::Failed => {
            said.push("The failure and the count of restarts are cleared. The module is stopped afterwards.".to_owned());
        }
        Command::Reset => said.extend(counted(module)),
        Command::Confirm => {
            let waiting = module.checkers.iter().filter(|checker| checker.on_probation);
            said.extend(waiting.map(|checker| {
                format!(
                    "Checker `{}` is run immediately, and takes effect from now on: if it goes down, the action in its file applies ({}).",
                    checker.name,
                    checker.on_down.word()
                )
            }));
        }
    }
    said
}

/// A user's command resets the budget.
fn counted(module: &ModuleView) -> Option<String> {
    let of = module.restarts_allowed;
    let none_left = if spent(module) { ", none left" } else { "" };
    let used = module.restarts;
    (used > 0)
        .then(|| format!("The count of automatic restarts ({used} of {of}{none_left}) is reset to zero."))
}

fn left(module: &ModuleView, others: usize) -> String {
    let name = &module.name;
    match others {
        0 => {
            format!(
                "This node does not know whether another one serves {name}: if none does, the load balancer has no \
                 node to send requests to."
            )
        }
        1 => format!(
            "One other node still serves {name}: the load balancer sends its requests to that node only."
        ),
        many => format!(
            "{many} other nodes still serve {name}: the load balancer sends the requests to them instead."
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::DesiredState;
    use crate::moment::Moment;

    fn module(state: StateName, ready: bool) -> ModuleView {
        ModuleView {
            ready,
            restarts_allowed: 3,
            restarts_within: Duration::from_hours(1),
            drain: Duration::from_secs(15),
            ..ModuleView::empty("web".parse().unwrap(), state)
        }
    }

    #[test]
    fn stopping_the_last_ready_node_says_so() {
        let stop = Consequence::of(&module(StateName::Up, true), Command::Stop, 0);
        assert!(stop.takes_out && stop.last_ready);
        assert!(stop.sentences[0].contains("for 15s"), "{:?}", stop.sentences);
        assert!(stop.sentences.last().unwrap().starts_with("This node does not know"));
        let with_another = Consequence::of(&module(StateName::Up, true), Command::Stop, 1);
        assert!(with_another.takes_out && !with_another.last_ready);
    }

    #[test]
    fn the_nodes_that_still_serve_are_counted_in_plain_sentences() {
        let left = |others| {
            let sentences = Consequence::of(&module(StateName::Up, true), Command::Stop, others).sentences;
            sentences.last().cloned().unwrap()
        };
        assert_eq!(
            left(1),
            "One other node still serves web: the load balancer sends its requests to that node only."
        );
        assert_eq!(
            left(2),
            "2 other nodes still serve web: the load balancer sends the requests to them instead."
        );
    }

    #[test]
    fn what_does_not_serve_takes_nobody_out_and_drains_nothing() {
        let restart = Consequence::of(&module(StateName::Failed, false), Command::Restart, 0);
        assert!(!restart.takes_out && !restart.last_ready);
        assert_eq!(restart.sentences, ["The application is stopped and started again."]);
    }

    #[test]
    fn what_would_come_to_nothing_says_why() {
        let idle = |state, command| Consequence::of(&module(state, false), command, 0).idle;
        assert_eq!(idle(StateName::Up, Command::Start).as_deref(), Some("it is up"));
        assert_eq!(idle(StateName::Stopped, Command::Stop).as_deref(), Some("it is stopped"));
        assert_eq!(idle(StateName::Up, Command::Resume).as_deref(), Some("it is not suspended"));
        assert_eq!(idle(StateName::Up, Command::Reset).as_deref(), Some("no restarts are counted"));
        assert_eq!(idle(StateName::Failed, Command::Reset), None);
        assert_eq!(idle(StateName::Failed, Command::Start), None);
    }

    #[test]
    fn a_suspension_for_a_time_can_be_changed() {
        let suspended = |suspended_until| {
            let desired = DesiredState { suspended: true, suspended_until, ..DesiredState::default() };
            let module = ModuleView { desired, ..module(StateName::Up, true) };
            Consequence::of(&module, Command::Suspend, 0).idle
        };
        assert_eq!(suspended(None).as_deref(), Some("it is suspended"));
        assert_eq!(suspended(Some(Moment::from_micros(5))), None);
    }

    #[test]
    fn what_drains_and_then_stops_is_not_stopped_again() {
        let draining = |started| {
            let desired = DesiredState { started, ..DesiredState::default() };
            let module = ModuleView { desired, ..module(StateName::Draining, false) };
            Consequence::of(&module, Command::Stop, 0).idle
        };
        assert_eq!(draining(false).as_deref(), Some("it is draining, then stops"));
        assert_eq!(draining(true), None, "before a restart it can still be stopped");
    }

    #[test]
    fn every_command_that_resets_the_count_of_restarts_says_so() {
        let counting = ModuleView { restarts: 2, ..module(StateName::Up, true) };
        let reset = "The count of automatic restarts (2 of 3) is reset to zero.".to_owned();
        for command in Command::ALL {
            let said = Consequence::of(&counting, command, 1).sentences;
            let resets =
                matches!(command, Command::Start | Command::Stop | Command::Restart | Command::Reset);
            assert_eq!(said.contains(&reset), resets, "{command:?}: {said:?}");
        }
    }

    #[test]
    fn a_spent_budget_is_named_where_it_is_given_back() {
        let spent = ModuleView { restarts: 3, ..module(StateName::Failed, false) };
        let said = Consequence::of(&spent, Command::Start, 0).sentences;
        assert!(said[1].contains("(3 of 3, none left)"), "{said:?}");
    }
}
