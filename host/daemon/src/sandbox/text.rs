//! What guests say, made fit to be shown: short, and without control characters.

/// At most `max` bytes on one line. What is cut ends in `…`.
pub(super) fn one_line(text: &str, max: usize) -> String {
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

/// Without ANSI escape sequences (ECMA-48) and control characters; line ends and tabs stay.
pub(super) fn without_control(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

/// Behind an ESC: a control sequence up to its final byte, an operating system
/// command up to its terminator, or else a single character.
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

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_control_characters_are_stripped() {
        for (text, plain) in [
            ("\u{1b}[1;31mred\u{1b}[0m alert", "red alert"),
            ("\u{1b}]0;title\u{7}x\u{1b}]8;;url\u{1b}\\y", "xy"),
            ("a\0b\r\nc\td\u{9b}e", "ab\nc\tde"),
            ("cut in the middle \u{1b}[", "cut in the middle "),
        ] {
            assert_eq!(without_control(text), plain);
        }
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(one_line("  two\n words ", 100), "two words");
        assert_eq!(one_line("äöüäöü", 9), "äöü…");
        assert_eq!(one_line("exactly", 7), "exactly");
    }
}
