use std::path::PathBuf;
use std::sync::Mutex;

use axum::body::Bytes;
use bellwether_core::command::{Command, DeniedReason};
use bellwether_core::id::NodeName;
use bellwether_core::measurements::Bucket;
use bellwether_core::observation::Status;
use bellwether_core::permission::Permission;
use bellwether_core::policy::{CheckerKind, OnDown};
use bellwether_core::record::{Record, RecordKind};
use bellwether_core::snapshot::{CheckerView, ModuleView};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;
use futures_util::FutureExt;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::*;
use bellwether_core::chart::ChartSeries;
use bellwether_core::reload::Waiting;
use bellwether_os::{socket, user};

pub(crate) struct FakeDaemon {
    node: NodeName,
    farm: Option<Box<dyn Farm>>,
    access: Access,
    clock: Clock,
    generations: watch::Sender<u64>,
    records: Mutex<Vec<Entry>>,
    live: broadcast::Sender<Entry>,
}

impl FakeDaemon {
    fn new() -> Arc<Self> {
        Self::node("n1", None)
    }

    /// With this name, and this part in a farm.
    pub(crate) fn node(name: &str, farm: Option<Box<dyn Farm>>) -> Arc<Self> {
        let clock = Clock::start();
        let nowhere = std::path::Path::new("/nonexistent");
        Arc::new(Self {
            node: NodeName::new(name).unwrap(),
            farm,
            access: Access::open(nowhere, clock, tokio::sync::mpsc::channel(1).0).0,
            clock,
            generations: watch::Sender::new(1),
            records: Mutex::default(),
            live: broadcast::Sender::new(2),
        })
    }

    fn write(&self, message: &str) {
        let mut records = self.records.lock().unwrap();
        let record = Record {
            seq: records.len() as u64 + 1,
            at: self.clock.now(),
            node: NodeName::new("n1").unwrap(),
            module: ModuleName::new("web").ok(),
            kind: RecordKind::Daemon { message: message.into() },
        };
        let entry = Entry { wall: self.clock.wall_micros(record.at), record };
        records.push(entry.clone());
        let _ = self.live.send(entry);
    }
}

impl Daemon for FakeDaemon {
    fn farm(&self) -> Option<&dyn Farm> {
        self.farm.as_deref()
    }

    fn preview(&self, _: ModuleName, _: Occasion) -> BoxFuture<'_, Result<Plan, PlanError>> {
        std::future::ready(Err("no script".to_owned().into())).boxed()
    }

    fn files(&self) -> BoxFuture<'_, Option<Arc<RootReport>>> {
        std::future::ready(None).boxed()
    }

    fn component(&self, _: String, _: String) -> BoxFuture<'_, Option<ComponentDetail>> {
        std::future::ready(None).boxed()
    }

    fn log(&self, _: ModuleName) -> BoxFuture<'_, Vec<LogTail>> {
        std::future::ready(Vec::new()).boxed()
    }

    fn access(&self) -> &Access {
        &self.access
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        let at = self.clock.now();
        let checker = CheckerView {
            name: CheckerName::new("home").unwrap(),
            kind: CheckerKind::Component,
            on_down: OnDown::Restart,
            verdict: Verdict::Up,
            since: at,
            watched: true,
            on_probation: false,
            definition: 1,
            interval: Duration::from_secs(5),
            next: None,
            last: None,
        };
        let module = ModuleView {
            since: at,
            ready_since: at,
            restarts_allowed: 3,
            restarts_within: Duration::from_hours(1),
            checkers: vec![checker].into(),
            ..ModuleView::empty(ModuleName::new("web").unwrap(), StateName::Up)
        };
        let generation = *self.generations.borrow();
        let (node, modules) = (self.node.clone(), vec![Arc::new(module)]);
        Arc::new(Snapshot { generation, node, at, modules, readmit_until: None, looking: Vec::new() })
    }

    fn generations(&self) -> watch::Receiver<u64> {
        self.generations.subscribe()
    }

    fn records(&self, query: RecordQuery) -> BoxFuture<'_, Result<Vec<Entry>, NotRead>> {
        let records = self.records.lock().unwrap();
        let found = records.iter().filter(|r| query.wants(r)).take(query.limit).cloned().collect();
        let told =
            if query.search.as_deref() == Some("everything") { Err(NotRead::TooMuch) } else { Ok(found) };
        std::future::ready(told).boxed()
    }

    fn records_of(&self, queries: Vec<RecordQuery>) -> BoxFuture<'_, Result<Vec<Vec<Entry>>, NotRead>> {
        async move {
            futures_util::future::try_join_all(queries.into_iter().map(|query| self.records(query))).await
        }
        .boxed()
    }

    fn follow(&self) -> broadcast::Receiver<Entry> {
        self.live.subscribe()
    }

    fn chart(&self, query: ChartQuery) -> BoxFuture<'_, Result<Chart, NotRead>> {
        let bucket = Bucket { start: query.since, count: 2, min: 1.0, max: 3.0, sum: 4.0 };
        let checker = query.checker.map_or_else(|| "home".to_owned(), |checker| checker.to_string());
        let (name, unit) = ("duration".to_owned(), "ms".to_owned());
        let series = vec![ChartSeries { checker, name, unit, buckets: vec![bucket] }];
        std::future::ready(Ok(Chart { step_s: 10, series })).boxed()
    }

    fn components(&self) -> Vec<ComponentStatus> {
        Vec::new()
    }

    fn problems(&self) -> Vec<String> {
        vec!["modules/db.toml: refused".into()]
    }

    fn note(&self, _: Option<ModuleName>, kind: RecordKind) {
        self.write(&kind.sentence());
    }

    fn command(
        &self,
        module: ModuleName,
        Order { command, reason, .. }: Order,
        authorization: Authorization,
        by: String,
    ) -> BoxFuture<'_, CommandOutcome> {
        // Like the driver.
        let permission = Permission::on(&self.snapshot(), module.as_str(), command, &authorization);
        if let Some(denied) = permission.and_then(Permission::denial) {
            return std::future::ready(CommandOutcome::Denied(denied)).boxed();
        }
        let outcome = match command {
            Command::Start => CommandOutcome::AlreadySo("it is started".into()),
            Command::Restart => CommandOutcome::Denied(DeniedReason::Stopping),
            _ => {
                let signed = bellwether_core::command::with_reason(&by, reason.as_deref());
                CommandOutcome::Accepted(format!("as {signed} says"))
            }
        };
        std::future::ready(outcome).boxed()
    }

    fn approve(
        &self,
        name: String,
        _: Option<String>,
        _: String,
    ) -> BoxFuture<'_, Result<Approved, NotApproved>> {
        let version = Waiting { digest: "d".into(), version: "2".into(), asks: vec!["ping".into()] };
        let outcome = match name.as_str() {
            "tcp" => Err(NotApproved::Ambiguous(name)),
            "checkers/tcp" => Ok(Approved { what: "checkers/tcp.wasm".into(), version }),
            _ => Err(NotApproved::NothingWaits(name)),
        };
        std::future::ready(outcome).boxed()
    }

    fn run_checker(&self, _: ModuleName, _: CheckerName) -> BoxFuture<'_, Result<Observation, NotRun>> {
        std::future::ready(Ok(Observation::new(Status::Warn, "slow", self.clock.now()))).boxed()
    }
}

/// An API that ends with the test.
struct Api {
    root: tempfile::TempDir,
    daemon: Arc<FakeDaemon>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Api {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let daemon = FakeDaemon::new();
        let (listener, _) = socket::bind(root.path()).unwrap().unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let handle: Arc<dyn Daemon> = daemon.clone();
        let task = tokio::spawn(serve(listener, handle, async {
            let _ = ended.await;
        }));
        Self { root, daemon, end: Some(end), task }
    }

    fn root(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    async fn open(&self, method: &Method, path: &str) -> BufReader<UnixStream> {
        let mut stream = socket::connect(&self.root()).await.unwrap();
        let head =
            format!("{method} /api/v1{path} HTTP/1.1\r\nHost: bellwether\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    async fn ask(&self, method: Method, path: &str) -> (StatusCode, String, Value) {
        let mut text = Vec::new();
        self.open(&method, path).await.read_to_end(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), serde_json::from_slice(&Bytes::from(body.to_owned())).unwrap())
    }
}

/// The next line of a stream that contains an object, without heads and chunk sizes.
async fn next_object(reader: &mut BufReader<UnixStream>) -> Value {
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), reader.read_line(&mut line));
        assert_ne!(read.await.expect("a line in time").unwrap(), 0, "the stream ended");
        if line.starts_with('{') {
            return serde_json::from_str(&line).unwrap();
        }
    }
}

#[tokio::test]
async fn status_shows_the_snapshot_and_the_problems() {
    let (status, _, body) = Api::start().ask(Method::GET, "/status").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["node"], &body["modules"][0]["state"]), (&json!("n1"), &json!("up")));
    assert_eq!(body["problems"], json!(["modules/db.toml: refused"]));
}

#[tokio::test]
async fn a_command_is_answered_with_its_outcome_and_the_caller_is_named() {
    let api = Api::start();
    let (status, _, body) = api.ask(Method::POST, "/modules/web/stop?confirm=web").await;
    let caller = Caller::local(user::uid().unwrap()).by();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, json!({ "outcome": "accepted", "detail": format!("as {caller} says") }));
    let (status, _, body) = api.ask(Method::POST, "/modules/web/start").await;
    assert_eq!((status, &body["outcome"]), (StatusCode::OK, &json!("already-so")));
}

#[tokio::test]
async fn a_denied_command_is_a_problem_with_the_reason_and_the_next_step() {
    let (status, head, body) = Api::start().ask(Method::POST, "/modules/web/restart?confirm=web").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(head.contains("application/problem+json"), "{head}");
    assert!(body["detail"].as_str().unwrap().contains("being stopped"), "{body}");
    let next = "wait until `bellwether status web` shows `stopped`, then: bellwether start web";
    assert_eq!(body["next"], next);
}

#[tokio::test]
async fn what_takes_out_the_last_ready_node_is_confirmed_by_the_modules_name_and_nothing_else_is() {
    let api = Api::start();
    for wrong in ["stop", "restart", "stop?confirm=db", "stop?confirm=", "restart?seen=1&confirm=yes"] {
        let (status, head, body) = api.ask(Method::POST, &format!("/modules/web/{wrong}")).await;
        assert_eq!((status.as_u16(), &body["status"]), (428, &json!(428)), "{wrong}: {body}");
        assert!(head.contains("application/problem+json"), "{wrong}: {head}");
        assert_eq!(body["title"], "not confirmed", "{wrong}");
        assert!(body["next"].as_str().is_some_and(|next| next.contains("`confirm=web`")), "{wrong}: {body}");
    }
    for right in ["stop?confirm=web", "stop?confirm=web&seen=1", "suspend", "reset", "start?confirm=db"] {
        let (status, _, body) = api.ask(Method::POST, &format!("/modules/web/{right}")).await;
        assert_eq!(status, StatusCode::OK, "{right}: {body}");
    }
    // The generation is checked first: a confirmation for a changed state is not valid.
    let (status, _, body) = api.ask(Method::POST, "/modules/web/stop?seen=2&confirm=web").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("has changed since")), "{body}");
}

#[tokio::test]
async fn a_command_carries_a_reason_and_a_suspension_its_time() {
    let api = Api::start();
    for (asked, answered, says) in [
        ("suspend?for_s=60&reason=new%20disk", StatusCode::OK, "(new disk) says"),
        ("stop?for_s=60", StatusCode::CONFLICT, "only a suspension lasts for a time"),
        ("suspend?for_s=0", StatusCode::BAD_REQUEST, "a number of seconds from 1"),
        ("suspend?for_s=2592001", StatusCode::BAD_REQUEST, "a number of seconds from 1"),
        ("stop?reason=a%0Ab", StatusCode::BAD_REQUEST, "the reason: expected one line"),
    ] {
        let (status, _, body) = api.ask(Method::POST, &format!("/modules/web/{asked}")).await;
        assert_eq!(status, answered, "{asked}: {body}");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{asked}: {body}");
    }
}

#[tokio::test]
async fn an_approval_says_what_was_let_in_and_an_error_what_to_do() {
    let api = Api::start();
    let (status, _, body) = api.ask(Method::POST, "/components/checkers/tcp/approve").await;
    assert_eq!(status, StatusCode::OK);
    let let_in = json!({ "what": "checkers/tcp.wasm", "digest": "d", "version": "2", "asks": ["ping"] });
    assert_eq!(body, let_in);
    for (name, next) in [
        ("tcp", "name one: bellwether approve checkers/tcp, or restart-scripts/tcp"),
        ("http", "see `bellwether status` for what waits for approval"),
    ] {
        let (status, _, body) = api.ask(Method::POST, &format!("/components/{name}/approve")).await;
        assert_eq!((status, &body["next"]), (StatusCode::CONFLICT, &json!(next)), "{body}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let api = Api::start();
    for (method, path) in [
        (Method::POST, "/modules/db/stop"),
        (Method::POST, "/modules/web/explode"),
        (Method::GET, "/modules/db/why"),
        (Method::POST, "/modules/web/checkers/none/run"),
        (Method::GET, "/nothing"),
    ] {
        let (status, head, body) = api.ask(method, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(head.contains("application/problem+json") && body["next"].is_string(), "{path}: {head}");
    }
    let (status, _, body) = api.ask(Method::GET, "/modules/web/stop").await;
    assert_eq!((status, &body["status"]), (StatusCode::METHOD_NOT_ALLOWED, &json!(405)));
}

#[tokio::test]
async fn a_checker_can_be_run_and_why_explains() {
    let api = Api::start();
    let (_, _, body) = api.ask(Method::POST, "/modules/web/checkers/home/run").await;
    assert_eq!((&body["status"], &body["summary"]), (&json!("warn"), &json!("slow")));
    let (_, _, body) = api.ask(Method::GET, "/modules/web/why").await;
    assert_eq!(body["headline"], "web is up and ready");
}

#[tokio::test]
async fn events_are_asked_for_by_number_module_and_time() {
    let api = Api::start();
    for n in 1..=3 {
        api.daemon.write(&format!("{n}"));
    }
    let seqs = |body: &Value| -> Vec<u64> {
        body.as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs(&api.ask(Method::GET, "/events").await.2), [1, 2, 3]);
    assert_eq!(seqs(&api.ask(Method::GET, "/events?after=1&module=web&limit=1").await.2), [2]);
    assert_eq!(seqs(&api.ask(Method::GET, "/events?module=db").await.2), [0; 0]);
    assert_eq!(seqs(&api.ask(Method::GET, "/events?since=2100-01-01T00:00:00Z").await.2), [0; 0]);
    assert_eq!(seqs(&api.ask(Method::GET, "/events?since=2000-01-01T00:00:00Z").await.2), [1, 2, 3]);
    let (status, _, body) = api.ask(Method::GET, "/events?since=yesterday").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["detail"].as_str().unwrap().contains("`yesterday` is not a moment"), "{body}");
}

#[tokio::test]
async fn events_are_asked_for_by_kind_checker_and_words_and_a_search_that_takes_too_long_says_so() {
    let api = Api::start();
    for message in ["one", "TWO"] {
        api.daemon.write(message);
    }
    let texts = |body: &Value| -> Vec<String> {
        body.as_array().unwrap().iter().map(|e| e["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&api.ask(Method::GET, "/events?kind=daemon&search=two").await.2), ["TWO"]);
    assert_eq!(texts(&api.ask(Method::GET, "/events?kind=verdict").await.2), [""; 0]);
    let (status, _, body) = api.ask(Method::GET, "/events?kind=verdicts").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let why = body["detail"].as_str().unwrap();
    assert!(
        why.starts_with("`verdicts` is not a kind of record; expected one of verdict, incident, "),
        "{why}"
    );
    assert_eq!(texts(&api.ask(Method::GET, "/events?checker=home").await.2), [""; 0]);
    assert_eq!(texts(&api.ask(Method::GET, "/events?until=2000-01-01T00:00:00Z").await.2), [""; 0]);
    let (status, _, body) = api.ask(Method::GET, "/events?search=everything").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["next"], "ask for less: a module, a kind, or a shorter time");
}

#[tokio::test]
async fn measurements_are_asked_for_by_checker_and_time() {
    let api = Api::start();
    let path = "/modules/web/measurements?checker=db&since=2026-11-22T21:30:00Z&until=2026-11-22T22:30:00Z";
    let (status, _, body) = api.ask(Method::GET, path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let point = json!({ "at": "2026-11-22T21:30:00.000Z", "count": 2, "min": 1.0, "max": 3.0, "mean": 2.0 });
    let series = json!([{ "checker": "db", "name": "duration", "unit": "ms", "points": [point] }]);
    assert_eq!(body, json!({ "module": "web", "step_s": 10, "series": series }));
    for wrong in ["since=today", "checker=-"] {
        let (status, ..) = api.ask(Method::GET, &format!("/modules/web/measurements?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(api.ask(Method::GET, "/modules/db/measurements").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_stream_of_events_has_no_gap_even_for_a_slow_reader() {
    let api = Api::start();
    api.daemon.write("before");
    let mut reader = api.open(&Method::GET, "/events/stream?after=0").await;
    assert_eq!(next_object(&mut reader).await["seq"], 1);
    // More than the channel can hold.
    for n in 2..=40 {
        api.daemon.write(&format!("{n}"));
    }
    for n in 2..=40 {
        assert_eq!(next_object(&mut reader).await["seq"], n);
    }
}

#[tokio::test]
async fn a_stream_of_the_status_has_a_line_for_a_change() {
    let api = Api::start();
    let mut reader = api.open(&Method::GET, "/status/stream").await;
    assert_eq!(next_object(&mut reader).await["generation"], 1);
    api.daemon.generations.send_replace(2);
    assert_eq!(next_object(&mut reader).await["generation"], 2);
}

#[tokio::test]
async fn a_shutdown_ends_streams_too() {
    let mut api = Api::start();
    let mut reader = api.open(&Method::GET, "/status/stream").await;
    next_object(&mut reader).await;
    api.end.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), &mut api.task).await.expect("in time").unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
}

#[test]
fn only_root_and_the_daemons_own_user_may_ask() {
    assert!(may_ask(0, 1000) && may_ask(1000, 1000));
    assert!(!may_ask(1001, 1000) && !may_ask(1000, 0));
}
