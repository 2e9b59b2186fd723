//! The time from the start of the daemon to its first answer, and to the first 200 for an application that is
//! already running: after a `kill -9` of the daemon, with the machine code of the components in the cache (warm),
//! and without (cold).
//!
//! ```console
//! $ cargo build --release
//! $ BELLWETHER_BINARY=target/release/bellwether cargo bench -p bellwether-tests --bench start_to_answer
//! ```
//! `ROUNDS` (50) sets the number of rounds. The module has a process checker and an `http` checker.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::{Daemon, end_applications};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;

/// Longer than any start takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let rounds: usize = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let root = Root::default();
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    daemon.kill();
    for (name, cold) in [("warm", false), ("cold", true)] {
        let (mut to_answer, mut to_yes) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            if cold {
                fs::remove_dir_all(root.path().join("state/compiled")).expect("the kept machine code");
            }
            let begun = Instant::now();
            let mut next = start(&root);
            let mut answer = None;
            while answer != Some(200) {
                assert!(begun.elapsed() < PATIENCE, "no yes in time");
                let status = ask(root.health);
                if answer.is_none() && status.is_some() {
                    to_answer.push(begun.elapsed());
                }
                answer = status.or(answer);
            }
            to_yes.push(begun.elapsed());
            next.kill().expect("the daemon is there");
            next.wait().expect("it is our child");
        }
        report(&format!("{name}: start to the first answer"), &mut to_answer);
        report(&format!("{name}: start to the first yes for what runs already"), &mut to_yes);
    }
    end_applications(root.path());
}

fn start(root: &Root) -> Child {
    let log = File::options().create(true).append(true).open(root.path().join("daemon.log")).expect("a log");
    Command::new(bellwether())
        .args(["run", "--root"])
        .arg(root.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the daemon starts")
}

/// The status, if there is an answer.
fn ask(health: SocketAddr) -> Option<u16> {
    let mut stream = TcpStream::connect(health).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /health/web HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what}: median {:?}, p90 {:?}, most {:?} ({} rounds)", at(50), at(90), at(100), times.len());
}
