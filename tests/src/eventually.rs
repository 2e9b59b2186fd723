//! Waiting for what other processes do.

use std::time::{Duration, Instant};

/// So long anything may take on a slow machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(10);

/// Looks again and again until `look` says something, and returns it.
///
/// # Panics
/// If it has not happened within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "it never happened: {what}");
        std::thread::sleep(LOOK);
    }
}
