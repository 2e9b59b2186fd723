//! Why a command gave up, as far as it has said so.

use std::path::Path;

use super::log_file;
use crate::process::port_holder;

/// The last line that it has written after `from`. If it says that a port is in use, the holder of that is named.
pub(super) fn last_words(path: &Path, from: u64) -> Option<String> {
    let output = log_file::tail(path, from).ok()?;
    let line = log_file::last_line_of(&output)?;
    Some(match port_holder::of_the_port_in_use(&output) {
        Some(holder) => format!("{line} ({holder})"),
        None => line,
    })
}
