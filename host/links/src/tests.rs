//! Several nodes in one process, with real connections over the loopback.
//!
//! Each node has a runtime of its own: a node is killed by dropping it, which closes its sockets and nothing else.

mod asking;
mod certificates;
mod failures;
mod joining;
mod membership;
mod removal;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_bus::Message;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::recorder::Recorder;
use bellwether_core::id::NodeName;
use bellwether_os::clock::Clock;
use bellwether_testing::process::PATIENCE;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::frames::channel;
use crate::node::Node;
use crate::settings::{Settings, Tuning};
use crate::{BoxError, Caller, FarmError, ForwardedCaller, LinkState, Links, NodePicture, Picture, Serve};
use bellwether_core::access::Role;

/// A day of the wall clock, in milliseconds.
const DAY_MS: i64 = 86_400_000;

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

/// A node of a farm, and its files.
struct TestNode {
    links: Links,
    name: NodeName,
    folder: PathBuf,
    tuning: Tuning,
    problems: Diagnostics,
    api: Arc<Api>,
    root: Arc<TempDir>,
    runtime: Option<Runtime>,
    end: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<()>>,
    _records: mpsc::Receiver<Message>,
}

impl TestNode {
    async fn start(text: &str) -> Self {
        Self::start_tuned(text, Tuning::default()).await
    }

    async fn start_tuned(text: &str, tuning: Tuning) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), text, tuning).await
    }

    async fn start_in(root: Arc<TempDir>, text: &str, tuning: Tuning) -> Self {
        Self::start_at("127.0.0.1:0", root, text, tuning).await
    }

    async fn start_at(listen: &str, root: Arc<TempDir>, text: &str, tuning: Tuning) -> Self {
        let (records, receiver) = mpsc::channel(1_024);
        let (folder, problems) = (root.path().join("state/farm"), Diagnostics::default());
        let api = Arc::new(Api::default());
        let settings = Settings {
            folder: folder.clone(),
            node: name(text),
            version: "0.0.0".to_owned(),
            listen: listen.parse().unwrap(),
            address: None,
            zone: Some(format!("zone of {text}")),
            clock: Clock::start(),
            recorder: Recorder::new(records),
            problems: problems.clone(),
            serve: Arc::clone(&api) as Arc<dyn Serve>,
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (end, ending) = oneshot::channel::<()>();
        let (tell, ended) = oneshot::channel();
        let (opened, open) = oneshot::channel();
        let its_tuning = tuning.clone();
        runtime.spawn(async move {
            let (links, task) = Links::open_tuned(settings, its_tuning).await.unwrap();
            drop(opened.send(links));
            task.run(async { drop(ending.await) }).await;
            tell.send(()).unwrap_or_default();
        });
        let links = open.await.unwrap();
        Self {
            links,
            name: name(text),
            folder,
            tuning,
            problems,
            api,
            root,
            runtime: Some(runtime),
            end: Some(end),
            ended: Some(ended),
            _records: receiver,
        }
    }

    /// Ends it as a signal would, and starts it again.
    async fn restart(self) -> Self {
        let (text, tuning) = (self.name.to_string(), self.tuning.clone());
        Self::start_in(self.stop().await, &text, tuning).await
    }

    /// Ends it as a signal would. Its files are written.
    async fn stop(mut self) -> Arc<TempDir> {
        drop(self.end.take());
        timeout(PATIENCE, self.ended.take().unwrap()).await.unwrap().unwrap();
        Arc::clone(&self.root)
    }

    /// Ends it without a word, as `kill -9` would.
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Sets its wall clock ahead.
    fn set_ahead(&self, ms: i64) {
        self.tuning.wall_off_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The picture, once it is as expected.
    async fn until(&self, what: &str, is_so: impl Fn(&Picture) -> bool) -> Arc<Picture> {
        let mut changes = self.links.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                let picture = self.links.picture();
                if is_so(&picture) {
                    return picture;
                }
                changes.changed().await.unwrap();
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("{} never sees: {what}\n{:#?}", self.name, self.links.picture()))
    }

    /// Waits until it hears exactly these, over links of its own.
    async fn until_hears(&self, others: &[&TestNode]) -> Arc<Picture> {
        let mut names: Vec<&NodeName> = others.iter().map(|other| &other.name).collect();
        names.sort();
        self.until(&format!("hears {names:?}"), |picture| {
            let found: Vec<&NodeName> = picture.nodes.iter().map(|node| &node.member.name).collect();
            found == names && picture.nodes.iter().all(is_heard)
        })
        .await
    }

    async fn invite(&self) -> String {
        self.links.invite("alice").await.unwrap().line
    }

    async fn join(&self, line: &str) -> Result<Arc<Picture>, FarmError> {
        self.links.join(line, None, "bob").await
    }

    fn node(&self) -> Arc<Node> {
        self.links.published.node.load_full().unwrap()
    }

    /// That it is in no farm, and that nothing on its disk says otherwise.
    fn assert_alone(&self) {
        let picture = self.links.picture();
        assert_eq!((picture.farm, picture.me, picture.nodes.len()), (None, None, 0));
        assert!(!self.folder.exists(), "{} is left", self.folder.display());
        let state = self.folder.parent().unwrap();
        let left: Vec<_> = std::fs::read_dir(state).map(|all| all.flatten().collect()).unwrap_or_default();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_heard(node: &NodePicture) -> bool {
    node.view.hearing.is_heard() && node.link == LinkState::Open
}

fn other<'p>(picture: &'p Picture, node: &TestNode) -> &'p NodePicture {
    picture.nodes.iter().find(|other| other.member.name == node.name).unwrap()
}

/// A farm of these nodes, each of which hears all others.
async fn farm(names: &[&str]) -> Vec<TestNode> {
    farm_of(names.iter().map(|name| (*name, Tuning::default())).collect()).await
}

async fn farm_of(names: Vec<(&str, Tuning)>) -> Vec<TestNode> {
    let mut nodes: Vec<TestNode> = Vec::new();
    for (name, tuning) in names {
        let node = TestNode::start_tuned(name, tuning).await;
        match nodes.first() {
            None => drop(node.links.init("alice").await.unwrap()),
            Some(founder) => drop(node.join(&founder.invite().await).await.unwrap()),
        }
        nodes.push(node);
        if nodes.len() == 2 {
            let holds = |picture: &Picture| picture.nodes.iter().all(|node| node.member.holds_ca_key);
            nodes[0].until("that the second node holds the key", holds).await;
        }
    }
    for node in &nodes {
        let others: Vec<_> = nodes.iter().filter(|other| other.name != node.name).collect();
        node.until_hears(&others).await;
    }
    nodes
}

/// The API of a test.
#[derive(Default)]
struct Api {
    callers: Mutex<Vec<(String, ForwardedCaller)>>,
}

impl Serve for Api {
    fn answer(
        &self,
        request: Request<Incoming>,
        caller: ForwardedCaller,
    ) -> BoxFuture<'static, Response<crate::Body>> {
        let path = request.uri().to_string();
        self.callers.lock().unwrap().push((path.clone(), caller));
        Box::pin(async move {
            match path.as_str() {
                // What comes is sent back as it comes.
                "/api/v1/echo?all=1" => {
                    Response::new(request.into_body().map_err(BoxError::from).boxed_unsync())
                }
                "/api/v1/silent" => {
                    let (frames, body) = channel();
                    std::mem::forget(frames);
                    Response::new(body.map_err(|never| match never {}).boxed_unsync())
                }
                _ => {
                    let mut response = Response::new(crate::body::full("not allowed"));
                    *response.status_mut() = StatusCode::FORBIDDEN;
                    response
                }
            }
        })
    }
}

fn alice() -> Caller {
    Caller { name: "alice".to_owned(), role: Role::Control }
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<crate::Body> {
    Request::post(path).body(crate::body::full(body)).unwrap()
}

/// Waits for what nothing announces.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}
