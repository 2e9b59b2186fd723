//! Filters for texts in templates.

#![expect(
    unreachable_pub,
    clippy::inline_always,
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the macro makes the items of a filter"
)]

use std::fmt::{Display, Write as _};

use askama::filters::Safe;

/// Words in backticks as code, everything else as text: sentences are written for the terminal.
#[askama::filter_fn]
pub(super) fn ticks(text: impl Display, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
    Ok(Safe(marked(&text.to_string())))
}

fn marked(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 32);
    let mut parts = text.split('`').peekable();
    let mut code = false;
    while let Some(part) = parts.next() {
        // A backtick without a second one is plain text.
        let opens = code && parts.peek().is_some();
        html.push_str(if opens {
            "<code>"
        } else if code {
            "`"
        } else {
            ""
        });
        escape(part, &mut html);
        html.push_str(if opens { "</code>" } else { "" });
        code = !code;
    }
    html
}

fn escape(text: &str, html: &mut String) {
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '"' | '\'' => {
                // Writing to a String cannot fail.
                let _ = write!(html, "&#{};", u32::from(letter));
            }
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code() {
        assert_eq!(marked("checker `home` is down"), "checker <code>home</code> is down");
        assert_eq!(marked("`a` and `b`"), "<code>a</code> and <code>b</code>");
        assert_eq!(marked("one ` alone"), "one ` alone");
        assert_eq!(marked("plain"), "plain");
    }

    #[test]
    fn nothing_in_a_sentence_is_markup() {
        assert_eq!(marked("`<b>` & \"x\""), "<code>&#60;b&#62;</code> &#38; &#34;x&#34;");
    }
}
