//! Where an application of a test has its files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_tests::failed::keep_folder;
use tempfile::TempDir;

/// A folder that every user can come into, and that goes away with its test.
pub(crate) struct Place {
    folder: TempDir,
}

impl Drop for Place {
    fn drop(&mut self) {
        keep_folder(self.path(), "place");
    }
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it, as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// Writes a file that all may read, and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, text).expect("the file can be written");
        self.at(name)
    }

    /// Makes a folder that belongs to this user, and returns its path.
    pub(crate) fn folder_of(&self, user: &str, name: &str) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("the folder can be made");
        self.give(user, &path);
        self.at(name)
    }

    /// All of it is this user's then.
    pub(crate) fn give(&self, user: &str, path: &Path) {
        run(&["chown", "-R", &format!("{user}:"), &path.display().to_string()]);
    }

    /// Where an application says that it works on what was asked, if it does not start a process for it.
    pub(crate) fn working(&self) -> PathBuf {
        self.path().join("work/working")
    }
}

/// Runs a command that prepares something, and returns what it prints.
pub(crate) fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).current_dir("/").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The same as another user.
pub(crate) fn run_as(user: &str, command: &[&str]) -> String {
    let before = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"];
    run(&[&before, command].concat())
}
