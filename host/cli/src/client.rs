//! The client of a daemon: of this host's over the Unix socket of its root, of another host's over HTTPS.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::NodeStatus;
use bellwether_core::id::NodeName;
use bellwether_os::socket;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::exit::{Exit, Failure};

mod command;
mod profile;
mod refused;
mod remote;
mod token;
mod trust;

pub(crate) use self::command::Given;
pub(crate) use self::profile::{Profile, ProfileName, Profiles};
use self::remote::Remote;
pub(crate) use self::remote::RemoteArgs;

/// The time limit of an answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A stream has a line every second, even if it is empty; that of an earlier version has one every five seconds.
/// Commands tolerate a longer silence.
const SILENCE: Duration = Duration::from_secs(15);
/// A status that is older than this is shown as outdated.
const STALE: Duration = Duration::from_secs(3);
/// Nothing the daemon answers is larger.
const MAX_BODY: usize = 64 << 20;

/// A connection to one daemon.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    place: Destination,
    /// The node of the farm that is asked through that daemon.
    node: Option<NodeName>,
}

#[derive(Debug, Clone)]
enum Destination {
    Root(PathBuf),
    Remote(Remote),
}

/// The stream of requests and answers.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Client {
    pub(crate) fn new(root: &Path) -> Self {
        Self { place: Destination::Root(root.to_owned()), node: None }
    }

    /// The client of a daemon on another host.
    pub(crate) fn of(remote: Remote) -> Self {
        Self { place: Destination::Remote(remote), node: None }
    }

    /// The client of another node of the farm, through the same daemon; without a name the daemon itself.
    pub(crate) fn at(&self, node: Option<NodeName>) -> Self {
        Self { place: self.place.clone(), node }
    }

    /// The address of an operation.
    fn uri(&self, path: &str) -> String {
        match &self.node {
            Some(node) => format!("/api/v1/nodes/{node}{path}"),
            None => format!("/api/v1{path}"),
        }
    }

    /// Sends a GET request and reads the answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, ANSWER_WITHIN).await
    }

    /// Sends a POST request and reads the answer, within the time limit `within`.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, within: Duration) -> Result<T, Failure> {
        self.ask(Method::POST, path, within).await
    }

    /// Sends a body and reads the answer.
    pub(crate) async fn send_body<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.send_body_within(method, path, body, ANSWER_WITHIN).await
    }

    /// Sends a body and reads the answer, within the time limit `within`.
    pub(crate) async fn send_body_within<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::from(anyhow::anyhow!(error)))?;
        refused::understood(&self.place, &self.answer(method, path, body.into(), within).await?)
    }

    /// Sends a body. The answer has no content.
    pub(crate) async fn tell(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::from(anyhow::anyhow!(error)))?;
        self.answer(method, path, body.into(), ANSWER_WITHIN).await.map(drop)
    }

    /// Reads a stream line by line.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, Failure> {
        let response = tokio::time::timeout(ANSWER_WITHIN, self.send(Method::GET, path, Bytes::new()))
            .await
            .map_err(|_| refused::overdue(&self.place, ANSWER_WITHIN))??;
        let status = response.status();
        if status.is_success() {
            let place = self.place.clone();
            return Ok(Lines { place, body: response.into_body(), buffer: Vec::new(), silence: SILENCE });
        }
        Err(refused::refusal(&self.place, status, read(response.into_body()).await?.as_ref()))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        within: Duration,
    ) -> Result<T, Failure> {
        refused::understood(&self.place, &self.answer(method, path, Bytes::new(), within).await?)
    }

    /// The body of a successful answer.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<Bytes, Failure> {
        let (status, body) = self.exchange(method, path, body, within).await?;
        if status.is_success() { Ok(body) } else { Err(refused::refusal(&self.place, status, &body)) }
    }

    /// The status and the body of any answer.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            Ok::<_, Failure>((status, read(response.into_body()).await?))
        };
        tokio::time::timeout(within, answer).await.map_err(|_| refused::overdue(&self.place, within))?
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await?;
        let (host, bearer) = match &self.place {
            Destination::Root(_) => ("bellwether".to_owned(), None),
            Destination::Remote(remote) => (remote.authority(), remote.bearer()),
        };
        let exchange = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // Ends with the response's body.
            tokio::spawn(connection);
            let mut request =
                Request::builder().method(method).uri(self.uri(path)).header(hyper::header::HOST, host);
            if let Some(bearer) = bearer {
                request = request.header(hyper::header::AUTHORIZATION, bearer);
            }
            let request =
                request.header(hyper::header::CONTENT_TYPE, "application/json").body(Full::new(body))?;
            anyhow::Ok(sender.send_request(request).await?)
        };
        exchange.await.map_err(|error| refused::unanswered(&self.place, error))
    }

    async fn connect(&self) -> Result<Box<dyn Io>, Failure> {
        match &self.place {
            Destination::Remote(remote) => remote.connect().await,
            Destination::Root(root) => match socket::connect(root).await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(nobody(root, &error)),
            },
        }
    }
}

fn nobody(root: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let what = format!("you have no access to {}", socket::path(root).display());
        return Failure::new(Exit::Denied, what, "run this command as the daemon's own user, or with sudo");
    }
    let root = root.display();
    let what = format!("no daemon runs on {root}");
    Failure::new(Exit::NoDaemon, what, format!("start one with: bellwether run --root {root}"))
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    let body = Limited::new(body, MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| anyhow::anyhow!(error).context("the daemon's answer was interrupted").into())
}

/// How long a stream of status may be silent. Daemons of earlier versions have no headline, and say something
/// every five seconds only.
fn silence_after(status: &NodeStatus) -> Duration {
    if status.headline.is_empty() { SILENCE } else { STALE }
}

/// The lines of a stream.
pub(crate) struct Lines {
    place: Destination,
    body: Incoming,
    buffer: Vec<u8>,
    silence: Duration,
}

impl Lines {
    /// For a view of the present state, after each status: a silence of three seconds counts as a lost connection
    /// if this daemon sends a line every second.
    pub(crate) fn keep_fresh(&mut self, status: &NodeStatus) {
        self.silence = silence_after(status);
    }

    /// The next line, which may be empty; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.buffer.len() > MAX_BODY {
                return Err(anyhow::anyhow!("the daemon's answer is too long").into());
            }
            match tokio::time::timeout(self.silence, self.body.frame()).await {
                Err(_) => return Err(refused::overdue(&self.place, self.silence)),
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    let frame = frame.context("the daemon's answer was interrupted")?;
                    self.buffer.extend(frame.into_data().unwrap_or_default());
                }
            }
        }
    }

    /// The next line that is not empty.
    pub(crate) async fn next_said(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.next().await? {
                Some(line) if line.is_empty() => {}
                other => return Ok(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A daemon that gives the same answer to the first client.
    fn answers(root: &Path, text: &'static str) {
        let (listener, _) = socket::bind(root).unwrap().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        });
    }

    #[tokio::test]
    async fn without_a_daemon_it_says_how_to_start_one() {
        let root = tempfile::tempdir().unwrap();
        let failure = Client::new(root.path()).get::<u32>("/status").await.unwrap_err();
        let path = root.path().display();
        assert_eq!(failure.exit(), Exit::NoDaemon);
        assert_eq!(
            failure.to_string(),
            format!("error: no daemon runs on {path}\n  next: start one with: bellwether run --root {path}")
        );
    }

    #[tokio::test]
    async fn a_problem_becomes_the_error_with_its_next_step() {
        let root = tempfile::tempdir().unwrap();
        let body = r#"{"title":"denied","status":409,"detail":"no","next":"wait"}"#;
        let text: &'static str =
            format!("HTTP/1.1 409 Conflict\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak();
        answers(root.path(), text);
        let failure = Client::new(root.path()).get::<u32>("/status").await.unwrap_err();
        assert_eq!((failure.exit(), failure.to_string().as_str()), (Exit::Denied, "error: no\n  next: wait"));
    }

    #[test]
    fn another_node_is_asked_through_the_same_daemon() {
        let client = Client::new(Path::new("/nonexistent"));
        assert_eq!(client.uri("/status"), "/api/v1/status");
        let there = client.at("node-2".parse().ok());
        assert_eq!(there.uri("/modules/web/stop?seen=1"), "/api/v1/nodes/node-2/modules/web/stop?seen=1");
        assert!(client.is_local() && !there.is_local());
        assert!(there.at(None).is_local());
    }

    #[test]
    fn a_daemon_of_an_earlier_version_may_be_silent_for_longer() {
        let status = |headline: &str| -> NodeStatus {
            serde_json::from_value(serde_json::json!({
                "node": "node-1", "generation": 9, "at": "2026-11-22T21:31:00Z", "headline": headline,
                "modules": [], "components": [], "problems": [],
            }))
            .unwrap()
        };
        assert_eq!(silence_after(&status("")), SILENCE);
        assert_eq!(silence_after(&status("All is well")), STALE);
    }

    #[tokio::test]
    async fn a_stream_is_read_line_by_line_whatever_the_pieces() {
        let root = tempfile::tempdir().unwrap();
        answers(
            root.path(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n2\r\n\nt\r\n3\r\nwo\n\r\n0\r\n\r\n",
        );
        let mut lines = Client::new(root.path()).lines("/events/stream").await.unwrap();
        assert_eq!(lines.next().await.unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next_said().await.unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next().await.unwrap(), None);
    }
}
