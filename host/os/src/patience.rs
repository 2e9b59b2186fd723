//! How long the daemon waits for what takes no time where everything works.

/// A deadline for what is immediate on a healthy machine. In the unit tests of the crate that uses it, which
/// share a machine with compilers and with each other, it is twenty times as long.
#[macro_export]
macro_rules! at_most {
    ($usual:expr) => {
        if cfg!(test) { ::std::time::Duration::saturating_mul($usual, 20) } else { $usual }
    };
}
