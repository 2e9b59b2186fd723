//! What checkers and restart scripts run in, and the applications that run already.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bellwether_config::spec::NodeSpec;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::gate::Launcher;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use bellwether_sandbox::component::Component;
use bellwether_supervisor::act::kept::Kept;
use bellwether_supervisor::component_registry::{ComponentKey, ComponentRegistry};
use bellwether_supervisor::loaded_modules::LoadedModules;
use bellwether_supervisor::observe::RunContext;
use bellwether_supervisor::reload::{StandardComponent, load_standard};

use super::base::Base;
use super::storage::Storage;

/// What checkers and restart scripts run in, and the applications that run already.
pub(super) struct Supervision {
    pub(super) context: RunContext,
    /// What commands are started with.
    pub(super) home: Home,
    pub(super) kept: Kept,
    /// The components that come with the binary.
    pub(super) standard: BTreeMap<ComponentKey, Component>,
}

impl Supervision {
    pub(super) async fn build(
        base: &Base,
        storage: &Storage,
        compiler: Compiler,
        launcher: Launcher,
        standard: &[StandardComponent],
    ) -> anyhow::Result<Self> {
        let Base { root, node, clock, .. } = base;
        let context = RunContext {
            root: root.clone(),
            node: node.name.clone(),
            clock: *clock,
            limits: node.limits,
            sandbox: sandbox(root, node, compiler)?,
            registry: ComponentRegistry::default(),
            loaded_modules: LoadedModules::new(storage.files.guest_stores.clone()),
            processes: ProcessTable::default(),
            kept: KeptTable::default(),
            metrics: base.metrics.clone(),
            launcher: launcher.clone(),
        };
        let home = Home { root: root.clone(), node: node.name.clone(), launcher };
        // The applications first: compiling may take its time.
        let (processes, states) = (context.processes.clone(), context.kept.clone());
        let kept = Box::pin(Kept::open(home.clone(), *clock, processes, states)).await?;
        let standard = load_standard(&context.sandbox, standard).await?;
        Ok(Self { context, home, kept, standard })
    }
}

fn sandbox(root: &Path, node: &NodeSpec, compiler: Compiler) -> anyhow::Result<Arc<Sandbox>> {
    let mut sandbox = Sandbox::new(&node.limits, compiler)?;
    sandbox.request_by(&node.http);
    if let Err(error) = sandbox.cache_in(&root.join("state/compiled")) {
        tracing::warn!(%error, "compiled code is not kept: every start compiles all components again");
    }
    tracing::debug!(allocator = ?sandbox.allocator(), "components run");
    Ok(Arc::new(sandbox))
}
