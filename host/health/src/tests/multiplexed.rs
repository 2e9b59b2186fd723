//! HTTP/2, gRPC's health protocol and TLS, tested with hyper's own client.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use bellwether_config::certificate::PairFiles;

type Client = SendRequest<Full<Bytes>>;

async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Client {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Fixture {
    async fn stream(&self) -> TcpStream {
        TcpStream::connect(self.server.local_addrs()[0]).await.unwrap()
    }

    async fn http2(&self) -> Client {
        over(self.stream().await).await
    }
}

async fn say(client: &mut Client, method: Method, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(format!("http://node{path}"));
    let response = client.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn call(client: &mut Client, procedure: &str, service: &str) -> Response<Incoming> {
    let mut message = vec![0, 0, 0, 0, u8::try_from(service.len() + 2).unwrap(), 10];
    message.push(u8::try_from(service.len()).unwrap());
    message.extend(service.as_bytes());
    let request = Request::post(format!("http://node/grpc.health.v1.Health/{procedure}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    client.send_request(request.body(Full::from(message)).unwrap()).await.unwrap()
}

/// The status of the call, and that of the service if there is one.
async fn check(client: &mut Client, service: &str) -> (String, Option<u8>) {
    let response = call(client, "Check", service).await;
    let at_once = response.headers().get("grpc-status").cloned();
    let collected = response.into_body().collect().await.unwrap();
    let status = at_once.or_else(|| collected.trailers()?.get("grpc-status").cloned()).unwrap();
    (status.to_str().unwrap().to_owned(), collected.to_bytes().last().copied())
}

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

#[tokio::test]
async fn http2_is_answered_like_http1() {
    let fixture = Fixture::new(StateName::Restarting);
    let mut client = fixture.http2().await;
    assert_eq!(say(&mut client, Method::GET, "/health/db").await, (StatusCode::OK, "ok\n".to_owned()));
    let (status, reason) = say(&mut client, Method::GET, "/health/web?from=here").await;
    assert_eq!(
        (status, reason.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: restarting: so it is\n")
    );
    let head = say(&mut client, Method::HEAD, "/health/db").await;
    assert_eq!(head, (StatusCode::OK, String::new()));
    assert_eq!(say(&mut client, Method::POST, "/health/db").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(say(&mut client, Method::GET, "/elsewhere").await.0, StatusCode::NOT_FOUND);
    fixture.stall();
    assert_eq!(say(&mut client, Method::GET, "/health/db").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_protocol_is_told_behind_a_proxy_line_and_from_pieces() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = fixture.stream().await;
    stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n").await.unwrap();
    assert_eq!(say(&mut over(stream).await, Method::GET, "/health").await.0, StatusCode::OK);

    let mut stream = fixture.stream().await;
    stream.set_nodelay(true).unwrap();
    // The preface and an empty SETTINGS frame: the answer to them is SETTINGS.
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "not SETTINGS: {head:?}");
}

#[tokio::test]
async fn grpc_checks_a_module_by_its_name() {
    let fixture = Fixture::new(StateName::Restarting);
    let mut client = fixture.http2().await;
    for (service, status, serving) in [
        ("db", "0", Some(SERVING)),
        ("web", "0", Some(NOT_SERVING)),
        ("", "0", Some(NOT_SERVING)),
        ("nothing", "5", None),
    ] {
        assert_eq!(check(&mut client, service).await, (status.to_owned(), serving), "{service}");
    }
    fixture.stall();
    assert_eq!(check(&mut client, "db").await, ("0".to_owned(), Some(NOT_SERVING)));
    let response = call(&mut client, "Remove", "db").await;
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn grpc_lists_all_modules_and_their_sum() {
    let fixture = Fixture::new(StateName::Restarting);
    let response = call(&mut fixture.http2().await, "List", "").await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let listed: &[u8] =
        b"\n\x04\x12\x02\x08\x02\n\x08\n\x02db\x12\x02\x08\x01\n\x09\n\x03web\x12\x02\x08\x02";
    assert_eq!(&body[5..], listed);
}

#[tokio::test]
async fn grpc_watches_until_the_daemon_ends() {
    let fixture = Fixture::new(StateName::Up);
    let mut client = fixture.http2().await;
    let mut watched = call(&mut client, "Watch", "web").await.into_body();
    let mut unknown = call(&mut client, "Watch", "nothing").await.into_body();
    let next = async |body: &mut Incoming| {
        let frame = body.frame().await.unwrap().unwrap();
        match frame.into_data() {
            Ok(message) => message.last().copied().unwrap(),
            Err(frame) => frame.trailers_ref().unwrap()["grpc-status"].as_bytes()[1],
        }
    };
    assert_eq!(next(&mut watched).await, SERVING);
    assert_eq!(next(&mut unknown).await, SERVICE_UNKNOWN);
    fixture.view.snapshot.store(snapshot(StateName::Restarting));
    assert_eq!(next(&mut watched).await, NOT_SERVING);
    fixture.view.snapshot.store(snapshot(StateName::Up));
    assert_eq!(next(&mut watched).await, SERVING);
    fixture.stall();
    assert_eq!(next(&mut watched).await, NOT_SERVING);
    // UNAVAILABLE (14): the second digit.
    let ending = tokio::task::spawn_blocking(move || drop(fixture));
    assert_eq!(next(&mut watched).await, b'4');
    ending.await.unwrap();
}

#[tokio::test]
async fn a_question_that_has_no_answer_yet_waits_for_one() {
    let fixture = Fixture::opening(snapshot(StateName::Up), PATIENCE);
    let client = fixture.http2().await;
    let ask = |procedure| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let response = call(&mut client, procedure, "nothing").await;
            response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned())
        })
    };
    let (checked, listed) = (ask("Check"), ask("List"));
    let mut other = client.clone();
    let plain = tokio::spawn(async move { say(&mut other, Method::GET, "/health/nothing").await.0 });
    // A request that never waits follows on the same connection: its answer shows that the others have arrived.
    tokio::task::yield_now().await;
    assert_eq!(say(&mut client.clone(), Method::GET, "/elsewhere").await.0, StatusCode::NOT_FOUND);
    assert!(!checked.is_finished() && !listed.is_finished() && !plain.is_finished());
    fixture.view.opening.loaded();
    assert_eq!(checked.await.unwrap().as_deref(), Some("5"));
    assert_eq!(listed.await.unwrap(), None, "its status comes behind the list");
    assert_eq!(plain.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn many_that_come_at_once_are_all_answered() {
    let fixture = Fixture::new(StateName::Up);
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(fixture.http2().await);
    }
    let asked = clients
        .into_iter()
        .map(|mut client| tokio::spawn(async move { say(&mut client, Method::GET, "/health/web").await.0 }));
    for answer in asked.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test]
async fn of_too_many_connections_the_quietest_is_closed() {
    let fixture = Fixture::new(StateName::Up);
    let mut first = fixture.http2().await;
    assert_eq!(check(&mut first, "db").await.1, Some(SERVING));
    let mut others = Vec::new();
    for _ in 0..crate::multiplexed::MAX_CONNECTIONS {
        let mut client = fixture.http2().await;
        assert_eq!(check(&mut client, "db").await.1, Some(SERVING));
        others.push(client);
    }
    let closed = tokio::time::timeout(PATIENCE, async {
        while first.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    closed.await.expect("the first one is closed");
    assert_eq!(check(others.last_mut().unwrap(), "db").await.1, Some(SERVING));
}

/// A server with a certificate for `localhost`, and a client that trusts it.
fn secure() -> (Fixture, rustls::ClientConfig, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let files = PairFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let certificates = Certificates::for_health(files).unwrap();
    let fixture = Fixture::with_tls(snapshot(StateName::Up), Opening::over(), Some(certificates));
    (fixture, client, folder)
}

#[tokio::test]
async fn tls_is_spoken_on_the_same_port_with_http1_and_http2() {
    let (fixture, mut client, _folder) = secure();
    assert_eq!(fixture.status("/health/web"), 200);
    let name = ServerName::try_from("localhost").unwrap();
    // Without negotiation, the first bytes determine the protocol.
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client.clone()));
    let mut silent = over(connector.connect(name.clone(), fixture.stream().await).await.unwrap()).await;
    assert_eq!(check(&mut silent, "web").await.1, Some(SERVING));
    for protocols in [&[][..], &[b"http/1.1".to_vec()]] {
        client.alpn_protocols = protocols.to_vec();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client.clone()));
        let mut stream = connector.connect(name.clone(), fixture.stream().await).await.unwrap();
        stream.write_all(b"GET /health/web HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nok\n"),
            "{response}"
        );
    }
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = connector.connect(name, fixture.stream().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = over(stream).await;
    assert_eq!(say(&mut client, Method::GET, "/health/web").await.0, StatusCode::OK);
    assert_eq!(check(&mut client, "web").await.1, Some(SERVING));
}

#[test]
fn without_a_certificate_a_handshake_is_no_request() {
    let fixture = Fixture::new(StateName::Up);
    let mut stream = fixture.connect();
    stream.write_all(b"\x16\x03\x01\0\x05hello").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
}
