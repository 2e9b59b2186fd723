//! A daemon that runs on a root until its test ends.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::answers::{
    Checker, Component, Event, Module, Observation, Outcome, Secret, State, Status, Verdict, read, read_lines,
};
use crate::api;
use crate::binary::bellwether;
use crate::compiled;
use crate::eventually::{PATIENCE, eventually, wait};
use crate::http::{self, Response};
use crate::process::{Guarded, is_alive, kill_group, signal, start};

/// A running daemon. When it is dropped, it and its kept applications are killed.
#[derive(Debug)]
pub struct Daemon {
    child: Guarded,
    root: PathBuf,
    health: SocketAddr,
    binary: PathBuf,
    conditions: Conditions,
}

/// The differences from a daemon with defaults.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Additional variables of its environment.
    pub variables: Vec<(String, OsString)>,
    /// The user and group that it runs as. The root has to belong to them.
    pub user: Option<u32>,
    /// Its soft limit of open files.
    pub open_files: Option<u64>,
    /// Its hard limit of open files.
    pub most_open_files: Option<u64>,
    /// It runs in the network namespace of this process.
    pub network: Option<u32>,
    /// It finds no cached machine code.
    pub compiles_all: bool,
}

impl Daemon {
    /// Runs `bellwether run` on this root, and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(root: &Path, health: SocketAddr) -> Self {
        Self::run_in(root, health, &[])
    }

    /// The same with additional variables in its environment.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run_in(root: &Path, health: SocketAddr, environment: &[(&str, &OsStr)]) -> Self {
        Self::run_binary(bellwether(), root, health, environment)
    }

    /// The same with another binary.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run_binary(
        binary: &Path,
        root: &Path,
        health: SocketAddr,
        environment: &[(&str, &OsStr)],
    ) -> Self {
        let variables =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::begin(binary, root, health, Conditions { variables, ..Conditions::default() })
    }

    /// The same with these conditions.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run_under(conditions: Conditions, root: &Path, health: SocketAddr) -> Self {
        Self::begin(bellwether(), root, health, conditions)
    }

    fn begin(binary: &Path, root: &Path, health: SocketAddr, conditions: Conditions) -> Self {
        let is_new = !root.join("state").exists();
        // Files that another user's daemon trusts have to belong to that user.
        if is_new && !conditions.compiles_all && conditions.user.is_none() {
            compiled::lay_into(root);
        }
        let child = spawn(binary, root, &conditions);
        let mut daemon = Self { child, root: root.to_owned(), health, binary: binary.to_owned(), conditions };
        daemon.await_answer();
        daemon
    }

    /// Starts another daemon on the same root, after the previous one has ended.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run_again(&mut self) {
        self.begin_again();
        self.await_answer();
    }

    /// The same without waiting for it.
    pub fn begin_again(&mut self) {
        self.child = spawn(&self.binary, &self.root, &self.conditions);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.0.try_wait().ok().flatten()
    }

    /// Waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    pub fn await_answer(&mut self) {
        let begun = eventually("the daemon answers its clients", || {
            if let Ok(Some(ended)) = self.child.0.try_wait() {
                return Some(Err(ended));
            }
            api::status(&self.root).map(Ok)
        });
        if let Err(ended) = begun {
            panic!("the daemon has ended: {ended}\n{}", self.log());
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("daemon.log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Requests `/health/MODULE`.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn health(&self, module: &str) -> Response {
        http::get(self.health, &format!("/health/{module}")).expect("the health endpoint answers")
    }

    /// Runs any client command on this root.
    ///
    /// # Panics
    /// If the binary cannot be run.
    pub fn client(&self, arguments: &[&str]) -> Output {
        Command::new(bellwether())
            .args(arguments)
            .arg("--root")
            .arg(&self.root)
            .stdin(Stdio::null())
            .output()
            .expect("the client runs")
    }

    /// The output of a client command.
    ///
    /// # Panics
    /// If the command fails.
    pub fn tell(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} failed: {out}{error}\n{}", self.log());
        out.into_owned()
    }

    /// The output of `status --json`, read without a client in between, because many tests wait for something in
    /// it.
    ///
    /// # Panics
    /// If the daemon does not answer.
    pub fn status(&self) -> Status {
        api::status(&self.root).unwrap_or_else(|| panic!("no status\n{}", self.log()))
    }

    /// The address of its console.
    ///
    /// # Panics
    /// If there is no console.
    pub fn console(&self) -> SocketAddr {
        let url = self.status().console.expect("there is a console").url;
        let port = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        SocketAddr::from(([127, 0, 0, 1], port.expect("the URL has a port")))
    }

    /// A module of the status, if one has that name.
    pub fn find_module(&self, name: &str) -> Option<Module> {
        self.status().module(name).cloned()
    }

    /// A module that must exist.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn module(&self, name: &str) -> Module {
        let status = self.status();
        status.module(name).cloned().unwrap_or_else(|| panic!("no module {name}: {status:#?}"))
    }

    /// A checker of a module, if one has that name.
    pub fn find_checker(&self, module: &str, checker: &str) -> Option<Checker> {
        self.find_module(module)?.checker(checker).cloned()
    }

    /// A checker that must exist.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn checker(&self, module: &str, checker: &str) -> Checker {
        let module = self.module(module);
        module.checker(checker).cloned().unwrap_or_else(|| panic!("no checker {checker}: {module:#?}"))
    }

    /// The last observation of a checker, if there is one.
    pub fn last(&self, module: &str, checker: &str) -> Option<Observation> {
        self.find_checker(module, checker)?.last
    }

    /// A checker component, if one has that name.
    pub fn component(&self, name: &str) -> Option<Component> {
        self.status().component(name).cloned()
    }

    /// The problems, as one text.
    pub fn problems(&self) -> String {
        self.status().problems.join("\n")
    }

    /// Waits until a module is in this state.
    ///
    /// # Panics
    /// If it never is.
    pub fn until_state(&self, module: &str, state: State) -> Module {
        self.until(module, &format!("{state:?}"), |module| module.state == state)
    }

    /// Waits until a module serves.
    ///
    /// # Panics
    /// If it never does.
    pub fn until_ready(&self, module: &str) -> Module {
        self.until(module, "ready", |module| module.ready)
    }

    /// Waits until `wanted` is true for a module.
    ///
    /// # Panics
    /// If it never is.
    pub fn until(&self, module: &str, what: &str, wanted: impl Fn(&Module) -> bool) -> Module {
        wait(PATIENCE, || self.find_module(module).filter(&wanted)).unwrap_or_else(|| {
            panic!("{module} is not {what} but {:#?}\n{}", self.find_module(module), self.log())
        })
    }

    /// Waits until `wanted` is true for a checker.
    ///
    /// # Panics
    /// If it never is.
    pub fn until_checker(
        &self,
        module: &str,
        checker: &str,
        what: &str,
        wanted: impl Fn(&Checker) -> bool,
    ) -> Checker {
        wait(PATIENCE, || self.find_checker(module, checker).filter(&wanted)).unwrap_or_else(|| {
            panic!("{checker} is not {what} but {:#?}\n{}", self.find_checker(module, checker), self.log())
        })
    }

    /// Waits until a checker has this verdict.
    pub fn until_verdict(&self, module: &str, checker: &str, verdict: Verdict) -> Checker {
        self.until_checker(module, checker, &format!("{verdict:?}"), |checker| checker.verdict == verdict)
    }

    /// Waits until the last observation of a checker matches.
    pub fn until_outcome(&self, module: &str, checker: &str, outcome: Outcome) -> Checker {
        let is = |checker: &Checker| checker.last.as_ref().is_some_and(|last| last.status == outcome);
        self.until_checker(module, checker, &format!("{outcome:?}"), is)
    }

    /// The records, `events --json`.
    ///
    /// # Panics
    /// If a line is not a record.
    pub fn events(&self) -> Vec<Event> {
        read_lines(&self.tell(&["events", "--json"]))
    }

    /// The processes of a module.
    pub fn processes(&self, module: &str) -> Vec<u32> {
        self.module(module).pids()
    }

    /// Creates a token with this role and returns its secret.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn token(&self, name: &str, role: &str, more: &[&str]) -> String {
        let made = self.tell(&[&["token", "create", name, "--role", role, "--json"], more].concat());
        read::<Secret>(&made).secret
    }

    /// Ends the daemon with SIGTERM and waits for it. The applications keep running.
    ///
    /// # Panics
    /// If it does not end.
    pub fn end(&mut self) {
        signal(self.pid(), Signal::TERM);
        eventually("the daemon ends", || self.child.0.try_wait().ok().flatten());
    }

    /// Waits until it has ended by itself, and returns its exit code.
    ///
    /// # Panics
    /// If it does not end.
    pub fn until_ended(&mut self) -> Option<i32> {
        eventually("the daemon ends", || self.child.0.try_wait().ok().flatten()).code()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.0.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Kills only the daemon.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn kill(&mut self) {
        self.child.0.kill().expect("the daemon is there");
        self.child.0.wait().expect("it is our child");
    }
}

fn spawn(binary: &Path, root: &Path, conditions: &Conditions) -> Guarded {
    let log = File::options().create(true).append(true).open(root.join("daemon.log")).expect("a log file");
    let soft = conditions.open_files.map(|most| ("ulimit -S -n", most));
    let hard = conditions.most_open_files.map(|most| ("ulimit -n", most));
    let mut command = match soft.or(hard) {
        None => command_in(conditions.network, binary),
        // A shell that executes the daemon, because the limits of this process apply to all its tests.
        Some((limit, most)) => {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("{limit} \"$0\" && exec \"$@\""), &most.to_string()]).arg(binary);
            shell
        }
    };
    if let Some(user) = conditions.user {
        command.uid(user).gid(user);
    }
    command
        .args(["run", "--log", "debug", "--root"])
        .arg(root)
        .envs(conditions.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    start(&mut command)
}

/// The binary, in the network namespace of this process.
fn command_in(network: Option<u32>, binary: &Path) -> Command {
    let Some(process) = network else { return Command::new(binary) };
    // It executes the daemon, and has no process of its own.
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{process}/ns/net")).arg(binary);
    command
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.0.kill());
        drop(self.child.0.wait());
        end_applications(&self.root);
    }
}

/// Kills the kept processes of this root, by the ids that the daemon recorded.
pub fn end_applications(root: &Path) {
    for pid in kept(root) {
        if is_alive(pid) {
            kill_group(pid);
        }
    }
}

/// The ids of the kept processes of this root, as recorded by the daemon.
pub fn kept(root: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(root.join("state/kept.json")).unwrap_or_default();
    serde_json::from_str::<Value>(&text).map_or_else(|_| Vec::new(), |kept| pids(&kept))
}

fn pids(value: &Value) -> Vec<u32> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_u64().and_then(|pid| u32::try_from(pid).ok()) {
                Some(pid) if key == "pid" => vec![pid],
                _ => pids(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(pids).collect(),
        _ => Vec::new(),
    }
}
