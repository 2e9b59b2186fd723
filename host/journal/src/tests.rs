//! The journal on real files: across daemons, damage, full disks and other programs' locks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bellwether_core::moment::Moment;
use bellwether_core::observation::{Measurement, Status};
use bellwether_core::record::RecordKind;
use bellwether_core::verdict::Verdict;
use rusqlite::Connection;

use super::waiting::{LATEST, MAX_WAITING};
use super::*;

mod bounds;
mod damage;
mod inputs;
mod reading;

/// A root with a journal, which survives its daemons.
struct World {
    root: tempfile::TempDir,
    clock: Clock,
    spec: JournalSpec,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        Self { root, clock: Clock::start(), spec: JournalSpec::default() }
    }

    fn file(&self) -> PathBuf {
        path(self.root.path())
    }

    fn settings(&self) -> Settings {
        Settings {
            root: self.root.path().to_owned(),
            node: "node-1".parse().unwrap(),
            clock: self.clock,
            spec: self.spec,
        }
    }

    fn open(&self) -> (Journal, Notices) {
        Journal::open(self.settings()).unwrap()
    }

    fn journal(&self) -> Journal {
        self.open().0
    }

    fn record(&self, seq: u64, module: &str, kind: RecordKind) -> Record {
        Record {
            seq,
            at: self.clock.now(),
            node: "node-1".parse().unwrap(),
            module: module.parse().ok(),
            kind,
        }
    }

    /// Writes like the core, from the last number on.
    fn write(&self, journal: &Journal, count: u64) {
        let last = journal.last_seq();
        for seq in last + 1..=last + count {
            journal.write(self.record(seq, "web", said(&format!("message {seq}"))));
        }
    }

    /// The names of files in `state` with this beginning.
    fn files(&self, begins: &str) -> Vec<String> {
        let names = fs::read_dir(self.root.path().join("state")).unwrap();
        let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(begins)).collect()
    }
}

fn said(message: &str) -> RecordKind {
    RecordKind::Daemon { message: message.to_owned() }
}

async fn seqs(journal: &Journal) -> Vec<u64> {
    let query = RecordQuery { limit: 1_000_000, ..RecordQuery::default() };
    journal.records(query).await.unwrap().iter().map(|entry| entry.seq).collect()
}

/// Waits until the condition on the journal is true.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn records_outlive_the_daemon_and_numbers_go_on_without_a_gap() {
    let world = World::new();
    let journal = world.journal();
    assert_eq!(journal.last_seq(), 0);
    world.write(&journal, 3);
    journal.end().await;
    let journal = world.journal();
    assert_eq!(journal.last_seq(), 3);
    world.write(&journal, 2);
    assert_eq!(seqs(&journal).await, [1, 2, 3, 4, 5]);
    let file = fs::metadata(world.file()).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn after_a_daemon_that_was_killed_no_number_is_given_out_twice() {
    let world = World::new();
    let killed = world.journal();
    world.write(&killed, 3);
    killed.flush().await;
    // As if it had used more, and never written them. It does not end.
    let journal = world.journal();
    assert!(journal.last_seq() >= 3 + 50_000, "{}", journal.last_seq());
    world.write(&journal, 1);
    let last = journal.last_seq();
    assert_eq!(seqs(&journal).await, [1, 2, 3, last]);
}

#[tokio::test]
async fn followers_get_what_is_written_from_then_on() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 1);
    let mut follower = journal.follow();
    world.write(&journal, 1);
    assert_eq!(follower.recv().await.unwrap().seq, 2);
}

#[tokio::test]
async fn what_is_settled_is_in_the_file() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 10);
    journal.flush().await;
    let count: i64 = Connection::open(world.file())
        .unwrap()
        .query_row("SELECT count(*) FROM records", [], |r| r.get(0))
        .unwrap();
    assert_eq!(count, 10);
    assert_eq!((journal.health().waiting, journal.health().written), (0, 10));
}

#[tokio::test]
async fn a_journal_of_earlier_versions_is_taken_over_once() {
    let world = World::new();
    let line = |seq: u64| serde_json::to_string(&world.record(seq, "web", said("old"))).unwrap() + "\n";
    let state = world.root.path().join("state");
    fs::write(state.join("journal.1.jsonl"), line(1) + &line(2)).unwrap();
    fs::write(state.join("journal.jsonl"), line(3) + "{\"seq\": 4, \"at\"\n" + &line(5)).unwrap();
    let journal = world.journal();
    assert_eq!(journal.last_seq(), 5);
    world.write(&journal, 1);
    journal.flush().await;
    assert_eq!(seqs(&journal).await, [1, 2, 3, 5, 6]);
    assert!(!state.join("journal.jsonl").exists() && !state.join("journal.1.jsonl").exists());
    journal.end().await;
    assert_eq!(seqs(&world.journal()).await, [1, 2, 3, 5, 6]);
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_with_all_that_is_in_it() {
    let world = World::new();
    let mut old = Connection::open(world.file()).unwrap();
    schema::migrate(&mut old, 0, 1).unwrap();
    old.execute_batch(
        r#"INSERT INTO boots VALUES(1, 'b', 'node-0', '0.0.1', 0);
           INSERT INTO records VALUES(7, 5, 6, 1, 'web', 'daemon', NULL, 'x', '{"kind":"daemon","message":"x"}')"#,
    )
    .unwrap();
    drop(old);
    let journal = world.journal();
    assert_eq!(journal.last_seq(), 7);
    let entry = journal.records(RecordQuery { limit: 9, ..RecordQuery::default() }).await.unwrap().remove(0);
    assert_eq!((entry.wall, entry.node.as_str(), &entry.kind), (6, "node-0", &said("x")));
    journal.input(InputRow { at: Moment::from_micros(1), module: None, body: "i".to_owned() });
    journal.flush().await;
    assert_eq!(inputs::rows(&world, 0..=9).len(), 1);
    assert!(journal.health().problems().is_empty());
}

#[tokio::test]
async fn measurements_become_charts_across_daemons() {
    let world = World::new();
    let (module, checker) = ("web".parse().unwrap(), "home".parse().unwrap());
    let wall = || world.clock.wall_micros(world.clock.now()) / 1_000_000;
    let since = wall() - 60;
    for took in [10, 30] {
        let journal = world.journal();
        let mut seen = Observation::new(Status::Pass, "", world.clock.now());
        seen.took = Duration::from_millis(took);
        seen.measurements.push(Measurement { name: "size".to_owned(), value: 7.0, unit: "bytes".to_owned() });
        journal.measure(&module, &checker, &seen);
        journal.end().await;
    }
    let query = ChartQuery { module, checker: None, since, until: wall() + 60, points: 1 };
    let chart = world.journal().chart(query.clone()).await.unwrap();
    let names: Vec<_> = chart.series.iter().map(|s| (s.name.as_str(), s.unit.as_str())).collect();
    assert_eq!(names, [("duration", "ms"), ("size", "bytes")]);
    let duration = &chart.series[0].buckets;
    let total = duration.iter().map(|bucket| bucket.sum).sum::<f64>();
    assert_eq!((duration.iter().map(|bucket| bucket.count).sum::<u64>(), total), (2, 40.0));
    let other = ChartQuery { checker: "none".parse().ok(), ..query };
    assert!(world.journal().chart(other).await.unwrap().series.is_empty());
}
