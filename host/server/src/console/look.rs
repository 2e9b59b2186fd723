//! The look of a state: a shape, a word and a tone, each of which is sufficient by itself.

use bellwether_api::CheckerStatus;
use bellwether_core::observation::Status;
use bellwether_core::snapshot::{CheckerView, ModuleView};
use bellwether_core::state::{StateLook, StateName, StateTone};
use bellwether_core::verdict::Verdict;

/// A shape, a word and a tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// The symbol's name in `glyphs.html`.
    pub(super) glyph: &'static str,
    /// The word beside it.
    pub(super) word: &'static str,
    /// The class of the style sheet: `ok`, `bad`, `warn`, `move`, `held`, `idle`.
    pub(super) tone: &'static str,
}

const fn look(glyph: &'static str, word: &'static str, tone: &'static str) -> Look {
    Look { glyph, word, tone }
}

impl Look {
    /// The look of a module's state.
    pub(super) fn state(state: StateName, ready: bool) -> Self {
        let StateLook { word, glyph, tone, .. } = state.look(ready);
        let tone = match tone {
            StateTone::Serving => "ok",
            StateTone::Bad | StateTone::Pending => "bad",
            StateTone::Rising => "move",
            StateTone::Falling => "warn",
            StateTone::Resting => "idle",
        };
        let word = if state == StateName::Up && !ready { "up, not ready" } else { word };
        look(glyph, word, tone)
    }

    /// The look of a module's state.
    pub(super) fn module(module: &ModuleView) -> Self {
        Self::state(module.state, module.ready)
    }

    /// The look of a module without an active version.
    pub(super) fn never_loaded() -> Self {
        look("unwatched", "not loaded", "bad")
    }

    /// The look of the health answer.
    pub(super) fn answer(ready: bool) -> Self {
        if ready { look("yes", "200", "ok") } else { look("no", "503", "bad") }
    }

    /// The look of the result of a run.
    pub(super) fn status(status: Status) -> Self {
        match status {
            Status::Pass => look("up", "pass", "ok"),
            Status::Warn => look("warned", "warn", "warn"),
            Status::Fail => look("down", "fail", "bad"),
            Status::Unknown => look("undecided", "unknown", "warn"),
        }
    }

    /// The look of the verdict of another node's checker.
    pub(super) fn checker(checker: &CheckerStatus) -> Self {
        Self::of_verdict(checker.verdict, checker.watched)
    }

    /// The look of a checker's verdict.
    pub(super) fn verdict(checker: &CheckerView) -> Self {
        Self::of_verdict(checker.verdict, checker.watched)
    }

    fn of_verdict(verdict: Verdict, watched: bool) -> Self {
        match verdict {
            _ if !watched => look("unwatched", "not monitored", "idle"),
            Verdict::Up => look("up", "up", "ok"),
            Verdict::Down => look("down", "down", "bad"),
            Verdict::Undecided => look("undecided", "undecided", "warn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_states_share_a_word_or_a_shape() {
        let mut looks: Vec<Look> = StateName::ALL.iter().map(|state| Look::state(*state, false)).collect();
        looks.push(Look::state(StateName::Up, true));
        let words: std::collections::BTreeSet<_> = looks.iter().map(|look| look.word).collect();
        let glyphs: std::collections::BTreeSet<_> = looks.iter().map(|look| look.glyph).collect();
        assert_eq!((words.len(), glyphs.len()), (looks.len(), looks.len()));
    }

    #[test]
    fn every_shape_is_drawn() {
        let drawn = include_str!("../../templates/glyphs.html");
        for state in StateName::ALL {
            for ready in [true, false] {
                let glyph = Look::state(state, ready).glyph;
                assert!(drawn.contains(&format!("id=\"g-{glyph}\"")), "{glyph}");
            }
        }
        let source = include_str!("look.rs");
        for line in source.lines().filter_map(|line| line.split_once("look(\"").map(|(_, rest)| rest)) {
            let glyph = line.split('"').next().unwrap();
            assert!(drawn.contains(&format!("id=\"g-{glyph}\"")) || glyph == ")", "{glyph}");
        }
    }
}
