//! A real `HAProxy` in front of some nodes.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::balancer;
use crate::eventually::eventually;
use crate::failed::keep_folder;
use crate::http;
use crate::process::Guarded;
use crate::root::free_address;

/// The path of Debian's program.
pub const PROGRAM: &str = "/usr/sbin/haproxy";

/// How it monitors the servers: one frontend and one backend for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// `option httpchk` with its defaults: `OPTIONS / HTTP/1.0`.
    Options,
    /// Checks with `GET /health/web`.
    Get,
    /// The same over HTTP/2 without TLS.
    Http2,
    /// The same over TLS.
    Tls,
    /// The agent sets the server's state; the check only tests whether there is an answer.
    Agent,
}

impl Watch {
    /// All ways, in this order.
    pub const ALL: [Self; 5] = [Self::Options, Self::Get, Self::Http2, Self::Tls, Self::Agent];

    /// The lines of the configuration for it (manual, chapter 4.2).
    ///
    /// An agent that does not answer changes nothing (`agent-check`), so there must be a check beside it that fails
    /// when the whole daemon does. 503 passes that check, because the agent decides.
    fn directives(self) -> &'static str {
        match self {
            Self::Options => "option httpchk",
            Self::Get | Self::Http2 | Self::Tls => "option httpchk GET /health/web",
            Self::Agent => "option httpchk GET /health/web\n  http-check expect status 200,503",
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Options => "options",
            Self::Get => "get",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Agent => "agent",
        })
    }
}

/// One server: a node with its application.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    /// The address of its application.
    pub application: SocketAddr,
    /// The address of its health endpoint.
    pub health: SocketAddr,
    /// The address of its agent.
    pub agent: SocketAddr,
}

/// A running `HAProxy`. It ends with its test.
#[derive(Debug)]
pub struct Haproxy {
    child: Guarded,
    fronts: [SocketAddr; Watch::ALL.len()],
    folder: TempDir,
}

impl Haproxy {
    /// In front of these servers, each of which it has found to be up.
    ///
    /// # Panics
    /// If it does not start.
    pub fn run(servers: &[Server]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fronts = Watch::ALL.map(|_| free_address());
        let file = folder.path().join("haproxy.cfg");
        let socket = folder.path().join("stats.sock");
        let text = configuration(&socket.display().to_string(), &fronts, servers);
        std::fs::write(&file, text).expect("a configuration");
        let log = File::create(folder.path().join("haproxy.log")).expect("a log file");
        // In the foreground, so that the test can end it.
        let child = Command::new(PROGRAM)
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("HAProxy starts");
        let mut haproxy = Self { child: Guarded(child), fronts, folder };
        eventually("HAProxy has found every server to be well", || {
            if let Ok(Some(ended)) = haproxy.child.0.try_wait() {
                panic!("HAProxy has ended: {ended}\n{}", haproxy.log());
            }
            let stats = haproxy.try_stats()?;
            let well = |(watch, server): (Watch, &Server)| {
                let agent = if watch == Watch::Agent { "L7OK" } else { "" };
                stats.row(watch, &server.name).is_some_and(|row| {
                    row.get("check_status") == "L7OK"
                        && row.get("agent_status") == agent
                        && row.get("status") == "UP"
                })
            };
            let mut all = Watch::ALL.iter().flat_map(|watch| servers.iter().map(|server| (*watch, server)));
            all.all(well).then_some(())
        });
        haproxy
    }

    /// The address for clients.
    pub fn front(&self, watch: Watch) -> SocketAddr {
        self.fronts[watch as usize]
    }

    /// The state of a server in its statistics: `UP`, `DOWN (agent)`, `DRAIN (agent)`, …
    ///
    /// # Panics
    /// If it does not answer.
    pub fn status(&self, watch: Watch, server: &str) -> String {
        let stats = self.try_stats().expect("HAProxy tells its statistics");
        stats.row(watch, server).expect("the server is known").get("status").to_owned()
    }

    /// The weight of a server, of 256 at most.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn weight(&self, watch: Watch, server: &str) -> String {
        let stats = self.try_stats().expect("HAProxy tells its statistics");
        stats.row(watch, server).expect("the server is known").get("weight").to_owned()
    }

    /// How often each server was taken out so far, by the check or by the agent (`chkdown`).
    ///
    /// # Panics
    /// If it does not answer.
    pub fn changes(&self) -> Vec<String> {
        let stats = self.try_stats().expect("HAProxy tells its statistics");
        let rows = Watch::ALL.iter().flat_map(|watch| stats.rows(*watch));
        rows.map(|row| format!("{} {}: {}", row.get("pxname"), row.get("svname"), row.get("chkdown")))
            .collect()
    }

    /// The servers that get requests at present; empty if none does.
    pub fn served_by(&self, watch: Watch) -> BTreeSet<String> {
        balancer::served_by(self.front(watch))
    }

    /// Waits until requests are sent to exactly these servers, in every way of monitoring.
    ///
    /// # Panics
    /// If that never happens.
    pub fn until_served_by(&self, servers: &[&str]) {
        let wanted: BTreeSet<String> = servers.iter().map(ToString::to_string).collect();
        for watch in Watch::ALL {
            let what = format!("by {watch}, requests go to {wanted:?}");
            eventually(&what, || (self.served_by(watch) == wanted).then_some(()));
        }
    }

    /// Waits until a server has this state.
    ///
    /// # Panics
    /// If that never happens.
    pub fn until_status(&self, watch: Watch, server: &str, begins: &str) -> String {
        eventually(&format!("by {watch}, {server} is {begins}"), || {
            Some(self.status(watch, server)).filter(|status| status.starts_with(begins))
        })
    }

    /// Its output so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("haproxy.log")).unwrap_or_default()
    }

    fn try_stats(&self) -> Option<Stats> {
        let mut stream = UnixStream::connect(self.folder.path().join("stats.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(b"show stat\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(Stats(text))
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        keep_folder(self.folder.path(), "haproxy");
    }
}

/// The server that a response came from.
pub fn server_of(response: &http::Response) -> Option<String> {
    let mut lines = response.head.lines();
    let line = lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("x-server: ").map(str::to_owned));
    line.filter(|_| response.status == 200)
}

/// `show stat` (management guide, chapter 9.3): a table whose first line names the columns.
struct Stats(String);

struct Row<'a> {
    columns: &'a str,
    line: &'a str,
}

impl Stats {
    fn row(&self, watch: Watch, server: &str) -> Option<Row<'_>> {
        let mut lines = self.0.lines();
        let columns = lines.next()?.trim_start_matches("# ");
        let wanted = format!("{watch},{server},");
        lines.find(|line| line.starts_with(&wanted)).map(|line| Row { columns, line })
    }

    /// All servers of this backend, and the backend itself.
    fn rows(&self, watch: Watch) -> impl Iterator<Item = Row<'_>> {
        let mut lines = self.0.lines();
        let columns = lines.next().unwrap_or_default().trim_start_matches("# ");
        let wanted = format!("{watch},");
        lines.filter(move |line| line.starts_with(&wanted)).map(move |line| Row { columns, line })
    }
}

impl Row<'_> {
    fn get(&self, column: &str) -> &str {
        let mut cells = self.columns.split(',').zip(self.line.split(','));
        // `* L7OK`: another check is in progress.
        cells.find(|(name, _)| *name == column).map_or("", |(_, cell)| cell.trim_start_matches("* "))
    }
}

fn configuration(socket: &str, fronts: &[SocketAddr], servers: &[Server]) -> String {
    // No retries: a failed request must be visible. A check that a busy machine delays must not count as failed.
    let mut text = format!(
        "global\n  stats socket {socket} mode 600 level admin\n  maxconn 512\n\
         defaults\n  mode http\n  retries 0\n  timeout connect 30s\n  timeout client 60s\n  timeout server 60s\n  \
         timeout check 5s\n  default-server inter 150ms fall 2 rise 1\n"
    );
    for (watch, front) in Watch::ALL.iter().zip(fronts) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "frontend front-{watch}\n  bind {front}\n  default_backend {watch}\n\
             backend {watch}\n  balance roundrobin\n  {}\n  http-response set-header X-Server %s\n",
            watch.directives()
        );
        for Server { name, application, health, agent } in servers {
            let _ = write!(text, "  server {name} {application} weight 100 check port {}", health.port());
            let _ = match watch {
                Watch::Options | Watch::Get => Ok(()),
                Watch::Http2 => write!(text, " check-proto h2"),
                // The certificate is self-signed.
                Watch::Tls => write!(text, " check-ssl verify none"),
                Watch::Agent => write!(text, " agent-check agent-port {} agent-inter 150ms", agent.port()),
            };
            text += "\n";
        }
    }
    text
}
