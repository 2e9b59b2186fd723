//! Requests against small servers on the loopback.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use http_body_util::{BodyExt as _, Empty};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant as By;

use super::*;
use bellwether_config::spec::{HttpSpec, RunLimits};

/// The time limit for what ends by itself: longer than a busy machine takes.
const LONG: Duration = Duration::from_secs(60);

fn requests(client: HttpClient, grants: &[&str], time: Duration) -> Requests {
    let mut granted = Grants::default();
    for text in grants {
        granted.add(bellwether_core::grant::GrantKind::Http, text).unwrap();
    }
    let limits = RunLimits::default();
    Requests {
        client: Arc::new(client),
        grants: Arc::new(granted),
        output: Output::new(&limits),
        sockets: SocketLimit::new(2),
        names: names::Share::default(),
        answer_by: Instant::now() + time,
    }
}

impl Requests {
    async fn ask(&mut self, method: &str, url: &str) -> Result<(u16, Bytes), Error> {
        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        let authority = url.split('/').nth(2).unwrap();
        let request =
            Request::builder().method(method).uri(url).header("host", authority).body(body).unwrap();
        let sent = self.send_request(request, None, Box::new(ready(Ok(()))));
        let (answer, connection) = Pin::from(sent).await?;
        let connection = tokio::spawn(Pin::from(connection));
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await;
        connection.abort();
        Ok((status, body?.to_bytes()))
    }

    fn refusals(&self) -> String {
        let (lines, _, refusals) = self.output.take();
        let lines = lines.into_iter().map(|line| line.text);
        refusals.iter().map(ToString::to_string).chain(lines).collect::<Vec<_>>().join("\n")
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Accepts one connection, reads a request, writes this response, and returns the request.
async fn server(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        asked
    });
    (address, asked)
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_target_is_a_host_and_a_port_and_nothing_else() {
    let target = |url: &str| Target::of(&url.parse().unwrap());
    for (url, origin) in [
        ("http://a/x?y", "http://a"),
        ("https://a:8443", "https://a:8443"),
        ("https://a:443", "https://a"),
        ("http://[::1]:81/", "http://[::1]:81"),
        ("http://a:8080", "http://a:8080"),
    ] {
        assert_eq!(target(url).map(|target| target.origin()), Some(origin.to_owned()), "{url}");
    }
    for url in ["http://u@a/", "http://u:p@a:80/", "http://a:0/", "http://a:99999/", "http://a:/", "/x"] {
        assert_eq!(target(url), None, "{url}");
    }
}

#[tokio::test]
async fn only_a_granted_request_is_sent_and_only_so_many() {
    let (address, asked) = server(HELLO).await;
    // Bound, so that no other test can listen there.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let silent = taken.local_addr().unwrap();
    let grants = [format!("http://{address}"), format!("http://{silent}")];
    let mut requests = requests(HttpClient::default(), &grants.each_ref().map(String::as_str), LONG);
    let url = format!("http://{address}/path?query");
    let denied = requests.ask("POST", &url).await;
    assert!(matches!(denied, Err(Error::HttpRequestDenied)), "{denied:?}");
    let denied = requests.ask("GET", "http://127.0.0.1:1/").await;
    assert!(matches!(denied, Err(Error::HttpRequestDenied)), "{denied:?}");
    assert!(!asked.is_finished(), "nothing was sent");
    let (status, body) = requests.ask("GET", &url).await.unwrap();
    assert_eq!((status, body.as_ref()), (200, b"hello".as_ref()));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET /path?query HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    // No server listens there; the third one exceeds the limit.
    let refused = requests.ask("GET", &format!("http://{silent}/")).await;
    assert!(matches!(refused, Err(Error::ConnectionRefused)), "{refused:?}");
    let many = requests.ask("GET", &url).await;
    assert!(matches!(many, Err(Error::ConnectionLimitReached)), "{many:?}");
    let said = requests.refusals();
    assert!(said.contains(&format!("refused: POST http://{address}; to allow it add")), "{said}");
    assert!(said.contains("made more than 2 sockets in one run"), "{said}");
}

fn to_metadata(_: String, _: names::Share, _: By) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    let addresses = [[127, 0, 0, 1], [169, 254, 169, 254]].map(|ip| SocketAddr::from((ip, 0)));
    ready(Ok(addresses.into())).boxed()
}

#[tokio::test]
async fn a_name_that_leads_to_a_metadata_service_is_refused_whatever_else_it_leads_to() {
    let client = HttpClient::default().with_look_up(to_metadata);
    let mut requests = requests(client, &["http://api.internal"], LONG);
    let denied = requests.ask("GET", "http://api.internal/").await;
    assert!(matches!(denied, Err(Error::HttpRequestDenied)), "{denied:?}");
    let said = requests.refusals();
    assert!(said.contains("169.254.169.254, which `api.internal` leads to"), "{said}");
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut_off_at_its_cap() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let piece = [b'x'; 1 << 14];
        while stream.write_all(&piece).await.is_ok() {}
    });
    let mut requests = requests(HttpClient::default(), &[&format!("http://{address}")], LONG);
    let cut = requests.ask("GET", &format!("http://{address}/")).await;
    assert!(matches!(cut, Err(Error::HttpResponseBodySize(Some(MAX_ANSWER)))), "{cut:?}");
    assert!(requests.refusals().contains("more than 8 MiB of an answer"));
    // The connection is closed, because otherwise the flood would continue.
    tokio::time::timeout(LONG, flood).await.unwrap().unwrap();
}

/// How a request ends whose response trickles, and whether the response had begun by then.
async fn trickling(time: Duration) -> (Result<(u16, Bytes), Error>, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = Arc::clone(&begun);
    let trickle = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        begins.store(true, Ordering::Relaxed);
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let start = Instant::now();
    let mut requests = requests(HttpClient::default(), &[&format!("http://{address}")], time);
    let ended = requests.ask("GET", &format!("http://{address}/")).await;
    assert!(start.elapsed() >= time, "{:?}: {ended:?}", start.elapsed());
    let begun = begun.load(Ordering::Relaxed);
    if begun {
        tokio::time::timeout(LONG, trickle).await.unwrap().unwrap();
    } else {
        trickle.abort();
    }
    (ended, begun)
}

#[tokio::test]
async fn an_answer_that_trickles_ends_with_the_run() {
    // The next limit, if the machine is so busy that the run is over before there is any response.
    for time in [300, 3_000, 30_000].map(Duration::from_millis) {
        let (ended, begun) = trickling(time).await;
        if begun {
            assert!(matches!(ended, Err(Error::ConnectionReadTimeout)), "{ended:?}");
            return;
        }
        assert!(ended.is_err(), "{ended:?}");
    }
    panic!("the answer has never begun");
}

#[tokio::test]
async fn too_many_headers_are_no_answer() {
    let long: Vec<_> = (0..40).map(|n| format!("x-{n}: {}\r\n", "y".repeat(1000))).collect();
    let long = long.concat();
    let answer = format!("HTTP/1.1 200 OK\r\n{long}\r\n").leak();
    let (address, _asked) = server(answer.as_bytes()).await;
    let mut requests = requests(HttpClient::default(), &[&format!("http://{address}")], LONG);
    let too_long = requests.ask("GET", &format!("http://{address}/")).await;
    assert!(matches!(too_long, Err(Error::HttpResponseHeaderSectionSize(_))), "{too_long:?}");
}

/// Certificates of an authority of this test, for `localhost` and `origin.test`.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost,DNS:origin.test\n")
            .unwrap();
        let openssl = |arguments: &str| {
            let status = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(folder.path())
                .output()
                .expect("openssl runs");
            assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 2"));
        openssl(&format!("req {key} -keyout key.pem -out request -subj /CN=origin"));
        openssl(
            "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -out chain.pem -days 2 -extfile names",
        );
        Self { folder }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(name)
    }

    fn spec(&self) -> HttpSpec {
        let authorities = vec![CertificateDer::from_pem_file(self.file("ca.pem")).unwrap()];
        HttpSpec { authorities, ..HttpSpec::default() }
    }

    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_file(self.file("chain.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }

    /// A server that uses TLS, and answers hello to every connection.
    async fn server(&self) -> SocketAddr {
        let acceptor = self.acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust the certificate reports that here.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                head(&mut stream).await;
                let _gone = stream.write_all(HELLO).await;
                let _gone = stream.shutdown().await;
            }
        });
        address
    }
}

#[tokio::test]
async fn an_authority_of_our_own_is_trusted_and_a_foreign_one_is_told_clearly() {
    let authority = Authority::new();
    let port = authority.server().await.port();
    let (origin, url) = (format!("https://localhost:{port}"), format!("https://localhost:{port}/"));
    let mut trusting = requests(HttpClient::new(&authority.spec()), &[&origin], LONG);
    let (status, body) = trusting.ask("GET", &url).await.unwrap();
    assert_eq!((status, body.as_ref()), (200, b"hello".as_ref()));

    let mut foreign = requests(HttpClient::default(), &[&origin], LONG);
    let distrusted = foreign.ask("GET", &url).await;
    assert!(matches!(distrusted, Err(Error::TlsCertificateError)), "{distrusted:?}");
    let said = foreign.refusals();
    assert!(
        said.contains(&format!("trust the certificate of {origin}")) && said.contains("ca-bundle"),
        "{said}"
    );
    // The certificate is trusted, but for another name.
    let origin = format!("https://127.0.0.1:{port}");
    let mut other = requests(HttpClient::new(&authority.spec()), &[&origin], LONG);
    let distrusted = other.ask("GET", &format!("{origin}/")).await;
    assert!(matches!(distrusted, Err(Error::TlsCertificateError)), "{distrusted:?}");
}

#[tokio::test]
async fn every_connection_looks_at_the_certificate_anew() {
    let authority = Authority::new();
    let acceptor = authority.acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (kinds, mut told) = tokio::sync::mpsc::channel(2);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let kind = stream.get_ref().1.handshake_kind();
            head(&mut stream).await;
            let _gone = stream.write_all(HELLO).await;
            let _gone = stream.shutdown().await;
            let _gone = kinds.send(kind).await;
        }
    });
    let (origin, url) = (format!("https://localhost:{port}"), format!("https://localhost:{port}/"));
    let mut client = requests(HttpClient::new(&authority.spec()), &[&origin], LONG);
    for _ in 0..2 {
        let (status, _) = client.ask("GET", &url).await.unwrap();
        assert_eq!(status, 200);
        let kind = tokio::time::timeout(LONG, told.recv()).await.unwrap().flatten();
        // A resumed session reports that: then no certificate is sent.
        assert!(
            matches!(
                kind,
                Some(rustls::HandshakeKind::Full | rustls::HandshakeKind::FullWithHelloRetryRequest)
            ),
            "{kind:?}"
        );
    }
}

/// Only the proxy's name can be resolved.
#[expect(clippy::needless_pass_by_value, reason = "it stands for the look-up")]
fn only_the_proxy(name: String, _: names::Share, _: By) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    let known = (name == "proxy.test").then(|| vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    ready(known.ok_or_else(|| io::Error::other("nobody knows"))).boxed()
}

async fn join(mut client: impl AsyncRead + AsyncWrite + Unpin, origin: SocketAddr) {
    let mut origin = TcpStream::connect(origin).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _either_end = tokio::io::copy_bidirectional(&mut client, &mut origin).await;
}

#[tokio::test]
async fn a_proxy_is_handed_plain_requests_and_tunnels_tls() {
    let (address, asked) = server(HELLO).await;
    let authority = Authority::new();
    let through = |port: u16| {
        let mut spec = authority.spec();
        spec.rules.proxy = Some(format!("http://proxy.test:{port}").parse().unwrap());
        spec.rules.direct = vec!["direct.test".parse().unwrap()];
        HttpClient::new(&spec).with_look_up(only_the_proxy)
    };
    let grants = ["http://origin.test", "https://origin.test", "http://direct.test"];
    let mut plain = requests(through(address.port()), &grants, LONG);
    assert_eq!(plain.ask("GET", "http://origin.test/x").await.unwrap().0, 200);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET http://origin.test/x HTTP/1.1\r\n"), "{asked}");
    let direct = plain.ask("GET", "http://direct.test/").await;
    assert!(matches!(direct, Err(Error::DnsError { .. })), "{direct:?}");

    let origin = authority.server().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await;
        join(stream, origin).await;
        asked
    });
    let mut tunnelled = requests(through(port), &grants, LONG);
    let (status, body) = tunnelled.ask("GET", "https://origin.test/x").await.unwrap();
    assert_eq!((status, body.as_ref()), (200, b"hello".as_ref()));
    assert!(proxy.await.unwrap().starts_with("CONNECT origin.test:443 HTTP/1.1\r\n"));

    let (address, _asked) = server(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    let mut forbidden = requests(through(address.port()), &grants, LONG);
    let denied = forbidden.ask("GET", "https://origin.test/x").await;
    assert!(matches!(denied, Err(Error::DestinationUnavailable)), "{denied:?}");
    assert!(forbidden.refusals().contains("does not let us through to origin.test:443: it answered 403"));
}
