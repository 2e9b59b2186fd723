//! The guests that tests add to a root.

use crate::binary::target_folder;

/// A checker that uses what a grant opens, and reports the result.
pub const GRANTED: &[u8] = include_bytes!(env!("GUEST_GRANTED"));
/// A checker that does what its configuration says.
pub const HOSTILE: &[u8] = include_bytes!(env!("GUEST_HOSTILE"));
/// A checker that tries the access in its configuration.
pub const REACH: &[u8] = include_bytes!(env!("GUEST_REACH"));
/// A checker that requests the URL in its configuration.
pub const WEB: &[u8] = include_bytes!(env!("GUEST_WEB"));
/// The standard checker `tcp`.
pub const TCP: &[u8] = include_bytes!(env!("GUEST_TCP"));
/// A checker that was compiled for the interface 1.0.0, and never again.
pub const KEPT_CHECKER: &[u8] = include_bytes!("../guests/kept/checker-1.0.0.wasm");

/// A checker in another language, `python` or `javascript`, if it was built. Otherwise reports on stderr that the
/// test is skipped, and how to build it.
///
/// # Panics
/// If it is missing where nothing may be skipped (`CI=true`).
pub fn built(language: &str) -> Option<Vec<u8>> {
    let file = target_folder().join(format!("guests/{language}.wasm"));
    if let Ok(component) = std::fs::read(&file) {
        return Some(component);
    }
    let missing = format!("{} is not built: run tests/guests/build-languages", file.display());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Another version of the same component: it does the same, and has another digest.
///
/// # Panics
/// If the version is longer than a custom section with one-byte lengths can hold.
pub fn versioned(component: &[u8], version: &str) -> Vec<u8> {
    // A custom section: id 0, its length, and a name with its length. It is ignored.
    let name = u8::try_from(version.len()).expect("a short version");
    let section = name.checked_add(1).filter(|length| *length < 0x80).expect("a short version");
    [component, &[0, section, name], version.as_bytes()].concat()
}
