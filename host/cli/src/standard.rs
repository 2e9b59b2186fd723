//! The standard components, which are part of the binary.

/// Folder, file name without `.wasm`, bytes.
pub(crate) const STANDARD: &[(&str, &str, &[u8])] = &[];
