//! What a file's checks need to know about the host: which programs and folders there are.

use std::env;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a program cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramProblem {
    /// There is no file of this name.
    Missing,
    /// It is in no folder of `PATH`.
    NotInPath,
    /// There is something, but not a file that the daemon may execute.
    NotExecutable,
}

/// Programs and folders. The host's own are [`ThisHost`]; [`AnyHost`] has them all.
pub trait HostFiles {
    /// Whether a program can be run: an absolute path, a path relative to the root, or a bare
    /// name to be looked for in `PATH`.
    fn program(&self, program: &str) -> Result<(), ProgramProblem>;

    /// Whether there is a folder; a relative path is relative to the root.
    fn is_directory(&self, path: &Path) -> bool;
}

/// The host the daemon runs on.
#[derive(Debug, Clone)]
pub struct ThisHost {
    root: PathBuf,
    path: Vec<PathBuf>,
}

impl ThisHost {
    /// With paths relative to `root`, and `PATH` as it is now.
    pub fn new(root: &Path) -> Self {
        let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        Self { root: root.to_owned(), path }
    }
}

impl HostFiles for ThisHost {
    fn program(&self, program: &str) -> Result<(), ProgramProblem> {
        if program.contains('/') {
            let path = self.root.join(program);
            return match (path.exists(), is_executable(&path)) {
                (false, _) => Err(ProgramProblem::Missing),
                (true, false) => Err(ProgramProblem::NotExecutable),
                (true, true) => Ok(()),
            };
        }
        let found = self.path.iter().any(|folder| is_executable(&folder.join(program)));
        if found { Ok(()) } else { Err(ProgramProblem::NotInPath) }
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// A host that has every program and folder: for simulations, and for files
/// written on one machine for another.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyHost;

impl HostFiles for AnyHost {
    fn program(&self, _program: &str) -> Result<(), ProgramProblem> {
        Ok(())
    }

    fn is_directory(&self, _path: &Path) -> bool {
        true
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
        let host = ThisHost { root: root.path().to_owned(), path: vec![root.path().to_owned()] };

        assert_eq!(host.program("./app"), Ok(()));
        assert_eq!(host.program(root.path().join("app").to_str().unwrap()), Ok(()));
        assert_eq!(host.program("app"), Ok(()));
        assert_eq!(host.program("./notes"), Err(ProgramProblem::NotExecutable));
        assert_eq!(host.program("notes"), Err(ProgramProblem::NotInPath));
        assert_eq!(host.program("./none"), Err(ProgramProblem::Missing));
        assert_eq!(host.program("/"), Err(ProgramProblem::NotExecutable));
        assert!(host.is_directory(Path::new(".")));
        assert!(!host.is_directory(Path::new("app")));
    }
}
