//! One run of a new version of a component, before it comes into force.
//!
//! What it sees is shown to nobody, and what it leaves behind is dropped. It
//! matters only whether it breaks where the version in force does not.

use std::sync::Arc;

use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::plan::{Occasion, PlanRequest};
use bellwether_core::probation::{Ending, judge};

use crate::act::plan_question::PlanContext;
use crate::observe::Means;
use crate::observe::component::{ComponentChecker, ending};
use crate::registry::ComponentKey;
use crate::roster::CheckerKit;
use bellwether_config::ComponentKind;
use bellwether_config::spec::{CheckerSpec, ModuleSpec, Subject};
use bellwether_sandbox::component::Component;
use bellwether_sandbox::failure::Failure;
use bellwether_sandbox::run::{NoPlan, PlanRun};

/// What to try a new version with.
#[derive(Debug)]
pub(super) enum Trial {
    /// A checker that uses it, and answered last time.
    Checker { module: ModuleName, spec: Box<CheckerSpec>, kit: Arc<CheckerKit> },
    /// A module whose restart script it is, and the version in force.
    Script { spec: Box<ModuleSpec>, before: Component },
}

/// A new version that broke where the version in force did not.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrialFailure {
    #[error("its trial run for checker `{checker}` of module `{module}`: {why}")]
    Check { module: ModuleName, checker: CheckerName, why: String },
    #[error("its trial plan for module `{module}`: {failure}")]
    Plan { module: ModuleName, failure: Failure },
}

impl Trial {
    /// The first user that there is something to compare with. `specs` are the modules as they
    /// will be when the new version is active.
    pub(super) fn find(means: &Means, key: &ComponentKey, specs: &[&ModuleSpec]) -> Option<Self> {
        let (kind, name) = key;
        let before = means.registry.get(*kind, name)?;
        match kind {
            ComponentKind::Checker => specs.iter().find_map(|spec| Self::checker(means, key, spec)),
            ComponentKind::RestartScript => {
                let in_force = |spec: &&&ModuleSpec| means.roster.get(&spec.name).is_some();
                let spec = specs.iter().find(|spec| spec.restart.script == *name && in_force(spec))?;
                Some(Self::Script { spec: Box::new((*spec).clone()), before })
            }
        }
    }

    fn checker(means: &Means, key: &ComponentKey, spec: &ModuleSpec) -> Option<Self> {
        let member = means.roster.get(&spec.name)?;
        spec.checkers.values().find_map(|checker| {
            let Subject::Component(component) = &checker.subject else { return None };
            let user = (spec.name.clone(), checker.name.clone());
            let answered = means.registry.last_ending(key, &user) == Some(Ending::Answered);
            if component.component != key.1 || !answered {
                return None;
            }
            let memory = member.kit(&checker.name)?.memory.copy();
            let kit = Arc::new(CheckerKit::new(component, memory));
            Some(Self::Checker { module: spec.name.clone(), spec: Box::new(checker.clone()), kit })
        })
    }

    /// Carries it out.
    pub(super) async fn run(self, means: &Means, component: &Component) -> Result<(), TrialFailure> {
        match self {
            Self::Checker { module, spec, kit } => {
                let checker = spec.name.clone();
                let Subject::Component(subject) = &spec.subject else { return Ok(()) };
                let name = subject.component.clone();
                let report = ComponentChecker { component: name, spec: *spec, kit }
                    .report(means, &module, component)
                    .await;
                let Some(now) = ending(&report.result) else { return Ok(()) };
                let broke = |why: &str| TrialFailure::Check { module, checker, why: why.to_owned() };
                judge(&Ending::Answered, &now).map_err(broke)
            }
            Self::Script { spec, before } => {
                let plan = |component: Component| plan(means, &spec, component);
                let Err(NoPlan::Failed(failure)) = plan(component.clone()).await else { return Ok(()) };
                let old_fails_too = matches!(plan(before).await, Err(NoPlan::Failed(_)));
                if old_fails_too {
                    Ok(())
                } else {
                    Err(TrialFailure::Plan { module: spec.name.clone(), failure })
                }
            }
        }
    }
}

/// A plan for a start, which nobody carries out.
async fn plan(means: &Means, spec: &ModuleSpec, component: Component) -> Result<(), NoPlan> {
    let request = PlanRequest::without_history(Occasion::Start, &spec.restart.budget);
    let state = means.roster.get(&spec.name).map(|member| member.script_state.copy());
    let run = PlanRun {
        grants: Arc::clone(&spec.restart.grants),
        state: state.unwrap_or_default(),
        ..PlanContext::of(means, spec, spec.policy().plan_within).ask(spec, request, &[])
    };
    means.sandbox.plan(&component, run).await.map(drop)
}
