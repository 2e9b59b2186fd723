//! The simulated module, in the form for a world without processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{CheckerName, CommandName, ModuleName, NodeName};
use crate::policy::{self, CheckerKind, CheckerPolicy, ModulePolicy, OnDown};

/// The module, and its node.
#[derive(Debug, Clone)]
pub struct Cast {
    pub node: NodeName,
    pub module: ModuleName,
    /// The settings that the core decides by.
    pub policy: Arc<ModulePolicy>,
    /// How its checkers run. All of the policy's checkers are included.
    pub checkers: BTreeMap<CheckerName, Role>,
}

/// How one checker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The interval of its runs.
    pub interval: Duration,
    /// The offset of its first run in a watch that is not eager.
    pub first: Duration,
    /// The kind of resource that it observes.
    pub sees: Sees,
}

/// What a checker observes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sees {
    /// The process of a kept command: its start and end are noticed immediately.
    Kept {
        /// The name of the command.
        command: CommandName,
        /// Fewer processes than this are a fail.
        at_least: u32,
    },
    /// Processes found by their properties: an end is noticed immediately, and a start soon.
    Processes {
        /// As they are named in a sentence: `` `nginx` ``.
        label: String,
        /// Fewer processes than this are a fail.
        at_least: u32,
    },
    /// The resource of a component.
    Component,
}

impl Role {
    /// The time from the beginning of one run to the beginning of the next, as in the daemon.
    pub(super) fn pace(&self, eager: bool, waited: Duration) -> Duration {
        let kind = match self.sees {
            Sees::Component => CheckerKind::Component,
            Sees::Kept { .. } | Sees::Processes { .. } => CheckerKind::Process,
        };
        policy::pace(kind, self.interval, eager, waited)
    }
}

impl Cast {
    /// Checkers of a simulation always answer, even where their runs are skipped: no observation is overdue.
    pub(super) fn with_checkers_that_answer(mut self) -> Self {
        for checker in Arc::make_mut(&mut self.policy).checkers.values_mut() {
            checker.patience = Duration::MAX;
        }
        self
    }

    pub(super) fn role(&self, checker: &CheckerName) -> Option<(&Role, &CheckerPolicy)> {
        Some((self.checkers.get(checker)?, self.policy.checkers.get(checker)?))
    }

    /// Resources of this module's checkers that are not part of the application are available, unless the scenario
    /// says otherwise.
    pub(super) fn is_of_application(&self, checker: &CheckerName) -> bool {
        self.policy.checkers.get(checker).is_some_and(|policy| policy.on_down != OnDown::Wait)
    }

    /// Whether a checker observes the service of the application, which does not work while a prerequisite is
    /// unavailable. Checkers that only notify observe other things, such as a disk.
    pub(super) fn needs_prerequisites(&self, checker: &CheckerName) -> bool {
        let on_down = self.policy.checkers.get(checker).map(|policy| policy.on_down);
        matches!(on_down, Some(OnDown::Restart | OnDown::Stop | OnDown::Out))
    }

    /// The commands that are kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &CommandName> {
        self.policy.commands.iter().filter(|(_, command)| command.keep).map(|(name, _)| name)
    }
}
