//! How busy the machine is with other things, so that a delay is not taken for slowness.

use std::fs;
use std::time::Duration;

/// The delay since a moment.
#[derive(Debug, Clone, Copy)]
pub struct Lateness(Duration);

impl Lateness {
    pub fn begin() -> Self {
        Self(waited())
    }

    /// The time since then for which anything on this machine has waited for a processor or for a disk.
    pub fn so_far(self) -> Duration {
        waited().saturating_sub(self.0)
    }
}

/// As measured by the kernel (Documentation/accounting/psi.rst); where it does not measure it, the time for which
/// this thread waited for a processor (Documentation/scheduler/sched-stats.rst).
fn waited() -> Duration {
    let pressures = ["cpu", "io"].map(|of| fs::read_to_string(format!("/proc/pressure/{of}")).ok());
    let stalled: Vec<Duration> = pressures.into_iter().flatten().filter_map(|text| stalled(&text)).collect();
    if stalled.is_empty() {
        let own = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        own.split_whitespace()
            .nth(1)
            .and_then(|text| text.parse().ok())
            .map_or(Duration::ZERO, Duration::from_nanos)
    } else {
        stalled.into_iter().sum()
    }
}

fn stalled(pressure: &str) -> Option<Duration> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    let total = some.split_whitespace().find_map(|word| word.strip_prefix("total="))?;
    Some(Duration::from_micros(total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_in_microseconds() {
        let text = "some avg10=97.05 avg60=97.29 avg300=96.46 total=1617124033\nfull avg10=0.00 total=7\n";
        assert_eq!(stalled(text), Some(Duration::from_micros(1_617_124_033)));
        assert_eq!(stalled("full avg10=0.00 total=7\n"), None);
        assert_eq!(stalled("some total=many\n"), None);
        let lateness = Lateness::begin();
        assert!(lateness.so_far() <= lateness.so_far());
    }
}
