//! Compiles the standard components and embeds them: `OUT_DIR/standard.rs` is the table that `src/standard.rs`
//! includes.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use bellwether_guest_builder::build_guests;

/// The packages, with the folder of such components in an operator's root.
const STANDARD: [(&str, &str); 3] = [
    ("checkers", "bellwether-checker-http"),
    ("checkers", "bellwether-checker-tcp"),
    ("restart-scripts", "bellwether-restart-script-command"),
];

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<()> {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set: cargo sets it")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the workspace is two folders up")?;
    println!("cargo::rerun-if-changed=build.rs");
    fold_identical_code();

    let components = build_guests(&STANDARD.map(|(_, package)| package), root, &out_dir)?;
    let mut table = String::from("&[\n");
    for ((folder, _), (name, path)) in STANDARD.iter().zip(components) {
        // Copied, so that another build of the guests does not change this one's input.
        let kept = out_dir.join(format!("{folder}-{name}.wasm"));
        fs::copy(&path, &kept).with_context(|| format!("{} cannot be copied", path.display()))?;
        writeln!(table, "    ({folder:?}, {name:?}, include_bytes!({:?})),", kept.display().to_string())?;
    }
    table.push_str("]\n");
    let file = out_dir.join("standard.rs");
    fs::write(&file, table).with_context(|| format!("{} cannot be written", file.display()))
}

/// Functions with identical machine code are merged: this saves a tenth of the binary, most of it the same generic
/// code for different types. Only lld can do so, which is the linker for this target.
fn fold_identical_code() {
    let target = env::var("TARGET").unwrap_or_default();
    let optimised = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if optimised && target == "x86_64-unknown-linux-gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
