//! Old or excess data is removed, the oldest first.

use super::*;
use crate::prune::Pruning;
use crate::store::{Batch, Boot, Store};

fn store(world: &World) -> Store {
    let mut store = Store::open(&world.file(), false).unwrap();
    store.begin(&Boot { machine: "b".to_owned(), node: "n".to_owned(), wall: 0 }, 0).unwrap();
    store
}

fn entries(world: &World, seqs: std::ops::RangeInclusive<u64>, wall: i64) -> Vec<Arc<Entry>> {
    let text = "x".repeat(1_000);
    seqs.map(|seq| Arc::new(Entry { record: world.record(seq, "web", said(&text)), wall })).collect()
}

fn number(store: &Store, sql: &str) -> i64 {
    store.connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap().unwrap_or(-1)
}

fn prune(store: &mut Store, spec: &JournalSpec, now: i64) {
    let mut pruning = Pruning::default();
    let begun = Instant::now();
    while pruning.turn(&mut store.connection, spec, now).unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it comes to no end");
    }
}

const DAY: i64 = 86_400_000_000;

#[test]
fn records_go_when_they_are_too_old() {
    let world = World::new();
    let mut store = store(&world);
    store.write(Batch { records: &entries(&world, 1..=1_500, 1), ..Batch::default() }).unwrap();
    store.write(Batch { records: &entries(&world, 1_501..=1_600, 50 * DAY), ..Batch::default() }).unwrap();
    prune(&mut store, &JournalSpec::default(), 80 * DAY);
    assert_eq!(number(&store, "SELECT count(*) FROM records"), 1_600);
    prune(&mut store, &JournalSpec::default(), 100 * DAY);
    assert_eq!(number(&store, "SELECT min(seq) FROM records"), 1_501);
    assert_eq!(number(&store, "SELECT count(*) FROM records"), 100);
    assert_eq!(number(&store, "SELECT count(*) FROM sought WHERE sought MATCH 'xxx'"), 100);
}

#[test]
fn the_file_shrinks_to_its_size_and_the_oldest_records_go_first() {
    let world = World::new();
    let mut store = store(&world);
    for batch in 0..10 {
        let seqs = batch * 1_000 + 1..=(batch + 1) * 1_000;
        store.write(Batch { records: &entries(&world, seqs, 1), ..Batch::default() }).unwrap();
    }
    let spec = JournalSpec { size: 4_000_000, ..JournalSpec::default() };
    prune(&mut store, &spec, 2);
    let left = number(&store, "SELECT count(*) FROM records");
    assert!((500..10_000).contains(&left), "{left}");
    assert_eq!(number(&store, "SELECT max(seq) FROM records"), 10_000);
    assert_eq!(number(&store, "SELECT min(seq) FROM records"), 10_001 - left);
    assert_eq!(number(&store, "SELECT count(*) FROM sought WHERE sought MATCH 'xxx'"), left);
    store.close(10_000).unwrap();
    let length = fs::metadata(world.file()).unwrap().len();
    assert!(length < 6_000_000, "{length}");
}

#[tokio::test]
async fn what_is_for_replay_goes_before_records_do() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 100);
    for n in 1..=4_000_u64 {
        let at = Moment::from_micros(n.cast_signed());
        journal.input(InputRow { at, module: None, body: "i".repeat(1_000) });
        if n % 500 == 0 {
            journal.checkpoint(Checkpoint { at, input: n, body: vec![7; 1_000] });
        }
    }
    journal.flush().await;
    journal.end().await;
    let mut store = Store::open(&world.file(), true).unwrap();
    prune(&mut store, &JournalSpec { size: 3_000_000, ..JournalSpec::default() }, 2);
    assert_eq!(number(&store, "SELECT count(*) FROM records"), 100);
    let first = number(&store, "SELECT min(id) FROM inputs");
    assert!((1_000..4_000).contains(&first), "{first}");
    assert_eq!(
        number(&store, "SELECT count(*) FROM checkpoints WHERE input < (SELECT min(id) - 1 FROM inputs)"),
        0
    );
    let counted = number(&store, "SELECT value FROM facts WHERE name = 'replay_bytes'");
    let there = number(
        &store,
        "SELECT (SELECT sum(length(body) + 64) FROM inputs) + (SELECT sum(length(body) + 64) FROM checkpoints)",
    );
    assert_eq!(counted, there);
}

#[test]
fn measurements_are_kept_the_longer_the_coarser_they_are() {
    use bellwether_core::measurements::{Bucket, Series};
    let world = World::new();
    let mut store = store(&world);
    let series = Series {
        module: "web".parse().unwrap(),
        checker: "home".parse().unwrap(),
        name: "duration".to_owned(),
        unit: "ms".to_owned(),
    };
    let bucket = |start: i64| (series.clone(), Bucket { start, count: 1, min: 1.0, max: 1.0, sum: 1.0 });
    let buckets: Vec<_> = (0..720).map(|n| bucket(n * 10)).collect();
    store.write(Batch { buckets: &buckets, ..Batch::default() }).unwrap();
    let count = |store: &Store, resolution: i64| {
        number(store, &format!("SELECT count(*) FROM measurements WHERE resolution_s = {resolution}"))
    };
    assert_eq!([10, 300, 3600].map(|r| count(&store, r)), [720, 24, 2]);
    assert_eq!(number(&store, "SELECT sum(count) FROM measurements WHERE resolution_s = 3600"), 720);
    let spec = JournalSpec::default();
    for (now, expected) in [(2 * DAY, [0, 24, 2]), (40 * DAY, [0, 0, 2]), (500 * DAY, [0, 0, 0])] {
        prune(&mut store, &spec, now);
        assert_eq!([10, 300, 3600].map(|r| count(&store, r)), expected, "{now}");
    }
    assert_eq!(number(&store, "SELECT count(*) FROM series"), 0);
}

#[test]
fn the_index_is_merged_in_small_steps_while_records_come_and_go() {
    let world = World::new();
    let mut store = store(&world);
    let said_of =
        |seq: u64| format!("checker {:x} of shop {} says {:o}", seq * 7_919, seq % 89, seq * 104_729);
    for batch in 0..60 {
        let seqs = batch * 50 + 1..=(batch + 1) * 50;
        let records: Vec<_> = seqs
            .map(|seq| Arc::new(Entry { record: world.record(seq, "web", said(&said_of(seq))), wall: 1 }))
            .collect();
        store.write(Batch { records: &records, ..Batch::default() }).unwrap();
    }
    // SQLite by itself never merges; so it was the journal, or there are sixty segments.
    assert_eq!(number(&store, "SELECT v FROM sought_config WHERE k = 'automerge'"), 0);
    assert!(number(&store, "SELECT count(DISTINCT segid) FROM sought_idx") < 30);
    let young = JournalSpec::default();
    let other = Arc::new(Entry { record: world.record(3_001, "web", said("shop 88 says")), wall: 90 * DAY });
    store.write(Batch { records: &[other], ..Batch::default() }).unwrap();
    prune(&mut store, &young, 120 * DAY);
    assert_eq!(number(&store, "SELECT count(*) FROM records"), 1);
    assert_eq!(number(&store, "SELECT count(*) FROM sought WHERE sought MATCH 'sho'"), 1);
}
