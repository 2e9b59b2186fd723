//! Records are found by every query, wherever they are stored.

use super::*;
use bellwether_testing::long::is_long;

/// The same journal in two states: all records in the file and too many for memory, or all of them in memory only.
async fn worlds() -> [(World, Journal, Option<Connection>); 2] {
    let (written, waiting) = (World::new(), World::new());
    let of_file = written.journal();
    fill(&written, &of_file);
    written.write(&of_file, LATEST as u64 + 100);
    of_file.flush().await;
    let of_memory = waiting.journal();
    of_memory.flush().await;
    // Another program writes, so that the journal cannot.
    let lock = Connection::open(waiting.file()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    fill(&waiting, &of_memory);
    [(written, of_file, None), (waiting, of_memory, Some(lock))]
}

fn fill(world: &World, journal: &Journal) {
    let verdict = |checker: &str| RecordKind::Verdict {
        checker: checker.parse().unwrap(),
        from: Verdict::Up,
        to: Verdict::Down,
        status: Status::Fail,
        summary: "100% Refused_".to_owned(),
    };
    let kinds =
        [("web", verdict("home")), ("web", verdict("db")), ("db", said("x")), ("web", said("100 refused-"))];
    for (n, (module, kind)) in kinds.into_iter().enumerate() {
        journal.write(world.record(n as u64 + 1, module, kind));
    }
}

#[tokio::test]
async fn every_filter_finds_the_same_in_the_file_and_in_memory() {
    let all = RecordQuery { limit: 100, ..RecordQuery::default() };
    let first_four = RecordQuery { after: Some(0), limit: 4, ..all.clone() };
    for (world, journal, _lock) in worlds().await {
        let walls: Vec<i64> =
            journal.records(first_four.clone()).await.unwrap().iter().map(|entry| entry.wall).collect();
        let cases: [(RecordQuery, &[u64]); 10] = [
            (first_four.clone(), &[1, 2, 3, 4]),
            (RecordQuery { after: Some(1), limit: 2, ..all.clone() }, &[2, 3]),
            (RecordQuery { module: "db".parse().ok(), ..all.clone() }, &[3]),
            (RecordQuery { kind: Some("verdict".to_owned()), ..all.clone() }, &[1, 2]),
            (RecordQuery { kind: Some("verdict".to_owned()), limit: 1, ..all.clone() }, &[2]),
            (RecordQuery { checker: "home".parse().ok(), ..all.clone() }, &[1]),
            (RecordQuery { search: Some("100% refused_".to_owned()), ..all.clone() }, &[1, 2]),
            (RecordQuery { until: Some(walls[1]), since: Some(walls[0]), ..all.clone() }, &[1, 2]),
            (RecordQuery { until: Some(walls[0] - 1), ..all.clone() }, &[]),
            (RecordQuery { since: Some(i64::MAX), ..all.clone() }, &[]),
        ];
        let together = journal.records_of(cases.iter().map(|(query, _)| query.clone()).collect()).await;
        for ((query, expected), together) in cases.into_iter().zip(together.unwrap()) {
            let found = journal.records(query.clone()).await.unwrap();
            assert_eq!(together, found, "{query:?} beside others in {:?}", world.file());
            let found: Vec<u64> = found.iter().map(|entry| entry.seq).collect();
            assert_eq!(found, expected, "{query:?} in {:?}", world.file());
        }
    }
}

async fn found(journal: &Journal, query: RecordQuery) -> Vec<u64> {
    journal.records(query).await.unwrap().iter().map(|entry| entry.seq).collect()
}

/// Texts that share their three-letter parts without being equal.
const ALIKE: [&str; 5] = ["it has started", "starte, rted", "tarted STARTED", "st%rted", "up"];

/// Writes these texts repeatedly, with these numbers.
fn write_alike(world: &World, journal: &Journal, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        let text = ALIKE[usize::try_from(seq % 5).unwrap()];
        journal.write(world.record(seq, if seq % 2 == 0 { "web" } else { "db" }, said(text)));
    }
}

#[tokio::test]
async fn a_search_finds_what_reading_every_text_would_find_before_and_after_the_index_came() {
    let world = World::new();
    let mut old = Connection::open(world.file()).unwrap();
    schema::migrate(&mut old, 0, 3).unwrap();
    for seq in 1..=60 {
        let text = ALIKE[seq % 5];
        let body = format!(r#"{{"kind":"daemon","message":"{text}"}}"#);
        let module = if seq % 2 == 0 { "web" } else { "db" };
        old.execute(
            "INSERT INTO records VALUES(?1, 0, 0, 1, ?2, 'daemon', NULL, ?3, ?4)",
            rusqlite::params![i64::try_from(seq).unwrap(), module, text, body],
        )
        .unwrap();
    }
    drop(old);
    let journal = world.journal();
    let first = journal.last_seq() + 1;
    write_alike(&world, &journal, first..=first + 59);
    journal.end().await;
    let journal = world.journal();
    // None of the matching records is in memory any more, and `web` has more than are scanned.
    world.write(&journal, 2_200);
    journal.flush().await;
    let all = found(&journal, RecordQuery { limit: 1_000_000, ..RecordQuery::default() }).await;
    assert_eq!(all.iter().filter(|seq| **seq <= 60).count(), 60);
    let every = RecordQuery { limit: 1_000_000, ..RecordQuery::default() };
    let every = journal.records(every).await.unwrap();
    for search in ["started", "STARTED", "st%rted", "rted", "rte", "up", "s", "has\u{1}", "nowhere", "\"", ""]
    {
        for (limit, after, before, module) in [
            (1_000_000, None, None, None),
            (1_000_000, Some(0), None, None),
            (7, None, None, None),
            (7, Some(3), None, None),
            (30, None, None, Some("web")),
            (30, Some(50), Some(first + 9), Some("db")),
            (7, None, Some(first + 3), None),
        ] {
            let query = RecordQuery {
                search: Some(search.to_owned()),
                module: module.and_then(|module| module.parse().ok()),
                limit,
                after,
                before,
                ..RecordQuery::default()
            };
            let wanted: Vec<u64> =
                every.iter().filter(|entry| query.wants(entry)).map(|entry| entry.seq).collect();
            assert_eq!(found(&journal, query.clone()).await, query.limited(wanted), "{query:?}");
        }
    }
}

#[tokio::test]
async fn while_it_is_written_nothing_is_missing_and_nothing_doubled() {
    let world = World::new();
    let journal = world.journal();
    // From the twelfth on there are more than fit into memory. All are read each time.
    let times = if is_long() { 50 } else { 20 };
    for _ in 0..times {
        world.write(&journal, 200);
        let last = journal.last_seq();
        let found = seqs(&journal).await;
        assert!(found.iter().copied().eq(1..=last), "{} of {last}", found.len());
    }
}

#[tokio::test]
async fn old_records_are_shown_by_the_wall_clock_of_then() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 1);
    let written = journal.records(RecordQuery { limit: 1, ..RecordQuery::default() }).await.unwrap();
    journal.end().await;
    // The file contains it; the time line of the reader does not matter.
    let file = Connection::open(world.file()).unwrap();
    file.execute_batch("UPDATE records SET wall = wall - 7200000000").unwrap();
    let journal = world.journal();
    let read = journal.records(RecordQuery { limit: 1, ..RecordQuery::default() }).await.unwrap();
    assert_eq!(read[0].wall, written[0].wall - 7_200_000_000);
    assert_eq!(read[0].timestamp(read[0].at), bellwether_os::clock::timestamp(read[0].wall));
}

#[tokio::test]
async fn a_kind_that_a_later_version_has_written_remains_readable() {
    let world = World::new();
    world.journal().end().await;
    let file = Connection::open(world.file()).unwrap();
    file.execute_batch(
        r#"INSERT INTO records VALUES(1, 5, 6, 1, 'web', 'novelty', NULL, 'what it says', '{"kind":"novelty"}')"#,
    )
    .unwrap();
    let found = world.journal().records(RecordQuery { limit: 1, ..RecordQuery::default() }).await.unwrap();
    assert_eq!(found[0].kind, said("what it says"));
}
