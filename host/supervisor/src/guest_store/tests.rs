use std::fs;

use bellwether_core::event::Event;
use bellwether_core::record::RecordKind;

use super::*;

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("state")).unwrap();
    root
}

fn owner(name: &str) -> Owner {
    Owner { module: "web".parse().unwrap(), kind: OwnerKind::Checker, name: name.to_owned() }
}

fn keep(memory: &Memory, key: &str, value: &[u8]) {
    let values = BTreeMap::from([(key.to_owned(), value.to_vec())]);
    memory.state.replace(values);
}

fn kept(memory: &Memory) -> BTreeMap<String, Vec<u8>> {
    memory.state.contents().values().clone()
}

#[test]
fn what_is_kept_outlives_a_clean_end_with_its_number_of_runs() {
    let root = root();
    let (stores, problem) = GuestStores::open(root.path());
    assert_eq!(problem, None);
    let memory = stores.memory(owner("a"));
    keep(&memory, "key", b"value");
    (0..7).for_each(|_| memory.count_run());
    stores.finish();
    let (stores, problem) = GuestStores::open(root.path());
    assert_eq!(problem, None);
    let memory = stores.memory(owner("a"));
    assert_eq!((kept(&memory)["key"].as_slice(), memory.next_run()), (&b"value"[..], 8));
    assert_eq!(stores.memory(owner("b")).next_run(), 1);
}

#[test]
fn after_a_kill_the_number_of_a_run_is_higher_than_any_before() {
    let root = root();
    let (stores, _) = GuestStores::open(root.path());
    let memory = stores.memory(owner("a"));
    let path = root.path().join("state/checkers.db");
    keep(&memory, "key", b"1");
    let written = || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.query_row("SELECT runs FROM owners", [], |row| row.get::<_, i64>(0)).ok()
    };
    let until = Instant::now() + Duration::from_secs(60);
    while written().is_none() {
        assert!(Instant::now() < until, "nothing is written");
        thread::yield_now();
    }
    // Fewer than the thread writes ahead.
    (0..AHEAD / 2).for_each(|_| memory.count_run());
    // As a killed daemon leaves it, without any completion.
    let copy = self::root();
    for file in ["checkers.db", "checkers.db-wal"] {
        fs::copy(root.path().join("state").join(file), copy.path().join("state").join(file)).unwrap();
    }
    let (after, problem) = GuestStores::open(copy.path());
    assert_eq!(problem, None);
    assert!(after.memory(owner("a")).next_run() > memory.next_run());
}

#[test]
fn one_that_is_gone_and_comes_back_finds_what_it_kept() {
    let stores = GuestStores::default();
    keep(&stores.memory(owner("a")), "key", b"value");
    assert_eq!(kept(&stores.memory(owner("a")))["key"], b"value");
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    // Longer than the header of a database would be.
    let garbage = "no database at all ".repeat(20);
    let root = root();
    let path = root.path().join("state/checkers.db");
    fs::write(&path, garbage).unwrap();
    let (stores, problem) = GuestStores::open(root.path());
    assert!(problem.unwrap().contains("was moved aside"));
    assert!(root.path().join("state/checkers.db.damaged").exists());
    keep(&stores.memory(owner("a")), "key", b"value");
    stores.finish();
    assert_eq!(kept(&GuestStores::open(root.path()).0.memory(owner("a")))["key"], b"value");
}

#[test]
fn what_nobody_has_used_for_long_is_removed() {
    let root = root();
    let (stores, _) = GuestStores::open(root.path());
    keep(&stores.memory(owner("a")), "key", b"value");
    stores.finish();
    let mut database = Database::open(&root.path().join("state/checkers.db")).0.unwrap();
    assert_eq!(database.load(now() + 86_400, KEEP).unwrap().len(), 1);
    let later = now() + i64::try_from(KEEP.as_secs()).unwrap() + 10;
    assert_eq!(database.load(later, KEEP).unwrap().len(), 0);
}

#[test]
fn what_cannot_be_written_is_said_and_written_later() {
    let root = root();
    // A folder in its place cannot be written as a file, not even by root.
    let path = root.path().join("state/checkers.db");
    let aside = root.path().join("state/checkers.db.damaged");
    fs::create_dir_all(path.join("x")).unwrap();
    fs::create_dir_all(aside.join("x")).unwrap();
    let (stores, _) = GuestStores::open(root.path());
    keep(&stores.memory(owner("a")), "key", b"value");
    stores.finish();
    assert!(stores.problem().unwrap().contains("cannot be written"));
    fs::remove_dir_all(&path).unwrap();
    keep(&stores.memory(owner("a")), "key", b"other");
    stores.finish();
    assert_eq!(stores.problem(), None);
    assert_eq!(kept(&GuestStores::open(root.path()).0.memory(owner("a")))["key"], b"other");
}

#[test]
fn a_file_that_is_removed_or_replaced_is_written_anew_and_that_is_told() {
    for replaced in [false, true] {
        let root = root();
        let path = root.path().join("state/checkers.db");
        let (stores, _) = GuestStores::open(root.path());
        let (events, mut told) = mpsc::channel(8);
        stores.tell(events);
        let memory = stores.memory(owner("a"));
        keep(&memory, "key", b"value");
        stores.finish();
        assert!(told.try_recv().is_err(), "nothing has happened to the file yet");
        fs::remove_file(&path).unwrap();
        if replaced {
            fs::write(&path, "").unwrap();
        }
        memory.count_run();
        stores.finish();
        let message = told.try_recv().unwrap();
        let Message::Event(Event::Noted { kind: RecordKind::Daemon { message }, .. }) = message else {
            panic!("{replaced}: something else is told");
        };
        assert!(message.contains("restored"), "{message}");
        let (again, problem) = GuestStores::open(root.path());
        assert_eq!(problem, None);
        assert_eq!(kept(&again.memory(owner("a")))["key"], b"value");
    }
}
