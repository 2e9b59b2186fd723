//! Anything that is not exactly what was written is not accepted as machine code.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::*;

const CODE: &[u8] = b"machine code of a component";

struct CacheFolder {
    folder: TempDir,
    cache: Cache,
    digest: blake3::Hash,
}

fn place() -> CacheFolder {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(&folder, "engine").unwrap();
    let digest = blake3::hash(b"a component");
    cache.put(&digest, CODE);
    CacheFolder { folder, cache, digest }
}

fn open(folder: &TempDir, engine: &str) -> Result<Cache, CacheError> {
    Cache::open(&folder.path().join("compiled"), blake3::hash(engine.as_bytes()))
}

impl CacheFolder {
    fn entry(&self) -> PathBuf {
        self.folder.path().join("compiled").join(self.cache.name(&self.digest))
    }

    fn get(&self) -> Option<Vec<u8>> {
        self.cache.get(&self.digest)
    }
}

#[test]
fn what_was_kept_is_found_again_by_the_next_daemon_too() {
    let place = place();
    assert_eq!(place.get().as_deref(), Some(CODE));
    let next = open(&place.folder, "engine").unwrap();
    assert_eq!(next.get(&place.digest).as_deref(), Some(CODE));
    assert_eq!(next.get(&blake3::hash(b"another component")), None);
    assert_eq!(open(&place.folder, "another engine").unwrap().get(&place.digest), None);
}

#[test]
fn folder_key_and_entry_are_for_the_owner_alone() {
    let place = place();
    let folder = place.folder.path().join("compiled");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("key")), mode(&place.entry())), (0o700, 0o600, 0o600));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_wrong_bit_anywhere_is_enough(at in 0..(HEADER + CODE.len()), bit in 0_u8..8) {
        let place = place();
        let mut entry = fs::read(place.entry()).unwrap();
        entry[at] ^= 1 << bit;
        fs::write(place.entry(), entry).unwrap();
        prop_assert_eq!(place.get(), None);
    }

    #[test]
    fn an_entry_of_another_length_does_not_count(length in 0..(HEADER + CODE.len() + 20)) {
        let place = place();
        let mut entry = fs::read(place.entry()).unwrap();
        prop_assume!(length != entry.len());
        entry.resize(length, 0);
        fs::write(place.entry(), entry).unwrap();
        prop_assert_eq!(place.get(), None);
    }
}

#[test]
fn an_entry_in_the_place_of_another_does_not_count() {
    let place = place();
    let other = blake3::hash(b"another component");
    place.cache.put(&other, b"other code");
    let theirs = place.folder.path().join("compiled").join(place.cache.name(&other));
    fs::rename(theirs, place.entry()).unwrap();
    assert_eq!(place.get(), None);
    // Neither does one of another engine.
    let foreign = open(&place.folder, "another engine").unwrap();
    foreign.put(&place.digest, b"other code");
    fs::rename(place.folder.path().join("compiled").join(foreign.name(&place.digest)), place.entry())
        .unwrap();
    assert_eq!(place.get(), None);
}

#[test]
fn code_under_another_key_does_not_count() {
    let (ours, theirs) = (place(), place());
    fs::copy(theirs.entry(), ours.entry()).unwrap();
    assert_eq!(ours.get(), None);
    // Nor under a key that has been lost.
    let place = place();
    fs::write(place.folder.path().join("compiled/key"), "short").unwrap();
    let next = open(&place.folder, "engine").unwrap();
    assert_eq!(next.get(&place.digest), None);
    next.put(&place.digest, CODE);
    assert_eq!(next.get(&place.digest).as_deref(), Some(CODE));
}

#[test]
fn links_pipes_and_what_others_can_reach_do_not_count_and_are_replaced() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 5] = [
        ("a symbolic link", |entry| {
            fs::rename(entry, entry.with_extension("away")).unwrap();
            symlink(entry.with_extension("away"), entry).unwrap();
        }),
        ("a link that leads nowhere", |entry| {
            fs::remove_file(entry).unwrap();
            symlink("nowhere", entry).unwrap();
        }),
        ("a second name", |entry| fs::hard_link(entry, entry.with_extension("second")).unwrap()),
        ("readable by others", |entry| fs::set_permissions(entry, Permissions::from_mode(0o644)).unwrap()),
        ("a pipe", |entry| {
            fs::remove_file(entry).unwrap();
            rustix::fs::mknodat(CWD, entry, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        let place = place();
        spoil(&place.entry());
        assert_eq!(place.get(), None, "{what}");
        place.cache.put(&place.digest, CODE);
        assert_eq!(place.get().as_deref(), Some(CODE), "{what}");
    }
}

#[test]
fn a_folder_or_key_that_others_can_reach_is_not_used() {
    let place = place();
    let folder = place.folder.path().join("compiled");
    fs::set_permissions(folder.join("key"), Permissions::from_mode(0o640)).unwrap();
    let error = open(&place.folder, "engine").unwrap_err().to_string();
    assert_eq!(error, "state/compiled/key is not for the daemon's user alone: others have access to it");
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    let error = open(&place.folder, "engine").unwrap_err().to_string();
    assert_eq!(error, "state/compiled is not for the daemon's user alone: others have access to it");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    let away = place.folder.path().join("away");
    fs::rename(&folder, &away).unwrap();
    symlink(&away, &folder).unwrap();
    assert!(matches!(open(&place.folder, "engine"), Err(CacheError::Io(_))));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let CacheFolder { folder: _held, mut cache, .. } = place();
    // There is room for four: the one of `place`, and three of these.
    cache.most = (4 * HEADER + CODE.len() + 60 + 60 + 100) as u64;
    let digest = |n: u8| blake3::hash(&[n]);
    let old = |n: u8| {
        let name = cache.name(&digest(n));
        let file = cache.folder.file(&name).unwrap().unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(n.into())).unwrap();
    };
    for n in 1..=3 {
        cache.put(&digest(n), &[n; 60]);
        old(n);
    }
    // The oldest is used, so that it becomes the most recently used.
    assert!(cache.get(&digest(1)).is_some());
    cache.put(&digest(4), &[4; 100]);
    let left: Vec<bool> = (1..=4).map(|n| cache.get(&digest(n)).is_some()).collect();
    assert_eq!(left, [true, false, true, true]);
}

#[test]
fn what_a_daemon_could_not_finish_is_cleared_away() {
    let place = place();
    let unfinished = place.folder.path().join("compiled/.new-half");
    fs::write(&unfinished, "half").unwrap();
    drop(open(&place.folder, "engine").unwrap());
    assert!(!unfinished.exists() && place.entry().exists());
}
