//! The extent of a run of the tests. Every run does a representative part; a long one, `BELLWETHER_LONG=1`, does
//! everything.

use std::env;

const LONG: &str = "BELLWETHER_LONG";

/// Whether everything is to be done.
pub fn is_long() -> bool {
    asks(env::var(LONG).ok().as_deref())
}

/// A number or a duration: from `variable`, or else by the extent of the run.
///
/// # Panics
/// If the variable is not a number: the intended value would be ignored.
pub fn amount(variable: &str, every_run: u64, long_run: u64) -> u64 {
    let asked = env::var(variable).ok();
    let amount = chosen(asked.as_deref(), is_long(), every_run, long_run);
    amount.unwrap_or_else(|| panic!("{variable} is not a number: {asked:?}"))
}

/// The part that every run has, or everything.
pub fn part<T>(every_run: T, long_run: T) -> T {
    if is_long() { long_run } else { every_run }
}

/// The first of each kind, so that every run has all kinds. All of them in a long run.
pub fn one_of_each<T, K: PartialEq>(all: Vec<T>, kind: impl Fn(&T) -> K) -> Vec<T> {
    if is_long() { all } else { first_of_each(all, kind) }
}

fn asks(long: Option<&str>) -> bool {
    long.is_some_and(|long| !long.is_empty() && long != "0")
}

fn chosen(asked: Option<&str>, long: bool, every_run: u64, long_run: u64) -> Option<u64> {
    match asked {
        Some(asked) => asked.trim().parse().ok(),
        None => Some(if long { long_run } else { every_run }),
    }
}

fn first_of_each<T, K: PartialEq>(all: Vec<T>, kind: impl Fn(&T) -> K) -> Vec<T> {
    let mut kinds = Vec::new();
    let is_new = |one: &T| {
        let kind = kind(one);
        let is_new = !kinds.contains(&kind);
        if is_new {
            kinds.push(kind);
        }
        is_new
    };
    all.into_iter().filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_long_if_it_is_asked_to_be() {
        assert_eq!(["1", "yes", "0", ""].map(|long| asks(Some(long))), [true, true, false, false]);
        assert!(!asks(None));
    }

    #[test]
    fn a_variable_of_its_own_is_stronger_than_the_length_of_the_run() {
        assert_eq!(chosen(None, false, 60, 300), Some(60));
        assert_eq!(chosen(None, true, 60, 300), Some(300));
        for long in [false, true] {
            assert_eq!(chosen(Some("7"), long, 60, 300), Some(7));
            assert_eq!(chosen(Some("many"), long, 60, 300), None);
        }
    }

    #[test]
    fn the_first_of_each_kind_stands_for_it() {
        let all = vec!["trap-1", "trap-2", "exit-1", "trap-3", "exit-2"];
        assert_eq!(first_of_each(all, |name| name.get(..4)), ["trap-1", "exit-1"]);
        assert!(first_of_each(Vec::<u8>::new(), |byte| *byte).is_empty());
    }
}
