//! Numbers of things, as people say them.

use std::fmt::Display;

/// `1 module`, `2 modules`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    format!("{count} {}", if count == N::from(1) { one } else { many })
}

/// All of them, as the subject of a sentence: `The module is`, `Both modules are`, `All 3 modules are`.
pub fn all_are(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("The {one} is"),
        2 => format!("Both {many} are"),
        count => format!("All {count} {many} are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_them_is_not_many() {
        let modules = [0, 1, 2].map(|count| counted(count, "module", "modules"));
        assert_eq!(modules, ["0 modules", "1 module", "2 modules"]);
    }

    #[test]
    fn all_of_two_are_both() {
        let modules = [1, 2, 3].map(|count| all_are(count, "module", "modules"));
        assert_eq!(modules, ["The module is", "Both modules are", "All 3 modules are"]);
    }
}
