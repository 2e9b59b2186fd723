//! The built-in components. A file with the same name in the operator's folder replaces one of them.

/// For each: its folder (`checkers` or `restart-scripts`), its name without `.wasm`, and the component.
pub(crate) const STANDARD: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/standard.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_components_are_components() {
        let names: Vec<_> = STANDARD.iter().map(|(folder, name, _)| format!("{folder}/{name}")).collect();
        assert_eq!(names, ["checkers/http", "checkers/tcp", "restart-scripts/command"]);
        for (_, name, bytes) in STANDARD {
            // The preamble of a component, and not of a core module (version 13, layer 1).
            assert_eq!(bytes[..8], *b"\0asm\x0d\0\x01\0", "{name}");
        }
    }
}
