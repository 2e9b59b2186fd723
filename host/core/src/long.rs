//! Tests that do more if there is time for it.
//!
//! Every run of the tests looks at each rule with some dozens of histories, other ones each time. With
//! `BELLWETHER_LONG=1` those that take longest get as many as find what is rare.

/// How many cases of a property are tried: so many in every run, and so many in a long one.
pub(crate) fn cases(few: u32, many: u32) -> proptest::prelude::ProptestConfig {
    // The core reads no environment; its tests are told by nothing else.
    let is_long = std::env::var_os("BELLWETHER_LONG").is_some_and(|value| value == "1");
    proptest::prelude::ProptestConfig::with_cases(if is_long { many } else { few })
}
