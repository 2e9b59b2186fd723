//! What the operator's files say, once they are known to make sense.
//!
//! The shapes of the files are in [`super`]; what stands here has been checked
//! against itself, has every default filled in, and can no longer be wrong.

mod module;

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use bellwether_core::grant::Grants;
use bellwether_core::grant::ProxyRules;
use bellwether_core::health::Agent;
use bellwether_core::id::NodeName;
use bellwether_core::shutdown::Shutdown;
use rustls::pki_types::CertificateDer;

pub use self::module::{
    CheckerDefinition, CheckerSpec, ComponentSpec, HealthSpec, ModuleSpec, ProcessBounds, ProcessSpec,
    RestartSpec, Subject,
};
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
    /// How the other nodes of the farm reach this one.
    pub farm: FarmSpec,
}

/// `[farm]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarmSpec {
    /// Where to listen for the other nodes, while this one is in a farm.
    pub listen: SocketAddr,
    /// The host and port by which others reach this node, if the file says so.
    pub address: Option<String>,
    /// The zone that this node is in.
    pub zone: Option<String>,
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
        let OwnLimits { memory, cpu, output, log_lines, state, handles, sockets, host_calls, call_data } =
            *own;
        Self {
            memory: memory.unwrap_or(self.memory),
            cpu: cpu.unwrap_or(self.cpu),
            output: output.unwrap_or(self.output),
            log_lines: log_lines.unwrap_or(self.log_lines),
            state: state.unwrap_or(self.state),
            handles: handles.unwrap_or(self.handles),
            sockets: sockets.unwrap_or(self.sockets),
            host_calls: host_calls.unwrap_or(self.host_calls),
            call_data: call_data.unwrap_or(self.call_data),
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
        let Self { memory, cpu, output, log_lines, state, handles, sockets, host_calls, call_data } = *self;
        let size = |bytes: Option<u64>| bytes.map(|bytes| format!("{:?}", show_size(bytes)));
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        [
            ("memory", size(memory)),
            ("cpu", cpu.map(|cpu| format!("{:?}", show_duration(cpu)))),
            ("output", size(output)),
            ("log-lines", number(log_lines.map(u64::from))),
            ("state", size(state)),
            ("handles", number(handles.map(u64::from))),
            ("sockets", number(sockets.map(u64::from))),
            ("host-calls", number(host_calls)),
            ("call-data", size(call_data)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }
}
