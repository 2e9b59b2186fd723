//! Tests that do more if there is time for it.
//!
//! Every run of the tests checks everything once. With `BELLWETHER_LONG=1`, random tests and tests with thousands
//! of cases are repeated often enough to find rare failures.

/// Whether this is a long run.
pub fn is_long() -> bool {
    std::env::var_os("BELLWETHER_LONG").is_some_and(|value| value == "1")
}
