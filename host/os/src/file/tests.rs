use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_private_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    private().write(true).create_new(true).open(path("file")).unwrap();
    create_private_dir(&path("one")).unwrap();
    create_private_dir_all(&path("two/three")).unwrap();
    create_private_dir_all(&path("two/three")).unwrap();
    assert_eq!(create_private_dir(&path("one")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!((mode(&path("file")), mode(&path("one"))), (0o600, 0o700));
    assert_eq!((mode(&path("two")), mode(&path("two/three"))), (0o700, 0o700));
    fs::set_permissions(path("one"), fs::Permissions::from_mode(0o755)).unwrap();
    make_private_dir(&path("one")).unwrap();
    assert_eq!(mode(&path("one")), 0o700);
}

#[test]
fn a_file_is_told_from_another_and_from_an_earlier_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a"), "1").unwrap();
    fs::write(path("b"), "1").unwrap();
    let (a, b) = (FileId::of(&path("a")).unwrap(), FileId::of(&path("b")).unwrap());
    assert!(
        a.is_at(&path("a")) && !a.is_at(&path("b")) && !a.is_at(&path("none")) && !a.is_at(&path("b/none"))
    );
    exchange(&path("a"), &path("b")).unwrap();
    assert!(a.is_at(&path("b")) && b.is_at(&path("a")));
    let before = Stamp::of(&path("a")).unwrap();
    assert!(before.is_file && before.size == 1 && !Stamp::of(folder.path()).unwrap().is_file);
    fs::write(path("a"), "longer").unwrap();
    assert_ne!(Stamp::of(&path("a")).unwrap(), before);
}

#[test]
fn a_name_that_is_taken_stays_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("new"), "new").unwrap();
    fs::write(path("old"), "old").unwrap();
    assert_eq!(rename_new(&path("new"), &path("old")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(path("old")).unwrap(), b"old");
    rename_new(&path("new"), &path("other")).unwrap();
    assert_eq!(fs::read(path("other")).unwrap(), b"new");
    assert!(!path("new").exists());
    sync_dir(folder.path()).unwrap();
}

#[test]
fn a_pipe_is_opened_at_once_and_a_link_only_where_that_is_meant() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "text").unwrap();
    symlink("file", path("link")).unwrap();
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for (name, is_file) in [("file", true), ("link", true), ("pipe", false)] {
        assert_eq!(
            open_without_waiting(&path(name)).unwrap().metadata().unwrap().is_file(),
            is_file,
            "{name}"
        );
    }
    assert!(open_no_link(&path("file")).unwrap().is_some());
    assert!(open_no_link(&path("link")).unwrap().is_none());
    assert_eq!(open_no_link(&path("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn an_access_says_who_besides_the_owner_may_do_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let access = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Access::of(&fs::metadata(&path).unwrap())
    };
    let own = access(0o600);
    assert!(own.is_own() && own.is_own_or_roots() && own.mode == 0o600);
    assert!(!own.is_for_others() && !own.is_written_by_others());
    let group = access(0o660);
    assert!(group.is_for_others() && group.is_written_by_others() && !group.is_for_everyone());
    let everyone = access(0o604);
    assert!(everyone.is_for_everyone() && !everyone.is_written_by_everyone());
    assert!(access(0o602).is_written_by_everyone());
    let stranger = Access { owner: own.owner.wrapping_add(4_711), ..own };
    assert!(!stranger.is_own() && !stranger.is_own_or_roots());
}
