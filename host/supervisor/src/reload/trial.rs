//! One run of a new version of a component, before it becomes active.
//!
//! What it sees is shown nowhere, and what it leaves behind is dropped. Only how the run ends is reported: the
//! core compares that with the version before.

use std::sync::Arc;

use bellwether_core::id::CheckerName;
use bellwether_core::plan::{Occasion, PlanRequest};
use bellwether_core::probation::Ending;
use bellwether_core::reload::Trial;

use super::content::ModuleContent;
use crate::act::plan_question::PlanContext;
use crate::loaded_modules::CheckerKit;
use crate::observe::RunContext;
use crate::observe::component::{ComponentChecker, ending};
use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_sandbox::component::Component;
use bellwether_sandbox::run::{NoPlan, PlanRun};

/// Carries it out: how a run of the version before ends, and how that of the new one has ended.
pub(super) async fn run(means: &RunContext, trial: Trial<ModuleContent, Component>) -> (Ending, Ending) {
    let spec = trial.module.spec();
    match &trial.checker {
        Some(checker) => {
            // The last run of the version before has answered. A new one that could not run breaks nothing.
            let now = check(means, spec, checker, &trial.candidate).await;
            (Ending::Answered, now.unwrap_or(Ending::Answered))
        }
        None => match plan(means, spec, trial.candidate).await {
            Ending::Answered => (Ending::Answered, Ending::Answered),
            broke @ Ending::Broke(_) => (plan(means, spec, trial.before).await, broke),
        },
    }
}

/// Runs the checker once. Nothing if there is no such checker any more, or its run says nothing of the component.
async fn check(
    means: &RunContext,
    spec: &ModuleSpec,
    checker: &CheckerName,
    component: &Component,
) -> Option<Ending> {
    let spec_of_checker = spec.checkers.get(checker)?.clone();
    let Subject::Component(subject) = &spec_of_checker.subject else { return None };
    let name = subject.component.clone();
    let memory = means.roster.get(&spec.name)?.kit(checker)?.memory.copy();
    let kit = Arc::new(CheckerKit::new(subject, memory));
    let checker = ComponentChecker { component: name, spec: spec_of_checker, kit };
    let report = checker.report(means, &spec.name, component).await;
    ending(&report.result)
}

/// Asks for a plan for a start, which is not carried out.
async fn plan(means: &RunContext, spec: &ModuleSpec, component: Component) -> Ending {
    let request = PlanRequest::without_history(Occasion::Start, &spec.restart.budget);
    let state = means.roster.get(&spec.name).map(|member| member.script_state.copy());
    let run = PlanRun {
        grants: Arc::clone(&spec.restart.grants),
        state: state.unwrap_or_default(),
        ..PlanContext::of(means, spec, spec.policy().plan_within).ask(spec, request, &[])
    };
    match means.sandbox.plan(&component, run).await {
        Err(NoPlan::Failed(failure)) => Ending::Broke(failure.to_string()),
        _ => Ending::Answered,
    }
}
