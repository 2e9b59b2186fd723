use axum::Router;
use axum::extract::Extension;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::*;
use crate::access::SignedIn;
use bellwether_os::clock::Clock;

const PASSWORD: &str = "correct horse";

struct World {
    access: Access,
    router: Router,
    _root: tempfile::TempDir,
}

async fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("state")).unwrap();
    let (access, _) = Access::open(root.path(), Clock::start(), tokio::sync::mpsc::channel(100).0);
    access.add_user("alice", Role::Control, Some(PASSWORD.into()), "root").await.unwrap();
    let who = |Extension(caller): Extension<Caller>| async move { caller.by() };
    let changed = |Extension(caller): Extension<Caller>, body: String| async move {
        format!("{}: {body}", caller.name)
    };
    let programs = get(who).route_layer(from_fn(|request, next| needs(Role::Admin, request, next)));
    let people = get(who).route_layer(from_fn(|request, next| page_needs(Role::Admin, request, next)));
    let router = Router::new()
        .route("/page", get(who))
        .route("/page", post(changed))
        .route("/api/v1/thing", get(who).post(changed))
        .nest("/api/v1", Router::new().route("/users", programs))
        .route("/users/eve/remove", people)
        .route("/login", get(|| async { "sign in" }))
        .layer(from_fn_with_state(Guard::new(access.clone(), vec!["node-1".into()]), guard));
    World { access, router, _root: root }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl World {
    async fn signed_in(&self) -> SignedIn {
        self.access.sign_in("alice", PASSWORD.into(), "127.0.0.1".parse().unwrap()).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:9013");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = Peer { address: "192.0.2.7:1".parse().unwrap(), tls: false };
        let request = request.extension(peer).body(Body::from(body.to_owned())).unwrap();
        let response = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text =
            String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        Answer { status, headers, text }
    }
}

fn cookie(signed_in: &SignedIn) -> String {
    format!("bellwether_session_9013={}", signed_in.cookie)
}

const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn who_is_not_signed_in_is_sent_to_sign_in_and_a_program_is_told() {
    let world = world().await;
    let page = world.ask("GET", "/page?x=1", &[], "").await;
    assert_eq!((page.status, page.headers["location"].to_str().unwrap()), (303, "/login?next=/page%3Fx%3D1"));
    let api = world.ask("GET", "/api/v1/thing", &[], "").await;
    assert_eq!((api.status, api.headers["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    assert_eq!(api.headers["content-type"], "application/problem+json");
    assert_eq!(world.ask("GET", "/login", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_cookie_reads_and_a_key_changes() {
    let world = world().await;
    let signed_in = world.signed_in().await;
    let cookie = cookie(&signed_in);
    let read = world.ask("GET", "/page", &[("cookie", &cookie)], "").await;
    assert_eq!((read.status, read.text.as_str()), (200, "alice from 192.0.2.7"));
    let stolen = world.ask("POST", "/page", &[("cookie", &cookie), OURS], "").await;
    assert_eq!(stolen.status, 403, "a stolen cookie reads and never acts");
    let key = ("bellwether-act", signed_in.act_key.as_str());
    let acted = world.ask("POST", "/page", &[("cookie", &cookie), OURS, key], "body").await;
    assert_eq!((acted.status, acted.text.as_str()), (200, "alice: body"));
}

#[tokio::test]
async fn what_no_page_of_ours_sent_changes_nothing_even_with_the_key() {
    let world = world().await;
    let signed_in = world.signed_in().await;
    let (cookie, key) = (cookie(&signed_in), ("bellwether-act", signed_in.act_key.as_str()));
    for forged in [
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("origin", "http://127.0.0.1:8080")],
        vec![],
    ] {
        let headers: Vec<_> = forged.into_iter().chain([("cookie", cookie.as_str()), key]).collect();
        assert_eq!(world.ask("POST", "/page", &headers, "").await.status, 403, "{headers:?}");
    }
}

#[tokio::test]
async fn without_the_key_the_password_stands_for_it_and_the_form_arrives_whole() {
    let world = world().await;
    let cookie = cookie(&world.signed_in().await);
    let headers = [("cookie", cookie.as_str()), OURS, FORM];
    let form = "seen=7&password=correct+horse";
    let acted = world.ask("POST", "/page", &headers, form).await;
    assert_eq!((acted.status, acted.text), (200, format!("alice: {form}")));
    assert_eq!(world.ask("POST", "/page", &headers, "password=wrong").await.status, 403);
    assert_eq!(world.ask("POST", "/page", &headers, "password=").await.status, 403);
}

#[tokio::test]
async fn the_cookie_of_another_port_is_not_ours() {
    let world = world().await;
    let signed_in = world.signed_in().await;
    let other = format!("bellwether_session_9014={}", signed_in.cookie);
    assert_eq!(world.ask("GET", "/page", &[("cookie", &other)], "").await.status, 303);
}

#[tokio::test]
async fn a_token_needs_neither_cookie_nor_key_and_ends_at_once_when_revoked() {
    let world = world().await;
    let secret = world.access.create_token("ci", Role::Monitor, None, "root").await.unwrap();
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str())];
    let acted = world.ask("POST", "/api/v1/thing", &headers, "x").await;
    assert_eq!((acted.status, acted.text.as_str()), (200, "token ci: x"));
    assert_eq!(world.ask("GET", "/api/v1/users", &headers, "").await.status, 403, "not with this role");
    world.access.revoke_token("ci", "root").await.unwrap();
    assert_eq!(world.ask("GET", "/api/v1/thing", &headers, "").await.status, 401);
    let wrong = [("authorization", "Bearer bw_no"), ("cookie", "bellwether_session_9013=x")];
    assert_eq!(world.ask("GET", "/api/v1/thing", &wrong, "").await.status, 401);
}

#[tokio::test]
async fn whose_role_does_not_reach_is_told_by_a_page_and_a_program_by_a_problem() {
    let world = world().await;
    let signed_in = world.signed_in().await;
    let headers = [("cookie", cookie(&signed_in))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let page = world.ask("GET", "/users/eve/remove", &headers, "").await;
    assert_eq!(
        (page.status, page.headers["content-type"].to_str().unwrap()),
        (403, "text/html; charset=utf-8")
    );
    assert!(page.text.contains("alice has the role control; this needs the role admin."), "{}", page.text);
    let program = world.ask("GET", "/api/v1/users", &headers, "").await;
    assert_eq!(
        (program.status, program.headers["content-type"].to_str().unwrap()),
        (403, "application/problem+json")
    );
}

#[tokio::test]
async fn by_a_name_that_is_not_ours_nothing_is_answered() {
    let world = world().await;
    for (host, status) in
        [("evil.example:9013", 421), ("node-1:9013", 200), ("localhost:9013", 200), ("[::1]:9013", 200)]
    {
        assert_eq!(world.ask("GET", "/login", &[("host", host)], "").await.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_change_of_role_counts_for_the_very_next_request() {
    let world = world().await;
    let cookie = cookie(&world.signed_in().await);
    world.access.set_role("alice", Role::Monitor, "root").await.unwrap();
    assert_eq!(world.ask("GET", "/page", &[("cookie", &cookie)], "").await.status, 303);
}
