//! The root of the demo: a folder that the user named, or a temporary one.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::guide::shell_word;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Tone};

/// The root of the demo.
pub(super) enum DemoRoot {
    Temporary(tempfile::TempDir),
    Named(PathBuf),
}

impl DemoRoot {
    pub(super) fn find(given: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        let Some(given) = given else {
            let place = tempfile::Builder::new()
                .prefix("bellwether-demo-")
                .tempdir()
                .map_err(|error| not_writable(&std::env::temp_dir(), &error))?;
            return Ok(if keep { Self::Named(place.keep()) } else { Self::Temporary(place) });
        };
        std::fs::create_dir_all(given).map_err(|error| not_writable(given, &error))?;
        let root = std::fs::canonicalize(given).map_err(|error| not_writable(given, &error))?;
        Ok(Self::Named(root))
    }

    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Temporary(place) => place.path(),
            Self::Named(root) => root,
        }
    }

    /// Its folder, if it is removed at the end.
    pub(super) fn temporary(&self) -> Option<&Path> {
        match self {
            Self::Temporary(place) => Some(place.path()),
            Self::Named(_) => None,
        }
    }

    /// Removes a temporary folder, and says how to run a named one again.
    pub(super) fn tidy_up(self, nodes: usize, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Temporary(place) => {
                let path = place.path().to_owned();
                place.close().with_context(|| format!("{} could not be removed", path.display()))?;
                writeln!(
                    output,
                    "{}",
                    output.paint(Tone::Quiet, &format!("{} is removed.", path.display()))
                )?;
            }
            Self::Named(root) => {
                let command = if nodes == 1 { "run" } else { "demo" };
                let root = shell_word(&root.to_string_lossy());
                writeln!(
                    output,
                    "The files are kept. To run them again: bellwether {command} --root {root}"
                )?;
            }
        }
        Ok(())
    }
}

fn not_writable(root: &Path, error: &std::io::Error) -> Failure {
    let what = format!("{} cannot be written: {error}", root.display());
    Failure::new(Exit::RootNotWritable, what, "choose a writable folder with --root DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_place_is_removed_and_a_named_one_stays() {
        let mut output = Output::standard();
        let temporary = DemoRoot::find(None, false).unwrap();
        let path = temporary.root().to_owned();
        assert!(path.is_dir());
        temporary.tidy_up(2, &mut output).unwrap();
        assert!(!path.exists());

        let parent = tempfile::tempdir().unwrap();
        let named = DemoRoot::find(Some(&parent.path().join("a/b")), false).unwrap();
        let path = named.root().to_owned();
        named.tidy_up(1, &mut output).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_place_that_cannot_be_written_has_its_own_exit_code() {
        let parent = tempfile::NamedTempFile::new().unwrap();
        let failure = DemoRoot::find(Some(&parent.path().join("root")), false).err().unwrap();
        assert_eq!(failure.exit(), Exit::RootNotWritable);
    }
}
