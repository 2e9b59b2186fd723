//! Makes internal text safe for every reader: one line, of limited length, and without anything that looks like a
//! secret.
//!
//! Reasons and summaries should not contain secrets. But they come from third-party components, and the health
//! answer needs no sign-in, so this is the last place where secrets can be masked.

/// One line of at most `max` bytes of UTF-8, truncated with `…` if needed.
pub(super) fn shown(text: &str, max: usize) -> String {
    cut(redacted(text), max, "…")
}

/// The same in ASCII: every other character becomes `?`, and the truncation `...`.
pub(super) fn shown_in_ascii(text: &str, max: usize) -> String {
    let ascii = redacted(text).replace(|c: char| !c.is_ascii(), "?");
    cut(ascii, max, "...")
}

fn cut(mut text: String, max: usize, mark: &str) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max.saturating_sub(mark.len())));
        text.push_str(mark);
    }
    text
}

const MASK: &str = "***";

/// The endings of names of secrets, in lower case and without `-` and `_`.
const SECRET_NAMES: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "credentials",
    "cookie",
];

/// Authentication schemes (RFC 7235): the next word is the secret.
const SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];

/// The words of `text`, separated by single spaces, with secrets masked.
fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut mask_next = false;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        if SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
            shown.push_str(word);
            mask_next = true;
        } else if std::mem::take(&mut mask_next) {
            shown.push_str(MASK);
        } else if let Some(value) = secret_value(word) {
            shown.push_str(&word[..value]);
            mask_next = value == word.len();
            if !mask_next {
                shown.push_str(MASK);
            }
        } else {
            push_url(&mut shown, word);
        }
    }
    shown
}

/// The start of the value of `token=…` or `"token":…`, which may be the end of the word.
fn secret_value(word: &str) -> Option<usize> {
    word.match_indices(['=', ':']).map(|(at, _)| at).find_map(|at| {
        let before = word[..at].trim_end_matches(['"', '\'']);
        let start = before.rfind(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).map_or(0, |i| i + 1);
        // The character found may be longer than a byte.
        let name = before.get(start..).unwrap_or(before).replace(['-', '_'], "").to_ascii_lowercase();
        SECRET_NAMES.iter().any(|secret| name.ends_with(secret)).then_some(at + 1)
    })
}

/// A word; for a URL, without user and query (RFC 3986, section 3).
fn push_url(shown: &mut String, word: &str) {
    let Some(authority) = word.find("://").map(|at| at + 3) else {
        shown.push_str(word);
        return;
    };
    let end = word[authority..].find(['/', '?', '#']).map_or(word.len(), |at| authority + at);
    shown.push_str(&word[..authority]);
    let host = match word[authority..end].rfind('@') {
        Some(at) => {
            shown.push_str(MASK);
            authority + at
        }
        None => authority,
    };
    match word[end..].find('?') {
        Some(query) => {
            shown.push_str(&word[host..=end + query]);
            shown.push_str(MASK);
        }
        None => shown.push_str(&word[host..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, expected) in [
            ("GET http://127.0.0.1:80/ answered 500", "GET http://127.0.0.1:80/ answered 500"),
            ("postgres://app:hunter2@db:5432/shop refused", "postgres://***@db:5432/shop refused"),
            ("http://h/login?user=a&t=b was slow", "http://h/login?*** was slow"),
            ("http://u:p@h?x", "http://***@h?***"),
            ("exit 1: PGPASSWORD=hunter2 psql", "exit 1: PGPASSWORD=*** psql"),
            ("--api-key=abc --name=web", "--api-key=*** --name=web"),
            ("{\"user\":\"a\",\"password\":\"b\"}", "{\"user\":\"a\",\"password\":***"),
            ("password: hunter2 is wrong", "password: *** is wrong"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
            ("api_token: Basic YTpi end", "api_token: Basic *** end"),
            ("état=token", "état=token"),
            ("a\u{0}b\r\n c\td", "a b c d"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shown("ééééé", 8), "éé…");
        assert_eq!(shown("ééééé", 10), "ééééé");
        assert_eq!(shown_in_ascii("naïve", 80), "na?ve");
        assert_eq!(shown_in_ascii("abcdefgh", 6), "abc...");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(text: String, max in 8usize..300) {
            let line = shown(&text, max);
            prop_assert!(line.len() <= max);
            prop_assert!(!line.contains(char::is_control));
            let ascii = shown_in_ascii(&text, max);
            prop_assert!(ascii.len() <= max && ascii.is_ascii());
        }

        #[test]
        fn punctuation_around_a_name_never_breaks_it(text in "[=:\"'é /?@#a-]{0,40}(token|://)[=:\"'é /?@#a-]{0,40}") {
            redacted(&text);
        }
    }
}
