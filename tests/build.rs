//! Compiles the guests that the tests add to their roots.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let out_dir = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR is not set: cargo sets it")?);
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace is one folder up")?;
    let packages = ["granted", "hostile", "reach", "web"].map(|guest| format!("bellwether-test-{guest}"));
    let packages: Vec<&str> = packages.iter().map(String::as_str).chain(["bellwether-checker-tcp"]).collect();
    for (name, path) in bellwether_guest_builder::build_guests(&packages, workspace, &out_dir)? {
        let kept = out_dir.join(format!("{name}.wasm"));
        std::fs::copy(&path, &kept).with_context(|| format!("{} cannot be copied", path.display()))?;
        println!("cargo::rustc-env=GUEST_{}={}", name.to_uppercase(), kept.display());
    }
    Ok(())
}
