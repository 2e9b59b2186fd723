//! Carries out the core's actions: asks for plans and executes steps.
//!
//! ```text
//!   MakePlan ──▶ a run of the restart script ──▶ PlanMade
//!   RunStep  ──▶ a task ──▶ StepEnded
//!                  ▲ CancelStep: the task is dropped, and its command ends with it
//! ```
//! A start that is abandoned may have happened all the same. Therefore, before a plan is requested or kept
//! processes are killed, abandoned steps are waited for.
//!
//! This module makes no decisions: what to do, and for how long, is in the action.

pub mod kept;
mod last_words;
pub(crate) mod plan_question;
pub mod preview;
pub mod step;

#[cfg(test)]
pub(crate) mod harness;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::event::Event;
use bellwether_core::id::{AttemptId, CommandName, ModuleName};
use bellwether_core::plan::{Plan, PlanError, PlanRequest, StepAction, StepError};
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::observe::RunContext;
use bellwether_bus::Message;
use bellwether_bus::metrics::Cost;
use bellwether_config::ComponentKind;
use bellwether_config::spec::ModuleSpec;
use bellwether_sandbox::plan::DeclaredCommand;
use bellwether_sandbox::run::PlanRun;

use self::plan_question::PlanContext;
use self::step::{NotDone, StepRunner};

/// The time limit for the exit of a command that is no longer declared: the default of a module's file.
const FORMER_TIMEOUT: Duration = Duration::from_secs(10);

type StepKey = (ModuleName, AttemptId, usize);

/// Carries out the core's actions.
#[derive(Debug)]
pub struct Actors {
    context: RunContext,
    steps: StepRunner,
    events: mpsc::Sender<Message>,
    under_way: HashMap<StepKey, JoinHandle<()>>,
    given_up: Vec<(ModuleName, JoinHandle<()>)>,
}

impl Actors {
    /// Completions go to `events`.
    pub fn new(context: RunContext, steps: StepRunner, events: mpsc::Sender<Message>) -> Self {
        Self { context, steps, events, under_way: HashMap::new(), given_up: Vec::new() }
    }

    /// Asks the module's restart script for a plan, after `first`.
    pub fn make_plan(
        &mut self,
        module: ModuleName,
        attempt: AttemptId,
        request: PlanRequest,
        timeout: Duration,
        first: BoxFuture<'static, ()>,
    ) {
        let (context, steps, events) = (self.context.clone(), self.steps.clone(), self.events.clone());
        let given_up = self.given_up(&module);
        tokio::spawn(async move {
            tokio::join!(first, join_all(given_up));
            let plan = plan(&context, &steps, &module, request, timeout).await;
            send(&events, Event::PlanMade { module, attempt, plan }).await;
        });
    }

    /// Carries out a step of an attempt, after `first`.
    pub fn run_step(
        &mut self,
        key: (ModuleName, AttemptId, usize),
        action: StepAction,
        timeout: Duration,
        first: BoxFuture<'static, ()>,
    ) {
        let (steps, member) = (self.steps.clone(), self.context.loaded_modules.get(&key.0));
        let (events, (module, attempt, step)) = (self.events.clone(), key.clone());
        self.spawn(key, async move {
            first.await;
            let member = member.ok_or(StepError::ModuleGone)?;
            let tell = |reason, within| async move {
                send(&events, Event::StepDelayed { module, attempt, step, reason, within }).await;
            };
            steps.end_last_run(&member.spec, &action, tell).await?;
            steps.attempt(&member.spec, &action, timeout).await
        });
    }

    /// Kills every process that the module keeps.
    pub fn kill_kept(&mut self, module: ModuleName, attempt: AttemptId) {
        let (steps, name) = (self.steps.clone(), module.clone());
        let member = self.context.loaded_modules.get(&module);
        let given_up = self.given_up(&module);
        self.spawn((module, attempt, 0), async move {
            join_all(given_up).await;
            Ok(steps.kill_kept(&name, member.as_ref().map(|member| &member.spec)).await?)
        });
    }

    /// Checks whether everything that the module runs has ended, or ends within this time.
    pub fn look_stopped(&mut self, module: ModuleName, attempt: AttemptId, within: Duration) {
        let (steps, name) = (self.steps.clone(), module.clone());
        let member = self.context.loaded_modules.get(&module);
        let given_up = self.given_up(&module);
        self.spawn((module, attempt, 0), async move {
            join_all(given_up).await;
            Ok(steps.look_stopped(&name, member.as_ref().map(|member| &member.spec), within).await?)
        });
    }

    pub fn cancel_step(&mut self, module: ModuleName, attempt: AttemptId, step: usize) {
        if let Some(task) = self.under_way.remove(&(module.clone(), attempt, step)) {
            task.abort();
            self.given_up.retain(|(_, task)| !task.is_finished());
            self.given_up.push((module, task));
        }
    }

    /// The steps of this module that were cancelled and may not have noticed yet.
    fn given_up(&mut self, module: &ModuleName) -> Vec<JoinHandle<()>> {
        self.given_up.extract_if(.., |(of, _)| of == module).map(|(_, task)| task).collect()
    }

    fn spawn(&mut self, key: StepKey, work: impl Future<Output = Result<String, NotDone>> + Send + 'static) {
        self.under_way.retain(|_, task| !task.is_finished());
        let events = self.events.clone();
        let (module, attempt, step) = key.clone();
        let task = tokio::spawn(async move {
            let result = work.await;
            if result.as_ref().is_err_and(|not_done| not_done.shortage.is_some()) {
                send(&events, Event::Starved { module: module.clone(), attempt }).await;
            }
            let result = result.map_err(|not_done| not_done.reason);
            send(&events, Event::StepEnded { module, attempt, step, result }).await;
        });
        self.under_way.insert(key, task);
    }
}

/// A completion is never dropped: it waits until the core takes it. Once the daemon shuts down, no core takes it.
async fn send(events: &mpsc::Sender<Message>, event: Event) {
    if events.send(Message::Event(event)).await.is_err() {
        tracing::debug!("a completion came after the end of the core");
    }
}

async fn plan(
    context: &RunContext,
    steps: &StepRunner,
    module: &ModuleName,
    request: PlanRequest,
    timeout: Duration,
) -> Result<Plan, PlanError> {
    let member = context.loaded_modules.get(module).ok_or(PlanError::ModuleGone)?;
    let script = &member.spec.restart.script;
    let in_force = context.registry.get_for(&member.script_pin, ComponentKind::RestartScript, script);
    let component = in_force.ok_or_else(|| PlanError::NoScript(script.clone()))?;
    steps.kept.quiesce(module).await.map_err(|error| error.to_string())?;
    let running = steps.kept.running(module);
    let run = PlanRun {
        grants: Arc::clone(&member.script_grants),
        state: member.script_state.clone(),
        ..PlanContext::of(context, &member.spec, timeout).ask(&member.spec, request, &running)
    };
    let report = context.sandbox.plan_report(&component, run).await;
    let (took, usage) = (report.took, report.usage);
    let cost = Cost { took, usage, refusals: report.refusals.len(), used: &report.used };
    context.metrics.planned(module, cost, context.clock.now());
    report.plan.map_err(|error| error.to_string().into())
}

/// The commands that the module's file declares, and those that still run although they are no longer declared:
/// they have to be stopped as well.
pub(crate) fn commands_of(module: &ModuleSpec, running: &[CommandName]) -> Vec<DeclaredCommand> {
    let declared = module.commands.iter().map(|(name, spec)| DeclaredCommand {
        name: name.clone(),
        keep: spec.keep,
        running: running.contains(name),
        timeout: spec.timeout,
    });
    let former = running.iter().filter(|name| !module.commands.contains_key(*name));
    let former = former.map(|name| DeclaredCommand {
        name: name.clone(),
        keep: true,
        running: true,
        timeout: FORMER_TIMEOUT,
    });
    declared.chain(former).collect()
}
