use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, header};
use bellwether_core::access::Role;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use crate::api::farm::tests::{FakeFarm, caller};
use crate::api::tests::FakeDaemon;
use crate::api::{Daemon, Way};
use crate::console::router;

struct World {
    router: Router,
    done: Arc<Mutex<Vec<String>>>,
}

fn world() -> World {
    let farm = FakeFarm::new();
    let done = Arc::clone(&farm.done);
    let daemon: Arc<dyn Daemon> = FakeDaemon::node("n1", Some(Box::new(farm)));
    World { router: router(daemon), done }
}

impl World {
    async fn ask(&self, role: Role, method: Method, path: &str, form: &str) -> (u16, String, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .extension(caller(role, Way::Console))
            .body(Body::from(form.to_owned()))
            .unwrap();
        let response = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let status = response.status().as_u16();
        let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, to.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    async fn page(&self, path: &str) -> String {
        let (status, _, page) = self.ask(Role::Admin, Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}: {page}");
        page
    }
}

#[tokio::test]
async fn the_first_page_shows_all_nodes_and_stays_live() {
    let page = world().page("/").await;
    for text in ["1 of 3 nodes is unknown", "id=\"c/n2/web\"", "data-farm", "data-stream", ">Farm</a>"] {
        assert!(page.contains(text), "{text} is missing: {page}");
    }
    assert!(page.contains("it has not been heard from"), "{page}");
}

#[tokio::test]
async fn without_other_nodes_the_first_page_is_that_of_this_node() {
    let daemon: Arc<dyn Daemon> = FakeDaemon::node("n1", None);
    let world = World { router: router(daemon), done: Arc::default() };
    let page = world.page("/").await;
    assert!(page.contains("id=\"cell-web\"") && page.contains(">Node</a>"), "{page}");
    assert!(!page.contains("data-farm"), "{page}");
}

#[tokio::test]
async fn a_node_without_contact_has_a_page_that_says_so() {
    let world = world();
    let well = world.page("/nodes/n2").await;
    assert!(well.contains("/nodes/n2/modules/web") && !well.contains("no current data"), "{well}");
    let lost = world.page("/nodes/n3").await;
    assert!(lost.contains("There is no current data.") && lost.contains("was up"), "{lost}");
    assert!(!lost.contains("href=\"/nodes/n3/modules/web\""), "{lost}");
    assert!(world.page("/nodes/n1").await.contains("id=\"cell-web\""));
    assert_eq!(world.ask(Role::Admin, Method::GET, "/nodes/n9", "").await.0, 404);
}

#[tokio::test]
async fn a_module_of_another_node_is_shown_and_commanded() {
    let world = world();
    let page = world.page("/nodes/n2/modules/web").await;
    assert!(page.contains("/nodes/n2/modules/web/stop") && page.contains("checker-home"), "{page}");
    let confirm = world.page("/nodes/n2/modules/web/stop").await;
    assert!(confirm.contains("action=\"/nodes/n2/modules/web/stop\""), "{confirm}");
    assert!(confirm.contains("data-type=\"web\""), "{confirm}");
    assert!(confirm.contains("bellwether stop web --node n2"), "{confirm}");
    let give = |role, form: &'static str| world.ask(role, Method::POST, "/nodes/n2/modules/web/stop", form);
    let (status, to, _) = give(Role::Control, "seen=1&typed=web&reason=a+%26+b").await;
    assert_eq!((status, to.as_str()), (303, "/nodes/n2/modules/web"));
    let (status, _, page) = give(Role::Control, "seen=1&typed=").await;
    assert_eq!(status, 428, "{page}");
    assert_eq!(give(Role::Monitor, "seen=1&typed=web").await.0, 403);
}

#[tokio::test]
async fn a_module_of_a_node_without_contact_says_why_it_cannot_be_shown() {
    let (status, _, page) = world().ask(Role::Admin, Method::GET, "/nodes/n3/modules/web", "").await;
    assert_eq!(status, 503);
    assert!(page.contains("<code>n3</code> has not been heard from"), "{page}");
}

#[tokio::test]
async fn the_pages_of_this_nodes_modules_are_elsewhere() {
    let world = world();
    let to = |path: &'static str| world.ask(Role::Admin, Method::GET, path, "");
    assert_eq!(to("/nodes/n1/modules/web").await.1, "/modules/web");
    assert_eq!(to("/nodes/n1/modules/web/stop").await.1, "/modules/web/stop");
    for wrong in ["/nodes/n2/modules/web/explode", "/nodes/n2/modules/a%2Fb", "/nodes/n2/modules/a%20b/stop"]
    {
        assert_eq!(to(wrong).await.0, 404, "{wrong}");
    }
}

#[tokio::test]
async fn an_admin_invites_and_removes_nodes() {
    let world = world();
    let (status, _, page) = world.ask(Role::Admin, Method::POST, "/farm/invitations", "").await;
    assert!(status == 200 && page.contains("bellwether farm join bw1.n1:9013.AA.BB"), "{page}");
    let asked = world.page("/farm/nodes/n3/remove").await;
    assert!(asked.contains("Remove n3 from the farm?"), "{asked}");
    let (status, _, page) = world.ask(Role::Admin, Method::POST, "/farm/nodes/n3/remove", "").await;
    assert!(status == 200 && page.contains("is removed from the farm"), "{page}");
    let by = "by alice from 192.0.2.7";
    assert_eq!(*world.done.lock().unwrap(), [format!("invite {by}"), format!("remove n3 {by}")]);
    for (method, path) in [
        (Method::POST, "/farm/invitations"),
        (Method::GET, "/farm/nodes/n3/remove"),
        (Method::POST, "/farm/nodes/n3/remove"),
    ] {
        assert_eq!(world.ask(Role::Control, method, path, "").await.0, 403, "{path}");
    }
}
