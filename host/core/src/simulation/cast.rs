//! What is simulated: a module, as far as a world without processes needs to know it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{CheckerName, CommandName, ModuleName, NodeName};
use crate::policy::{self, CheckerKind, CheckerPolicy, ModulePolicy, OnDown};

/// The module, and where it runs.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The node's name.
    pub node: NodeName,
    /// The module's.
    pub module: ModuleName,
    /// What the core decides by.
    pub policy: Arc<ModulePolicy>,
    /// How its checkers look. All of the policy's are here.
    pub checkers: BTreeMap<CheckerName, Role>,
}

/// How one checker looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// How often.
    pub interval: Duration,
    /// How long after the beginning of a watch that is in no hurry it looks for the first time.
    pub first: Duration,
    /// At what.
    pub sees: Sees,
}

/// What a checker looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sees {
    /// The process of a kept command: hears at once that it starts or ends.
    Kept {
        /// Which command.
        command: CommandName,
        /// Fewer is a fail.
        at_least: u32,
    },
    /// Processes found by what they are: sees an end at once, and a start soon.
    Processes {
        /// As a sentence names them: `` `nginx` ``.
        label: String,
        /// Fewer is a fail.
        at_least: u32,
    },
    /// Whatever a component looks at.
    Component,
}

impl Role {
    /// From the beginning of one run to the beginning of the next, as in the daemon.
    pub(super) fn pace(&self, eager: bool, waited: Duration) -> Duration {
        let kind = match self.sees {
            Sees::Component => CheckerKind::Component,
            Sees::Kept { .. } | Sees::Processes { .. } => CheckerKind::Process,
        };
        policy::pace(kind, self.interval, eager, waited)
    }
}

impl Cast {
    /// Checkers of a simulation always answer, also where their runs are left out: nobody waits for
    /// them in vain.
    pub(super) fn with_checkers_that_answer(mut self) -> Self {
        for checker in Arc::make_mut(&mut self.policy).checkers.values_mut() {
            checker.patience = Duration::MAX;
        }
        self
    }

    pub(super) fn role(&self, checker: &CheckerName) -> Option<(&Role, &CheckerPolicy)> {
        Some((self.checkers.get(checker)?, self.policy.checkers.get(checker)?))
    }

    /// What a checker of this module looks at that is not part of the application is there, unless
    /// the scenario says otherwise.
    pub(super) fn is_of_application(&self, checker: &CheckerName) -> bool {
        self.policy.checkers.get(checker).is_some_and(|policy| policy.on_down != OnDown::Wait)
    }

    /// Whether a checker looks at what the application serves, which it does not while a prerequisite
    /// is away. What only notifies looks at other things, such as a disk.
    pub(super) fn needs_prerequisites(&self, checker: &CheckerName) -> bool {
        let on_down = self.policy.checkers.get(checker).map(|policy| policy.on_down);
        matches!(on_down, Some(OnDown::Restart | OnDown::Stop | OnDown::Out))
    }

    /// The commands that are kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &CommandName> {
        self.policy.commands.iter().filter(|(_, command)| command.keep).map(|(name, _)| name)
    }
}
