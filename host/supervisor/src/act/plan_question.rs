//! The request to a restart script, as made by the daemon, a preview, a trial and a simulation: each adds only the
//! script's grants and its stored state.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::id::{CommandName, NodeName};
use bellwether_core::plan::PlanRequest;

use super::commands_of;
use crate::observe::RunContext;
use bellwether_config::spec::{LimitsSpec, ModuleSpec};
use bellwether_os::clock::Clock;
use bellwether_sandbox::StateHandle;
use bellwether_sandbox::facilities::Facilities;
use bellwether_sandbox::run::PlanRun;

/// The context in which a restart script is asked.
#[derive(Debug)]
pub(crate) struct PlanContext<'a> {
    pub(crate) node: &'a NodeName,
    /// The node's limits of runs.
    pub(crate) limits: &'a LimitsSpec,
    /// The commands and processes of the module, where they are granted to the script.
    pub(crate) facilities: Arc<dyn Facilities>,
    /// Converts moments to wall-clock time for the script.
    pub(crate) clock: Clock,
    /// The time limit of the script.
    pub(crate) time: Duration,
}

impl<'a> PlanContext<'a> {
    /// On this node, for this module.
    pub(crate) fn of(context: &'a RunContext, module: &ModuleSpec, time: Duration) -> Self {
        let facilities = context.facilities(&module.name);
        Self { node: &context.node, limits: &context.limits, facilities, clock: context.clock, time }
    }

    /// The request to the restart script of `module` while the commands of `running` are running. The script has no
    /// grants and no stored state.
    pub(crate) fn ask(self, module: &ModuleSpec, request: PlanRequest, running: &[CommandName]) -> PlanRun {
        PlanRun {
            node: self.node.clone(),
            module: module.name.clone(),
            config: module.restart.config.to_string().into(),
            request,
            commands: commands_of(module, running),
            time: self.time,
            limits: self.limits.run.with(&module.restart.limits),
            facilities: self.facilities,
            grants: Arc::default(),
            state: StateHandle::default(),
            clock: self.clock,
        }
    }
}
