//! One run of a component checker.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{CheckerName, ModuleName};
use bellwether_core::observation::Observation;
use bellwether_core::probation::Ending;

use super::{RunContext, unknown};
use crate::loaded_modules::CheckerKit;
use bellwether_bus::metrics::Cost;
use bellwether_config::ComponentKind;
use bellwether_config::spec::{ComponentSpec, RunLimits};
use bellwether_sandbox::component::Component;
use bellwether_sandbox::failure::Failure;
use bellwether_sandbox::run::{CheckReport, CheckRun, Seen};

/// A checker that is a component.
#[derive(Debug)]
pub struct ComponentChecker {
    /// Its name.
    pub name: CheckerName,
    /// How often it looks.
    pub interval: Duration,
    /// How long one run may take.
    pub timeout: Duration,
    /// The component, with its limits.
    pub component: ComponentSpec,
    /// What its runs need.
    pub kit: Arc<CheckerKit>,
}

impl ComponentChecker {
    fn limits(&self, context: &RunContext) -> RunLimits {
        context.limits.run.with(&self.component.limits)
    }

    /// Runs it once, in the version that is in force now.
    pub async fn run(&self, context: &RunContext, module: &ModuleName) -> Observation {
        let _turn = self.kit.memory.turn.lock().await;
        let key = (ComponentKind::Checker, self.component.component.clone());
        let Some(component) = context.registry.get_for(&self.kit.pin, key.0, &key.1) else {
            let name = &self.component.component;
            let summary = format!("there is no component `{name}`: put it into checkers/{name}.wasm");
            return unknown(summary, context.clock);
        };
        let report = self.report(context, module, &component).await;
        self.kit.memory.count_run();
        let (took, usage) = (report.took, report.usage);
        let cost = Cost { took, usage, refusals: report.refusals.len(), used: &report.used };
        context.metrics.ran(module, &self.name, cost, context.clock.now());
        for line in &report.log {
            tracing::debug!(%module, checker = %self.name, level = ?line.level, "{}", line.text);
        }
        if let Some(ending) = ending(&report.result) {
            let user = (module.clone(), self.name.clone());
            context.registry.ran(&key, &component, &user, &ending);
        }
        report.into_observation(context.clock.now())
    }

    /// Runs it once, in this version.
    pub(crate) async fn report(
        &self,
        context: &RunContext,
        module: &ModuleName,
        component: &Component,
    ) -> CheckReport {
        let run = CheckRun {
            node: context.node.clone(),
            module: module.clone(),
            checker: self.name.clone(),
            run: self.kit.memory.next_run(),
            config: Arc::clone(&self.kit.config),
            time: self.timeout,
            limits: self.limits(context),
            grants: Arc::clone(&self.kit.grants),
            facilities: context.facilities(module),
            state: self.kit.memory.state.clone(),
        };
        context.sandbox.check(component, run).await
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
