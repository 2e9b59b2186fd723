//! Compiles guest crates to components, from a build script.
//!
//! ```text
//!  build script ─▶ target is there? ──no──▶ rustup target add ──fails──▶ one line what to do
//!                       │ yes                     │
//!                       ▼                         ▼
//!                  nested cargo, own target folder ─▶ components' paths
//! ```
//! A nested cargo must not inherit the variables that the outer one sets for its children (`RUSTC` overrides a
//! toolchain, clippy's wrapper would check instead of compile), and must not share its target folder, whose lock
//! the outer one holds. Two concurrent build scripts wait for each other at the inner folder's lock.

mod sources;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::toolchain::Toolchain;

/// The target of components.
pub const TARGET: &str = "wasm32-wasip2";

/// Environment: the rustup toolchain that compiles guests (`+NAME` or `NAME`), if the default one does not have the
/// target.
pub const TOOLCHAIN_VARIABLE: &str = "BELLWETHER_GUEST_TOOLCHAIN";

/// Guests are loaded far more often than they are compiled, so size counts. A
/// panic cannot be caught in a component; its message is printed all the same.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];

/// Crates that the workspace optimises for speed in the host; in a guest, their size counts as well.
const SMALL: [&str; 3] = ["httparse", "memchr", "serde_json"];

/// Every run begins with fresh memory, so a guest takes 128 KiB of stack instead of 1 MiB.
const LINK: &str = "-Clink-arg=-zstack-size=131072";

/// Compiles packages of the workspace and returns the path of each component, by the file's name without `.wasm`.
///
/// Call it from a build script only. `out_dir` is the script's `OUT_DIR`: the guests' target folder is beside the
/// profile's folder that contains it, so that all profiles share it. Prints the `cargo::rerun-if` lines for the
/// dependencies of the guests.
pub fn build_guests(
    packages: &[&str],
    workspace_root: &Path,
    out_dir: &Path,
) -> Result<Vec<(String, PathBuf)>> {
    println!("cargo::rerun-if-env-changed={TOOLCHAIN_VARIABLE}");
    let manifests = sources::manifests(workspace_root, packages)?;
    for path in sources::watched(workspace_root, &manifests) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let toolchain = Toolchain::chosen(std::env::var(TOOLCHAIN_VARIABLE).ok().as_deref());
    toolchain.ensure_target()?;

    let target_dir = guests_dir(out_dir)?;
    let mut cargo = toolchain.command("cargo");
    cargo.args(["build", "--release", "--target", TARGET]).current_dir(workspace_root);
    for package in packages {
        cargo.args(["--package", package]);
    }
    for package in SMALL {
        cargo.arg("--config").arg(format!("profile.release.package.{package}.opt-level=\"s\""));
    }
    cargo
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", LINK)
        .envs(PROFILE);
    let output = cargo.output().context("cargo did not start: is it in PATH?")?;
    ensure!(
        output.status.success(),
        "the guests {} do not compile:\n{}",
        packages.join(", "),
        String::from_utf8_lossy(&output.stderr)
    );
    manifests.iter().map(|manifest| component(&target_dir, &manifest.library)).collect()
}

/// `target/debug/build/PACKAGE-HASH/out` and the like: the target folder is the one that contains the profile.
fn guests_dir(out_dir: &Path) -> Result<PathBuf> {
    let profile = out_dir.ancestors().find(|folder| folder.ends_with("build")).and_then(Path::parent);
    let target = profile.and_then(Path::parent);
    let target = target.with_context(|| format!("{} is no OUT_DIR of cargo", out_dir.display()))?;
    Ok(target.join("guests"))
}

fn component(target_dir: &Path, library: &str) -> Result<(String, PathBuf)> {
    let path = target_dir.join(TARGET).join("release").join(format!("{library}.wasm"));
    ensure!(path.is_file(), "cargo made no {}: is the crate's type `cdylib`?", path.display());
    Ok((library.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_profiles_share_one_folder_for_guests() {
        let expected = Path::new("/w/target/guests");
        for out_dir in ["/w/target/debug/build/a-1/out", "/w/target/release/build/a-2/out"] {
            assert_eq!(guests_dir(Path::new(out_dir)).unwrap(), expected);
        }
        assert!(guests_dir(Path::new("/tmp")).is_err());
    }

    #[test]
    fn a_folder_named_build_above_the_workspace_does_not_confuse() {
        let out_dir = Path::new("/build/w/target/debug/build/a-1/out");
        assert_eq!(guests_dir(out_dir).unwrap(), Path::new("/build/w/target/guests"));
    }
}
