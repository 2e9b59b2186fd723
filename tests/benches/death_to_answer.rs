//! The time from `kill -9` of the application to the first 503, and to the first output of the next process: with
//! the whole daemon.
//!
//! ```console
//! $ cargo build --release
//! $ BELLWETHER_BINARY=target/release/bellwether cargo bench -p bellwether-tests --bench death_to_answer
//! ```
//! `ROUNDS` (200) sets the number of rounds. The next process is a shell that writes to a pipe, so its figure
//! includes the start of a shell.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process;
use bellwether_tests::root::Root;
use rustix::fs::{CWD, Mode};
use rustix::process::Signal;

fn main() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let root = Root::default();
    let pipe = root.path().join("born");
    rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    root.write("modules/app.toml", module(&pipe));
    // Opened for both, so that neither side ever waits for the other to open it.
    let mut births = File::options().read(true).write(true).open(&pipe).expect("the pipe opens");
    let daemon = Daemon::run(root.path(), root.health);
    read_pid(&mut births);
    daemon.until_ready("app");

    let (mut to_no, mut to_birth) = (Vec::new(), Vec::new());
    let mut probe = Probe::new(root.health);
    let mut pid = daemon.processes("app").first().copied().expect("a process");
    for _ in 0..rounds {
        let killed = Instant::now();
        process::signal(pid, Signal::KILL);
        while probe.ask() == 200 {}
        to_no.push(killed.elapsed());
        pid = read_pid(&mut births);
        to_birth.push(killed.elapsed());
        eventually("the module is ready again", || (probe.ask() == 200).then_some(()));
        // Up for longer than the longest backoff: the next restart is immediate again.
        std::thread::sleep(Duration::from_millis(150));
    }
    report("kill -9 to the first 503", &mut to_no);
    report("kill -9 to the next process's first word (a shell's start included)", &mut to_birth);
}

fn module(pipe: &Path) -> String {
    // The application has recovered after 1 ms: every restart is immediate.
    format!(
        r#"
[restart]
budget = {{ restarts = 1000, within = "1h" }}
backoff = {{ first = "100ms", max = "100ms" }}
[commands]
start = {{ run = ["/bin/sh", "-c", "echo $$ > {pipe}; exec sleep 600"], keep = true }}
[health]
drain = "0s"
"#,
        pipe = pipe.display()
    )
}

fn read_pid(births: &mut File) -> u32 {
    let mut text = [0; 32];
    let length = births.read(&mut text).expect("a birth");
    String::from_utf8_lossy(&text[..length]).trim().parse().expect("a process id")
}

/// One connection with continuous requests, like a load balancer without an interval.
struct Probe(TcpStream);

impl Probe {
    fn new(health: SocketAddr) -> Self {
        let stream = TcpStream::connect(health).expect("the health endpoint");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        Self(stream)
    }

    fn ask(&mut self) -> u16 {
        self.0.write_all(b"GET /health/app HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
        let mut answer = [0; 1024];
        let length = self.0.read(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    }
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = ((times.len() - 1) as f64 * share) as usize;
        times[index]
    };
    println!(
        "{what}: median {:?}, p90 {:?}, p99 {:?}, most {:?} ({} rounds)",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        times.len()
    );
}
