//! The clocks of `clock_gettime(2)`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Source;

pub(super) fn micros(source: Source) -> i64 {
    let time = clock_gettime(match source {
        Source::Wall => ClockId::Realtime,
        Source::SinceBoot => ClockId::Boottime,
        Source::Awake => ClockId::Monotonic,
    });
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

/// The time of a processor that this thread has had.
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
