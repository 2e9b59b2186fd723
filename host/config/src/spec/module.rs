//! What `modules/NAME.toml` says.
//!
//! When a changed key takes effect follows from where its value stands. Everything below is written without `..`, so
//! that a new field does not compile before each of these has been thought about.
//!
//! | where the value stands | when an edit takes effect |
//! |---|---|
//! | in [`CheckerDefinition`] | at once: the checker is watched anew, as a reload compares the whole of it |
//! | in the policy, see [`ModuleSpec::policy`] | at once: the core is given the new policy, and decides by it |
//! | anywhere else | when it is used the next time: at the next run of a command, at the next plan |

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::drain::Drain;
use bellwether_core::id::{CheckerName, CommandName, ComponentName, ModuleName};
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy, OnDown, Thresholds};
use serde::Serialize;

use super::{CommandSpec, Find, Grants, Of, OwnLimits};
use crate::definition::{as_text, grant_list, is_host, key_and_text, limit_list, word};

/// What load balancers are told of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthSpec {
    /// How long health says no before an application that serves is stopped.
    pub drain: Drain,
    /// Whether they are asked for less while a checker that only notifies is down.
    pub degrade: bool,
    /// The command that tells one which never asks that the answer is yes.
    pub on_yes: Option<CommandName>,
    /// Likewise, that it is no.
    pub on_no: Option<CommandName>,
}

/// `modules/NAME.toml`: one application.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSpec {
    /// The file's name without `.toml`.
    pub name: ModuleName,
    /// How it is restarted.
    pub restart: RestartSpec,
    /// The only programs its components may ask for.
    pub commands: BTreeMap<CommandName, CommandSpec>,
    /// The answers to load balancers.
    pub health: HealthSpec,
    /// By name.
    pub checkers: BTreeMap<CheckerName, CheckerSpec>,
}

impl ModuleSpec {
    /// Relative paths in grants are meant to be in the root.
    pub(crate) fn place_under(&mut self, root: &Path) {
        Arc::make_mut(&mut self.restart.grants).place_under(root);
        for checker in self.checkers.values_mut() {
            if let Subject::Component(component) = &mut checker.definition.subject {
                Arc::make_mut(&mut component.grants).place_under(root);
            }
        }
    }
}

/// `[restart]`
#[derive(Debug, Clone, PartialEq)]
pub struct RestartSpec {
    /// The component that makes the plans.
    pub script: ComponentName,
    /// Its configuration, for the script alone to understand.
    pub config: serde_json::Value,
    /// What it is allowed.
    pub grants: Arc<Grants>,
    /// What its runs may use, where that differs from the node's limits.
    pub limits: OwnLimits,
    /// Automatic restarts allowed.
    pub budget: BudgetPolicy,
    /// The wait between tries.
    pub backoff: BackoffPolicy,
    /// From the end of the start plan until every checker must be up.
    pub start_within: Duration,
    /// From the end of the start plan until something of the application must have been seen.
    pub appear_within: Duration,
    /// For so long what does not start, or does not stay up, is tried again without being counted
    /// against the budget.
    pub keep_trying: Duration,
}

/// `[[checker]]`
#[derive(Debug, Clone, PartialEq)]
pub struct CheckerSpec {
    /// Its name within the module.
    pub name: CheckerName,
    /// What it observes, and how.
    pub definition: CheckerDefinition,
    /// How observations add up.
    pub thresholds: Thresholds,
    /// What its going down does.
    pub on_down: OnDown,
}

/// What a checker observes, and how: all that whatever runs the checker is given. Two definitions that are not equal
/// have different digests, see [`Self::digest`], so nothing that is added here can be forgotten by a reload.
///
/// The digest is kept across versions of the daemon. A key that is added here is therefore left out of it while it has
/// its default (`skip_serializing_if`), or an upgrade would put every checker on probation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckerDefinition {
    /// How often it looks.
    #[serde(serialize_with = "as_text")]
    pub interval: Duration,
    /// How long one run may take.
    #[serde(serialize_with = "as_text")]
    pub timeout: Duration,
    /// What it looks at.
    pub subject: Subject,
}

/// What a checker looks at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Processes of this node.
    Process(ProcessSpec),
    /// Whatever a component looks at.
    Component(ComponentSpec),
}

/// `process = { … }`
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessSpec {
    /// Which processes.
    #[serde(serialize_with = "key_and_text")]
    pub find: Find,
    /// Fewer is a fail.
    pub at_least: u32,
    /// More is a fail.
    pub at_most: Option<u32>,
    /// Processes of containers count, too: those in process id namespaces below the daemon's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub containers: bool,
    /// Whose processes count, of those that are found by what they are.
    #[serde(serialize_with = "word", skip_serializing_if = "is_host")]
    pub of: Of,
    /// More than this is a fail, over all processes found together.
    #[serde(flatten)]
    pub bounds: ProcessBounds,
}

/// Bounds on what the processes use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ProcessBounds {
    /// Resident memory in bytes, all processes together.
    #[serde(rename = "max-memory")]
    pub memory: Option<u64>,
    /// CPU in percent of one processor, between two looks, all together.
    #[serde(rename = "max-cpu")]
    pub cpu: Option<f64>,
    /// Open files of any one process.
    #[serde(rename = "max-open-files")]
    pub open_files: Option<u64>,
    /// Threads, all together.
    #[serde(rename = "max-threads")]
    pub threads: Option<u64>,
}

/// `component = "NAME"`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComponentSpec {
    /// Which component.
    #[serde(rename = "name")]
    pub component: ComponentName,
    /// Its configuration, for the component alone to understand.
    pub config: serde_json::Value,
    /// What it is allowed.
    #[serde(serialize_with = "grant_list")]
    pub grants: Arc<Grants>,
    /// What its runs may use, where that differs from the node's limits.
    #[serde(serialize_with = "limit_list")]
    pub limits: OwnLimits,
}

#[cfg(test)]
mod tests {
    use bellwether_os::spawn::command::{ArgumentPattern, ArgumentRefusal};
    use bellwether_os::spawn::execution::Execution;

    use super::*;

    fn command(arguments: Option<&str>) -> CommandSpec {
        CommandSpec {
            run: vec!["/bin/true".to_owned()],
            keep: false,
            timeout: Duration::from_secs(1),
            leftovers: CommandSpec::LEFTOVERS,
            env: BTreeMap::new(),
            dir: None,
            arguments: arguments.map(|pattern| ArgumentPattern::new(pattern).unwrap()),
            execution: Execution::default(),
        }
    }

    #[test]
    fn a_component_adds_no_argument_that_the_declaration_does_not_allow() {
        for (pattern, arguments, allowed) in [
            (None, &[][..], true),
            (None, &["--all"], false),
            (None, &[""], false),
            (Some(".*"), &["--all", ""], true),
            (Some("--(lag|depth)"), &["--lag", "--depth"], true),
            // As a whole, and every one.
            (Some("--(lag|depth)"), &["--lag=1"], false),
            (Some("--(lag|depth)"), &["--lag", "x --lag"], false),
            (Some("--lag|--depth"), &["--lag=1"], false),
            (Some("[a-z]+"), &["a\n"], false),
            (Some("(?m)^a$"), &["a\nb"], false),
            (Some("(?s).*"), &["a\nb"], true),
            (Some("(?s).*"), &["a\0b"], false),
        ] {
            let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            let answer = command(pattern).allows(&arguments);
            assert_eq!(answer.is_ok(), allowed, "{pattern:?} {arguments:?}: {answer:?}");
        }
        let long = vec!["x".repeat(1000); 17];
        assert_eq!(command(Some(".*")).allows(&long), Err(ArgumentRefusal::TooLong));
        assert!(ArgumentPattern::new("a)|(b").is_err(), "it would leave the group that makes it whole");
    }
}
