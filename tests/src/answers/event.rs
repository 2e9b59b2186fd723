//! `GET /api/v1/events`: what has happened.

use serde::Deserialize;

/// One record. What only some kinds have is optional.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: String,
    /// On which node.
    pub node: String,
    /// To which module, if to one.
    pub module: Option<String>,
    /// `verdict`, `state`, …
    pub kind: String,
    /// In one sentence.
    pub text: String,
    /// Of a verdict or an incident: whose.
    pub checker: Option<String>,
    /// Of a verdict or a state: what it is now.
    pub to: Option<String>,
    /// Of a decision: what was decided.
    pub decision: Option<String>,
    /// Of a plan: what for.
    pub occasion: Option<String>,
    /// Of a command: its word.
    pub command: Option<String>,
    /// Of a command, an approval or an access: by whom.
    pub by: Option<String>,
    /// Of a reload: the file.
    pub what: Option<String>,
    /// Of a reload or a step: whether it went well.
    pub ok: Option<bool>,
    /// Of a reload: how it went.
    pub detail: Option<String>,
}

impl Event {
    /// Whether a verdict or a state (`kind`) has become this.
    pub fn is_change(&self, kind: &str, to: &str) -> bool {
        self.kind == kind && self.to.as_deref() == Some(to)
    }

    /// Whether it is the verdict that a checker is down.
    pub fn is_down(&self) -> bool {
        self.is_change("verdict", "down")
    }

    /// Whether it is the reload of this file, and went so.
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
