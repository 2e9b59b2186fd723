//! The part of a module's specification that the core decides by.

use std::time::Duration;

use bellwether_core::policy::{CheckerKind, CheckerPolicy, CommandPolicy, ModulePolicy};

use super::spec::{
    CheckerDefinition, CheckerSpec, CommandSpec, Find, HealthSpec, ModuleSpec, ProcessSpec, RestartSpec,
    Subject,
};

/// The time limit of a restart script.
const PLAN_WITHIN: Duration = Duration::from_secs(5);
/// What a busy machine may add to the time between two results of a checker.
const SPARE: Duration = Duration::from_secs(10);

impl ModuleSpec {
    /// What of the module the core decides by. What is left out here takes effect when it is used the next time.
    pub fn policy(&self) -> ModulePolicy {
        let Self { name: _, restart, commands, health, checkers } = self;
        let RestartSpec {
            // Of the restart script, which is run for the next plan.
            script: _,
            config: _,
            grants: _,
            limits: _,
            budget,
            backoff,
            start_within,
            appear_within,
            keep_trying,
        } = restart;
        let HealthSpec {
            drain,
            degrade,
            // Commands that are run with the next answer, or at once if they have changed.
            on_yes: _,
            on_no: _,
        } = health;
        ModulePolicy {
            checkers: checkers.iter().map(|(name, checker)| (name.clone(), checker.policy())).collect(),
            commands: commands
                .iter()
                .map(|(name, command)| (name.clone(), command_policy(command)))
                .collect(),
            budget: *budget,
            backoff: *backoff,
            drain: *drain,
            degrade: *degrade,
            start_within: *start_within,
            appear_within: Some(*appear_within),
            keep_trying: *keep_trying,
            plan_within: PLAN_WITHIN,
        }
    }
}

impl CheckerSpec {
    fn policy(&self) -> CheckerPolicy {
        let Self { name: _, definition, thresholds, on_down } = self;
        // The digest stands for the rest of the definition.
        let CheckerDefinition { interval, timeout, subject } = definition;
        CheckerPolicy {
            kind: match subject {
                Subject::Process(_) => CheckerKind::Process,
                Subject::Component(_) => CheckerKind::Component,
            },
            thresholds: *thresholds,
            on_down: *on_down,
            interval: *interval,
            timeout: *timeout,
            patience: patience(*interval, *timeout),
            kept: matches!(subject, Subject::Process(ProcessSpec { find: Find::Kept(_), .. })),
            definition: definition.digest(),
        }
    }
}

fn command_policy(command: &CommandSpec) -> CommandPolicy {
    let CommandSpec {
        keep,
        timeout,
        // Read whenever the command is run.
        run: _,
        leftovers: _,
        env: _,
        dir: _,
        arguments: _,
        execution: _,
    } = command;
    CommandPolicy { keep: *keep, timeout: *timeout }
}

/// How long a checker that is run as it should be may be silent at most: until its next run, then
/// until another run of it is over, until there is a place to run in, and for the run itself.
fn patience(interval: Duration, timeout: Duration) -> Duration {
    interval.saturating_add(timeout.saturating_mul(3)).saturating_add(SPARE)
}
