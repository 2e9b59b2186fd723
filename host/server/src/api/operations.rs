//! Every operation of the API: the only place that defines its name, the required role, its input and output, and
//! its handler. Routes, roles and the description are all derived from it.

use axum::middleware::from_fn;
use axum::routing::{MethodRouter, delete, get, post, put};
use bellwether_core::access::Role;
use bellwether_core::permission::COMMANDS_NEED;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Handle, accounts, components, events, farm, live, measurements, modules, notifications, openapi,
    pictures, status,
};
use crate::guard::needs;
use bellwether_api as wire;
use bellwether_api::farm as farm_wire;
use bellwether_api::shapes;

/// One operation of the API.
pub(super) struct Operation {
    /// `get`, `post`, `put` or `delete`.
    pub(super) method: &'static str,
    /// Below `/api/v1`, with names in braces.
    pub(super) path: &'static str,
    /// The required role; `None` if it is open to everyone.
    pub(super) role: Option<Role>,
    /// A description in half a sentence.
    pub(super) summary: &'static str,
    pub(super) query: Option<Shape>,
    /// The schema of the request's body.
    pub(super) body: Option<Shape>,
    /// The response if it succeeds.
    pub(super) answer: Answer,
    /// Other possible status codes, besides those of every operation.
    pub(super) problems: &'static [u16],
    /// Creates the handler of the route.
    route: fn() -> MethodRouter<Handle>,
}

/// Creates the schema of a type.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The response if it succeeds.
pub(super) enum Answer {
    /// 200 with JSON as its body.
    Json(Shape),
    /// 201 with JSON, if any.
    Created(Option<Shape>),
    /// 204 without any body.
    Nothing,
    /// 200, with a stream of lines or events.
    Stream(&'static str),
    /// The response of another node.
    Whatever,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Operation {
    const fn get(
        path: &'static str,
        summary: &'static str,
        answer: Answer,
        route: fn() -> MethodRouter<Handle>,
    ) -> Self {
        Self {
            method: "get",
            path,
            role: Some(Role::Monitor),
            summary,
            query: None,
            body: None,
            answer,
            problems: &[],
            route,
        }
    }

    const fn change(
        method: &'static str,
        path: &'static str,
        role: Role,
        summary: &'static str,
        answer: Answer,
        route: fn() -> MethodRouter<Handle>,
    ) -> Self {
        Self {
            method,
            path,
            role: Some(role),
            summary,
            query: None,
            body: None,
            answer,
            problems: &[],
            route,
        }
    }

    const fn query(self, query: Shape) -> Self {
        Self { query: Some(query), ..self }
    }

    const fn body(self, body: Shape) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn may_answer(self, problems: &'static [u16]) -> Self {
        Self { problems, ..self }
    }

    const fn role(self, role: Option<Role>) -> Self {
        Self { role, ..self }
    }

    /// Its route, with the check of the role.
    pub(super) fn route(&self) -> MethodRouter<Handle> {
        let route = (self.route)();
        match self.role {
            None => route,
            Some(role) => route.route_layer(from_fn(move |request, next| needs(role, request, next))),
        }
    }
}

/// All operations, in the order of the description.
pub(super) fn all() -> Vec<Operation> {
    let mut all = pictures_of_the_node();
    all.extend(of_modules());
    all.extend(commands());
    all.extend(management());
    all.extend(of_the_farm());
    all.extend(of_other_nodes());
    all
}

fn pictures_of_the_node() -> Vec<Operation> {
    use Answer::{Json, Stream};
    vec![
        Operation::get("/openapi.json", "This description", Json(of::<serde_json::Value>), || {
            get(openapi::page)
        })
        .role(None),
        Operation::get("/me", "The caller and its role", Json(of::<wire::MeAnswer>), || get(accounts::me)),
        Operation::get(
            "/status",
            "Everything about the node, at one moment",
            Json(of::<wire::NodeStatus>),
            || get(status::now),
        ),
        Operation::get(
            "/status/stream",
            "The same, one line for each change; an empty line at least every second",
            Stream("application/x-ndjson"),
            || get(status::stream),
        ),
        Operation::get(
            "/stream",
            "What has changed, for browsers: events `snapshot` (id: the generation), `heartbeat` and `bye`",
            Stream("text/event-stream"),
            || get(live::stream),
        ),
        Operation::get(
            "/events",
            "Records of the journal, the latest last",
            Json(of::<Vec<wire::EventLine>>),
            || get(events::list),
        )
        .query(of::<events::EventsQuery>)
        .may_answer(&[400, 404, 503]),
        Operation::get(
            "/events/stream",
            "The same, one line for each new record",
            Stream("application/x-ndjson"),
            || get(events::stream),
        )
        .query(of::<events::EventsQuery>)
        .may_answer(&[400, 404, 503]),
        Operation::get(
            "/components",
            "Checkers and restart scripts",
            Json(of::<Vec<wire::ComponentStatus>>),
            || get(components::list),
        ),
        Operation::get(
            "/components/{folder}/{name}",
            "Everything about one of them",
            Json(of::<wire::ComponentDetail>),
            || get(components::one),
        )
        .may_answer(&[404]),
        Operation::get(
            "/configuration",
            "The current files, with their errors",
            Json(of::<wire::ConfigurationAnswer>),
            || get(pictures::configuration),
        )
        .may_answer(&[503]),
        Operation::get(
            "/notifications",
            "The notification targets, and the state of delivery",
            Json(of::<Vec<wire::NotifyStatus>>),
            || get(notifications::list),
        ),
    ]
}

fn of_modules() -> Vec<Operation> {
    use Answer::Json;
    let not_there: &[u16] = &[404];
    vec![
        Operation::get("/modules", "All modules", Json(of::<Vec<wire::ModuleStatus>>), || {
            get(pictures::modules)
        }),
        Operation::get("/modules/{module}", "One module", Json(of::<wire::ModuleStatus>), || {
            get(pictures::module)
        })
        .may_answer(not_there),
        Operation::get(
            "/modules/{module}/why",
            "The events that led to its present state",
            Json(of::<wire::WhyAnswer>),
            || get(modules::why),
        )
        .may_answer(&[404, 503]),
        Operation::get(
            "/modules/{module}/checkers",
            "Its checkers",
            Json(of::<Vec<wire::CheckerStatus>>),
            || get(pictures::checkers),
        )
        .may_answer(not_there),
        Operation::get(
            "/modules/{module}/checkers/{checker}",
            "One checker",
            Json(of::<wire::CheckerStatus>),
            || get(pictures::checker),
        )
        .may_answer(not_there),
        Operation::get(
            "/modules/{module}/consequences",
            "The effect of each command now",
            Json(of::<Vec<shapes::Consequence>>),
            || get(pictures::consequences),
        )
        .may_answer(not_there),
        Operation::get(
            "/modules/{module}/plans/{occasion}",
            "The plan that the restart script would make now, without executing it",
            Json(of::<wire::PlanAnswer>),
            || get(pictures::plan),
        )
        .may_answer(&[404, 409]),
        Operation::get(
            "/modules/{module}/measurements",
            "The measurements of its checkers, for charts",
            Json(of::<wire::MeasurementsAnswer>),
            || get(measurements::list),
        )
        .query(of::<measurements::MeasurementsQuery>)
        .may_answer(&[400, 404, 503]),
        Operation::get(
            "/modules/{module}/log",
            "The last output of its commands",
            Json(of::<Vec<wire::LogAnswer>>),
            || get(pictures::log),
        )
        .may_answer(not_there),
        Operation::get(
            "/modules/{module}/configuration",
            "Its file: every effective value with its source, or its errors",
            Json(of::<wire::FileStatus>),
            || get(pictures::module_configuration),
        )
        .may_answer(&[404, 503]),
    ]
}

fn commands() -> Vec<Operation> {
    use Answer::Json;
    vec![
        Operation::change("post", "/modules/{module}/{command}", COMMANDS_NEED, "Give a module a command. A repeated command finds nothing to do, or is refused if the module has changed since `seen`. A command that takes out the last ready node must be confirmed: 428 tells how", Json(of::<wire::CommandAnswer>), || post(modules::command))
            .query(of::<modules::CommandQuery>).may_answer(&[400, 404, 409, 428]),
        Operation::change("post", "/modules/{module}/checkers/{checker}/run", Role::Control, "Run a checker once, now; its result is shown and has no effect", Json(of::<wire::ObservationStatus>), || post(modules::run_checker)).may_answer(&[404, 409]),
        Operation::change("post", "/notifications/test", Role::Control, "Send a test notification, and return the result", Json(of::<Vec<wire::TestAnswer>>), || post(notifications::test))
            .query(of::<notifications::TestQuery>).may_answer(&[400, 404]),
    ]
}

fn management() -> Vec<Operation> {
    use Answer::{Created, Json, Nothing};
    let change = Operation::change;
    vec![
        change(
            "post",
            "/components/{name}/approve",
            Role::Admin,
            "Approve a version that waits for approval, only by its name",
            Json(of::<wire::ApprovalAnswer>),
            || post(components::approve),
        )
        .query(of::<components::ApprovalQuery>)
        .may_answer(&[400, 409]),
        change(
            "post",
            "/components/{folder}/{name}/approve",
            Role::Admin,
            "Approve a version that waits for approval",
            Json(of::<wire::ApprovalAnswer>),
            || post(components::approve_in),
        )
        .query(of::<components::ApprovalQuery>)
        .may_answer(&[400, 409]),
        Operation::get("/users", "All users", Json(of::<Vec<wire::UserLine>>), || get(accounts::users))
            .role(Some(Role::Admin)),
        change("post", "/users", Role::Admin, "Add a user", Created(None), || post(accounts::add_user))
            .body(of::<accounts::NewUser>)
            .may_answer(&[400, 409, 413, 415, 503]),
        change(
            "put",
            "/users/{name}",
            Role::Admin,
            "Change a user's role; ends that user's sessions",
            Nothing,
            || put(accounts::set_role),
        )
        .body(of::<accounts::NewRole>)
        .may_answer(&[400, 404, 409, 413, 415, 503]),
        change(
            "put",
            "/users/{name}/password",
            Role::Admin,
            "Set a user's password; ends that user's sessions",
            Nothing,
            || put(accounts::set_password),
        )
        .body(of::<accounts::NewPassword>)
        .may_answer(&[400, 404, 413, 415, 503]),
        change(
            "delete",
            "/users/{name}",
            Role::Admin,
            "Remove a user; ends that user's sessions",
            Nothing,
            || delete(accounts::remove_user),
        )
        .may_answer(&[404, 409, 503]),
        Operation::get(
            "/tokens",
            "All tokens, without their secrets",
            Json(of::<Vec<wire::TokenLine>>),
            || get(accounts::tokens),
        )
        .role(Some(Role::Admin)),
        change(
            "post",
            "/tokens",
            Role::Admin,
            "Create a token; its secret is only in this response",
            Created(Some(of::<wire::TokenAnswer>)),
            || post(accounts::create_token),
        )
        .body(of::<accounts::NewToken>)
        .may_answer(&[400, 409, 413, 415, 503]),
        change("delete", "/tokens/{name}", Role::Admin, "Revoke a token", Nothing, || {
            delete(accounts::revoke_token)
        })
        .may_answer(&[404, 503]),
        change(
            "post",
            "/sign-ins",
            Role::Admin,
            "A one-time link for a user, valid for a minute or the requested time",
            Created(Some(of::<wire::OneTimeAnswer>)),
            || post(accounts::one_time),
        )
        .body(of::<accounts::NewSignIn>)
        .may_answer(&[400, 404, 413, 415]),
    ]
}

fn of_the_farm() -> Vec<Operation> {
    use Answer::{Created, Json, Nothing};
    let change = Operation::change;
    vec![
        Operation::get(
            "/farm",
            "All nodes of the farm, as this node sees them",
            Json(of::<farm_wire::FarmStatus>),
            || get(farm::handlers::status),
        )
        .query(of::<farm::handlers::FarmQuery>)
        .may_answer(&[400, 503]),
        change(
            "post",
            "/farm/init",
            Role::Admin,
            "Make this node the first node of a new farm",
            Json(of::<farm_wire::FarmStatus>),
            || post(farm::handlers::init),
        )
        .may_answer(&[409, 503]),
        change(
            "post",
            "/farm/invitations",
            Role::Admin,
            "Make a line with which one more node can join; valid once, for an hour",
            Created(Some(of::<farm_wire::InvitationAnswer>)),
            || post(farm::handlers::invite),
        )
        .may_answer(&[409, 503]),
        change(
            "post",
            "/farm/join",
            Role::Admin,
            "Join the farm of an invitation; a join that fails leaves nothing behind",
            Json(of::<farm_wire::FarmStatus>),
            || post(farm::handlers::join),
        )
        .body(of::<farm_wire::JoinRequest>)
        .may_answer(&[400, 404, 409, 413, 415, 503]),
        change(
            "delete",
            "/farm/nodes/{name}",
            Role::Admin,
            "Remove another node, whether or not it is reachable",
            Nothing,
            || delete(farm::handlers::remove),
        )
        .may_answer(&[404, 409, 503]),
        change("post", "/farm/leave", Role::Admin, "Remove this node from its farm", Nothing, || {
            post(farm::handlers::leave)
        })
        .may_answer(&[409, 503]),
        change(
            "post",
            "/farm/authority-key",
            Role::Admin,
            "The key of the farm's certificate authority, for a backup; only on the local socket",
            Json(of::<farm_wire::AuthorityKey>),
            || post(farm::handlers::authority_key),
        )
        .may_answer(&[409, 503]),
        change(
            "put",
            "/farm/authority-key",
            Role::Admin,
            "Restore the key of the farm's certificate authority on this node; only on the local socket",
            Nothing,
            || put(farm::handlers::restore_authority_key),
        )
        .body(of::<farm_wire::AuthorityKey>)
        .may_answer(&[400, 409, 413, 415, 503]),
    ]
}

/// Requests to other nodes. The node that is asked checks the role for its operation.
fn of_other_nodes() -> Vec<Operation> {
    let through = |method, route| Operation {
        method,
        path: "/nodes/{name}/{*rest}",
        role: Some(Role::Monitor),
        summary: "The operation `/{rest}` of the node `{name}`, with the caller's name and role. `{rest}` is any path of this API except `/nodes/…`; that node checks the role",
        query: None,
        body: None,
        answer: Answer::Whatever,
        problems: &[404, 413, 503],
        route,
    };
    vec![
        through("get", || get(farm::nodes::ask)),
        through("post", || post(farm::nodes::ask)),
        through("put", || put(farm::nodes::ask)),
        through("delete", || delete(farm::nodes::ask)),
    ]
}
