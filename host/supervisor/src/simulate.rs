//! Simulates a scenario with a module: the real core and the real restart script, on virtual time.
//!
//! ```text
//!   module file ──▶ cast ─┐
//!   scenario ─────────────┴▶ core::simulation ──question──▶ the script, in the sandbox
//!                               │        ◀──────plan──────
//!                               ▼
//!                            report
//! ```
//! The simulation has no effects. A script that is granted commands or processes gets those of the scenario; grants
//! that reach other hosts (`connect`, `resolve`, `http`, `ping`) are removed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellwether_core::id::{CommandName, ModuleName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::plan::{Plan, PlanError};
use bellwether_core::simulation::cast::{Cast, Role, Sees};
use bellwether_core::simulation::report::Report;
use bellwether_core::simulation::scenario::{Behaviour, Scenario};
use bellwether_core::simulation::{Question, Simulation, TooMuch, Turn};
use futures_util::future::{BoxFuture, FutureExt as _, ready};

use crate::act::plan_question::PlanContext;
use crate::observe::process::label;
use crate::observe::spread;
use bellwether_config::spec::{
    CheckerDefinition, CheckerSpec, Grants, LimitsSpec, ModuleSpec, ProcessSpec, Subject,
};
use bellwether_os::clock::Clock;
use bellwether_os::process::find::Find;
use bellwether_sandbox::component::Component;
use bellwether_sandbox::facilities::{CommandEnd, CommandError, CommandOrder, Facilities, ProcessFacts};
use bellwether_sandbox::run::PlanRun;
use bellwether_sandbox::{Sandbox, StateHandle};

/// The inputs of a simulation.
#[derive(Debug)]
pub struct Stage<'s> {
    /// Runs the restart script.
    pub sandbox: &'s Sandbox,
    /// The restart script; if there is none, why not.
    pub script: Result<&'s Component, PlanError>,
    pub module: &'s ModuleSpec,
    pub node: &'s NodeName,
    /// The node's limits of runs.
    pub limits: &'s LimitsSpec,
}

impl Stage<'_> {
    /// Simulates the scenario. `seed` is the random seed: equal seeds give equal reports.
    pub async fn play(&self, scenario: Scenario, seed: u64) -> Result<Report, TooMuch> {
        let clock = Clock::start();
        let state = StateHandle::default();
        let commands = scenario.commands.clone();
        let mut simulation = Simulation::new(cast(self.module, self.node), scenario, seed);
        loop {
            match simulation.go_on()? {
                Turn::Over(report) => return Ok(*report),
                Turn::Ask(question) => {
                    let plan = self.plan(&question, &commands, &state, clock).await;
                    simulation.answer(&question, plan);
                }
            }
        }
    }

    /// In the same way as the daemon.
    async fn plan(
        &self,
        question: &Question,
        commands: &BTreeMap<CommandName, Behaviour>,
        state: &StateHandle,
        clock: Clock,
    ) -> Result<Plan, PlanError> {
        let script = self.script.clone()?;
        let running: Vec<CommandName> = question.running.iter().map(|(command, _)| command.clone()).collect();
        let facilities = Arc::new(Scenery {
            module: self.module.clone(),
            commands: commands.clone(),
            running: question.running.clone(),
            now: question.at,
        });
        let time = self.module.policy().plan_within;
        let context = PlanContext { node: self.node, limits: self.limits, facilities, clock, time };
        let run = PlanRun {
            grants: Arc::new(harmless(&self.module.restart.grants)),
            state: state.clone(),
            ..context.ask(self.module, question.request.clone(), &running)
        };
        self.sandbox.plan(script, run).await.map_err(|error| error.to_string().into())
    }
}

/// The grants that do not reach other hosts.
fn harmless(grants: &Grants) -> Grants {
    Grants {
        read: grants.read.clone(),
        env: grants.env.clone(),
        secrets: grants.secrets.clone(),
        commands: grants.commands.clone(),
        processes: grants.processes,
        ..Grants::default()
    }
}

/// The module in the form that the simulation needs.
fn cast(module: &ModuleSpec, node: &NodeName) -> Cast {
    Cast {
        node: node.clone(),
        module: module.name.clone(),
        policy: Arc::new(module.policy()),
        checkers: module
            .checkers
            .iter()
            .map(|(name, checker)| (name.clone(), role(&module.name, checker)))
            .collect(),
    }
}

/// How a checker looks in a world without processes. The core knows the rest of it by the policy.
fn role(module: &ModuleName, checker: &CheckerSpec) -> Role {
    let CheckerSpec { name, definition, thresholds: _, on_down: _ } = checker;
    let CheckerDefinition { interval, timeout: _, subject } = definition;
    Role {
        interval: *interval,
        first: spread(module, name, *interval),
        sees: match subject {
            Subject::Component(_) => Sees::Component,
            Subject::Process(ProcessSpec {
                find,
                at_least,
                // A scenario has no upper limits, containers or processes of others.
                at_most: _,
                containers: _,
                of: _,
                bounds: _,
            }) => match find {
                Find::Kept(command) => Sees::Kept { command: command.clone(), at_least: *at_least },
                find => Sees::Processes { label: label(find), at_least: *at_least },
            },
        },
    }
}

/// The facilities of a module in a scenario.
#[derive(Debug, Clone)]
struct Scenery {
    module: ModuleSpec,
    commands: BTreeMap<CommandName, Behaviour>,
    running: Vec<(CommandName, u32)>,
    now: Moment,
}

impl Scenery {
    /// It ends immediately, as the scenario says, without output.
    fn run(&self, order: &CommandOrder) -> Result<CommandEnd, CommandError> {
        let name = &order.name;
        let spec = self.module.commands.get(name).filter(|spec| !spec.keep).ok_or_else(|| {
            CommandError::CannotStart(format!("there is no command `{name}` to run in `[commands]`"))
        })?;
        spec.allows(&order.arguments)
            .map_err(|refusal| CommandError::Arguments(name.clone(), refusal.to_string()))?;
        let behaviour = self.commands.get(name).cloned().unwrap_or_default();
        let took = behaviour.takes.unwrap_or_default();
        let within = order.within.min(spec.timeout);
        if took > within {
            return Err(CommandError::Overdue { command: name.clone(), within });
        }
        let (exit, stderr) = match behaviour.fails {
            Some(why) => (1, why.into_bytes()),
            None => (0, Vec::new()),
        };
        Ok(CommandEnd { exit: Some(exit), stderr, took, ..CommandEnd::default() })
    }

    fn facts(&self) -> Vec<ProcessFacts> {
        let now = u64::try_from(self.now.as_micros()).unwrap_or(0);
        let started_at = SystemTime::UNIX_EPOCH + Duration::from_micros(now);
        let facts = |(command, pid): &(CommandName, u32)| ProcessFacts {
            pid: *pid,
            name: command.to_string(),
            commands: vec![command.to_string()],
            checkers: Vec::new(),
            started_at,
            cpu: Duration::ZERO,
            resident: 0,
            threads: 1,
            open_files: None,
            state: "sleeping",
        };
        self.running.iter().map(facts).collect()
    }
}

impl Facilities for Scenery {
    fn run_command(&self, order: CommandOrder) -> BoxFuture<'static, Result<CommandEnd, CommandError>> {
        ready(self.run(&order)).boxed()
    }

    fn processes(&self) -> BoxFuture<'static, io::Result<Vec<ProcessFacts>>> {
        ready(Ok(self.facts())).boxed()
    }
}
