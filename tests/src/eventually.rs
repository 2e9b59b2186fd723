//! Waits for the effects of other processes.

use std::time::{Duration, Instant};

/// The time limit for anything on a slow machine that is busy with something else: what takes a second on an idle
/// one has been seen to take a minute and a half beside thirty others on two processors. It costs nothing except
/// the time until a failure is reported.
pub const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(10);

/// Calls `look` repeatedly until it returns a value, and returns that.
///
/// # Panics
/// If it has not happened within [`PATIENCE`].
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

/// The same with another time limit, for what is known to take long.
///
/// # Panics
/// If it has not happened by then.
pub fn within<T>(patience: Duration, what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait(patience, look).unwrap_or_else(|| panic!("it never happened: {what}"))
}

/// The same for callers that report a failure themselves. `None` if it has not happened by then.
pub fn wait<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || begun.elapsed() >= patience {
            return seen;
        }
        std::thread::sleep(LOOK);
    }
}
