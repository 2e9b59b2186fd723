//! Entries of a folder, of every kind.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// A root with the folder of checkers.
fn root() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("checkers");
    fs::create_dir(&folder).unwrap();
    (root, folder)
}

fn stems(root: &Path, previous: &Listing<FileKey>) -> Vec<String> {
    list(root, previous).files.into_keys().map(|file| file.stem).collect()
}

#[test]
fn only_regular_files_and_links_to_them_count() {
    let (root, folder) = root();
    fs::write(folder.join("file.wasm"), "x").unwrap();
    fs::write(folder.join(".hidden.wasm"), "x").unwrap();
    fs::write(folder.join("file.wasm.minisig"), "x").unwrap();
    fs::create_dir(folder.join("folder.wasm")).unwrap();
    mknodat(CWD, folder.join("pipe.wasm"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    symlink("file.wasm", folder.join("link.wasm")).unwrap();
    symlink("nowhere", folder.join("dangling.wasm")).unwrap();
    symlink("circle.wasm", folder.join("circle.wasm")).unwrap();
    assert_eq!(stems(root.path(), &Listing::new()), ["file", "link"]);
}

#[test]
fn a_link_that_is_set_to_another_file_is_another_version() {
    let (root, folder) = root();
    // As Kubernetes does it: checkers/x.wasm -> ..data/x.wasm, ..data -> ..version
    for version in ["..1", "..2"] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("x.wasm"), "same").unwrap();
    }
    symlink("..data/x.wasm", folder.join("x.wasm")).unwrap();
    symlink("..1", folder.join("..data")).unwrap();
    let before = list(root.path(), &Listing::new()).files;
    assert_eq!(before.len(), 1);
    symlink("..2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    let after = list(root.path(), &before).files;
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

#[test]
fn a_signature_that_comes_later_makes_another_version() {
    let (root, folder) = root();
    fs::write(folder.join("x.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new()).files;
    fs::write(folder.join("x.wasm.minisig"), "signature").unwrap();
    assert_ne!(list(root.path(), &before).files, before);
}

#[test]
fn a_file_that_cannot_be_looked_at_does_not_hide_the_others() {
    let (root, folder) = root();
    let away = root.path().join("away");
    fs::create_dir(&away).unwrap();
    fs::write(away.join("x.wasm"), "x").unwrap();
    symlink(away.join("x.wasm"), folder.join("far.wasm")).unwrap();
    fs::write(folder.join("near.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new()).files;
    assert_eq!(before.len(), 2);
    fs::set_permissions(&away, Permissions::from_mode(0o000)).unwrap();
    // Root has access everywhere.
    let closed = fs::metadata(away.join("x.wasm")).is_err();
    let after = list(root.path(), &before).files;
    let nothing_known = stems(root.path(), &Listing::new());
    fs::set_permissions(&away, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(after, before, "what was there counts as still there");
    assert_eq!(nothing_known, if closed { vec!["near"] } else { vec!["far", "near"] });
}

#[test]
fn a_folder_that_is_gone_is_empty_and_one_made_anew_is_seen() {
    let (root, folder) = root();
    fs::write(folder.join("x.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new()).files;
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(stems(root.path(), &before), Vec::<String>::new());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("y.wasm"), "y").unwrap();
    assert_eq!(stems(root.path(), &before), ["y"]);
}

#[test]
fn backup_files_take_no_place_and_a_flood_does_not_displace_what_was_there_before() {
    let (root, folder) = root();
    for number in 0..MAX_FILES + 50 {
        fs::write(folder.join(format!("x.wasm.{number}")), "").unwrap();
    }
    fs::write(folder.join("x.wasm"), "x").unwrap();
    let first = list(root.path(), &Listing::new());
    assert_eq!((first.files.len(), first.overfull.len()), (1, 0));
    for number in 0..MAX_FILES {
        fs::write(folder.join(format!("a{number}.wasm")), "").unwrap();
    }
    let flooded = list(root.path(), &first.files);
    assert_eq!(flooded.files.len(), MAX_FILES);
    assert!(flooded.files.contains_key(&FileKey { folder: Folder::Checkers, stem: "x".to_owned() }));
    assert_eq!(flooded.overfull, BTreeSet::from([Folder::Checkers]));
}

#[test]
fn a_folder_that_takes_the_place_of_another_is_another() {
    let (root, folder) = root();
    let standing = || list(root.path(), &Listing::new()).folders[&Folder::Checkers];
    let first = standing();
    fs::write(folder.join("x.wasm"), "x").unwrap();
    assert_eq!(standing(), first);
    fs::rename(&folder, root.path().join("away")).unwrap();
    assert_eq!(standing(), Standing::Away);
    fs::create_dir(&folder).unwrap();
    assert_ne!(standing(), first);
}

#[test]
fn a_link_whose_target_is_away_is_no_removal() {
    let (root, folder) = root();
    let share = root.path().join("share");
    fs::create_dir(&share).unwrap();
    for name in ["x.wasm", "y.wasm"] {
        fs::write(share.join(name), "x").unwrap();
        symlink(share.join(name), folder.join(name)).unwrap();
    }
    symlink("nowhere", folder.join("new.wasm")).unwrap();
    let before = list(root.path(), &Listing::new()).files;
    assert_eq!(before.len(), 2);
    fs::rename(&share, root.path().join("away")).unwrap();
    fs::remove_file(folder.join("y.wasm")).unwrap();
    let key = |stem: &str| FileKey { folder: Folder::Checkers, stem: stem.to_owned() };
    let away = list(root.path(), &before);
    assert_eq!(away.files.get(&key("x")), before.get(&key("x")));
    assert_eq!(away.files.len(), 1, "a link that is removed is removed, and a new one is nothing");
    assert_eq!(away.dangling, BTreeSet::from([key("x"), key("new")]));
    fs::rename(root.path().join("away"), &share).unwrap();
    let again = list(root.path(), &away.files);
    assert_eq!((again.files.len(), again.dangling), (1, BTreeSet::from([key("new")])));
}

#[test]
fn what_lies_beyond_the_entries_that_are_read_is_still_there() {
    let (root, folder) = root();
    let names = ["a", "b", "c", "d"];
    for name in names {
        fs::write(folder.join(format!("{name}.wasm")), "x").unwrap();
    }
    let before = list(root.path(), &Listing::new()).files;
    for most in 1..=3 {
        let (seen, overfull) = names_in(&folder, Folder::Checkers, &before, most).unwrap();
        assert_eq!(seen.iter().map(|file| file.stem.as_str()).collect::<Vec<_>>(), names);
        assert!(overfull);
    }
    let (seen, overfull) = names_in(&folder, Folder::Checkers, &before, 100).unwrap();
    assert_eq!((seen.len(), overfull), (names.len(), false));
}
