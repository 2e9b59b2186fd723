//! The application of the demo: a small web server that can be made to hang and to fail.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use bellwether_os::process::entry::rename_this_process;
use clap::Args;

use crate::exit::{Exit, Outcome};
use crate::output::Output;

/// The application of `bellwether demo`
#[derive(Debug, Args)]
pub(crate) struct DemoAppArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Well,
    /// It accepts connections and never answers.
    Hanging,
    /// It answers with 500.
    Failing,
}

#[derive(Debug, Clone)]
struct App {
    mood: Arc<AtomicU8>,
    /// The node it runs on, if Bellwether has started it: clients behind a load balancer see which node serves.
    node: Option<HeaderValue>,
}

impl App {
    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::Relaxed) == mood as u8
    }
}

pub(crate) async fn run(args: &DemoAppArgs, output: &mut Output) -> Outcome {
    // So that it is not called like the daemon in lists of processes (proc(5)).
    if let Err(error) = rename_this_process("demo-app") {
        writeln!(output, "the process name cannot be set: {error}")?;
    }
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    writeln!(output, "serves on http://{}/", args.listen)?;
    output.flush()?;
    let node = std::env::var("BELLWETHER_NODE").ok().and_then(|node| node.try_into().ok());
    axum::serve(listener, pages(node)).await?;
    Ok(Exit::Done)
}

fn pages(node: Option<HeaderValue>) -> Router {
    let app = App { mood: Arc::new(AtomicU8::new(Mood::Well as u8)), node };
    Router::new()
        .route("/", get(home))
        .route("/node", get(node_name))
        .route("/hang", post(hang))
        .route("/fail", post(fail))
        .route("/heal", post(heal))
        .with_state(app)
}

/// Never empty, so that a user who opens it sees something.
const PAGE: &str = "<!doctype html><html lang=en><title>Bellwether demo</title>\
<h1>The demo application is running</h1><p>Kill it, make it hang, make it fail: it is restarted.</html>\n";

async fn home(State(app): State<App>) -> Response {
    if app.is(Mood::Hanging) {
        // Until the client gives up or this process ends.
        std::future::pending::<()>().await;
    }
    if app.is(Mood::Failing) {
        let page = Html("The demo application fails, as requested.\n");
        return (StatusCode::INTERNAL_SERVER_ERROR, page).into_response();
    }
    let mut response = Html(PAGE).into_response();
    if let Some(node) = app.node {
        response.headers_mut().insert("x-server", node);
    }
    response
}

/// The name of the node alone, for a loop in a terminal.
async fn node_name(state: State<App>) -> Response {
    let name = state.node.as_ref().and_then(|node| node.to_str().ok()).unwrap_or("?").to_owned();
    let response = home(state).await;
    if response.status() == StatusCode::OK { format!("{name}\n").into_response() } else { response }
}

async fn hang(State(app): State<App>) -> &'static str {
    change(&app, Mood::Hanging, "From now on it does not answer.\n")
}

async fn fail(State(app): State<App>) -> &'static str {
    change(&app, Mood::Failing, "From now on it answers 500.\n")
}

async fn heal(State(app): State<App>) -> &'static str {
    change(&app, Mood::Well, "It is healthy again.\n")
}

fn change(app: &App, mood: Mood, text: &'static str) -> &'static str {
    app.set(mood);
    // Its log; if it cannot be written, the application serves all the same.
    let _ = write!(std::io::stdout(), "changed: {text}");
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn serve() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, pages(Some(HeaderValue::from_static("node-1")))).await });
        address
    }

    async fn ask(address: SocketAddr, what: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn it_fails_and_heals_as_it_is_told() {
        let address = serve().await;
        let well = ask(address, "GET /").await;
        assert!(well.starts_with("HTTP/1.1 200") && well.contains("\r\nx-server: node-1\r\n"), "{well}");
        assert!(ask(address, "GET /node").await.ends_with("\r\n\r\nnode-1\n"));
        assert!(ask(address, "POST /fail").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 500"));
        ask(address, "POST /heal").await;
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_hanging_one_takes_connections_and_does_not_answer_before_it_is_healed() {
        let address = serve().await;
        ask(address, "POST /hang").await;
        let answer = tokio::time::timeout(Duration::from_millis(200), ask(address, "GET /")).await;
        assert!(answer.is_err(), "{answer:?}");
        ask(address, "POST /heal").await;
        assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 200"));
    }
}
