//! Finds the word that was probably meant.

use strsim::damerau_levenshtein;

/// The maximum number of words that are offered.
const MAX_OFFERED: usize = 5;

/// The candidate that differs from `word` in at most a third of its letters, if there is one.
pub(super) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase().replace('_', "-");
    let length = word.chars().count();
    candidates
        // The distance is at least the difference in length, and costs the product.
        .filter(|candidate| length.abs_diff(candidate.chars().count()) <= length.max(candidate.len()) / 3)
        .map(|candidate| (damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= length.max(candidate.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The question, if there is a similar candidate.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// `a`, `b` or `c`; at most five of them.
pub(super) fn list<'c>(words: impl Iterator<Item = &'c str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    if words.len() > MAX_OFFERED {
        words.truncate(MAX_OFFERED);
        return format!("{}, …", words.join(", "));
    }
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        let near = |word| nearest(word, ["interval", "timeout", "run", "at-least"].into_iter());
        assert_eq!(near("intreval"), Some("interval"));
        assert_eq!(near("ru"), Some("run"));
        assert_eq!(near("at_least"), Some("at-least"));
        assert_eq!(near("Timeout"), Some("timeout"));
        assert_eq!(near("every"), None);
    }

    #[test]
    fn at_most_five_words_are_offered() {
        assert_eq!(list(["a"].into_iter()), "`a`");
        assert_eq!(list(["a", "b", "c"].into_iter()), "`a`, `b` or `c`");
        assert_eq!(list(["a", "b", "c", "d", "e", "f"].into_iter()), "`a`, `b`, `c`, `d`, `e`, …");
    }
}
