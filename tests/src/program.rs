//! Programs of other people that some tests need.

use std::path::Path;

/// Whether it is installed. If not, says on stderr that the test is skipped.
///
/// # Panics
/// If it is missing where nothing may be skipped (`CI=true`).
pub fn is_installed(program: &str) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is not installed");
    eprintln!("skipped: {program} is not installed");
    false
}
