//! The guests that tests drop into a root.

/// A checker that asks the host for what a grant opens, and says what it got.
pub const GRANTED: &[u8] = include_bytes!(env!("GUEST_GRANTED"));
/// A checker that does what its configuration tells it.
pub const HOSTILE: &[u8] = include_bytes!(env!("GUEST_HOSTILE"));
/// The standard checker `tcp`.
pub const TCP: &[u8] = include_bytes!(env!("GUEST_TCP"));

/// The same component in another version: it does the same, and its digest is another one.
///
/// # Panics
/// If the version is longer than a custom section with one-byte lengths can hold.
pub fn versioned(component: &[u8], version: &str) -> Vec<u8> {
    // A custom section: id 0, its length, and a name with its length. Nobody reads it.
    let name = u8::try_from(version.len()).expect("a short version");
    let section = name.checked_add(1).filter(|length| *length < 0x80).expect("a short version");
    [component, &[0, section, name], version.as_bytes()].concat()
}
