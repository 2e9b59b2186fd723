use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Extension;
use axum::http::{HeaderMap, Method, header};
use bellwether_api::farm::{FarmStatus, Hearing, InvitationAnswer};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};

use super::forwarded::call;
use super::*;
use crate::api::tests::FakeDaemon;
use crate::api::{Caller, Daemon, Way, bounded, routes};
use crate::guard::never_ends;

/// A farm of n1, which answers; n2, which is asked for real; and n3, without contact.
pub(crate) struct FakeFarm {
    there: ForwardedApi,
    changes: watch::Sender<u64>,
    /// What was done.
    pub(crate) done: Arc<Mutex<Vec<String>>>,
    /// The headers of the last request to another node.
    headers: Arc<Mutex<HeaderMap>>,
    /// What every change is answered with.
    refusal: Option<FarmRefusal>,
}

impl FakeFarm {
    pub(crate) fn new() -> Self {
        Self {
            there: forwarded(FakeDaemon::node("n2", None)),
            changes: watch::Sender::new(1),
            done: Arc::default(),
            headers: Arc::default(),
            refusal: None,
        }
    }

    fn nodes() -> FarmStatus {
        let there = FakeDaemon::node("n2", None);
        let status =
            bellwether_api::NodeStatus::new(&there.snapshot(), Vec::new(), Vec::new(), there.clock());
        let node = |name: &str, hearing: Hearing, status: Option<&bellwether_api::NodeStatus>| {
            json!({
                "name": name, "hearing": hearing, "since": "2026-11-22T21:31:00Z", "status": status,
                "explanation": if hearing == Hearing::Unknown { "it has not been heard from" } else { "" },
            })
        };
        let nodes = [
            node("n1", Hearing::This, Some(&status)),
            node("n2", Hearing::Heard, Some(&status)),
            node("n3", Hearing::Unknown, Some(&status)),
        ];
        serde_json::from_value(json!({
            "farm": "f", "node": "n1", "headline": "1 of 3 nodes is unknown", "nodes": nodes, "problems": [],
        }))
        .unwrap()
    }

    fn act<T: Send + 'static>(&self, what: String, answer: T) -> BoxFuture<'_, Result<T, FarmRefusal>> {
        self.done.lock().unwrap().push(what);
        std::future::ready(self.refusal.clone().map_or(Ok(answer), Err)).boxed()
    }
}

impl Farm for FakeFarm {
    fn size(&self) -> usize {
        3
    }

    fn status(&self, within: Duration) -> BoxFuture<'_, FarmStatus> {
        self.done.lock().unwrap().push(format!("status within {} ms", within.as_millis()));
        std::future::ready(Self::nodes()).boxed()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn init(&self, by: String) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>> {
        self.act(format!("init by {by}"), Self::nodes())
    }

    fn invite(&self, by: String) -> BoxFuture<'_, Result<InvitationAnswer, FarmRefusal>> {
        let answer =
            InvitationAnswer { line: "bw1.n1:9013.AA.BB".into(), expires: "2026-11-22T22:31:00Z".into() };
        self.act(format!("invite by {by}"), answer)
    }

    fn join(
        &self,
        line: String,
        replace: Option<NodeName>,
        by: String,
    ) -> BoxFuture<'_, Result<FarmStatus, FarmRefusal>> {
        let replaced = replace.map(|name| format!(" replacing {name}")).unwrap_or_default();
        self.act(format!("join {line}{replaced} by {by}"), Self::nodes())
    }

    fn remove(&self, node: NodeName, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        self.act(format!("remove {node} by {by}"), ())
    }

    fn leave(&self, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        self.act(format!("leave by {by}"), ())
    }

    fn authority_key(&self, by: String) -> BoxFuture<'_, Result<String, FarmRefusal>> {
        self.act(format!("backup by {by}"), "PEM".to_owned())
    }

    fn restore_authority_key(&self, pem: String, by: String) -> BoxFuture<'_, Result<(), FarmRefusal>> {
        self.act(format!("restore {pem} by {by}"), ())
    }

    fn ask(
        &self,
        node: NodeName,
        request: Request,
        (name, role): (String, Role),
    ) -> BoxFuture<'_, Result<Response, FarmRefusal>> {
        let refused = |kind, detail: String| Err(FarmRefusal { kind, detail, next: String::new() });
        async move {
            match node.as_str() {
                "n2" => {
                    *self.headers.lock().unwrap() = request.headers().clone();
                    let through = NodeName::new("n1").unwrap();
                    Ok(self.there.answer(request, &name, role, &through).await)
                }
                "n3" => refused(FarmRefusalKind::NotHeard, "`n3` has not been heard from".into()),
                _ => refused(FarmRefusalKind::NoSuchNode, format!("no node {node}")),
            }
        }
        .boxed()
    }
}

pub(crate) fn caller(role: Role, way: Way) -> Caller {
    Caller {
        name: "alice".into(),
        role,
        origin: "from 192.0.2.7".into(),
        way,
        signed_in: false,
        ended: never_ends(),
    }
}

fn router(daemon: &Arc<FakeDaemon>, caller: Caller) -> Router {
    let handle: Arc<dyn Daemon> = Arc::<FakeDaemon>::clone(daemon);
    bounded(routes(handle)).layer(Extension(caller))
}

fn request(method: Method, path: &str, body: &str) -> Request {
    http::Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, "Bearer secret")
        .header(header::COOKIE, "session=secret")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// The answer for an admin on the console, or with this role and way.
async fn ask_as(daemon: &Arc<FakeDaemon>, caller: Caller, request: Request) -> (u16, Value) {
    let response = call(router(daemon, caller), request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn ask(daemon: &Arc<FakeDaemon>, method: Method, path: &str, body: &str) -> (u16, Value) {
    ask_as(daemon, caller(Role::Admin, Way::Console), request(method, path, body)).await
}

fn node() -> (Arc<FakeDaemon>, Arc<Mutex<Vec<String>>>) {
    let farm = FakeFarm::new();
    let done = Arc::clone(&farm.done);
    (FakeDaemon::node("n1", Some(Box::new(farm))), done)
}

#[tokio::test]
async fn the_farm_is_asked_for_within_a_time() {
    let (node, done) = node();
    let (status, body) = ask(&node, Method::GET, "/farm", "").await;
    assert_eq!((status, &body["node"], body["nodes"].as_array().map(Vec::len)), (200, &json!("n1"), Some(3)));
    assert_eq!(body["nodes"][2]["hearing"], "unknown");
    ask(&node, Method::GET, "/farm?within_ms=0", "").await;
    assert_eq!(*done.lock().unwrap(), ["status within 1000 ms", "status within 0 ms"]);
    for wrong in ["within_ms=5001", "within_ms=soon", "other=1"] {
        assert_eq!(ask(&node, Method::GET, &format!("/farm?{wrong}"), "").await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn changes_of_the_farm_are_made_by_the_caller() {
    let (node, done) = node();
    assert_eq!(ask(&node, Method::POST, "/farm/init", "").await.0, 200);
    let (status, invitation) = ask(&node, Method::POST, "/farm/invitations", "").await;
    assert_eq!((status, &invitation["line"]), (201, &json!("bw1.n1:9013.AA.BB")));
    let join = r#"{"line":" bw1.x ","replace":"old"}"#;
    assert_eq!(ask(&node, Method::POST, "/farm/join", join).await.0, 200);
    assert_eq!(ask(&node, Method::DELETE, "/farm/nodes/n3", "").await.0, 204);
    assert_eq!(ask(&node, Method::POST, "/farm/leave", "").await.0, 204);
    let by = "by alice from 192.0.2.7";
    let expected = ["init", "invite", "join bw1.x replacing old", "remove n3", "leave"];
    assert_eq!(*done.lock().unwrap(), expected.map(|what| format!("{what} {by}")));
    for wrong in [r#"{"line":"x","replace":"no name"}"#, r#"{"replace":"a"}"#, "{"] {
        assert_eq!(ask(&node, Method::POST, "/farm/join", wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn the_authority_key_is_only_on_the_local_socket() {
    let (node, done) = node();
    let of = |way| caller(Role::Admin, way);
    let backup = || request(Method::POST, "/farm/authority-key", "");
    let restore = || request(Method::PUT, "/farm/authority-key", r#"{"pem":"KEY"}"#);
    for way in [Way::Console, Way::OtherNode] {
        assert_eq!(ask_as(&node, of(way), backup()).await.0, 409, "{way:?}");
        assert_eq!(ask_as(&node, of(way), restore()).await.0, 409, "{way:?}");
    }
    assert!(done.lock().unwrap().is_empty());
    let (status, body) = ask_as(&node, of(Way::LocalSocket), backup()).await;
    assert_eq!((status, body), (200, json!({ "pem": "PEM" })));
    assert_eq!(ask_as(&node, of(Way::LocalSocket), restore()).await.0, 204);
}

#[tokio::test]
async fn every_change_of_the_farm_needs_an_admin() {
    let (node, done) = node();
    for (method, path) in [
        (Method::POST, "/farm/init"),
        (Method::POST, "/farm/invitations"),
        (Method::POST, "/farm/join"),
        (Method::DELETE, "/farm/nodes/n3"),
        (Method::POST, "/farm/leave"),
        (Method::POST, "/farm/authority-key"),
        (Method::PUT, "/farm/authority-key"),
    ] {
        for role in [Role::Monitor, Role::Control] {
            let caller = caller(role, Way::LocalSocket);
            let (status, _) = ask_as(&node, caller, request(method.clone(), path, "{}")).await;
            assert_eq!(status, 403, "{method} {path} by {role}");
        }
    }
    assert!(done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn every_refusal_has_its_status_and_a_next_step() {
    for (kind, expected) in [
        (FarmRefusalKind::Conflict, 409),
        (FarmRefusalKind::NoSuchNode, 404),
        (FarmRefusalKind::NotHeard, 503),
        (FarmRefusalKind::Overdue, 504),
        (FarmRefusalKind::Invalid, 400),
        (FarmRefusalKind::Failed, 503),
    ] {
        for next in ["", "do this"] {
            let refusal = FarmRefusal { kind, detail: "it is so".into(), next: next.into() };
            let farm = FakeFarm { refusal: Some(refusal), ..FakeFarm::new() };
            let node = FakeDaemon::node("n1", Some(Box::new(farm)));
            let (status, body) = ask(&node, Method::POST, "/farm/init", "").await;
            assert_eq!((status, &body["detail"]), (expected, &json!("it is so")));
            let told = body["next"].as_str().unwrap();
            assert!(if next.is_empty() { !told.is_empty() } else { told == next }, "{told}");
        }
    }
}

#[tokio::test]
async fn a_node_is_asked_through_another_and_records_who_acted() {
    let (node, _) = node();
    let (status, body) = ask(&node, Method::GET, "/nodes/n2/status", "").await;
    assert_eq!((status, &body["node"]), (200, &json!("n2")));
    let (status, body) = ask(&node, Method::POST, "/nodes/n2/modules/web/stop?confirm=web", "").await;
    assert_eq!((status, &body["detail"]), (200, &json!("as alice through n1 says")));
    // Its own name leads to the node itself, with the caller as it is.
    let (status, body) = ask(&node, Method::GET, "/nodes/n1/status", "").await;
    assert_eq!((status, &body["node"]), (200, &json!("n1")));
    let (_, body) = ask(&node, Method::POST, "/nodes/n1/modules/web/stop?confirm=web", "").await;
    assert_eq!(body["detail"], "as alice from 192.0.2.7 says");
}

#[tokio::test]
async fn the_node_that_is_asked_decides_by_the_role() {
    let (node, _) = node();
    let stop = || request(Method::POST, "/nodes/n2/modules/web/stop?confirm=web", "");
    let (status, body) = ask_as(&node, caller(Role::Monitor, Way::Console), stop()).await;
    assert_eq!((status, &body["title"]), (403, &json!("forbidden")));
    assert_eq!(ask_as(&node, caller(Role::Control, Way::Console), stop()).await.0, 200);
    let status = || request(Method::GET, "/nodes/n2/users", "");
    assert_eq!(ask_as(&node, caller(Role::Control, Way::Console), status()).await.0, 403);
}

#[tokio::test]
async fn a_problem_of_the_other_node_is_passed_on() {
    let (node, _) = node();
    let (status, body) = ask(&node, Method::POST, "/nodes/n2/modules/web/stop", "").await;
    assert_eq!((status, &body["title"]), (428, &json!("not confirmed")));
    let (status, body) = ask(&node, Method::GET, "/nodes/n2/nothing", "").await;
    assert_eq!((status, &body["title"]), (404, &json!("no such page")));
}

#[tokio::test]
async fn a_node_that_is_not_there_or_not_heard_is_a_problem() {
    let (node, _) = node();
    for name in ["n9", "-"] {
        let (status, body) = ask(&node, Method::GET, &format!("/nodes/{name}/status"), "").await;
        assert_eq!((status, &body["title"]), (404, &json!("no such node")), "{body}");
        assert_eq!(body["next"], "its nodes are: n1, n2, n3");
    }
    let (status, body) = ask(&node, Method::GET, "/nodes/n3/status", "").await;
    assert_eq!((status, &body["detail"]), (503, &json!("`n3` has not been heard from")));
    let alone = FakeDaemon::node("n1", None);
    assert_eq!(ask(&alone, Method::GET, "/nodes/n1/status", "").await.0, 200);
    let (status, body) = ask(&alone, Method::GET, "/nodes/n2/status", "").await;
    assert_eq!((status, &body["next"]), (404, &json!("its nodes are: n1")));
    assert_eq!(ask(&alone, Method::GET, "/farm", "").await.0, 503);
}

#[tokio::test]
async fn a_request_is_forwarded_once_without_secrets_and_within_limits() {
    let farm = FakeFarm::new();
    let headers = Arc::clone(&farm.headers);
    let node = FakeDaemon::node("n1", Some(Box::new(farm)));
    for again in ["/nodes/n2/nodes/n1/status", "/nodes/n1/nodes/n1/status", "/nodes/n2/nodes/n2"] {
        assert_eq!(ask(&node, Method::GET, again, "").await.0, 404, "{again}");
    }
    ask(&node, Method::GET, "/nodes/n2/status", "").await;
    let names: Vec<String> = headers.lock().unwrap().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["content-type"]);
    let large = "x".repeat(70 << 10);
    assert_eq!(ask(&node, Method::POST, "/nodes/n2/tokens", &large).await.0, 413);
}

#[tokio::test]
async fn a_stream_passes_through_and_ends_with_the_callers_session() {
    let (node, _) = node();
    let (end, ended) = watch::channel(false);
    let caller = Caller { ended, ..caller(Role::Monitor, Way::Console) };
    let request = request(Method::GET, "/nodes/n2/status/stream", "");
    let response = call(router(&node, caller), request).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/x-ndjson");
    let mut stream = response.into_body().into_data_stream();
    let line = stream.next().await.unwrap().unwrap();
    assert!(line.starts_with(b"{\"node\":\"n2\""), "{line:?}");
    end.send_replace(true);
    let rest = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), rest).await.expect("it ends with the session");
}

#[tokio::test]
async fn the_name_of_a_forwarded_caller_is_one_clean_line() {
    let there = forwarded(FakeDaemon::node("n2", None));
    let through = NodeName::new("n1").unwrap();
    let long = format!("a\n\u{1b}[1m{}", "b".repeat(500));
    let response = there.answer(request(Method::GET, "/me", ""), &long, Role::Monitor, &through).await;
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let me: Value = serde_json::from_slice(&body).unwrap();
    let name = me["name"].as_str().unwrap();
    assert!(name.len() <= 90 && !name.contains(['\n', '\u{1b}']), "{name:?}");
}
