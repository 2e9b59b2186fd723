//! The leftovers of a command's last run, in words.

use std::fmt::Write as _;

/// The maximum number of processes that are named.
const NAMED: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The short name of its program.
    pub name: String,
    pub pid: u32,
}

/// What a start waits for: `waiting for 1 process of the last run: postgres 4711`.
pub fn waiting_for(left: &[Left]) -> String {
    format!("waiting for {}", of_the_last_run(left))
}

/// Why the start has failed.
pub fn does_not_end(left: &[Left]) -> String {
    let end = if left.len() == 1 { "does" } else { "do" };
    format!("{} {end} not end, not even after SIGKILL", of_the_last_run(left))
}

fn of_the_last_run(left: &[Left]) -> String {
    let processes = if left.len() == 1 { "process" } else { "processes" };
    let mut text = format!("{} {processes} of the last run", left.len());
    for (index, Left { name, pid }) in left.iter().take(NAMED).enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}{name} {pid}");
    }
    if left.len() > NAMED {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pids: std::ops::Range<u32>) -> Vec<Left> {
        pids.map(|pid| Left { name: "postgres".to_owned(), pid }).collect()
    }

    #[test]
    fn the_first_ones_are_named() {
        for (left, text) in [
            (left(4711..4712), "waiting for 1 process of the last run: postgres 4711"),
            (left(7..9), "waiting for 2 processes of the last run: postgres 7, postgres 8"),
            (
                left(1..9),
                "waiting for 8 processes of the last run: postgres 1, postgres 2, postgres 3, postgres 4, postgres 5, …",
            ),
        ] {
            assert_eq!(waiting_for(&left), text);
        }
        assert_eq!(
            does_not_end(&left(7..8)),
            "1 process of the last run: postgres 7 does not end, not even after SIGKILL"
        );
    }
}
