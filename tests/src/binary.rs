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
    // The workspace as a whole, as `cargo test --workspace` builds it: another
    // selection would have other features and compile everything again.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace");
    let status = Command::new("cargo")
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(workspace)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the binary cannot be built");
    let own = std::env::current_exe().expect("this test has a path");
    let folder = own.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    folder.join("bellwether")
}
