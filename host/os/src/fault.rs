//! Faults that a test injects, to check that they are noticed.
//!
//! Only in builds with debug assertions, and only if `BELLWETHER_FAULTS` names a folder: a file `core`, `health`,
//! `health-http2`, `guests`, `reload` or `checker` in it holds a number of milliseconds. The named part consumes
//! the file and then stalls for this time. In all other builds these functions do nothing.

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

/// Blocks the thread, if a fault asks for that.
pub fn stall(part: &str) {
    if let Some(wanted) = take(part) {
        std::thread::sleep(wanted);
    }
}

/// Suspends the task, if a fault asks for that; its thread runs other tasks.
pub async fn hang(part: &str) {
    if let Some(wanted) = take(part) {
        tokio::time::sleep(wanted).await;
    }
}
