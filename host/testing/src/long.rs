//! Tests that do more if there is time for it.
//!
//! Every run of the tests looks at everything once. With `BELLWETHER_LONG=1` that which is made at
//! random, or counted in thousands, is tried as often as it takes to find what is rare.

/// Whether this is a long run.
pub fn is_long() -> bool {
    std::env::var_os("BELLWETHER_LONG").is_some_and(|value| value == "1")
}
