//! The `bellwether` binary, built if it is not up to date.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the binary is. `BELLWETHER_BINARY` names another one to test.
///
/// # Panics
/// If it cannot be built: no test can go on.
pub fn bellwether() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("BELLWETHER_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // Compiles the binary's own crate alone: all else `cargo test --workspace` has compiled already.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace");
    let status = Command::new("cargo")
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(workspace)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the binary cannot be built");
    profile_folder().join("bellwether")
}

/// Where cargo puts the binaries of the profile that this test was built in.
fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().expect("this test has a path");
    own.ancestors().nth(2).expect("tests lie in PROFILE/deps of the target folder").to_owned()
}

/// Cargo's target folder, wherever it is.
///
/// # Panics
/// If this is no executable of cargo's.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("profiles lie in the target folder").to_owned()
}
