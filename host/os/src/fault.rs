//! Faults that a test brings about on purpose, to see that they are noticed.
//!
//! Only in builds with debug assertions, and only if `BELLWETHER_FAULTS` names a
//! folder: a file `core`, `health`, `health-http2`, `guests`, `reload` or `checker` in it, with a
//! number of milliseconds, is taken once by that part, which then does nothing
//! for so long. In every other build there is nothing behind these functions.

use std::time::Duration;

#[cfg(debug_assertions)]
fn take(part: &str) -> Option<Duration> {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| std::env::var_os("BELLWETHER_FAULTS").map(PathBuf::from));
    let file = folder.as_ref()?.join(part);
    let text = std::fs::read_to_string(&file).ok()?;
    std::fs::remove_file(&file).ok()?;
    let wanted = Duration::from_millis(text.trim().parse().ok()?);
    tracing::warn!(part, ?wanted, "a fault was asked for");
    Some(wanted)
}

#[cfg(not(debug_assertions))]
fn take(_part: &str) -> Option<Duration> {
    None
}

/// The thread stands still, if that is asked for.
pub fn stall(part: &str) {
    if let Some(wanted) = take(part) {
        std::thread::sleep(wanted);
    }
}

/// The task stands still, if that is asked for; its thread does other things.
pub async fn hang(part: &str) {
    if let Some(wanted) = take(part) {
        tokio::time::sleep(wanted).await;
    }
}
