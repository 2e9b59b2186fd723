use std::sync::atomic::{AtomicBool, Ordering};

use hyper::{Method, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::*;

/// What an application of a test does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Serve,
    /// Closes the connection as soon as it has read something.
    Break,
}

/// A node of a test: a health address that is ready or not, and an application.
struct TestNode {
    upstream: Upstream,
    ready: Arc<AtomicBool>,
    manner: watch::Sender<Manner>,
}

impl TestNode {
    async fn start(name: &str) -> Self {
        let [health, application] = [bind().await, bind().await];
        let upstream = Upstream {
            name: name.to_owned(),
            health: health.local_addr().unwrap(),
            application: application.local_addr().unwrap(),
        };
        let ready = Arc::new(AtomicBool::new(true));
        let (manner, manners) = watch::channel(Manner::Serve);
        let asked = Arc::clone(&ready);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = health.accept().await.unwrap();
                read_head(&mut stream).await;
                let status = if asked.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let name = name.to_owned();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = application.accept().await.unwrap();
                read_head(&mut stream).await;
                if *manners.borrow() == Manner::Serve {
                    let length = name.len();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { upstream, ready, manner }
    }
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
}

fn balance(nodes: &[&TestNode]) -> (Balancer, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstreams = nodes.iter().map(|node| node.upstream.clone()).collect();
    (Balancer::start(listener, upstreams).unwrap(), address)
}

async fn ask(address: SocketAddr, method: Method) -> Response<Bytes> {
    let request = Request::builder().method(method).uri("/").header(HOST, "x").body(Full::new(Bytes::new()));
    exchange(address, request.unwrap(), Instant::now() + Duration::from_mins(3)).await.unwrap()
}

async fn answerer(address: SocketAddr) -> String {
    let answer = ask(address, Method::GET).await;
    assert_eq!(answer.status(), StatusCode::OK);
    String::from_utf8(answer.into_body().to_vec()).unwrap()
}

const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn ready_nodes_take_turns_and_one_that_says_503_gets_nothing() {
    let (one, two) = (TestNode::start("node-1").await, TestNode::start("node-2").await);
    let (mut balancer, address) = balance(&[&one, &two]);
    balancer.settle(PATIENCE).await;
    let answers = [answerer(address).await, answerer(address).await, answerer(address).await];
    assert!(answers[0] != answers[1] && answers[0] == answers[2], "{answers:?}");

    one.ready.store(false, Ordering::SeqCst);
    let change = timeout(PATIENCE, balancer.next()).await.unwrap();
    assert_eq!(change.to_string(), "node-1 is out (503), traffic goes to node-2");
    assert_eq!([answerer(address).await, answerer(address).await], ["node-2", "node-2"]);

    two.ready.store(false, Ordering::SeqCst);
    let change = timeout(PATIENCE, balancer.next()).await.unwrap();
    assert_eq!(change.serving, Vec::<String>::new());
    let answer = ask(address, Method::GET).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.into_body().as_ref(), b"no node is ready\n");

    one.ready.store(true, Ordering::SeqCst);
    let change = timeout(PATIENCE, balancer.next()).await.unwrap();
    assert_eq!(change.to_string(), "node-1 is in (200), traffic goes to node-1");
    assert_eq!(answerer(address).await, "node-1");
}

#[tokio::test]
async fn a_connection_that_breaks_is_hidden_from_the_client_unless_the_request_may_have_had_an_effect() {
    let (one, two) = (TestNode::start("node-1").await, TestNode::start("node-2").await);
    let (mut balancer, address) = balance(&[&one, &two]);
    balancer.settle(PATIENCE).await;
    one.manner.send_replace(Manner::Break);
    for _ in 0..4 {
        assert_eq!(answerer(address).await, "node-2");
    }
    // In turn: one of two goes to the node that breaks it.
    let first = ask(address, Method::POST).await.status();
    let second = ask(address, Method::POST).await.status();
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(both, [StatusCode::OK, StatusCode::BAD_GATEWAY]);
    assert!(balancer.tally().to_string().contains("1 failed"), "{}", balancer.tally());
}

#[tokio::test]
async fn a_node_without_an_application_is_passed_over_for_every_method() {
    let (mut one, two) = (TestNode::start("node-1").await, TestNode::start("node-2").await);
    let closed = bind().await;
    one.upstream.application = closed.local_addr().unwrap();
    drop(closed);
    let (mut balancer, address) = balance(&[&one, &two]);
    balancer.settle(PATIENCE).await;
    for method in [Method::GET, Method::POST, Method::POST] {
        assert_eq!(ask(address, method).await.status(), StatusCode::OK);
    }
    assert!(balancer.tally().to_string().contains("none failed"), "{}", balancer.tally());
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused() {
    let one = TestNode::start("node-1").await;
    let (mut balancer, address) = balance(&[&one]);
    balancer.settle(PATIENCE).await;
    let body = Bytes::from(vec![0; exchange::MAX_BODY + 1]);
    let request = Request::put("/").header(HOST, "x").body(Full::new(body)).unwrap();
    let answer = exchange(address, request, Instant::now() + PATIENCE).await;
    // The answer may be lost where the client is still sending.
    assert!(answer.is_err() || answer.unwrap().status() == StatusCode::PAYLOAD_TOO_LARGE);
}
