//! The clocks of Windows, which count in steps of 100 ns.
#![allow(unsafe_code, reason = "the clocks write what they show behind a pointer")]

use std::time::{SystemTime, UNIX_EPOCH};

use windows_sys::Win32::System::WindowsProgramming::{
    QueryInterruptTimePrecise, QueryUnbiasedInterruptTimePrecise,
};

use super::Source;

/// Steps in a microsecond.
const STEPS: u64 = 10;

pub(super) fn micros(source: Source) -> i64 {
    let mut steps = 0;
    match source {
        Source::Wall => return wall(),
        // SAFETY: the pointer is to a number of this function, which outlives the call.
        Source::SinceBoot => unsafe { QueryInterruptTimePrecise(&raw mut steps) },
        // SAFETY: as above.
        Source::Awake => unsafe { QueryUnbiasedInterruptTimePrecise(&raw mut steps) },
    }
    i64::try_from(steps / STEPS).unwrap_or(i64::MAX)
}

/// Negative if the clock is set to a time before 1970.
fn wall() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}
