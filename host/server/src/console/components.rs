//! The pages about components: their grants, their cost, and pending approvals.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bellwether_core::access::Role;
use bellwether_core::record::short;
use serde::Deserialize;

use super::frame::{Frame, Page, Time, Times};
use super::look::Look;
use super::missing::not_there;
use super::outcome::{Outcome, told};
use super::{Handle, filters, html};
use crate::api::Caller;
use bellwether_api::{ComponentDetail, ComponentKind, ComponentStatus, Origin, UseLine};

#[derive(Debug, Template)]
#[template(path = "components.html")]
struct ComponentsPage {
    frame: Frame,
    groups: Vec<(&'static str, Vec<Row>)>,
}

#[derive(Debug)]
struct Row {
    href: String,
    name: String,
    look: Look,
    version: String,
    digest: String,
    origin: &'static str,
    error: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "component.html")]
struct ComponentPage {
    frame: Frame,
    folder: String,
    row: Row,
    detail: ComponentDetail,
    may_approve: bool,
    quarantined: Option<(Time, Time)>,
    costs: Vec<Option<Cost>>,
    granted: Vec<Vec<Granted>>,
}

/// A grant of one use.
#[derive(Debug)]
struct Granted {
    grant: String,
    used: Option<Time>,
}

/// The cost of the runs of one use.
#[derive(Debug)]
struct Cost {
    runs: u64,
    took: String,
    cpu: String,
    memory: String,
    refusals: u64,
}

#[derive(Debug, Template)]
#[template(path = "approve.html")]
struct ApprovePage {
    frame: Frame,
    href: String,
    title: String,
    version: String,
    digest: String,
    asks: Vec<String>,
}

/// The fields of the form.
#[derive(Debug, Deserialize)]
pub(super) struct Given {
    /// The digest of the version that the user saw.
    digest: String,
}

fn folder(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Checker => "checkers",
        ComponentKind::RestartScript => "restart-scripts",
    }
}

impl Row {
    fn new(status: &ComponentStatus) -> Self {
        let look = if status.quarantine.is_some() {
            Look { glyph: "failed", word: "quarantined", tone: "bad" }
        } else if status.waiting.is_some() {
            Look { glyph: "suspended", word: "waits for approval", tone: "held" }
        } else if status.error.is_some() {
            Look { glyph: "warned", word: "refused", tone: "bad" }
        } else {
            Look { glyph: "ready", word: "active", tone: "ok" }
        };
        Self {
            href: format!("/components/{}/{}", folder(status.kind), status.name),
            name: status.name.clone(),
            look,
            version: status.version.clone().unwrap_or_else(|| "unknown".to_owned()),
            digest: short(&status.digest).to_owned(),
            origin: match status.origin {
                Origin::Embedded => "built in",
                Origin::File => "file",
            },
            error: status.error.clone(),
        }
    }
}

/// The handler of `GET /components`.
pub(super) async fn list(State(daemon): State<Handle>, Extension(caller): Extension<Caller>) -> Response {
    let all = daemon.components();
    let of = |kind| {
        let mut rows: Vec<Row> = all.iter().filter(|status| status.kind == kind).map(Row::new).collect();
        rows.sort_by_key(|row| row.look.tone == "ok");
        rows
    };
    let groups =
        vec![("Checkers", of(ComponentKind::Checker)), ("Restart scripts", of(ComponentKind::RestartScript))];
    html(
        StatusCode::OK,
        &ComponentsPage { frame: Frame::new(&daemon, caller, Page::Components, "Components"), groups },
    )
}

/// The handler of `GET /components/FOLDER/NAME`.
pub(super) async fn one(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((folder, name)): Path<(String, String)>,
) -> Response {
    let Some(detail) = daemon.component(folder.clone(), name.clone()).await else {
        return not_there(&daemon, caller, format!("There is no component `{folder}/{name}` on this node."));
    };
    let times = Times::new(daemon.clock());
    let quarantine = detail.status.quarantine.as_ref();
    let page = ComponentPage {
        may_approve: caller.role.may(Role::Admin),
        frame: Frame::new(&daemon, caller, Page::Components, &name),
        row: Row::new(&detail.status),
        quarantined: quarantine.map(|case| (times.told(case.since.clone()), times.told(case.next.clone()))),
        costs: detail.uses.iter().map(|of| of.cost.as_ref().map(Cost::new)).collect(),
        granted: detail.uses.iter().map(|of| granted(of, &times)).collect(),
        folder,
        detail,
    };
    html(StatusCode::OK, &page)
}

fn granted(of: &UseLine, times: &Times) -> Vec<Granted> {
    let used = |grant: &String| {
        let used = of.used.iter().find(|used| used.grant == *grant)?;
        Some(times.told(used.at.clone()))
    };
    of.granted.iter().map(|grant| Granted { grant: grant.clone(), used: used(grant) }).collect()
}

impl Cost {
    fn new(cost: &bellwether_api::CostStatus) -> Self {
        let micros = |micros: u64| super::module::took(std::time::Duration::from_micros(micros));
        Self {
            runs: cost.runs,
            took: micros(cost.took_us),
            cpu: micros(cost.cpu_us),
            memory: format!("{} kB", cost.memory / 1_000),
            refusals: cost.refusals,
        }
    }
}

/// `GET /components/FOLDER/NAME/approve`: what would be approved.
pub(super) async fn ask(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((folder, name)): Path<(String, String)>,
) -> Response {
    let detail = daemon.component(folder.clone(), name.clone()).await;
    let Some(waiting) = detail.and_then(|detail| detail.status.waiting) else {
        return not_there(&daemon, caller, format!("No version of `{folder}/{name}` waits for approval."));
    };
    let mut frame = Frame::new(&daemon, caller, Page::Components, &format!("Approve {name}"));
    frame.live = false;
    let page = ApprovePage {
        frame,
        href: format!("/components/{folder}/{name}"),
        title: format!("Approve {name} {}?", waiting.version),
        version: waiting.version,
        digest: waiting.digest,
        asks: waiting.asks,
    };
    html(StatusCode::OK, &page)
}

/// The handler of `POST /components/FOLDER/NAME/approve`.
pub(super) async fn approve(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Path((folder, name)): Path<(String, String)>,
    Form(given): Form<Given>,
) -> Response {
    let back = (format!("/components/{folder}/{name}"), name.clone());
    match daemon.approve(format!("{folder}/{name}"), Some(given.digest), caller.by()).await {
        Ok(approved) => {
            let what = format!("{} {} is approved.", approved.what, approved.version.version);
            told(&daemon, caller, StatusCode::OK, Outcome::yes(what), back)
        }
        Err(error) => told(&daemon, caller, StatusCode::CONFLICT, Outcome::no(error.to_string()), back),
    }
}
