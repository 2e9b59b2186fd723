//! The files of an application in a test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_tests::failed::keep_folder;
use tempfile::TempDir;

/// A folder that every user can enter, and that is removed with its test.
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

    /// Writes a file that all users can read, and returns its path.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, text).expect("the file can be written");
        self.at(name)
    }

    /// Creates a folder that belongs to this user, and returns its path.
    pub(crate) fn folder_of(&self, user: &str, name: &str) -> String {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("the folder can be made");
        give(user, &path);
        self.at(name)
    }

    /// The file in which an application reports that it works on a request, if it does not start a process for it.
    pub(crate) fn working(&self) -> PathBuf {
        self.path().join("work/working")
    }
}

/// Runs a command for the preparation, and returns its output.
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

/// Gives all of it to this user.
pub(crate) fn give(user: &str, path: &Path) {
    run(&["chown", "-R", &format!("{user}:"), &path.display().to_string()]);
}
