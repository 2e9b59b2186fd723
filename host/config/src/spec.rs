//! What the operator's files say, once they are known to make sense.
//!
//! The shapes of the files are in [`super`]; what stands here has been checked
//! against itself, has every default filled in, and can no longer be wrong.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::drain::Drain;
pub use bellwether_core::grant::Grants;
use bellwether_core::grant::ProxyRules;
use bellwether_core::health::Agent;
use bellwether_core::id::{CheckerName, CommandName, ComponentName, ModuleName, NodeName};
use bellwether_core::policy::{BackoffPolicy, BudgetPolicy, OnDown, Thresholds};
use bellwether_core::shutdown::Shutdown;
use rustls::pki_types::CertificateDer;

use super::notify::NotifySpec;
use super::quantity::{show_duration, show_size};
use crate::certificate::PairFiles;
pub use bellwether_os::process::find::{Find, Of};
pub use bellwether_os::spawn::command::{ArgumentPattern, ArgumentRefusal, CommandSpec, MAX_ADDED};
pub use bellwether_os::spawn::execution::Execution;

/// `bellwether.toml`: this node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSpec {
    /// Its name; the host name if the file does not say.
    pub name: NodeName,
    /// Where load balancers ask over HTTP.
    pub health: SocketAddr,
    /// With what load balancers are answered over TLS as well, if they are.
    pub health_pair: Option<PairFiles>,
    /// Where `HAProxy` agents are answered.
    pub agent_checks: Vec<AgentCheckSpec>,
    /// Limits of every run of a component.
    pub limits: LimitsSpec,
    /// How the host makes the requests of components.
    pub http: HttpSpec,
    /// Whose components run here.
    pub trust: TrustSpec,
    /// Without a hint of the file system, the folders are looked at this often.
    pub rescan: Duration,
    /// How much of the history is kept.
    pub journal: JournalSpec,
    /// What becomes of the applications when the daemon ends.
    pub shutdown: ShutdownSpec,
    /// The recipients of notifications.
    pub notify: Vec<NotifySpec>,
    /// Where metrics are served, if they are.
    pub metrics: Option<SocketAddr>,
    /// Where metrics and records are exported to, if they are.
    pub telemetry: Option<TelemetrySpec>,
    /// Where people and programs reach the console, if there is one.
    pub console: Option<ConsoleSpec>,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetrySpec {
    /// The collector, without the path of a signal.
    pub endpoint: http::Uri,
    /// How often metrics are exported.
    pub interval: Duration,
    /// A file with headers for each request; relative to the root.
    pub headers: Option<PathBuf>,
}

/// `[console]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSpec {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The file says where.
    pub configured: bool,
    /// The certificate and key of the file, as absolute paths once the file has been read.
    pub pair: Option<PairFiles>,
    /// How the console is reached, besides the host's own name and addresses. In lower case.
    pub names: Vec<String>,
    /// The address by which people reach it, without a slash at its end, if the file says so.
    pub url: Option<String>,
}

impl ConsoleSpec {
    /// The address by which people reach it, as far as that is known.
    pub fn address(&self) -> Option<String> {
        let name = || self.names.first().filter(|_| !self.listen.ip().is_loopback());
        // An IPv6 address stands in brackets before a port.
        let host = |name: &String| {
            if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.clone() }
        };
        let port = self.listen.port();
        self.url.clone().or_else(|| name().map(|name| format!("https://{}:{port}", host(name))))
    }
}

/// `[shutdown]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownSpec {
    /// What is done about them first; `None`: nothing, they are left as they are.
    pub applications: Option<Shutdown>,
    /// The daemon ends after this in any case.
    pub within: Duration,
}

impl Default for ShutdownSpec {
    fn default() -> Self {
        Self { applications: None, within: Duration::from_secs(60) }
    }
}

/// `[journal]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalSpec {
    /// Records are kept for so long.
    pub keep: Duration,
    /// The file is not larger than this, about, in bytes.
    pub size: u64,
}

impl Default for JournalSpec {
    fn default() -> Self {
        Self { keep: Duration::from_hours(24 * 90), size: 512_000_000 }
    }
}

/// `[trust]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustSpec {
    /// A component's file without a good signature beside it is refused.
    pub require_signature: bool,
    /// Whose signatures are good.
    pub keys: Vec<minisign_verify::PublicKey>,
}

/// `[http]` of the node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpSpec {
    /// The proxy, and who is asked without it.
    pub rules: ProxyRules,
    /// The file of further trusted certificates.
    pub ca_bundle: Option<PathBuf>,
    /// What is in it.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// One port for `HAProxy`'s agent-check.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentCheckSpec {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whom it speaks for, and how.
    pub agent: Agent,
}

/// `[limits]` of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsSpec {
    /// Of every run, unless a module's file says otherwise.
    pub run: RunLimits,
    /// How many runs may be under way at once, over all modules.
    pub concurrent_runs: u32,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self { run: RunLimits::default(), concurrent_runs: 64 }
    }
}

/// What one run of a component may use. How long it may take is not among it:
/// that is the checker's own `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Over all memories and tables of the run, in bytes.
    pub memory: u64,
    /// Of a processor.
    pub cpu: Duration,
    /// Logged and written, in bytes.
    pub output: u64,
    /// Log lines that are kept, the first ones.
    pub log_lines: u32,
    /// What the component keeps from run to run, in bytes.
    pub state: u64,
    /// Held at once.
    pub handles: u32,
    /// Made in one run.
    pub sockets: u32,
    /// From guest to host.
    pub host_calls: u64,
    /// In one call between guest and host, in bytes.
    pub call_data: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            cpu: Duration::from_secs(2),
            output: 1 << 20,
            log_lines: 100,
            state: 64 << 10,
            handles: 1000,
            sockets: 64,
            host_calls: 100_000,
            call_data: 1 << 20,
        }
    }
}

impl RunLimits {
    /// What one component's own limits make of the node's.
    #[must_use]
    pub fn with(self, own: &OwnLimits) -> Self {
        Self {
            memory: own.memory.unwrap_or(self.memory),
            cpu: own.cpu.unwrap_or(self.cpu),
            output: own.output.unwrap_or(self.output),
            log_lines: own.log_lines.unwrap_or(self.log_lines),
            state: own.state.unwrap_or(self.state),
            handles: own.handles.unwrap_or(self.handles),
            sockets: own.sockets.unwrap_or(self.sockets),
            host_calls: own.host_calls.unwrap_or(self.host_calls),
            call_data: own.call_data.unwrap_or(self.call_data),
        }
    }
}

/// `limits = { … }` of one checker or restart script: only what its file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key of RunLimits that it takes the place of")]
pub struct OwnLimits {
    pub memory: Option<u64>,
    pub cpu: Option<Duration>,
    pub output: Option<u64>,
    pub log_lines: Option<u32>,
    pub state: Option<u64>,
    pub handles: Option<u32>,
    pub sockets: Option<u32>,
    pub host_calls: Option<u64>,
    pub call_data: Option<u64>,
}

impl OwnLimits {
    /// Those that are set: the key of the file, and what stands there.
    pub fn list(&self) -> Vec<(&'static str, String)> {
        let size = |bytes: Option<u64>| bytes.map(|bytes| format!("{:?}", show_size(bytes)));
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        [
            ("memory", size(self.memory)),
            ("cpu", self.cpu.map(|cpu| format!("{:?}", show_duration(cpu)))),
            ("output", size(self.output)),
            ("log-lines", number(self.log_lines.map(u64::from))),
            ("state", size(self.state)),
            ("handles", number(self.handles.map(u64::from))),
            ("sockets", number(self.sockets.map(u64::from))),
            ("host-calls", number(self.host_calls)),
            ("call-data", size(self.call_data)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }
}

/// What load balancers are told of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthSpec {
    /// How long health says no before an application that serves is stopped.
    pub drain: Drain,
    /// Whether they are asked for less while a checker that only notifies is down.
    pub degrade: bool,
    /// The command that tells one which never asks that the answer is yes.
    pub on_yes: Option<CommandName>,
    /// Likewise, that it is no.
    pub on_no: Option<CommandName>,
}

/// `modules/NAME.toml`: one application.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSpec {
    /// The file's name without `.toml`.
    pub name: ModuleName,
    /// How it is restarted.
    pub restart: RestartSpec,
    /// The only programs its components may ask for.
    pub commands: BTreeMap<CommandName, CommandSpec>,
    /// The answers to load balancers.
    pub health: HealthSpec,
    /// By name.
    pub checkers: BTreeMap<CheckerName, CheckerSpec>,
}

impl ModuleSpec {
    /// Relative paths in grants are meant to be in the root.
    pub(super) fn place_under(&mut self, root: &Path) {
        Arc::make_mut(&mut self.restart.grants).place_under(root);
        for checker in self.checkers.values_mut() {
            if let Subject::Component(component) = &mut checker.subject {
                Arc::make_mut(&mut component.grants).place_under(root);
            }
        }
    }
}

/// `[restart]`
#[derive(Debug, Clone, PartialEq)]
pub struct RestartSpec {
    /// The component that makes the plans.
    pub script: ComponentName,
    /// Its configuration, for the script alone to understand.
    pub config: serde_json::Value,
    /// What it is allowed.
    pub grants: Arc<Grants>,
    /// What its runs may use, where that differs from the node's limits.
    pub limits: OwnLimits,
    /// Automatic restarts allowed.
    pub budget: BudgetPolicy,
    /// The wait between tries.
    pub backoff: BackoffPolicy,
    /// From the end of the start plan until every checker must be up.
    pub start_within: Duration,
    /// From the end of the start plan until something of the application must have been seen.
    pub appear_within: Duration,
    /// For so long what does not start, or does not stay up, is tried again without being counted
    /// against the budget.
    pub keep_trying: Duration,
}

/// `[[checker]]`
#[derive(Debug, Clone, PartialEq)]
pub struct CheckerSpec {
    /// Its name within the module.
    pub name: CheckerName,
    /// How often it looks.
    pub interval: Duration,
    /// How long one run may take.
    pub timeout: Duration,
    /// How observations add up.
    pub thresholds: Thresholds,
    /// What its going down does.
    pub on_down: OnDown,
    /// What it looks at.
    pub subject: Subject,
}

/// What a checker looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Processes of this node.
    Process(ProcessSpec),
    /// Whatever a component looks at.
    Component(ComponentSpec),
}

/// `process = { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSpec {
    /// Which processes.
    pub find: Find,
    /// Fewer is a fail.
    pub at_least: u32,
    /// More is a fail.
    pub at_most: Option<u32>,
    /// Processes of containers count, too: those in process id namespaces below the daemon's own.
    pub containers: bool,
    /// Whose processes count, of those that are found by what they are.
    pub of: Of,
    /// More than this is a fail, over all processes found together.
    pub bounds: ProcessBounds,
}

/// Bounds on what the processes use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessBounds {
    /// Resident memory in bytes, all processes together.
    pub memory: Option<u64>,
    /// CPU in percent of one processor, between two looks, all together.
    pub cpu: Option<f64>,
    /// Open files of any one process.
    pub open_files: Option<u64>,
    /// Threads, all together.
    pub threads: Option<u64>,
}

/// `component = "NAME"`
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentSpec {
    /// Which component.
    pub component: ComponentName,
    /// Its configuration, for the component alone to understand.
    pub config: serde_json::Value,
    /// What it is allowed.
    pub grants: Arc<Grants>,
    /// What its runs may use, where that differs from the node's limits.
    pub limits: OwnLimits,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: Option<&str>) -> CommandSpec {
        CommandSpec {
            run: vec!["/bin/true".to_owned()],
            keep: false,
            timeout: Duration::from_secs(1),
            leftovers: CommandSpec::LEFTOVERS,
            env: BTreeMap::new(),
            dir: None,
            arguments: arguments.map(|pattern| ArgumentPattern::new(pattern).unwrap()),
            execution: Execution::default(),
        }
    }

    #[test]
    fn a_component_adds_no_argument_that_the_declaration_does_not_allow() {
        for (pattern, arguments, allowed) in [
            (None, &[][..], true),
            (None, &["--all"], false),
            (None, &[""], false),
            (Some(".*"), &["--all", ""], true),
            (Some("--(lag|depth)"), &["--lag", "--depth"], true),
            // As a whole, and every one.
            (Some("--(lag|depth)"), &["--lag=1"], false),
            (Some("--(lag|depth)"), &["--lag", "x --lag"], false),
            (Some("--lag|--depth"), &["--lag=1"], false),
            (Some("[a-z]+"), &["a\n"], false),
            (Some("(?m)^a$"), &["a\nb"], false),
            (Some("(?s).*"), &["a\nb"], true),
            (Some("(?s).*"), &["a\0b"], false),
        ] {
            let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            let answer = command(pattern).allows(&arguments);
            assert_eq!(answer.is_ok(), allowed, "{pattern:?} {arguments:?}: {answer:?}");
        }
        let long = vec!["x".repeat(1000); 17];
        assert_eq!(command(Some(".*")).allows(&long), Err(ArgumentRefusal::TooLong));
        assert!(ArgumentPattern::new("a)|(b").is_err(), "it would leave the group that makes it whole");
    }
}
