//! Tests that do more if there is time for it.
//!
//! Every run of the tests checks each property with some dozens of histories, different ones each time. With
//! `BELLWETHER_LONG=1` the slowest tests check enough histories to find rare ones.

/// The number of cases of a property: this many in every run, and that many in a long one.
pub(crate) fn cases(few: u32, many: u32) -> proptest::prelude::ProptestConfig {
    // The core reads no environment; for its tests this is the only setting.
    let is_long = std::env::var_os("BELLWETHER_LONG").is_some_and(|value| value == "1");
    proptest::prelude::ProptestConfig::with_cases(if is_long { many } else { few })
}
