//! The compiler of guests: which one, and whether it has the target.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use crate::{TARGET, TOOLCHAIN_VARIABLE};

/// Variables that cargo sets for a build script and a nested cargo must not inherit. The wrappers are set by clippy
/// and by caches.
const NOT_INHERITED: [&str; 15] = [
    "CARGO",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CLIPPY_ARGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
];

/// A rustup toolchain, or the `cargo` and `rustc` in PATH.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// Including its plus sign.
    selector: Option<String>,
}

impl Toolchain {
    /// From the environment, if it is set there.
    pub(crate) fn chosen(choice: Option<&str>) -> Self {
        let name = choice.map(|name| name.trim().trim_start_matches('+')).filter(|name| !name.is_empty());
        Self { selector: name.map(|name| format!("+{name}")) }
    }

    /// A command of this toolchain in an environment of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        // By name: the `cargo` in $CARGO is the one behind rustup's, and does not know selectors.
        let mut command = Command::new(program);
        if let Some(selector) = &self.selector {
            command.arg(selector);
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        for variable in NOT_INHERITED {
            command.env_remove(variable);
        }
        // An error of rustup is one line, without its internal causes.
        command.env("RUST_BACKTRACE", "0");
        command
    }

    /// Adds the target with rustup if it is missing. An error is one line that says what to do.
    pub(crate) fn ensure_target(&self) -> Result<()> {
        if self.has_target()? {
            return Ok(());
        }
        let add = format!("rustup target add {TARGET}");
        println!("cargo::warning=the compiler has no {TARGET}, which guests need: `{add}`");
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", TARGET]);
        if let Some(selector) = &self.selector {
            rustup.arg("--toolchain").arg(selector.trim_start_matches('+'));
        }
        let reason = match rustup.output() {
            Ok(output) if output.status.success() && self.has_target()? => return Ok(()),
            Ok(output) => complaint(&output),
            Err(error) => error.to_string(),
        };
        bail!(
            "the compiler has no {TARGET}, and `{add}` did not help ({reason}): add the target by hand, or name \
             a rustup toolchain that has it in {TOOLCHAIN_VARIABLE}"
        )
    }

    /// A target is a folder with a standard library in it; rustc names the folder even if it does not exist.
    fn has_target(&self) -> Result<bool> {
        let output = self
            .command("rustc")
            .args(["--print", "target-libdir", "--target", TARGET])
            .output()
            .context("rustc did not start: is it in PATH?")?;
        if !output.status.success() {
            bail!("rustc does not know {TARGET}: {}", complaint(&output));
        }
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let Ok(mut entries) = folder.read_dir() else { return Ok(false) };
        Ok(entries
            .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))))
    }
}

/// The line with the error.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    error.or_else(|| lines.next_back()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_named_with_and_without_its_plus() {
        let selector = |choice| Toolchain::chosen(choice).selector;
        assert_eq!(selector(Some("+wasm")), Some("+wasm".to_owned()));
        assert_eq!(selector(Some(" wasm ")), Some("+wasm".to_owned()));
        assert_eq!(selector(Some("")), None);
        assert_eq!(selector(None), None);
    }

    #[test]
    fn what_the_outer_cargo_says_is_not_passed_on() {
        let command = Toolchain::chosen(None).command("cargo");
        for name in ["RUSTC", "RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS"] {
            assert!(command.get_envs().any(|(key, value)| key == name && value.is_none()), "{name}");
        }
        assert_eq!(command.get_program(), "cargo");
    }

    #[test]
    fn a_toolchain_that_is_not_there_is_an_error_with_its_name() {
        let error = Toolchain::chosen(Some("no-such-toolchain")).ensure_target().unwrap_err();
        assert!(error.to_string().contains("no-such-toolchain"), "{error}");
    }
}
