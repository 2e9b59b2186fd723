use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

/// A server that answers every request with `hello`.
struct Hello {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Hello {
    async fn start(most: usize, longest: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let limit = ConnectionLimit::new(most);
        let server = HttpServer { what: "this test", limit, head_within: LONG * 10, longest };
        let router = Router::new().route("/", get(|| async { "hello" }));
        let task = tokio::spawn(async move {
            let answer = move |(stream, _): (TcpStream, SocketAddr), connection: Connection| {
                connection.serve(stream, router.clone())
            };
            server.serve(listener, answer, async { drop(ended.await) }).await;
        });
        Self { address, end, task }
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn ask(client: &mut TcpStream) {
    client.write_all(REQUEST).await.unwrap();
    answered(client).await;
}

async fn answered(client: &mut TcpStream) {
    let mut text = Vec::new();
    while !text.ends_with(b"hello") {
        text.push(tokio::time::timeout(LONG, client.read_u8()).await.expect("an answer in time").unwrap());
    }
}

async fn is_ended(client: &mut TcpStream) {
    let read = tokio::time::timeout(LONG, client.read(&mut [0])).await;
    assert_eq!(read.expect("the end in time").unwrap(), 0);
}

#[tokio::test]
async fn a_client_beyond_the_limit_waits_until_another_leaves() {
    let hello = Hello::start(1, None).await;
    let mut first = hello.client().await;
    ask(&mut first).await;
    let mut second = hello.client().await;
    second.write_all(REQUEST).await.unwrap();
    ask(&mut first).await;
    let early = second.try_read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    drop(first);
    answered(&mut second).await;
}

#[tokio::test]
async fn a_connection_ends_when_it_is_too_old_whatever_happens_on_it() {
    let hello = Hello::start(1, Some(Duration::from_millis(50))).await;
    is_ended(&mut hello.client().await).await;
}

#[tokio::test]
async fn at_the_end_idle_connections_are_closed_and_the_server_ends() {
    let hello = Hello::start(8, None).await;
    let mut client = hello.client().await;
    ask(&mut client).await;
    hello.end.send(()).unwrap();
    is_ended(&mut client).await;
    tokio::time::timeout(LONG, hello.task).await.expect("the end in time").unwrap();
}
