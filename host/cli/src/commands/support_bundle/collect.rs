//! Collects what goes into a bundle: from the daemon if one runs, and from files.

use std::fs;
use std::future::Future;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bellwether_api::{EventLine, NodeStatus};
use bellwether_config as config;
use bellwether_journal::archive::Archive;
use bellwether_os::process::limits;
use bellwether_os::{host, kernel};
use serde_json::{Value, json};
use tokio::process::Command;

use super::redaction::Kind;
use crate::client::Client;
use crate::commands::doctor::{self, DoctorArgs};
use crate::commands::validate::{self, ValidateArgs};
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;

/// How many records are included.
const RECORDS: usize = 1000;
/// How many lines of the daemon's log.
const LOG_LINES: &str = "500";
const LOG_WITHIN: Duration = Duration::from_secs(10);
/// The longest file of the configuration, in bytes, and the maximum number of module files.
const MAX_FILE: u64 = 256 << 10;
const MAX_MODULES: usize = 500;

/// What goes into one file.
#[derive(Debug)]
pub(super) enum Content {
    Text(String),
    Document(Value),
    /// One document on each line.
    Lines(Vec<Value>),
}

/// One file of the bundle.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) path: String,
    pub(super) what: &'static str,
    pub(super) content: Content,
}

/// A name that is known without looking for it.
#[derive(Debug)]
pub(super) struct KnownName {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Another name for the same.
    pub(super) alias: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) pieces: Vec<Piece>,
    /// What could not be had, and why.
    pub(super) missing: Vec<(String, String)>,
    pub(super) names: Vec<KnownName>,
}

impl Collected {
    fn add(&mut self, path: impl Into<String>, what: &'static str, content: Content) {
        self.pieces.push(Piece { path: path.into(), what, content });
    }

    fn lack(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.missing.push((what.into(), why.into()));
    }

    fn know(&mut self, kind: Kind, name: impl Into<String>) {
        self.names.push(KnownName { kind, name: name.into(), alias: None });
    }
}

/// Collects everything. What cannot be had is noted.
pub(super) async fn collect(folder: &Path, root: &RootArg) -> Collected {
    let mut collected = Collected::default();
    names(folder, &mut collected);
    let client = Client::new(folder);
    let daemon = fs::read_to_string(folder.join("state/daemon.lock")).ok();
    let daemon: Option<u32> = daemon.and_then(|pid| pid.trim().parse().ok());
    let status = client.get::<Value>("/status").await;
    let daemon = daemon.filter(|_| status.is_ok());
    collected.add("version.json", "version, system, kernel", Content::Document(version(status.is_ok())));
    match status {
        Ok(status) => of_daemon(&client, status, &mut collected).await,
        Err(failure) => {
            collected.lack("status.json, why/", failure.said());
            archived(folder, &mut collected);
        }
    }
    let arguments = ValidateArgs::json();
    let validated = document(|mut output| async move { validate::run(&arguments, root, &mut output).await });
    add_document("validate.json", "errors and notes of the files", validated.await, &mut collected);
    let arguments = DoctorArgs::json();
    let examined = document(|mut output| async move { doctor::run(&arguments, root, &mut output).await });
    add_document("doctor.json", "findings about the installation", examined.await, &mut collected);
    configuration(folder, &mut collected);
    match limits::table(daemon) {
        Ok(table) if daemon.is_some() => {
            collected.add("limits.txt", "the daemon's limits", Content::Text(table));
        }
        Ok(table) => collected.add("limits.txt", "the limits of this command", Content::Text(table)),
        Err(error) => collected.lack("limits.txt", error.to_string()),
    }
    match log(folder, daemon).await {
        Ok(log) => collected.add("daemon.log", "the end of the daemon's log", Content::Text(log)),
        Err(why) => collected.lack("daemon.log", why),
    }
    collected
}

/// Names that this host has, and those of users and tokens.
fn names(folder: &Path, collected: &mut Collected) {
    let host = host::name();
    if let Ok(node) = config::read_node(folder) {
        collected.know(Kind::Node, node.name.as_str());
    }
    let short = host.split('.').next().unwrap_or_default().to_owned();
    let alias = (short != host).then_some(short);
    collected.names.push(KnownName { kind: Kind::Host, name: host, alias });
    for variable in ["USER", "LOGNAME", "SUDO_USER"] {
        if let Ok(user) = std::env::var(variable) {
            collected.know(Kind::User, user);
        }
    }
    let accounts = fs::read(folder.join("state/access.json")).ok();
    let accounts: Option<Value> = accounts.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    for kind in ["users", "tokens"] {
        let named = accounts.as_ref().and_then(|accounts| accounts.get(kind));
        for (key, account) in named.and_then(Value::as_object).into_iter().flatten() {
            collected.know(Kind::User, account.get("name").and_then(Value::as_str).unwrap_or(key));
        }
    }
}

fn version(daemon_runs: bool) -> Value {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "at": jiff::Timestamp::now().to_string(),
        "system": name.map(|name| name.trim_matches('"')),
        "kernel": kernel::version(),
        "architecture": std::env::consts::ARCH,
        "daemon_runs": daemon_runs,
    })
}

/// What a daemon that runs says.
async fn of_daemon(client: &Client, status: Value, collected: &mut Collected) {
    let parsed: Option<NodeStatus> = serde_json::from_value(status.clone()).ok();
    collected.add("status.json", "the state of modules and components", Content::Document(status));
    for kind in ["users", "tokens"] {
        let listed: Vec<Value> = client.get(&format!("/{kind}")).await.unwrap_or_default();
        for name in listed.iter().filter_map(|line| line.get("name")?.as_str()) {
            collected.know(Kind::User, name);
        }
    }
    // Daemons of earlier versions have no farm.
    if let Ok(farm) = client.get::<Value>("/farm").await {
        let nodes = farm.get("nodes").and_then(Value::as_array).into_iter().flatten();
        for name in nodes.filter_map(|node| node.get("name")?.as_str()) {
            collected.know(Kind::Node, name);
        }
        collected.add("farm.json", "all nodes, as this one sees them", Content::Document(farm));
    }
    for module in parsed.iter().flat_map(|status| &status.modules).filter(|module| !module.ready) {
        let path = format!("why/{}.json", module.name);
        match client.get::<Value>(&format!("/modules/{}/why", module.name)).await {
            Ok(why) => collected.add(path, "why it is not ready", Content::Document(why)),
            Err(failure) => collected.lack(path, failure.said()),
        }
    }
    match client.get::<Vec<Value>>(&format!("/events?limit={RECORDS}")).await {
        Ok(events) => collected.add("events.jsonl", "the last records", Content::Lines(events)),
        Err(failure) => collected.lack("events.jsonl", failure.said()),
    }
}

/// The records on the disk, if no daemon runs.
fn archived(folder: &Path, collected: &mut Collected) {
    match Archive::open(folder).and_then(|archive| archive.last(RECORDS)) {
        Ok(entries) => {
            let lines = entries.iter().map(|entry| json!(EventLine::new(entry)));
            collected.add("events.jsonl", "the last records", Content::Lines(lines.collect()));
        }
        Err(error) => collected.lack("events.jsonl", error.to_string()),
    }
}

/// What another command prints as JSON, whatever its exit code.
async fn document<F: Future<Output = Outcome>>(command: impl FnOnce(Output) -> F) -> Result<Value, Failure> {
    let (output, captured) = Output::captured();
    command(output).await?;
    Ok(serde_json::from_slice(&captured.take())?)
}

fn add_document(path: &str, what: &'static str, document: Result<Value, Failure>, collected: &mut Collected) {
    match document {
        Ok(document) => collected.add(path, what, Content::Document(document)),
        Err(failure) => collected.lack(path, failure.said()),
    }
}

fn configuration(folder: &Path, collected: &mut Collected) {
    add_file(&folder.join(config::NODE_FILE), "config/bellwether.toml", collected);
    let modules = fs::read_dir(folder.join(config::MODULES_FOLDER)).into_iter().flatten().flatten();
    let mut modules: Vec<_> = modules
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    modules.sort();
    if modules.len() > MAX_MODULES {
        collected
            .lack("config/modules/", format!("only {MAX_MODULES} of {} files are included", modules.len()));
    }
    for path in modules.iter().take(MAX_MODULES) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        add_file(path, &format!("config/modules/{name}"), collected);
    }
}

fn add_file(path: &Path, to: &str, collected: &mut Collected) {
    let read = || {
        let mut text = Vec::new();
        // A named pipe would wait for its writer.
        let file = bellwether_os::file::open_without_waiting(path)?;
        file.take(MAX_FILE + 1).read_to_end(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match read() {
        Ok(text) if text.len() as u64 > MAX_FILE => collected.lack(to, "it is longer than 256 KiB"),
        Ok(text) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            collected.add(to, "as it is on the disk", Content::Text(text));
        }
        Err(error) => collected.lack(to, error.to_string()),
    }
}

/// The root of the service, whose unit is in the journal of the system.
const SYSTEM_ROOT: &str = "/etc/bellwether";

/// The end of the daemon's log in the journal of the system.
async fn log(folder: &Path, daemon: Option<u32>) -> Result<String, String> {
    let of = match daemon {
        _ if folder == Path::new(SYSTEM_ROOT) => "--unit=bellwether".to_owned(),
        Some(pid) => format!("_PID={pid}"),
        None => return Err("no daemon runs on this root, and it is not the service's".into()),
    };
    let read = Command::new("journalctl")
        .args(["--no-pager", "--quiet", "--output=short-iso", "--lines", LOG_LINES, &of])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(LOG_WITHIN, read).await {
        Ok(Ok(read)) if !read.stdout.is_empty() => Ok(String::from_utf8_lossy(&read.stdout).into_owned()),
        Ok(Ok(_)) => Err("the journal of the system has no line of it".into()),
        Ok(Err(error)) => Err(format!("journalctl: {error}")),
        Err(_) => Err("journalctl does not answer".into()),
    }
}

/// The first file of the bundle.
pub(super) fn readme(collected: &Collected) -> String {
    let mut text = format!(
        "A support bundle of Bellwether {}.\n\n\
         Addresses, names of hosts, nodes and users, and secrets are replaced by words such as host1. The same word\n\
         stands for the same name in all files. Private keys and certificates are left out.\n\n",
        env!("CARGO_PKG_VERSION")
    );
    let there = collected.pieces.iter().map(|Piece { path, what, .. }| format!("{path}: {what}"));
    let missing = collected.missing.iter().map(|(what, why)| format!("not here: {what}: {why}"));
    for line in there.chain(missing) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
