//! Records from `GET /api/v1/events`.

use serde::Deserialize;

/// One record. Fields of only some kinds are optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub at: String,
    pub node: String,
    /// The module, if it concerns one.
    pub module: Option<String>,
    /// The kind: `verdict`, `state`, …
    pub kind: String,
    pub text: String,
    /// Of a verdict or an incident: the checker.
    pub checker: Option<String>,
    /// Of a verdict or a state: the new value.
    pub to: Option<String>,
    /// Of a decision: its text.
    pub decision: Option<String>,
    /// Of a plan: its occasion.
    pub occasion: Option<String>,
    /// Of a command: its name.
    pub command: Option<String>,
    /// Of a command, an approval or an access: the user.
    pub by: Option<String>,
    /// Of a reload: the file.
    pub what: Option<String>,
    /// Of a reload or a step: whether it succeeded.
    pub ok: Option<bool>,
    /// Of a reload: the result in words.
    pub detail: Option<String>,
}

impl Event {
    /// Whether it is a change of a verdict or a state (`kind`) to this value.
    pub fn is_change(&self, kind: &str, to: &str) -> bool {
        self.kind == kind && self.to.as_deref() == Some(to)
    }

    /// Whether it reports that a checker went down.
    pub fn is_down(&self) -> bool {
        self.is_change("verdict", "down")
    }

    /// Whether it is the reload of this file, with this result.
    pub fn is_reload(&self, file: &str, ok: bool) -> bool {
        self.kind == "reload" && self.what.as_deref() == Some(file) && self.ok == Some(ok)
    }
}

#[cfg(test)]
mod tests {
    use crate::answers::{read, read_lines};

    use super::*;

    const DOWN: &str = r#"{"seq":7,"at":"2026-03-20T09:46:40Z","node":"n1","module":"web","kind":"verdict",
        "text":"checker `home` is down","checker":"home","from":"up","to":"down","status":"fail"}"#;

    #[test]
    fn a_record_has_the_fields_of_its_kind_and_no_others() {
        let down: Event = read(DOWN);
        assert!(down.is_down() && !down.is_change("state", "down") && down.ok.is_none(), "{down:?}");
        let lines = DOWN.replace('\n', " ");
        assert_eq!(read_lines::<Event>(&format!("{lines}\n{lines}\n")), [down.clone(), down]);
    }

    #[test]
    #[should_panic(expected = "missing field `kind`")]
    fn a_field_that_was_renamed_is_missed() {
        let _: Event = read(&DOWN.replace("\"kind\"", "\"sort\""));
    }
}
