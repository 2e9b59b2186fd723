//! Machine code of the components that most tests use, compiled once for all of them.
//!
//! A debug build of the daemon takes seconds to compile its built-in components, and each test has a daemon of its
//! own. Therefore one daemon compiles them first, and its `state/compiled` is copied into every new root, with the
//! key of its entries: the next daemon treats them as left by its predecessor.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use crate::binary::{bellwether, target_folder};
use crate::daemon::{Conditions, Daemon};
use crate::eventually::{PATIENCE, within};
use crate::guest;
use crate::root::Root;
use crate::web::Web;

/// Guests that tests add to their roots, besides those that are part of the binary.
const GUESTS: [(&str, &[u8]); 3] =
    [("granted", guest::GRANTED), ("hostile", guest::HOSTILE), ("reach", guest::REACH)];

/// Copies it into a root without a daemon.
///
/// # Panics
/// If the copy fails.
pub fn lay_into(root: &Path) {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| ready().expect("components can be compiled beforehand"));
    let state = root.join("state");
    own_folder(&state).expect("a folder");
    copy(compiled, &state.join("compiled")).expect("compiled components can be copied");
}

/// The folder for exactly this binary, created if it does not exist. Other processes that need it wait in the
/// meantime.
fn ready() -> io::Result<PathBuf> {
    let all = target_folder().join("compiled-for-tests");
    fs::create_dir_all(&all)?;
    let binary = fs::metadata(bellwether())?;
    let modified = binary.modified()?.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let folder = all.join(format!("{}-{}", binary.len(), modified.as_nanos()));
    let lock = File::create(all.join("lock"))?;
    within(10 * PATIENCE, "other tests have compiled the components", || lock.try_lock().ok());
    if !folder.is_dir() {
        // Folders of other binaries.
        for old in fs::read_dir(&all)?.flatten().filter(|entry| entry.path().is_dir()) {
            fs::remove_dir_all(old.path())?;
        }
        let new = all.join("new");
        compile(&new)?;
        fs::rename(new, &folder)?;
    }
    Ok(folder)
}

fn compile(to: &Path) -> io::Result<()> {
    let root = Root::default();
    for (name, component) in GUESTS {
        root.write(&format!("checkers/{name}.wasm"), component);
    }
    Web::lay_out(&root);
    let conditions = Conditions { compiles_all: true, ..Conditions::default() };
    let mut daemon = Daemon::run_under(conditions, root.path(), root.health);
    daemon.until_ready("web");
    for name in GUESTS.map(|(name, _)| name).into_iter().chain(["http", "tcp"]) {
        let loaded = || daemon.component(name).filter(|found| found.error.is_none());
        within(2 * PATIENCE, &format!("{name} is compiled"), loaded);
    }
    daemon.end();
    copy(&root.path().join("state/compiled"), to)
}

fn own_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// With the modes of the files.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    own_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
