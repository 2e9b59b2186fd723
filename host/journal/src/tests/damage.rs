//! Files and disks that cannot be used.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;

/// Damages a good file.
type Harm = fn(&Path);

fn schema_version(file: &Path, version: i64) {
    Connection::open(file).unwrap().pragma_update(None, "user_version", version).unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_set_aside_and_the_numbers_go_on() {
    let harms: [(&str, Harm); 6] = [
        ("it is not a database", |file| fs::write(file, vec![b'x'; 10_000]).unwrap()),
        ("it is empty", |file| fs::write(file, "").unwrap()),
        ("it is damaged", |file| {
            let length = fs::metadata(file).unwrap().len();
            fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
        ("newer version of Bellwether (schema 99;", |file| schema_version(file, 99)),
        ("its schema is -1", |file| schema_version(file, -1)),
        ("another program's database", |file| {
            Connection::open(file).unwrap().pragma_update(None, "application_id", 7).unwrap();
        }),
    ];
    for (why, harm) in harms {
        let world = World::new();
        let journal = world.journal();
        world.write(&journal, 300);
        journal.end().await;
        harm(&world.file());
        let (journal, mut notices) = world.open();
        assert!(journal.last_seq() >= 300, "{why}: {}", journal.last_seq());
        let note = notices.recv().await.unwrap();
        assert!(note.contains(why) && note.contains("was moved to state/journal.db.damaged-"), "{note}");
        assert_eq!(journal.health().problems(), [note], "{why}");
        let aside = world.files("journal.db.damaged-");
        assert_eq!(aside.iter().filter(|name| name.ends_with('Z')).count(), 1, "{why}: {aside:?}");
        world.write(&journal, 1);
        journal.flush().await;
        assert_eq!(journal.health().waiting, 0, "{why}");
        let last = seqs(&journal).await.pop();
        assert!(last > Some(300), "{why}: {last:?}");
    }
}

#[tokio::test]
async fn what_can_still_be_read_of_a_file_that_is_set_aside_is_taken_over() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 10);
    journal.end().await;
    schema_version(&world.file(), 99);
    let journal = world.journal();
    journal.end().await;
    assert_eq!(seqs(&world.journal()).await, (1..=10).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_page_that_is_found_damaged_later_costs_no_record_that_is_at_hand() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 5_000);
    journal.end().await;
    let mut file = fs::File::options().write(true).open(world.file()).unwrap();
    let pages = fs::metadata(world.file()).unwrap().len() / 4096;
    // Not the first pages, which are needed to open it, and not those of the latest records.
    for page in pages / 5..pages / 4 {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
    }
    let (journal, mut notices) = world.open();
    assert!(journal.health().problems().is_empty(), "it is good as far as one looks at the start");
    journal.flush().await;
    // A query reads that far.
    let found = journal.records(RecordQuery { limit: 10_000, ..RecordQuery::default() }).await.unwrap();
    assert!(found.len() >= LATEST, "{}", found.len());
    let note = notices.recv().await.unwrap();
    assert!(note.contains("it was moved to state/journal.db.damaged-"), "{note}");
    world.write(&journal, 1);
    journal.flush().await;
    journal.end().await;
    let found = seqs(&world.journal()).await;
    assert!(found.len() > LATEST && found.last() == Some(&5_001), "{} {:?}", found.len(), found.last());
}

#[tokio::test]
async fn a_file_that_somebody_removes_is_written_anew_with_all_that_was_in_it() {
    let world = World::new();
    let (journal, mut notices) = world.open();
    // More than are in memory.
    let before = LATEST as u64 + 3;
    world.write(&journal, before);
    journal.flush().await;
    fs::remove_file(world.file()).unwrap();
    let note = notices.recv().await.unwrap();
    assert!(note.contains("no record is lost"), "{note}");
    eventually("a new file is there", || world.file().exists()).await;
    world.write(&journal, 1);
    journal.end().await;
    let found = seqs(&world.journal()).await;
    assert_eq!(found, (1..=before + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_said_to_be_written_outlives_a_daemon_whose_file_or_folder_was_removed() {
    for replaced in [false, true] {
        let world = World::new();
        let (journal, mut notices) = world.open();
        world.write(&journal, 3);
        journal.flush().await;
        let folder = world.file().parent().unwrap().to_owned();
        if replaced {
            fs::remove_file(world.file()).unwrap();
            fs::write(world.file(), "somebody else's").unwrap();
        } else {
            fs::remove_dir_all(&folder).unwrap();
        }
        // It has not been noticed yet: the next batch notices it before it is acknowledged.
        world.write(&journal, 1);
        journal.flush().await;
        // As if the daemon were killed here.
        assert_eq!(written(&world), [1, 2, 3, 4], "replaced: {replaced}");
        assert!(notices.recv().await.unwrap().contains("no record is lost"));
        let aside = world.files("journal.db.damaged-");
        assert_eq!(aside.len(), usize::from(replaced), "{aside:?}");
        world.write(&journal, 1);
        journal.flush().await;
        assert_eq!(written(&world), [1, 2, 3, 4, 5]);
        journal.end().await;
    }
}

#[tokio::test]
async fn a_removed_file_that_cannot_be_written_anew_at_once_loses_nothing() {
    let world = World::new();
    let (journal, mut notices) = world.open();
    world.write(&journal, 3);
    journal.flush().await;
    let obstacle = world.file().with_extension("db.new");
    fs::create_dir(&obstacle).unwrap();
    fs::remove_file(world.file()).unwrap();
    world.write(&journal, 1);
    eventually("it is told", || journal.health().failing.is_some()).await;
    assert_eq!((journal.health().written, journal.health().waiting), (3, 1));
    fs::remove_dir(&obstacle).unwrap();
    eventually("it is written again", || journal.health().failing.is_none()).await;
    journal.flush().await;
    assert_eq!(written(&world), [1, 2, 3, 4]);
    assert!(notices.recv().await.unwrap().contains("no record is lost"));
    journal.end().await;
}

#[tokio::test]
async fn a_whole_copy_that_a_killed_daemon_left_is_put_in_place() {
    for replaced in [false, true] {
        let world = World::new();
        let journal = world.journal();
        world.write(&journal, 3);
        journal.end().await;
        fs::rename(world.file(), world.file().with_extension("db.new")).unwrap();
        if replaced {
            fs::write(world.file(), "somebody else's").unwrap();
        }
        let journal = world.journal();
        assert_eq!(seqs(&journal).await, [1, 2, 3], "replaced: {replaced}");
        assert_eq!(world.files("journal.db.damaged-").len(), usize::from(replaced));
        assert_eq!(world.files("journal.db.new"), [] as [String; 0]);
        journal.end().await;
    }
}

#[tokio::test]
async fn a_replaced_file_is_set_aside_with_its_own_log() {
    let world = World::new();
    let (journal, mut notices) = world.open();
    world.write(&journal, 3);
    journal.flush().await;
    // Each in one instant, and the log first: the journal's thread may check at any time.
    for (part, content) in [("journal.db-wal", "its log"), ("journal.db", "somebody else's")] {
        let other = world.file().with_file_name("other");
        fs::write(&other, content).unwrap();
        fs::rename(&other, world.file().with_file_name(part)).unwrap();
    }
    assert!(notices.recv().await.unwrap().contains("no record is lost"));
    world.write(&journal, 1);
    journal.flush().await;
    assert_eq!(written(&world), [1, 2, 3, 4]);
    let aside = world.files("journal.db.damaged-");
    let log = aside.iter().find(|name| name.ends_with("-wal")).unwrap();
    assert_eq!(fs::read(world.file().with_file_name(log)).unwrap(), b"its log");
    journal.end().await;
}

/// The records that another program finds in the file.
fn written(world: &World) -> Vec<i64> {
    let connection = Connection::open(world.file()).unwrap();
    let mut statement = connection.prepare("SELECT seq FROM records ORDER BY seq").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_disk_that_refuses_delays_nobody_and_gets_all_that_waited() {
    let world = World::new();
    let (journal, mut notices) = world.open();
    world.write(&journal, 1);
    journal.flush().await;
    let lock = Connection::open(world.file()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    // A caller that waited for the disk here would wait forever.
    world.write(&journal, 100);
    eventually("it is told", || journal.health().failing.is_some()).await;
    let problems = journal.health().problems();
    assert!(
        problems[0].contains("another program has locked the file; 100 records wait, 0 are lost"),
        "{problems:?}"
    );
    assert_eq!(seqs(&journal).await.len(), 101, "they are shown all the same");
    lock.execute_batch("ROLLBACK").unwrap();
    eventually("it works again", || journal.health().failing.is_none()).await;
    journal.flush().await;
    assert_eq!(journal.health().waiting, 0);
    assert!(notices.try_recv().is_err(), "nothing was lost, so nothing is said");
}

#[tokio::test]
async fn records_that_cannot_be_kept_are_counted_and_told() {
    let world = World::new();
    let (journal, mut notices) = world.open();
    journal.flush().await;
    let lock = Connection::open(world.file()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.write(&journal, (LATEST + MAX_WAITING) as u64 + 50);
    eventually("it is told", || journal.health().lost == 50).await;
    lock.execute_batch("ROLLBACK").unwrap();
    let note = notices.recv().await.unwrap();
    assert!(
        note.contains("the journal could not be written from") && note.contains("50 records are lost"),
        "{note}"
    );
    journal.flush().await;
    let found = seqs(&journal).await;
    let expected = 51..=(LATEST + MAX_WAITING) as u64 + 50;
    assert!(found.iter().copied().eq(expected), "{:?} … {:?}", found.first(), found.last());
    assert_eq!((journal.health().lost, journal.health().waiting), (0, 0));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_at_the_start_is_tried_again() {
    let world = World::new();
    fs::create_dir(world.file()).unwrap();
    let journal = world.journal();
    let problems = journal.health().problems();
    assert!(problems[0].contains("the journal cannot be written since"), "{problems:?}");
    world.write(&journal, 5);
    assert_eq!(seqs(&journal).await, [1, 2, 3, 4, 5]);
    fs::remove_dir(world.file()).unwrap();
    eventually("it works", || journal.health().failing.is_none()).await;
    journal.end().await;
    assert_eq!(seqs(&world.journal()).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_full_disk_on_a_file_system_of_its_own_is_survived_and_caught_up_with() {
    let world = World::new();
    let state = world.root.path().join("state");
    let mount = |arguments: &[&str]| {
        let run = std::process::Command::new("mount").args(arguments).arg(&state).output();
        run.is_ok_and(|run| run.status.success())
    };
    if !rustix::process::geteuid().is_root() || !mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
        eprintln!("skipped: a file system can only be mounted by root");
        return;
    }
    let _mounted = Mounted(state.clone());
    let (journal, _notices) = world.open();
    world.write(&journal, 10);
    journal.flush().await;
    // Everything that is left.
    let filler = state.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let mut written = 10;
    // The write-ahead log may have some space left for a while.
    for _ in 0..200 {
        world.write(&journal, 100);
        written += 100;
        journal.settled().await;
        if journal.health().failing.is_some() {
            break;
        }
    }
    eventually("it is told", || journal.health().problems().iter().any(|p| p.contains("disk full"))).await;
    assert_eq!(seqs(&journal).await.len(), written);
    fs::remove_file(filler).unwrap();
    eventually("it works again", || journal.health().failing.is_none()).await;
    journal.flush().await;
    journal.end().await;
    assert_eq!(seqs(&world.journal()).await.len(), written);
    journal.end().await;
}

/// Unmounted at the end of the test, however it ends.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // An open file keeps it busy until its journal has been closed.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn an_index_for_searching_that_is_damaged_is_begun_anew_and_costs_no_record() {
    let world = World::new();
    let journal = world.journal();
    world.write(&journal, 3_000);
    journal.end().await;
    let file = Connection::open(world.file()).unwrap();
    let harmed = file.execute("UPDATE sought_data SET block = zeroblob(length(block)) WHERE id > 10", []);
    assert!(harmed.unwrap() > 0);
    drop(file);
    let (journal, mut notices) = world.open();
    journal.flush().await;
    // A search: the records in memory do not suffice for it.
    let search = Some("message".to_owned());
    let query = RecordQuery { search, limit: 10_000, ..RecordQuery::default() };
    drop(journal.records(query.clone()).await);
    let note = notices.recv().await.unwrap();
    assert!(note.contains("rebuilt: no record is lost"), "{note}");
    assert_eq!(world.files("journal.db.damaged-"), Vec::<String>::new());
    world.write(&journal, 1);
    journal.flush().await;
    assert_eq!(seqs(&journal).await, (1..=3_001).collect::<Vec<u64>>());
    let found = journal.records(query).await.unwrap();
    assert_eq!(found.len(), 3_001, "older records are read, newer ones found");
}
