//! The response time of the console's pages, with 200 modules and 100,000 records in the journal: from the request
//! to the last byte of the response, on one connection over the loopback.
//!
//! ```console
//! $ cargo build --release
//! $ BELLWETHER_BINARY=target/release/bellwether cargo bench -p bellwether-tests --bench page_time
//! ```
//! `ROUNDS` (200), `MODULES` (200) and `RECORDS` (100000) in the environment change the amounts. A fifth of the
//! records belongs to one module, the others are distributed evenly. The records are those of a real start, copied
//! into the past.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;
use rusqlite::{Connection, params};

const PATIENCE: Duration = Duration::from_secs(60);
/// The measured pages. The first module has a long history.
const PAGES: [&str; 13] = [
    "/",
    "/modules/m000",
    "/modules/m100",
    "/modules/m000/restart",
    "/events",
    "/events?module=m000",
    "/events?search=started",
    "/events?search=found-nowhere",
    "/components",
    "/configuration",
    "/users",
    "/api/v1/status",
    "/api/v1/modules/m000/why",
];

fn main() {
    let rounds = from_environment("ROUNDS", 200);
    let (modules, records) = (from_environment("MODULES", 200), from_environment("RECORDS", 100_000));
    let root = Root::new("node-1", "");
    for number in 0..modules {
        root.write(&format!("modules/m{number:03}.toml"), module());
    }
    let mut daemon = Daemon::run(root.path(), root.health);
    all_ready(&daemon, modules);
    daemon.end();
    let written = fill(&root.path().join("state/journal.db"), records);
    daemon.run_again();
    all_ready(&daemon, modules);
    let token = daemon.token("reader", "admin", &[]);

    println!("{modules} modules, {written} records; {rounds} times each");
    println!("{:<28} {:>10} {:>10} {:>10} {:>10}", "page", "median ms", "p99 ms", "most ms", "kB");
    let mut reader = Reader::new(daemon.console(), &token);
    for page in PAGES {
        let (status, length) = reader.get(page);
        if status != 200 {
            println!("{page:<28} {:>10}", format!("({status})"));
            continue;
        }
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| {
                let asked = Instant::now();
                assert_eq!(reader.get(page).0, 200);
                asked.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        println!("{page:<28} {:>10.2} {:>10.2} {:>10.2} {:>10}", at(50), at(99), at(100), length / 1000);
    }
}

fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn module() -> String {
    let mut text = "[restart]\nbudget = { restarts = 20, within = \"1h\" }\n[commands]\n\
        start = { run = [\"/bin/sleep\", \"1000000\"], keep = true }\n[health]\ndrain = \"0s\"\n"
        .to_owned();
    for (name, count) in [("process", 1), ("again", 1), ("once-more", 1)] {
        let checker = format_args!(
            "[[checker]]\nname = \"{name}\"\nprocess = {{ kept = \"start\", at-least = {count} }}\n"
        );
        // Writing to a String cannot fail.
        let _ = text.write_fmt(checker);
    }
    text
}

fn all_ready(daemon: &Daemon, modules: usize) {
    eventually("every module is ready", || {
        let status = daemon.status();
        (status.modules.iter().filter(|module| module.ready).count() == modules).then_some(())
    });
}

/// Copies the records of the journal into the past until there are enough.
fn fill(journal: &Path, records: usize) -> usize {
    let journal = Connection::open(journal).expect("the journal");
    let count = |sql: &str| -> i64 { journal.query_row(sql, [], |row| row.get(0)).expect("a number") };
    let wanted = i64::try_from(records).expect("not so many");
    let highest = count("SELECT max(seq) FROM records");
    let all = count("SELECT count(*) FROM records");
    let one = count("SELECT count(*) FROM records WHERE module = 'm000'");
    let (copies_of_all, copies_of_one) = (wanted * 4 / 5 / all, wanted / 5 / one);
    // The existing records are the newest; each copy is a minute older than the one before.
    let copies = copies_of_all + copies_of_one;
    journal.execute("UPDATE records SET wall = wall - 60000000 * ?1", [copies]).expect("older");
    let mut next = highest;
    for (times, which) in [(copies_of_all, "1"), (copies_of_one, "module = 'm000'")] {
        for _ in 0..times {
            let sql = format!(
                "INSERT INTO records
                 SELECT seq + ?1, at, wall + 60000000 * (?1 / ?2), boot, module, kind, checker, text, body
                 FROM records WHERE seq <= ?2 AND {which}"
            );
            journal.execute(&sql, params![next, highest]).expect("a copy");
            next += highest;
        }
    }
    let enter = "INSERT INTO sought(rowid, letters) SELECT seq, text FROM records WHERE seq > ?1";
    journal.execute(enter, [highest]).expect("to be searched");
    // Charts of an hour and more.
    journal
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT OR IGNORE INTO points
             SELECT series, resolution_s, bucket_start_wall - i * resolution_s, count, min, max, sum
             FROM points, n WHERE series IN (SELECT id FROM series WHERE module IN ('m000', 'm100'))",
            [],
        )
        .expect("points");
    usize::try_from(count("SELECT count(*) FROM records")).expect("some")
}

/// Reads pages on one connection.
struct Reader<'t> {
    stream: TcpStream,
    token: &'t str,
    buffer: Vec<u8>,
}

impl<'t> Reader<'t> {
    fn new(console: SocketAddr, token: &'t str) -> Self {
        let stream = TcpStream::connect(console).expect("the console listens");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Self { stream, token, buffer: vec![0; 16 << 20] }
    }

    /// The status, and the length of the body.
    fn get(&mut self, path: &str) -> (u16, usize) {
        let token = self.token;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).expect("a request");
        let mut read = 0;
        let (end, length) = loop {
            read += self.stream.read(&mut self.buffer[read..]).expect("an answer");
            let Some(end) = self.buffer[..read].windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.buffer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.and_then(|length| length.parse::<usize>().ok());
            break (end + 4, length.expect("the length of the answer"));
        };
        while read < end + length {
            let more = self.stream.read(&mut self.buffer[read..]).expect("all of it");
            assert!(more > 0, "the connection was closed");
            read += more;
        }
        let status = self.buffer[9..12].iter().fold(0, |all, digit| all * 10 + u16::from(digit - b'0'));
        (status, length)
    }
}
