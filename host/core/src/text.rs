//! Makes text from outside safe to show: the output of guests, applications, files and clients.
//!
//! A terminal interprets escape sequences, a log is split into lines, and direction marks make one text look like
//! another. None of these may be part of anything that is shown: all input of the core is escaped here
//! ([`Event::texts`](crate::event::Event::texts)), and so is everything that is shown without it.

use std::borrow::Cow;

/// The maximum length of one text that is shown, in bytes: longer ones are truncated.
pub const LONGEST: usize = 4 << 10;

/// Whether a character is visible text, and not a control character or a mark.
pub fn is_shown(c: char) -> bool {
    !c.is_control() && !is_mark(c)
}

/// Invisible characters that change how the rest looks: direction marks (UAX 9), line and annotation marks, and
/// tags.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether the text can be shown on one line as it is.
pub fn is_plain(text: &str) -> bool {
    if text.is_ascii() {
        !text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().all(is_shown)
    }
}

/// At most `max` bytes on one line. Truncated text ends in `…`.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max));
    for word in without_control(text).split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max {
            break;
        }
    }
    cut(line, max)
}

/// The same, but unchanged if it is plain and short.
pub fn sentence(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max && is_plain(text) { Cow::Borrowed(text) } else { Cow::Owned(one_line(text, max)) }
}

/// Escapes the text in place.
pub fn tidy(text: &mut String) {
    if let Cow::Owned(tidied) = sentence(text, LONGEST) {
        *text = tidied;
    }
}

/// Without ANSI escape sequences (ECMA-48), control characters and marks; line ends and tabs stay.
pub fn without_control(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| is_shown(c) || matches!(c, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\n' | '\t' => plain.push(c),
            '\u{2028}' | '\u{2029}' => plain.push('\n'),
            c if is_shown(c) => plain.push(c),
            _ => {}
        }
    }
    Cow::Owned(plain)
}

/// Without control characters and marks, one by one; line ends and tabs stay. For output that consists of parts,
/// such as a page: an escape sequence in one part does not swallow the next one.
pub fn without_marks(text: &str) -> Cow<'_, str> {
    let stays = |c: char| is_shown(c) || matches!(c, '\n' | '\t');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| stays(*c)).collect())
}

/// The result has the same length in bytes and, nearly always, in columns: positions in the text stay valid.
pub fn masked(text: &str) -> String {
    let mask = |c: char| match c.len_utf8() {
        _ if is_shown(c) || c == '\t' => c,
        1 => '?',
        2 => '\u{b7}',
        3 => '\u{fffd}',
        _ => '\u{1f7a8}',
    };
    text.chars().map(mask).collect()
}

/// A JSON text whose strings contain no terminal escape sequences and no marks. Of the control characters, line
/// ends and tabs stay, as `\n` and `\t`.
pub fn json(text: &str) -> Cow<'_, str> {
    let suspect = text.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'u' | b'b' | b'f' | b'r']));
    if !suspect && text.chars().all(|c| c.is_ascii_whitespace() || is_shown(c)) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (part, behind) = rest.split_at(length(rest, c));
        let code = part.strip_prefix("\\u").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let stays = match code {
            // Half of a surrogate pair stays with the other half.
            Some(code) => char::from_u32(code).is_none_or(is_shown),
            None if matches!(part, "\\b" | "\\f" | "\\r") => false,
            None => c.is_ascii_whitespace() || is_shown(c),
        };
        if stays {
            plain.push_str(part);
        }
        rest = behind;
    }
    Cow::Owned(plain)
}

/// The length of the first character or escape, in bytes.
fn length(text: &str, first: char) -> usize {
    if first != '\\' {
        return first.len_utf8();
    }
    let bytes = text.as_bytes();
    let unicode = bytes.get(1) == Some(&b'u')
        && bytes.get(2..6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let escape = if unicode { 6 } else { 2 };
    text.ceil_char_boundary(escape.min(text.len()))
}

/// The rest after an ESC: a control sequence up to its final byte, an operating system command up to its
/// terminator, or else a single character.
fn skip_escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next() {
        Some('[') => {
            rest.find(|c| ('\u{40}'..='\u{7e}').contains(c));
        }
        Some(']') => {
            let end = rest.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
            if end == Some('\u{1b}') {
                rest.next_if_eq(&'\\');
            }
        }
        _ => {}
    }
}

/// At most `max` bytes, between characters. Truncated text ends in `…`.
pub fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_control_characters_and_marks_are_stripped() {
        for (text, plain) in [
            ("\u{1b}[1;31mred\u{1b}[0m alert", "red alert"),
            ("\u{1b}]0;title\u{7}x\u{1b}]8;;url\u{1b}\\y", "xy"),
            ("a\0b\r\nc\td\u{9b}e", "ab\nc\tde"),
            ("cut in the middle \u{1b}[", "cut in the middle "),
            ("gpj.\u{202e}exe\u{202c}\u{2066}\u{200f}\u{feff}", "gpj.exe"),
            ("one\u{2028}two", "one\ntwo"),
            ("joined \u{1f469}\u{200d}\u{1f680}", "joined \u{1f469}\u{200d}\u{1f680}"),
        ] {
            assert_eq!(without_control(text), plain);
        }
    }

    #[test]
    fn an_escape_swallows_nothing_of_what_is_made_of_parts() {
        assert_eq!(without_marks("<p>\u{1b}]x\u{202e}</p>\n"), "<p>]x</p>\n");
        assert!(matches!(without_marks("<p>plain</p>"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(one_line("  two\n words ", 100), "two words");
        assert_eq!(one_line("äöüäöü", 9), "äöü…");
        assert_eq!(one_line("exactly", 7), "exactly");
    }

    #[test]
    fn what_is_plain_and_short_stays_as_it_is() {
        assert!(matches!(sentence("two  spaces", 100), Cow::Borrowed(_)));
        assert_eq!(sentence("two\nlines", 100), "two lines");
        assert_eq!(sentence("too long", 7), "too …");
    }

    #[test]
    fn what_is_masked_keeps_its_places() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\u{e0041}e\t";
        let masked = masked(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.find('e'), text.find('e'));
        assert!(masked.chars().all(|c| is_shown(c) || c == '\t'), "{masked:?}");
    }

    #[test]
    fn json_stays_what_it_is_but_for_what_is_not_shown() {
        for (text, plain) in [
            (r#"{"a":"x\u001b[1my\u202ez"}"#, r#"{"a":"x[1myz"}"#),
            ("{\"a\":\"x\u{202e}y\"}", r#"{"a":"xy"}"#),
            (r#"{"a":"\\u001b is text, \n stays"}"#, r#"{"a":"\\u001b is text, \n stays"}"#),
            (r#"{"a":"\ud83d\udc69"}"#, r#"{"a":"\ud83d\udc69"}"#),
        ] {
            assert_eq!(json(text), plain);
        }
    }

    proptest! {
        #[test]
        fn nothing_gets_through(text in "\\PC*|[\\x00-\\x7f]*|.*", max in 3_usize..200) {
            prop_assert!(is_plain(&one_line(&text, max)));
            prop_assert!(one_line(&text, max).len() <= max);
            prop_assert!(is_plain(&sentence(&text, max)));
            let stays = |c: char| is_shown(c) || matches!(c, '\n' | '\t');
            prop_assert!(without_control(&text).chars().all(stays));
            prop_assert_eq!(masked(&text).len(), text.len());
        }

        #[test]
        fn json_is_still_json_and_clean(text in ".*") {
            let written = serde_json::to_string(&serde_json::json!({ &text: [&text] })).unwrap();
            let read: serde_json::Value = serde_json::from_str(&json(&written)).unwrap();
            let (key, value) = read.as_object().unwrap().iter().next().unwrap();
            let stays = |c: char| is_shown(c) || matches!(c, '\n' | '\t');
            prop_assert!(key.chars().chain(value[0].as_str().unwrap().chars()).all(stays), "{:?}", read);
        }
    }
}
