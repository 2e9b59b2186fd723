//! Deadlines for operations that are immediate on a healthy system.

/// A deadline for an operation that is immediate on a healthy machine. It is twenty times as long in the unit tests
/// of the crate that uses it, because they share a machine with compilers and with each other.
#[macro_export]
macro_rules! at_most {
    ($usual:expr) => {
        if cfg!(test) { ::std::time::Duration::saturating_mul($usual, 20) } else { $usual }
    };
}
