//! The machine code of components, compiled once for all nodes of the demo.
//!
//! Every daemon has a cache of its own, which is keyed by a secret of its folder. All nodes of the demo are of one
//! user and one program, so the cache of the first node is copied, with its key, before another node starts.

use std::fs;
use std::io;
use std::path::Path;

use bellwether_os::file::create_private_dir;

const STATE: &str = "state";
const COMPILED: &str = "compiled";
/// The name of an entry that is still being written begins with it.
const UNFINISHED: &str = ".";

/// Copies the cache of the daemon that runs on `from` to a root on which none runs. It replaces what is there.
pub(super) fn share(from: &Path, to: &Path) -> io::Result<()> {
    let (from, state) = (from.join(STATE).join(COMPILED), to.join(STATE));
    if !state.is_dir() {
        create_private_dir(&state)?;
    }
    let to = state.join(COMPILED);
    if to.is_dir() {
        fs::remove_dir_all(&to)?;
    }
    create_private_dir(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // With the mode of the file.
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_is_copied_and_replaces_what_was_there() {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("state/compiled")).unwrap();
        assert!(share(Path::new("/nowhere"), to.path()).is_err());
        for (name, text) in [("key", "k"), ("a.code", "a"), (".new-b.code", "b")] {
            fs::write(from.path().join("state/compiled").join(name), text).unwrap();
        }
        fs::write(to.path().join("state/compiled/old.code"), "old").unwrap();
        share(from.path(), to.path()).unwrap();
        let found = fs::read_dir(to.path().join("state/compiled")).unwrap();
        let mut found: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, ["a.code", "key"]);
    }
}
