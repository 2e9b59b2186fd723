//! What lies in a folder, whatever it is.

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
    list(root, previous).into_keys().map(|file| file.stem).collect()
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
    let before = list(root.path(), &Listing::new());
    assert_eq!(before.len(), 1);
    symlink("..2", folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    let after = list(root.path(), &before);
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
}

#[test]
fn a_signature_that_comes_later_makes_another_version() {
    let (root, folder) = root();
    fs::write(folder.join("x.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new());
    fs::write(folder.join("x.wasm.minisig"), "signature").unwrap();
    assert_ne!(list(root.path(), &before), before);
}

#[test]
fn a_file_that_cannot_be_looked_at_does_not_hide_the_others() {
    let (root, folder) = root();
    let away = root.path().join("away");
    fs::create_dir(&away).unwrap();
    fs::write(away.join("x.wasm"), "x").unwrap();
    symlink(away.join("x.wasm"), folder.join("far.wasm")).unwrap();
    fs::write(folder.join("near.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new());
    assert_eq!(before.len(), 2);
    fs::set_permissions(&away, Permissions::from_mode(0o000)).unwrap();
    // Root may look everywhere.
    let closed = fs::metadata(away.join("x.wasm")).is_err();
    let after = list(root.path(), &before);
    let nothing_known = stems(root.path(), &Listing::new());
    fs::set_permissions(&away, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(after, before, "what was there counts as still there");
    assert_eq!(nothing_known, if closed { vec!["near"] } else { vec!["far", "near"] });
}

#[test]
fn a_folder_that_is_gone_is_empty_and_one_made_anew_is_seen() {
    let (root, folder) = root();
    fs::write(folder.join("x.wasm"), "x").unwrap();
    let before = list(root.path(), &Listing::new());
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(stems(root.path(), &before), Vec::<String>::new());
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("y.wasm"), "y").unwrap();
    assert_eq!(stems(root.path(), &before), ["y"]);
}
