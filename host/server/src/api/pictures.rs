//! Parts of the snapshot as separate operations.

use axum::extract::State;
use bellwether_core::consequence::Consequence;
use bellwether_core::permission::OTHER_READY_NODES;
use bellwether_core::snapshot::ModuleView;

use super::Handle;
use super::extract::{Json, Path};
use bellwether_api::configuration::module_path;
use bellwether_api::{
    CheckerStatus, ConfigurationAnswer, FileStatus, LogAnswer, ModuleStatus, PlanAnswer, Problem,
};
use bellwether_core::plan::Occasion;

pub(super) async fn modules(State(daemon): State<Handle>) -> Json<Vec<ModuleStatus>> {
    let clock = daemon.clock();
    Json(daemon.snapshot().modules.iter().map(|module| ModuleStatus::new(module, clock)).collect())
}

pub(super) async fn module(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<ModuleStatus>, Problem> {
    of(&daemon, &name, |module| ModuleStatus::new(module, daemon.clock())).map(Json)
}

fn of<T>(daemon: &Handle, name: &str, look: impl FnOnce(&ModuleView) -> T) -> Result<T, Problem> {
    daemon.snapshot().module(name).map(look).ok_or_else(|| Problem::no_such_module(name))
}

pub(super) async fn checkers(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<Vec<CheckerStatus>>, Problem> {
    of(&daemon, &name, |module| ModuleStatus::new(module, daemon.clock()).checkers).map(Json)
}

pub(super) async fn checker(
    State(daemon): State<Handle>,
    Path((name, checker)): Path<(String, String)>,
) -> Result<Json<CheckerStatus>, Problem> {
    let known = super::modules::known_checker(&*daemon, &name, &checker)?;
    let all = of(&daemon, &name, |module| ModuleStatus::new(module, daemon.clock()).checkers)?;
    let found = all.into_iter().find(|status| status.name == known);
    found.map(Json).ok_or_else(|| Problem::no_such_module(&name))
}

/// The effect of each command at present.
pub(super) async fn consequences(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<Vec<Consequence>>, Problem> {
    of(&daemon, &name, |module| Consequence::of_all(module, OTHER_READY_NODES)).map(Json)
}

/// The plan that the restart script would make now.
pub(super) async fn plan(
    State(daemon): State<Handle>,
    Path((name, occasion)): Path<(String, String)>,
) -> Result<Json<PlanAnswer>, Problem> {
    let occasion = match occasion.as_str() {
        "start" => Occasion::Start,
        "stop" => Occasion::Stop,
        "restart" => Occasion::Restart,
        other => {
            return Err(Problem {
                title: "no such plan".into(),
                status: 404,
                detail: format!("there is no plan for `{other}`"),
                next: "ask for start, stop or restart".into(),
            });
        }
    };
    let module = of(&daemon, &name, |module| module.name.clone())?;
    let plan = daemon.preview(module, occasion).await.map_err(|why| Problem {
        title: "no plan".into(),
        status: 409,
        detail: why.to_string(),
        next: "see `bellwether status` for files that were refused".into(),
    })?;
    let steps = plan.steps.iter().map(|step| step.action.to_string()).collect();
    Ok(Json(PlanAnswer { summary: plan.summary, steps }))
}

/// The end of the output of its commands.
pub(super) async fn log(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<Vec<LogAnswer>>, Problem> {
    let module = of(&daemon, &name, |module| module.name.clone())?;
    let logs = daemon.log(module).await;
    Ok(Json(logs.into_iter().map(|log| LogAnswer { command: log.command, lines: log.lines }).collect()))
}

fn unread() -> Problem {
    Problem {
        title: "not read".into(),
        status: 503,
        detail: "the files could not be read in time".into(),
        next: "try again; if it stays so, look at the disk of the root".into(),
    }
}

pub(super) async fn configuration(
    State(daemon): State<Handle>,
) -> Result<Json<ConfigurationAnswer>, Problem> {
    let report = daemon.files().await.ok_or_else(unread)?;
    Ok(Json(ConfigurationAnswer::new(&report)))
}

/// The file of one module.
pub(super) async fn module_configuration(
    State(daemon): State<Handle>,
    Path(name): Path<String>,
) -> Result<Json<FileStatus>, Problem> {
    let report = daemon.files().await.ok_or_else(unread)?;
    let found = FileStatus::find(&report, &module_path(&format!("{name}.toml")));
    found.map(Json).ok_or_else(|| Problem::no_such_module(&name))
}
