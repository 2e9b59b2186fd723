//! The structure of `bellwether.toml`, and its specification.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_core::health::Agent;
use bellwether_core::id::{ModuleName, NodeName};
use bellwether_core::shutdown::Shutdown;
use minisign_verify::PublicKey;
use schemars::JsonSchema;
use serde::Deserialize;

use super::console::ConsoleTable;
use super::farm::FarmTable;
use super::field;
use super::http::HttpTable;
use super::journal::JournalTable;
use super::limits::LimitsTable;
use super::mistake::Findings;
use super::notify::{self, NotifyTable};
use super::pair::pair;
use super::quantity::DurationText;
use super::source::Located;
use super::spec::{AgentCheckSpec, LimitsSpec, NodeSpec, ShutdownSpec, TrustSpec};
use super::telemetry::{self, TelemetryTable};

/// This node. Every key has a default: the file may be empty or missing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "bellwether.toml")]
pub(super) struct NodeFile {
    /// The name of this node, unique among its nodes. Default: the host name.
    #[schemars(example = &"node-1")]
    name: Option<Located<String>>,
    /// The health endpoint for load balancers.
    health: Option<HealthTable>,
    /// Ports for `HAProxy`'s agent-check, one table each.
    agent_check: Option<Vec<Located<AgentCheckTable>>>,
    /// The limits of every run of a component.
    limits: Option<LimitsTable>,
    /// Which components may run here.
    trust: Option<TrustTable>,
    /// How the HTTP requests of components are made.
    http: Option<HttpTable>,
    /// How added and edited files take effect.
    reload: Option<ReloadTable>,
    /// How much of the history is kept.
    journal: Option<JournalTable>,
    /// What happens to the applications when the daemon shuts down.
    shutdown: Option<ShutdownTable>,
    /// Notifications of events, one table for each target.
    notify: Option<Vec<Located<NotifyTable>>>,
    /// Metrics for Prometheus. Default: disabled.
    metrics: Option<Located<MetricsTable>>,
    /// Metrics and records for an `OpenTelemetry` collector. Default: nothing is exported.
    telemetry: Option<Located<TelemetryTable>>,
    /// The console and the API, for browsers and for other hosts.
    console: Option<ConsoleTable>,
    /// How the other nodes of the farm reach this one.
    farm: Option<FarmTable>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ShutdownTable {
    /// What SIGTERM or SIGINT does; a second signal ends the daemon immediately. Default: `"leave"`.
    applications: Option<ApplicationsWord>,
    /// The time limit for draining and stopping, after which the daemon exits in any case. Default: `"60s"`.
    within: Option<Located<DurationText>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ApplicationsWord {
    /// They keep running and serving; the next daemon finds them again.
    Leave,
    /// The health check fails for each module's drain; then the daemon exits, and they keep running.
    Drain,
    /// They are drained and stopped. The next daemon starts those again that the operator wants started.
    Stop,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MetricsTable {
    /// The address and port of `/metrics`. There is no authentication: anyone who can reach it can read the
    /// names and states of modules and checkers.
    #[schemars(required, example = &"127.0.0.1:9012")]
    listen: Option<Located<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct TrustTable {
    /// Refuse every component whose file has no valid signature beside it: `http.wasm.minisig`, made by
    /// `minisign -Sm http.wasm`. Built-in components need none. Default: false.
    require_signature: Option<Located<bool>>,
    /// Public keys of minisign, each as shown by `minisign -G`. One of them must have signed.
    #[schemars(example = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"])]
    keys: Option<Vec<Located<String>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ReloadTable {
    /// How often the folders are scanned if the file system does not report changes (network file systems,
    /// some containers). Default: `"1s"`.
    rescan: Option<Located<DurationText>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct HealthTable {
    /// The address and port of `/health`. Default: `"127.0.0.1:9010"`, which only this host can reach; use
    /// `"0.0.0.0:9010"` for load balancers on other hosts.
    #[schemars(example = &"0.0.0.0:9010")]
    listen: Option<Located<String>>,
    /// A file with a certificate and its intermediate certificates (PEM); relative to the root. With it the
    /// same port also supports TLS, for load balancers that use HTTPS. A changed file takes effect within
    /// seconds. Default: none, and only plain HTTP.
    #[schemars(example = &"/etc/ssl/health.pem")]
    certificate: Option<Located<String>>,
    /// A file with the private key of the certificate (PEM); relative to the root.
    #[schemars(example = &"/etc/ssl/private/health.key")]
    key: Option<Located<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AgentCheckTable {
    /// The address and port to listen on; `agent-port` in `HAProxy`. Each listener needs its own.
    #[schemars(required, example = &"0.0.0.0:9011")]
    listen: Option<Located<String>>,
    /// The module to answer for. Default: all modules together.
    #[schemars(example = &"web")]
    module: Option<Located<String>>,
    /// Whether this agent alone controls the server's administrative state and weight in `HAProxy`: each
    /// answer then sets both (`up ready 100%`) and overrides what an operator has set there. Default: false,
    /// and only a drain of the module itself is announced and cancelled.
    owns: Option<bool>,
}

const RESCAN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
const SHUTDOWN_WITHIN: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const DEFAULT_RESCAN: Duration = Duration::from_secs(1);
const DEFAULT_HEALTH: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9010);

/// The specification of the file. `host_name` is the name of the node if the file sets none.
pub(super) fn node_spec(file: NodeFile, host_name: &str, findings: &mut Findings<'_>) -> NodeSpec {
    let name = file.name.and_then(|name| field::name(findings, &name, NodeName::new));
    let health = file.health.unwrap_or_default();
    let health_pair = pair(findings, "health", health.certificate.as_ref(), health.key.as_ref());
    let mut listeners = Listeners::default();
    let health = health
        .listen
        .and_then(|listen| listeners.add(findings, &listen, "the health endpoint"))
        .unwrap_or(DEFAULT_HEALTH);
    listeners.taken.insert((health, "the health endpoint".to_owned()));

    let mut agent_checks = Vec::new();
    for (index, table) in file.agent_check.unwrap_or_default().iter().enumerate() {
        let AgentCheckTable { listen, module, owns } = table.get();
        let module = module.as_ref().and_then(|name| field::name(findings, name, ModuleName::new));
        let who = format!("agent-check {}", index + 1);
        if let Some(listen) = listen {
            let listen = listeners.add(findings, listen, &who);
            let agent = Agent { module, owns: owns.unwrap_or(false) };
            agent_checks.extend(listen.map(|listen| AgentCheckSpec { listen, agent }));
        } else {
            let path = format!("agent-check[{index}]");
            field::missing(findings, table.span(), &path, "`[[agent-check]]`", "listen", "\"0.0.0.0:9011\"");
        }
    }
    let metrics = file.metrics.as_ref().and_then(|table| {
        let Some(listen) = &table.get().listen else {
            field::missing(findings, table.span(), "metrics", "`[metrics]`", "listen", "\"127.0.0.1:9012\"");
            return None;
        };
        listeners.add(findings, listen, "the metrics")
    });
    let console = file
        .console
        .unwrap_or_default()
        .spec(findings, |findings, listen| listeners.add(findings, listen, "the console"));
    let farm = file
        .farm
        .unwrap_or_default()
        .spec(findings, |findings, listen| listeners.add(findings, listen, "the farm"));
    let reload = file.reload.unwrap_or_default();
    NodeSpec {
        name: name.unwrap_or_else(|| name_from_host(host_name)),
        health,
        health_pair,
        agent_checks,
        trust: trust(&file.trust.unwrap_or_default(), findings),
        rescan: field::duration(findings, "rescan", reload.rescan.as_ref(), &RESCAN, DEFAULT_RESCAN),
        limits: limits(&file.limits.unwrap_or_default(), findings),
        http: file.http.unwrap_or_default().spec(findings),
        shutdown: shutdown(&file.shutdown.unwrap_or_default(), findings),
        notify: notify::specs(&file.notify.unwrap_or_default(), findings),
        metrics,
        telemetry: telemetry::spec(file.telemetry.as_ref(), findings),
        console,
        farm,
        journal: file.journal.unwrap_or_default().spec(findings),
    }
}

fn shutdown(table: &ShutdownTable, findings: &mut Findings<'_>) -> ShutdownSpec {
    let default = ShutdownSpec::default();
    let applications = table.applications.map_or(default.applications, |word| match word {
        ApplicationsWord::Leave => None,
        ApplicationsWord::Drain => Some(Shutdown::Drain),
        ApplicationsWord::Stop => Some(Shutdown::Stop),
    });
    let within = field::duration(findings, "within", table.within.as_ref(), &SHUTDOWN_WITHIN, default.within);
    ShutdownSpec { applications, within }
}

fn limits(table: &LimitsTable, findings: &mut Findings<'_>) -> LimitsSpec {
    let default = LimitsSpec::default();
    LimitsSpec {
        run: default.run.with(&table.own(findings)),
        concurrent_runs: table.concurrent_runs().unwrap_or(default.concurrent_runs),
    }
}

fn trust(table: &TrustTable, findings: &mut Findings<'_>) -> TrustSpec {
    let mut keys = Vec::new();
    for text in table.keys.iter().flatten() {
        match PublicKey::from_base64(text.get().trim()) {
            Ok(key) => keys.push(key),
            Err(_) => {
                findings
                    .at(text.span(), format!("`{}` is not a public key of minisign", text.get()))
                    .expected("expected 56 characters that begin with `RW`")
                    .help("it is the second line of minisign.pub, and what `minisign -G` shows");
            }
        }
    }
    let none_given = table.keys.as_ref().is_none_or(Vec::is_empty);
    if let Some(required) = table.require_signature.as_ref().filter(|required| *required.get() && none_given)
    {
        findings
            .at(required.span(), "a signature is required, but there is no key to verify it")
            .expected("expected `keys = [\"RW…\"]` beside it")
            .help("without a key every component would be refused");
    }
    let require_signature = table.require_signature.as_ref().is_some_and(|required| *required.get());
    TrustSpec { require_signature, keys }
}

/// The addresses that are used by listeners.
#[derive(Default)]
struct Listeners {
    taken: BTreeSet<(SocketAddr, String)>,
}

impl Listeners {
    fn add(&mut self, findings: &mut Findings<'_>, text: &Located<String>, who: &str) -> Option<SocketAddr> {
        let Ok(address) = text.get().parse::<SocketAddr>() else {
            findings
                .at(text.span(), format!("`{}` is not an address with a port", text.get()))
                .expected("expected an address such as \"127.0.0.1:9010\" or \"[::]:9010\"")
                .help("host names are not resolved here: use the address of one of this host's interfaces");
            return None;
        };
        if let Some((_, other)) = self.taken.iter().find(|(other, _)| overlap(*other, address)) {
            findings
                .at(text.span(), format!("`{address}` is already used by {other}"))
                .expected("expected a unique port")
                .help("every listener of this file needs its own address and port");
            return None;
        }
        self.taken.insert((address, who.to_owned()));
        Some(address)
    }
}

/// Whether two listeners conflict. Port 0 means any free port.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    same_host && a.port() == b.port() && a.port() != 0
}

/// A valid name that resembles the host's.
fn name_from_host(host_name: &str) -> NodeName {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = host_name.chars().map(plain).collect();
    let name = name.trim_start_matches(['-', '_', '.']);
    let name = &name[..name.len().min(bellwether_core::id::MAX_NAME)];
    NodeName::new(name).unwrap_or_else(|_| NodeName::new("node").expect("`node` is a name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_a_name() {
        assert_eq!(name_from_host("web-1.example.org").as_str(), "web-1.example.org");
        assert_eq!(name_from_host("büro (2)").as_str(), "b-ro--2-");
        assert_eq!(name_from_host("-x").as_str(), "x");
        assert_eq!(name_from_host("").as_str(), "node");
        assert_eq!(name_from_host(&"x".repeat(200)).as_str().len(), 63);
    }
}
