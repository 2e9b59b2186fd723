//! `validate --against-running`: the effect of the files on applications that are serving.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bellwether_api::{CheckerStatus, ModuleStatus, NodeStatus};
use bellwether_config as config;
use bellwether_config::spec::{CheckerSpec, ComponentSpec, LimitsSpec, ModuleSpec, ProcessSpec, Subject};
use bellwether_config::{ComponentKind, RootReport};
use bellwether_core::id::{CheckerName, CommandName, ModuleName, NodeName};
use bellwether_core::observation::{Observation, Status};
use bellwether_core::policy::OnDown;
use bellwether_core::state::StateName;
use bellwether_os::clock::Clock;
use bellwether_os::process::entry;
use bellwether_os::process::find::{Find, Of};
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::facilities::NoModule;
use bellwether_sandbox::run::CheckRun;
use bellwether_supervisor::observe::process::{ProcessContext, watch_processes};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::commands::grants::component_bytes;
use crate::exit::Failure;

/// A checker that is new, or differs from the active one.
pub(super) struct Edit {
    file: String,
    checker: CheckerName,
    is_new: bool,
    on_down: OnDown,
    /// The result of one run; an error says why it cannot be run here.
    seen: Result<(Status, String), String>,
}

/// Compares every valid file with the active configuration of the daemon on `running`. Only modules whose
/// application is up are compared: in others nothing can be harmed.
pub(super) async fn edits(
    report: &RootReport,
    root: &Path,
    running: &Path,
    sandbox: &Sandbox,
) -> Result<Vec<Edit>, Failure> {
    let running = fs::canonicalize(running)
        .map_err(|error| Failure::from(anyhow::Error::from(error).context(running.display().to_string())))?;
    let status: NodeStatus = Client::new(&running).get("/status").await?;
    let mut edits = Vec::new();
    for (file, module) in &report.modules {
        // Its relative paths are relative to the daemon's root.
        let path = root.join(config::MODULES_FOLDER).join(file);
        let (Ok(_), Ok(spec)) = (module, config::read_module(&running, &path)) else { continue };
        let up = |module: &&ModuleStatus| module.name == spec.name && module.state == StateName::Up;
        let Some(in_force) = status.modules.iter().find(up) else { continue };
        for (checker, is_new) in edited(&spec, in_force) {
            let seen = match &checker.definition.subject {
                Subject::Process(process) => look(process, checker, &spec.name, &running).await,
                Subject::Component(component) => {
                    run(component, checker, &spec.name, [root, &running], sandbox).await
                }
            };
            let file = format!("{}/{file}", config::MODULES_FOLDER);
            let (checker, on_down) = (checker.name.clone(), checker.on_down);
            edits.push(Edit { file, checker, is_new, on_down, seen });
        }
    }
    Ok(edits)
}

/// The checkers that would be on probation, and whether they are new.
fn edited<'s>(
    spec: &'s ModuleSpec,
    in_force: &'s ModuleStatus,
) -> impl Iterator<Item = (&'s CheckerSpec, bool)> + 's {
    let known: BTreeMap<&CheckerName, &CheckerStatus> =
        in_force.checkers.iter().map(|known| (&known.name, known)).collect();
    spec.checkers.values().filter(|checker| checker.on_down.gates_health()).filter_map(move |checker| {
        let Some(known) = known.get(&checker.name) else { return Some((checker, true)) };
        let definition = format!("{:016x}", checker.definition.digest());
        let same = definition == known.definition && known.on_down == checker.on_down;
        (!same).then_some((checker, false))
    })
}

async fn look(
    process: &ProcessSpec,
    checker: &CheckerSpec,
    module: &ModuleName,
    running: &Path,
) -> Result<(Status, String), String> {
    if let Find::Kept(command) = &process.find {
        return kept(module, command, running);
    }
    let context = ProcessContext {
        clock: Clock::start(),
        table: ProcessTable::default(),
        kept: KeptTable::default(),
        module: module.clone(),
    };
    // Only the daemon knows which processes come from the module's commands.
    let process = ProcessSpec { of: Of::Host, ..process.clone() };
    let (sender, mut receiver) = mpsc::channel(1);
    let watching = watch_processes(process, checker.definition.interval, false, context, sender);
    let seen: Option<Observation> = tokio::select! {
        seen = receiver.recv() => seen,
        () = watching => None,
        () = tokio::time::sleep(checker.definition.timeout) => None,
    };
    seen.map(|seen| (seen.status, seen.summary))
        .ok_or_else(|| "a look at the processes gave no answer".to_owned())
}

/// The daemon's record of kept processes.
fn kept(module: &ModuleName, command: &CommandName, running: &Path) -> Result<(Status, String), String> {
    let path = running.join("state").join("kept.json");
    let list = fs::read(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let list: Value =
        serde_json::from_slice(&list).map_err(|error| format!("{} is invalid: {error}", path.display()))?;
    let is_it = |entry: &&Value| entry["module"] == module.as_str() && entry["command"] == command.as_str();
    let entry = list["processes"].as_array().into_iter().flatten().find(is_it);
    let pid = entry.and_then(|entry| entry["process"]["pid"].as_u64());
    Ok(match pid.filter(|pid| entry::exists(*pid)) {
        Some(pid) => (Status::Pass, format!("1 process `{command}` (pid {pid})")),
        None => (Status::Fail, format!("process `{command}` has not been started")),
    })
}

async fn run(
    component: &ComponentSpec,
    checker: &CheckerSpec,
    module: &ModuleName,
    roots: [&Path; 2],
    sandbox: &Sandbox,
) -> Result<(Status, String), String> {
    let name = &component.component;
    // A component beside the files takes precedence over one of the daemon.
    let dropped_in = |root: &&Path| root.join("checkers").join(format!("{name}.wasm")).is_file();
    let root = roots.into_iter().find(|root| dropped_in(root)).unwrap_or(roots[0]);
    let bytes = component_bytes(root, ComponentKind::Checker, name);
    let bytes = bytes.ok_or_else(|| format!("there is no checker `{name}`"))?;
    let loaded = sandbox.load(&bytes).map_err(|error| error.to_string())?;
    let node = NodeName::new("local").map_err(|error| error.to_string())?;
    let run = CheckRun {
        node,
        module: module.clone(),
        checker: checker.name.clone(),
        run: 1,
        config: component.config.to_string().into(),
        time: checker.definition.timeout,
        limits: LimitsSpec::default().run.with(&component.limits),
        grants: Arc::clone(&component.grants),
        facilities: Arc::new(NoModule),
        state: bellwether_sandbox::StateHandle::default(),
    };
    let seen = sandbox.check(&loaded, run).await.into_observation(Clock::start().now());
    Ok((seen.status, seen.summary))
}

impl Edit {
    /// Whether it would take the module down, except for its probation.
    pub(super) fn harms(&self) -> bool {
        matches!(self.seen, Ok((Status::Fail, _)))
    }

    fn how(&self) -> &'static str {
        if self.is_new { "new" } else { "changed" }
    }

    pub(super) fn document(&self) -> Value {
        let (status, summary) = match &self.seen {
            Ok((status, summary)) => (json!(status), summary),
            Err(why) => (Value::Null, why),
        };
        json!({
            "file": self.file,
            "checker": self.checker,
            "edit": self.how(),
            "status": status,
            "summary": summary,
            "harms": self.harms(),
        })
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: checker `{}` is {}", self.file, self.checker, self.how())?;
        match &self.seen {
            Err(why) => write!(f, ", and could not be run here: {why}"),
            Ok((status, summary)) if self.harms() => {
                let would = self.on_down.would();
                write!(
                    f,
                    ", and one run of it just now says {status}: {summary}; {would}, if it were not on "
                )?;
                f.write_str("probation until it has been up once")
            }
            Ok((status, summary)) => write!(f, "; one run of it just now says {status}: {summary}"),
        }
    }
}
