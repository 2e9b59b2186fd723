//! Settings that an operator makes in a real `HAProxy` are kept, whatever the agent answers; the agent's own drain
//! is cancelled.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bellwether_tests::answers::State;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::haproxy::PROGRAM;
use bellwether_tests::process::Guarded;
use bellwether_tests::program::is_installed;
use bellwether_tests::root::{Root, free_address};
use tempfile::TempDir;

/// After this many answers, the agent's last line has taken effect.
const SEVERAL_ANSWERS: u64 = 5;

/// Forwards between `HAProxy` and the agent, and counts the answers.
struct Relay {
    address: SocketAddr,
    answers: Arc<AtomicU64>,
}

impl Relay {
    fn to(agent: SocketAddr) -> Self {
        // `HAProxy` connects to the agent at the server's own address.
        let address = free_address();
        let listener = TcpListener::bind(address).expect("a free port");
        let answers = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&answers);
        // It ends with the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if pass_on(agent, stream).is_ok() {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { address, answers }
    }

    /// Waits until there have been this many more answers.
    fn until_answers(&self, more: u64) {
        let enough = self.answers.load(Ordering::SeqCst) + more;
        eventually("the agent is asked again", || {
            (self.answers.load(Ordering::SeqCst) >= enough).then_some(())
        });
    }
}

fn pass_on(agent: SocketAddr, mut to: TcpStream) -> std::io::Result<()> {
    let mut from = TcpStream::connect(agent)?;
    from.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut line = Vec::new();
    from.read_to_end(&mut line)?;
    to.write_all(&line)
}

/// A node behind an `HAProxy` that probes its agent every 100 ms.
struct Farm {
    daemon: Daemon,
    agent: SocketAddr,
    relay: Relay,
    folder: TempDir,
    _haproxy: Guarded,
    _root: Root,
}

impl Farm {
    /// `None` if `HAProxy` is not installed.
    fn new(drain: &str, agent_check: &str) -> Option<Self> {
        if !is_installed(PROGRAM) {
            eprintln!("skipped: {PROGRAM} is not installed");
            return None;
        }
        let (agent, front, application) = (free_address(), free_address(), free_address());
        let root = Root::new(
            "node-1",
            &format!("[[agent-check]]\nlisten = \"{agent}\"\nmodule = \"app\"\n{agent_check}"),
        );
        root.write(
            "modules/app.toml",
            format!(
                "[commands]\nstart = {{ run = [\"/bin/sleep\", \"1001\"], keep = true }}\n[health]\ndrain = \"{drain}\"\n"
            ),
        );
        let daemon = Daemon::run(root.path(), root.health);
        daemon.until_ready("app");
        let relay = Relay::to(agent);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("haproxy.cfg");
        let text = format!(
            "global\n  stats socket {socket} mode 600 level admin\n\
             defaults\n  mode http\n  timeout connect 10s\n  timeout client 10s\n  timeout server 10s\n  timeout check 10s\n\
             frontend front\n  bind {front}\n  default_backend back\n\
             backend back\n  server s1 {application} weight 100 check inter 100ms fall 100 port {health} \
             agent-check agent-port {agent} agent-inter 100ms\n",
            socket = folder.path().join("stats.sock").display(),
            health = root.health.port(),
            agent = relay.address.port(),
        );
        std::fs::write(&file, text).expect("a configuration");
        let haproxy = Command::new(PROGRAM)
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("HAProxy starts");
        let farm = Self { daemon, agent, relay, folder, _haproxy: Guarded(haproxy), _root: root };
        farm.until("the agent has been heard", |_, _, agent| agent == "L7OK");
        Some(farm)
    }

    fn ask(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.path().join("stats.sock")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn tell(&self, command: &str) {
        self.ask(command).expect("HAProxy answers");
    }

    /// The server's status, its weight, and the result of the agent-check.
    fn server(&self) -> Option<[String; 3]> {
        let text = self.ask("show stat")?;
        let columns: Vec<&str> = text.lines().next()?.trim_start_matches("# ").split(',').collect();
        let row: Vec<&str> = text.lines().find(|line| line.starts_with("back,s1,"))?.split(',').collect();
        let cell = |name: &str| {
            let index = columns.iter().position(|column| *column == name)?;
            Some(row.get(index)?.trim_start_matches("* ").to_owned())
        };
        Some([cell("status")?, cell("weight")?, cell("agent_status")?])
    }

    fn until(&self, what: &str, so: impl Fn(&str, &str, &str) -> bool) {
        eventually(&format!("{what}; now {:?}", self.server()), || {
            let [status, weight, agent] = self.server()?;
            so(&status, &weight, &agent).then_some(())
        });
    }

    fn line(&self) -> String {
        let mut line = String::new();
        let mut stream = TcpStream::connect(self.agent).expect("the agent listens");
        stream.read_to_string(&mut line).expect("one line");
        line
    }
}

#[test]
fn maintenance_a_drain_and_a_weight_that_a_person_sets_stay() {
    let Some(farm) = Farm::new("0s", "") else { return };
    for (command, status, weight) in [
        ("set server back/s1 state maint", "MAINT", "100"),
        ("set server back/s1 state drain", "DRAIN", "100"),
        ("set server back/s1 weight 10", "UP", "10"),
    ] {
        farm.tell("set server back/s1 state ready");
        farm.tell("set server back/s1 weight 100%");
        farm.until("ready again", |status, weight, _| status == "UP" && weight == "100");
        farm.tell(command);
        farm.relay.until_answers(SEVERAL_ANSWERS);
        let [now, set, _] = farm.server().expect("HAProxy tells");
        assert!(now.starts_with(status) && set == weight, "after `{command}`: {now}, weight {set}");
    }
    assert_eq!(farm.line(), "up\n");
    // A restart without an announced drain does not change it either.
    farm.daemon.tell(&["restart", "app"]);
    farm.daemon.until_ready("app");
    farm.until("up with its weight", |status, weight, _| status == "UP" && weight == "10");
}

#[test]
fn a_drain_that_the_agent_has_announced_is_taken_back_also_by_the_next_daemon() {
    let Some(mut farm) = Farm::new("1s", "") else { return };
    farm.daemon.tell(&["stop", "app"]);
    farm.until("draining", |status, _, _| status.starts_with("DRAIN"));
    farm.daemon.until_state("app", State::Stopped);
    farm.daemon.kill();
    farm.daemon.run_again();
    farm.daemon.tell(&["start", "app"]);
    farm.daemon.until_ready("app");
    assert_eq!(farm.line(), "up ready 100%\n");
    farm.until("in use again", |status, _, _| status == "UP");
}

#[test]
fn an_agent_that_owns_the_server_says_everything_each_time() {
    let Some(farm) = Farm::new("0s", "owns = true\n") else { return };
    assert_eq!(farm.line(), "up ready 100%\n");
    farm.tell("set server back/s1 state maint");
    farm.until("undone, as was asked for", |status, _, _| status == "UP");
}
