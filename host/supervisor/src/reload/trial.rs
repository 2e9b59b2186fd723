//! One run of a new version of a component, before it becomes active.
//!
//! Its observation is not shown, and its state is discarded. Only how the run ends is reported: the core compares
//! that with the previous version.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::CheckerName;
use bellwether_core::plan::{Occasion, PlanRequest};
use bellwether_core::probation::Ending;
use bellwether_core::reload::Trial;
use tokio::task::JoinSet;

use super::content::ModuleContent;
use crate::act::plan_question::PlanContext;
use crate::loaded_modules::CheckerKit;
use crate::observe::RunContext;
use crate::observe::component::{ComponentChecker, ending};
use bellwether_config::spec::{CheckerDefinition, ModuleSpec, Subject};
use bellwether_os::at_most;
use bellwether_sandbox::component::Component;
use bellwether_sandbox::run::{NoPlan, PlanRun};

/// Added to the time limits of the runs, for everything around them.
const MARGIN: Duration = at_most!(Duration::from_secs(30));

/// The time limit of a trial: it is one run of a checker, or two plans.
pub(super) fn deadline(trial: &Trial<ModuleContent, Component>) -> Duration {
    let spec = trial.module.spec();
    let one = match &trial.checker {
        Some(checker) => {
            spec.checkers.get(checker).map_or(Duration::ZERO, |checker| checker.definition.timeout)
        }
        None => spec.policy().plan_within,
    };
    one.saturating_mul(2).saturating_add(MARGIN)
}

/// Carries out the trial, and answers within the time limit whatever happens: files that were changed together wait
/// for the answer.
pub(super) async fn run_within(
    within: Duration,
    context: RunContext,
    trial: Trial<ModuleContent, Component>,
) -> (Ending, Ending) {
    answered(within, async move { run(&context, trial).await }).await
}

/// The result of the run. A panic and a run that does not end count against the new version.
async fn answered(
    within: Duration,
    run: impl Future<Output = (Ending, Ending)> + Send + 'static,
) -> (Ending, Ending) {
    // Aborts the run when it goes out of scope.
    let mut running = JoinSet::new();
    running.spawn(run);
    let why = match tokio::time::timeout(within, running.join_next()).await {
        Ok(Some(Ok(endings))) => return endings,
        Ok(failed) => {
            tracing::error!(?failed, "a trial run failed in the daemon itself");
            "its trial run failed: a bug in the daemon, see its log"
        }
        Err(_) => "its trial run did not end in time",
    };
    (Ending::Answered, Ending::Broke(why.to_owned()))
}

/// How a run of the version before ends, and how that of the new one has ended.
async fn run(context: &RunContext, trial: Trial<ModuleContent, Component>) -> (Ending, Ending) {
    let spec = trial.module.spec();
    match &trial.checker {
        Some(checker) => {
            // The last run of the version before has answered. A new one that could not run breaks nothing.
            let now = check(context, spec, checker, &trial.candidate).await;
            (Ending::Answered, now.unwrap_or(Ending::Answered))
        }
        None => match plan(context, spec, trial.candidate).await {
            Ending::Answered => (Ending::Answered, Ending::Answered),
            broke @ Ending::Broke(_) => (plan(context, spec, trial.before).await, broke),
        },
    }
}

/// Runs the checker once. `None` if the checker no longer exists, or its run says nothing about the component.
async fn check(
    context: &RunContext,
    spec: &ModuleSpec,
    checker: &CheckerName,
    component: &Component,
) -> Option<Ending> {
    let CheckerDefinition { interval, timeout, subject } = spec.checkers.get(checker)?.definition.clone();
    let Subject::Component(subject) = subject else { return None };
    let memory = context.loaded_modules.get(&spec.name)?.kit(checker)?.memory.copy();
    let kit = Arc::new(CheckerKit::new(&subject, memory));
    let checker = ComponentChecker { name: checker.clone(), interval, timeout, component: subject, kit };
    let report = checker.report(context, &spec.name, component).await;
    ending(&report.result)
}

/// Asks for a plan for a start, which is not carried out.
async fn plan(context: &RunContext, spec: &ModuleSpec, component: Component) -> Ending {
    let request = PlanRequest::without_history(Occasion::Start, &spec.restart.budget);
    let state = context.loaded_modules.get(&spec.name).map(|member| member.script_state.copy());
    let run = PlanRun {
        grants: Arc::clone(&spec.restart.grants),
        state: state.unwrap_or_default(),
        ..PlanContext::of(context, spec, spec.policy().plan_within).ask(spec, request, &[])
    };
    match context.sandbox.plan(&component, run).await {
        Err(NoPlan::Failed(failure)) => Ending::Broke(failure.to_string()),
        _ => Ending::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broke(why: &str) -> (Ending, Ending) {
        (Ending::Answered, Ending::Broke(why.to_owned()))
    }

    fn bug() -> (Ending, Ending) {
        panic!("a bug")
    }

    #[tokio::test]
    async fn a_trial_run_answers_whatever_happens() {
        let long = Duration::from_secs(600);
        let told = (Ending::Broke("before".to_owned()), Ending::Answered);
        let run = std::future::ready(told.clone());
        assert_eq!(answered(long, run).await, told);
        let panics = answered(long, async { bug() }).await;
        assert_eq!(panics, broke("its trial run failed: a bug in the daemon, see its log"));
        let never = answered(Duration::ZERO, std::future::pending()).await;
        assert_eq!(never, broke("its trial run did not end in time"));
    }
}
