//! Removes secrets from the output of a run.
//!
//! A guest that was given a secret may print it, most often by mistake: in a log line, in an error of a library, in
//! its answer. Everything that a run outputs for people passes through here. It is a safety net, not a security
//! boundary: a guest can always encode a secret, for example backwards.

use std::borrow::Cow;

use super::bindings::types;

/// The replacement for a secret.
const SCRUBBED: &str = "***";
/// Lines of a secret that are shorter than this are not secret by themselves.
const MIN_LINE: usize = 8;

/// The secrets that a run has received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scrubber {
    /// Longest first, so that none is split by one that it contains.
    texts: Vec<String>,
}

impl Scrubber {
    /// Adds a secret. Bytes that are not text cannot be shown as they are anyway.
    pub(super) fn add(&mut self, secret: &[u8]) {
        let text = String::from_utf8_lossy(secret);
        let text = text.trim();
        // Each line of a key with several lines is secret, too.
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE);
        for text in std::iter::once(text).chain(lines).filter(|text| !text.is_empty()) {
            if !self.texts.iter().any(|known| known == text) {
                self.texts.push(text.to_owned());
            }
        }
        self.texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether the text contains a secret.
    pub(super) fn finds_in(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// The text without secrets.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for secret in &self.texts {
            if scrubbed.contains(secret.as_str()) {
                scrubbed = Cow::Owned(scrubbed.replace(secret.as_str(), SCRUBBED));
            }
        }
        scrubbed
    }

    /// The same for a text whose beginning was cut off, maybe in the middle of a secret.
    pub(super) fn scrub_cut(&self, text: &str) -> String {
        let ends =
            |secret: &str| {
                // The longest proper suffix of the secret that the text begins with.
                secret.char_indices().skip(1).map(|(at, _)| secret.len() - at).find(|length| {
                    secret.get(secret.len() - length..).is_some_and(|end| text.starts_with(end))
                })
            };
        match self.texts.iter().filter_map(|secret| ends(secret)).max() {
            Some(length) => format!("{SCRUBBED}{}", self.scrub(text.get(length..).unwrap_or_default())),
            None => self.scrub(text).into_owned(),
        }
    }

    /// Removes secrets from a checker's answer.
    pub(super) fn scrub_observation(&self, seen: &mut types::Observation) {
        if self.is_empty() {
            return;
        }
        self.replace(&mut seen.summary);
        for measurement in &mut seen.measurements {
            self.replace(&mut measurement.name);
            self.replace(&mut measurement.unit);
        }
        for (name, value) in &mut seen.attributes {
            self.replace(name);
            self.replace(value);
        }
    }

    fn replace(&self, text: &mut String) {
        if let Cow::Owned(scrubbed) = self.scrub(text) {
            *text = scrubbed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber(secrets: &[&str]) -> Scrubber {
        let mut scrubber = Scrubber::default();
        for secret in secrets {
            scrubber.add(secret.as_bytes());
        }
        scrubber
    }

    #[test]
    fn a_secret_is_replaced_wherever_it_stands() {
        for (secrets, text, shown) in [
            (&["hunter2\n"][..], "login hunter2:hunter2 failed", "login ***:*** failed"),
            (&["hunter2"], "nothing of it", "nothing of it"),
            // If one secret contains another, no part of it is left.
            (&["pass", "password"], "password pass", "*** ***"),
            (&["", "  \n"], "an empty one takes nothing out", "an empty one takes nothing out"),
            (&["-----BEGIN\nMIIEowIBAAKC\nx\n-----END\n"], "line MIIEowIBAAKC, x", "line ***, x"),
        ] {
            assert_eq!(scrubber(secrets).scrub(text), shown, "{secrets:?}");
        }
    }

    #[test]
    fn a_secret_that_was_cut_in_the_middle_leaves_no_end_of_it() {
        let scrubber = scrubber(&["hunter2"]);
        assert_eq!(scrubber.scrub_cut("nter2 and hunter2"), "*** and ***");
        assert_eq!(scrubber.scrub_cut("2 o'clock"), "*** o'clock");
        assert_eq!(scrubber.scrub_cut("hunter2"), "***");
        assert_eq!(scrubber.scrub_cut("fine"), "fine");
    }

    #[test]
    fn an_answer_is_scrubbed_in_all_its_texts() {
        let mut seen = types::Observation {
            status: types::Status::Pass,
            summary: "with hunter2".to_owned(),
            measurements: vec![types::Measurement {
                name: "hunter2".to_owned(),
                value: 1.0,
                unit: "hunter2/s".to_owned(),
            }],
            attributes: vec![("hunter2".to_owned(), "is hunter2".to_owned())],
        };
        scrubber(&["hunter2"]).scrub_observation(&mut seen);
        assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
        assert_eq!(seen.summary, "with ***");
    }
}
