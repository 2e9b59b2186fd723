//! One run of a component checker.

use std::sync::Arc;

use bellwether_core::id::{ComponentName, ModuleName};
use bellwether_core::observation::Observation;
use bellwether_core::probation::Ending;

use super::{RunContext, unknown};
use crate::loaded_modules::CheckerKit;
use bellwether_bus::metrics::Cost;
use bellwether_config::ComponentKind;
use bellwether_config::spec::{CheckerSpec, RunLimits, Subject};
use bellwether_sandbox::component::Component;
use bellwether_sandbox::failure::Failure;
use bellwether_sandbox::run::{CheckReport, CheckRun, Seen};

/// A checker that is a component.
#[derive(Debug)]
pub struct ComponentChecker {
    /// The name of its component.
    pub component: ComponentName,
    /// The checker's entry in the file.
    pub spec: CheckerSpec,
    /// The data for its runs.
    pub kit: Arc<CheckerKit>,
}

impl ComponentChecker {
    fn limits(&self, means: &RunContext) -> RunLimits {
        let node = means.limits.run;
        match &self.spec.subject {
            Subject::Component(component) => node.with(&component.limits),
            Subject::Process(_) => node,
        }
    }

    /// Runs it once, in the active version.
    pub async fn run(&self, means: &RunContext, module: &ModuleName) -> Observation {
        let _turn = self.kit.memory.turn.lock().await;
        let key = (ComponentKind::Checker, self.component.clone());
        let Some(component) = means.registry.get_for(&self.kit.pin, key.0, &key.1) else {
            let name = &self.component;
            let summary = format!("there is no component `{name}`: put it into checkers/{name}.wasm");
            return unknown(summary, means.clock);
        };
        let report = self.report(means, module, &component).await;
        self.kit.memory.count_run();
        let (took, usage) = (report.took, report.usage);
        let cost = Cost { took, usage, refusals: report.refusals.len(), used: &report.used };
        means.metrics.ran(module, &self.spec.name, cost, means.clock.now());
        for line in &report.log {
            tracing::debug!(%module, checker = %self.spec.name, level = ?line.level, "{}", line.text);
        }
        if let Some(ending) = ending(&report.result) {
            let user = (module.clone(), self.spec.name.clone());
            means.registry.ran(&key, &component, &user, &ending);
        }
        report.into_observation(means.clock.now())
    }

    /// Runs it once, in this version.
    pub(crate) async fn report(
        &self,
        means: &RunContext,
        module: &ModuleName,
        component: &Component,
    ) -> CheckReport {
        let run = CheckRun {
            node: means.node.clone(),
            module: module.clone(),
            checker: self.spec.name.clone(),
            run: self.kit.memory.next_run(),
            config: Arc::clone(&self.kit.config),
            time: self.spec.timeout,
            limits: self.limits(means),
            grants: Arc::clone(&self.kit.grants),
            facilities: means.facilities(module),
            state: self.kit.memory.state.clone(),
        };
        means.sandbox.check(component, run).await
    }
}

/// What a run says about its component's version. `None` if the host is at fault.
pub(crate) fn ending(result: &Result<Seen, Failure>) -> Option<Ending> {
    match result {
        Ok(_) => Some(Ending::Answered),
        Err(Failure::TooManyRuns(_) | Failure::Exhaustion(_) | Failure::HostBug(_)) => None,
        Err(failure) => Some(Ending::Broke(failure.to_string())),
    }
}
