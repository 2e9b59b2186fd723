//! Facts about the host for the checks of a file: its programs, folders and users.

use std::path::{Path, PathBuf};

use bellwether_os::process::account::Accounts;
use bellwether_os::spawn::env_file::{self, EnvFileError};
use bellwether_os::spawn::program::{is_executable, program_file};
use bellwether_os::user;

/// Why a program cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramProblem {
    /// There is no file with this name.
    Missing,
    /// It is in no folder of [`PROGRAM_PATH`](bellwether_os::spawn::program::PROGRAM_PATH).
    NotInPath,
    /// It exists, but is not a file that the daemon may execute.
    NotExecutable,
}

/// Why a command cannot run as a user or with a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountProblem {
    /// None has this name.
    Unknown,
    /// It differs from the daemon's own, and only root can change it.
    NotRoot,
    /// The user is a number, and no group is given.
    NoGroup,
    /// The list of users or groups cannot be read.
    Unreadable(String),
}

/// Programs, folders and users. Those of this host are [`ThisHost`]; [`AnyHost`] has all of them.
pub trait HostFiles {
    /// Whether a program can be run: an absolute path, a path relative to the root, or a name to be looked up in
    /// [`PROGRAM_PATH`](bellwether_os::spawn::program::PROGRAM_PATH).
    fn program(&self, program: &str) -> Result<(), ProgramProblem>;

    /// Whether a folder exists; a relative path is relative to the root.
    fn is_directory(&self, path: &Path) -> bool;

    /// Whether a command can run as this user; `has_group`: with a group that is given in addition.
    fn user(&self, user: &str, has_group: bool) -> Result<(), AccountProblem>;

    /// Whether a command can run with this group.
    fn group(&self, group: &str) -> Result<(), AccountProblem>;

    /// Whether the daemon can grant and remove root's privileges for the programs that it starts.
    fn is_root(&self) -> bool;

    /// Whether an environment file exists and is valid; a relative path is relative to the root.
    fn env_file(&self, path: &Path) -> Result<(), EnvFileError>;
}

/// The host that the daemon runs on.
#[derive(Debug, Clone)]
pub struct ThisHost {
    root: PathBuf,
}

impl ThisHost {
    /// With paths relative to `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl HostFiles for ThisHost {
    fn program(&self, program: &str) -> Result<(), ProgramProblem> {
        let path = program_file(&self.root, program).ok_or(ProgramProblem::NotInPath)?;
        match (path.exists(), is_executable(&path)) {
            (false, _) => Err(ProgramProblem::Missing),
            (true, false) => Err(ProgramProblem::NotExecutable),
            (true, true) => Ok(()),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }

    fn user(&self, user: &str, has_group: bool) -> Result<(), AccountProblem> {
        let found = accounts()?.user(user).ok_or(AccountProblem::Unknown)?;
        if found.gid.is_none() && !has_group {
            return Err(AccountProblem::NoGroup);
        }
        if user::may_start_as(found.uid) { Ok(()) } else { Err(AccountProblem::NotRoot) }
    }

    fn group(&self, group: &str) -> Result<(), AccountProblem> {
        let gid = accounts()?.group(group).ok_or(AccountProblem::Unknown)?;
        if user::may_start_with(gid) { Ok(()) } else { Err(AccountProblem::NotRoot) }
    }

    fn is_root(&self) -> bool {
        user::is_root()
    }

    fn env_file(&self, path: &Path) -> Result<(), EnvFileError> {
        env_file::read(&self.root.join(path)).map(drop)
    }
}

fn accounts() -> Result<Accounts, AccountProblem> {
    Accounts::read().map_err(|error| AccountProblem::Unreadable(error.to_string()))
}

/// A host with every program and folder: for simulations, and for files that are written on one machine for
/// another.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyHost;

impl HostFiles for AnyHost {
    fn program(&self, _program: &str) -> Result<(), ProgramProblem> {
        Ok(())
    }

    fn is_directory(&self, _path: &Path) -> bool {
        true
    }

    fn user(&self, _user: &str, _has_group: bool) -> Result<(), AccountProblem> {
        Ok(())
    }

    fn group(&self, _group: &str) -> Result<(), AccountProblem> {
        Ok(())
    }

    fn is_root(&self) -> bool {
        true
    }

    fn env_file(&self, _path: &Path) -> Result<(), EnvFileError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_found_by_path_or_by_name_and_must_be_executable() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("app"), "#!/bin/sh\n").unwrap();
        fs::write(root.path().join("notes"), "hello\n").unwrap();
        fs::set_permissions(root.path().join("app"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(root.path().join("notes"), fs::Permissions::from_mode(0o644)).unwrap();
        let host = ThisHost::new(root.path());

        assert_eq!(host.program("./app"), Ok(()));
        assert_eq!(host.program(root.path().join("app").to_str().unwrap()), Ok(()));
        assert_eq!(host.program("app"), Err(ProgramProblem::NotInPath), "the root is no folder of programs");
        assert_eq!(host.program("sh"), Ok(()));
        assert_eq!(host.program("./notes"), Err(ProgramProblem::NotExecutable));
        assert_eq!(host.program("./none"), Err(ProgramProblem::Missing));
        assert_eq!(host.program("/"), Err(ProgramProblem::NotExecutable));
        assert!(host.is_directory(Path::new(".")));
        assert!(!host.is_directory(Path::new("app")));
    }
}
