//! Which processes belong to a command: all that come from it, including those that have left its process group.
//!
//! | what says so | holds for |
//! |---|---|
//! | the control group | all, where the daemon may make control groups |
//! | the mark in the environment | all but those whose environment was taken away or written over |
//! | a parent that belongs to it | those too, once they were seen while their parent lived |
//!
//! A mark counts only if its code is right. The code is generated with a key that only the daemon can read: a
//! process of another user, who can give it any environment, is not killed because of its environment.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bellwether_core::id::{CommandName, ModuleName};

use bellwether_os::atomic_file;
use bellwether_os::file;
use bellwether_os::process::control_group::{ControlGroup, ControlGroups};
use bellwether_os::process::kept_table::KeptKey;
use bellwether_os::process::table::Image;
use bellwether_os::random;
use bellwether_os::spawn::mark;

const KEY_FILE: &str = "belonging.key";
const KEY_LENGTH: usize = 32;
/// The command that starts an application which goes into the background by itself. The processes that it leaves
/// are the application.
const START: &str = "start";

/// Identifies the processes of this root.
#[derive(Debug)]
pub(super) struct Belonging {
    key: [u8; KEY_LENGTH],
    groups: Option<ControlGroups>,
    /// A process was put into no group although the system has control groups.
    lacks_groups: AtomicBool,
}

/// Whether the processes that this command leaves belong to the application.
pub(crate) fn is_of_the_application(command: &CommandName, keep: bool) -> bool {
    keep || command.as_str() == START
}

impl Belonging {
    /// For this root. Without control groups, only the marks are used.
    pub(super) fn open(root: &Path, with_groups: bool) -> io::Result<Self> {
        let key = key(&root.join("state").join(KEY_FILE))?;
        let root = mark::digest(root);
        let groups = ControlGroups::find(&root).filter(|_| with_groups);
        Ok(Self { key, groups, lacks_groups: AtomicBool::default() })
    }

    /// The mark in the environment of a process of this command.
    pub(super) fn mark(&self, module: &ModuleName, command: &CommandName) -> String {
        // Neither name contains a colon.
        let of = format!("{module}:{command}");
        format!("{}:{of}", blake3::keyed_hash(&self.key, of.as_bytes()).to_hex())
    }

    /// The command that this process belongs to, if it is one of this root.
    pub(super) fn of(&self, image: &Image) -> Option<KeptKey> {
        let by_group = self.groups.as_ref().and_then(|groups| groups.command_of(&image.control_groups));
        by_group.or_else(|| self.by_mark(&image.mark))
    }

    fn by_mark(&self, mark: &str) -> Option<KeptKey> {
        let mut parts = mark.splitn(3, ':');
        let (code, module, command) = (parts.next()?, parts.next()?, parts.next()?);
        let right = blake3::keyed_hash(&self.key, format!("{module}:{command}").as_bytes());
        // Compared in constant time.
        (blake3::Hash::from_hex(code).ok()? == right).then_some(())?;
        Some((ModuleName::new(module).ok()?, CommandName::new(command).ok()?))
    }

    /// Whether control groups identify all processes.
    pub(super) fn has_groups(&self) -> bool {
        self.groups.is_some() && !self.lacks_groups.load(Ordering::Relaxed)
    }

    /// The control group of this command, if the system has control groups.
    pub(super) fn group(&self, module: &ModuleName, command: &CommandName) -> Option<ControlGroup> {
        Some(self.groups.as_ref()?.group(module, command))
    }

    /// Moves a process that waits at the gate into the group, with everything that it will start.
    pub(super) fn enter(&self, module: &ModuleName, command: &CommandName, pid: u32) {
        let entered = self.group(module, command).map(|group| group.enter(pid));
        // Then only its mark and its parent identify it.
        if let Some(Err(error)) = entered {
            self.lacks_groups.store(true, Ordering::Relaxed);
            tracing::warn!(%module, %command, pid, %error, "a process gets no control group of its own");
        }
    }
}

/// The key, generated when it is first needed. If it cannot be stored, it is valid for this daemon only.
fn key(path: &Path) -> io::Result<[u8; KEY_LENGTH]> {
    let known = fs::read(path).ok().and_then(|key| key.try_into().ok());
    if let Some(key) = known {
        atomic_file::remember(path);
        return Ok(key);
    }
    let mut key = [0; KEY_LENGTH];
    random::fill(&mut key)?;
    let folder = path.parent().map_or(Ok(()), file::create_private_dir_all);
    let kept = folder.and_then(|()| atomic_file::replace(path, &key));
    if let Err(error) = kept {
        tracing::warn!(
            %error,
            "cannot write state/{KEY_FILE}: a daemon that is started later may not know what has left its process group"
        );
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(command: &str) -> KeptKey {
        (ModuleName::new("web").unwrap(), CommandName::new(command).unwrap())
    }

    fn marked(mark: &str) -> Image {
        Image { mark: mark.to_owned(), ..Image::default() }
    }

    #[test]
    fn a_mark_counts_for_its_own_command_and_its_own_root_only() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |root: &tempfile::TempDir| Belonging::open(root.path(), false).unwrap();
        let (belonging, elsewhere) = (open(&here), open(&there));
        let (module, command) = key_of("start");
        let mark = belonging.mark(&module, &command);
        assert_eq!(belonging.of(&marked(&mark)), Some(key_of("start")));
        assert_eq!(open(&here).of(&marked(&mark)), Some(key_of("start")), "for the next daemon, too");
        assert_eq!(elsewhere.of(&marked(&mark)), None);
        let code = mark.split(':').next().unwrap();
        for forged in [
            "",
            "web:start",
            &format!("{code}:web:other"),
            &format!("{code}:web"),
            ":web:start",
            &format!("{}:web:start", "0".repeat(64)),
        ] {
            assert_eq!(belonging.of(&marked(forged)), None, "{forged}");
        }
    }

    #[test]
    fn the_key_is_the_daemons_alone_and_one_that_is_damaged_is_made_anew() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state").join(KEY_FILE);
        let first = key(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(key(&path).unwrap(), first);
        fs::write(&path, b"short").unwrap();
        let second = key(&path).unwrap();
        assert_ne!(second, first);
        assert_eq!(key(&path).unwrap(), second);
    }

    #[test]
    fn what_is_kept_and_what_start_leaves_is_the_application() {
        let of = |command: &str, keep| is_of_the_application(&CommandName::new(command).unwrap(), keep);
        assert!(of("app", true) && of("start", true) && of("start", false));
        assert!(!of("stop", false) && !of("reload", false));
    }
}
