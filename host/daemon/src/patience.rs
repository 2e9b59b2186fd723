//! How long the daemon waits for what takes no time where everything works.

use std::time::Duration;

/// So long. Twenty times as long in the unit tests, which share a machine with compilers and with each
/// other: there only what never comes is to be given up.
pub(crate) const fn at_most(usual: Duration) -> Duration {
    if cfg!(test) { usual.saturating_mul(20) } else { usual }
}
