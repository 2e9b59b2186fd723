//! The `bellwether` binary, built if it is outdated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the binary. `BELLWETHER_BINARY` names another one to test.
///
/// # Panics
/// If it cannot be built: no test can continue.
pub fn bellwether() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("BELLWETHER_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    // Compiles only the binary's own crate: `cargo test --workspace` has compiled everything else already.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace");
    let status = Command::new("cargo")
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(workspace)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the binary cannot be built");
    profile_folder().join("bellwether")
}

/// The folder of the binaries in the profile that this test was built with.
fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().expect("this test has a path");
    own.ancestors().nth(2).expect("tests lie in PROFILE/deps of the target folder").to_owned()
}

/// Cargo's target folder.
///
/// # Panics
/// If this is not an executable built by cargo.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("profiles lie in the target folder").to_owned()
}
