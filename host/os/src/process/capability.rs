//! The capabilities of capabilities(7), by their names.

use rustix::thread::CapabilitySet;

const PREFIX: &str = "CAP_";

/// All known capabilities, each as `CAP_NET_BIND_SERVICE`.
pub fn names() -> impl Iterator<Item = String> {
    CapabilitySet::all().iter_names().map(|(name, _)| format!("{PREFIX}{name}"))
}

/// The capability of this name.
pub fn named(name: &str) -> Option<CapabilitySet> {
    CapabilitySet::from_name(name.strip_prefix(PREFIX)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        assert_eq!(named("CAP_NET_BIND_SERVICE"), Some(CapabilitySet::NET_BIND_SERVICE));
        for unknown in ["NET_BIND_SERVICE", "cap_net_raw", "CAP_", "CAP_EVERYTHING"] {
            assert_eq!(named(unknown), None, "{unknown}");
        }
        assert!(names().count() >= 41 && names().all(|name| named(&name).is_some()));
    }
}
