//! A plan that is not carried out: what the restart script would do now.

use std::time::Duration;

use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::plan::{Occasion, Plan, PlanError, PlanRequest};

use super::plan_question::PlanContext;
use crate::observe::RunContext;
use bellwether_config::ComponentKind;

/// Short, because a user is waiting for it.
const WITHIN: Duration = Duration::from_secs(2);

/// Asks the module's restart script in the sandbox, without effects: it has no grants, and changes of its state are
/// discarded. A script that needs a grant to decide may return another plan when it is really asked.
///
/// # Errors
/// Why there is no plan.
pub async fn preview(
    context: &RunContext,
    module: &ModuleName,
    occasion: Occasion,
) -> Result<Plan, PlanError> {
    let member = context.loaded_modules.get(module).ok_or(PlanError::ModuleGone)?;
    let script = &member.spec.restart.script;
    let in_force = context.registry.get_for(&member.script_pin, ComponentKind::RestartScript, script);
    let component = in_force.ok_or_else(|| format!("there is no restart script `{script}`"))?;
    let runs = |command: &&CommandName| context.kept.state(module, command).running().is_some();
    let running: Vec<CommandName> = member.spec.commands.keys().filter(runs).cloned().collect();
    let request = PlanRequest::without_history(occasion, &member.spec.restart.budget);
    let run = PlanContext::of(context, &member.spec, WITHIN).ask(&member.spec, request, &running);
    context.sandbox.plan(&component, run).await.map_err(|error| error.to_string().into())
}
