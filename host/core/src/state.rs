//! The names of a module's states, and how they are shown: the one table that pages, terminals, metrics and the API are
//! made from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the module is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// The application is stopped, as a person wants.
    Stopped,
    /// The application is being started, or is not yet seen to be well.
    Starting,
    /// The application serves.
    Up,
    /// The application is being restarted.
    Restarting,
    /// The next try is due at a known time.
    Backoff,
    /// The budget is spent, or the application cannot be stopped: a person must look.
    Failed,
    /// Health says no, the application still serves.
    Draining,
    /// The application is being stopped.
    Stopping,
    /// A prerequisite is down. Resumes by itself.
    Waiting,
}

/// How a state is shown: a word, a shape and a tone, so that each alone would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLook {
    /// The word.
    pub word: &'static str,
    /// The shape, as a character.
    pub symbol: char,
    /// The shape, as the name of a drawing.
    pub glyph: &'static str,
    /// How it should be taken.
    pub tone: StateTone,
}

/// How a state should be taken. What shows it has a colour for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateTone {
    /// The application serves.
    Serving,
    /// It should serve, and does not.
    Bad,
    /// It should serve, and does not; it is tried again, or goes on, by itself.
    Pending,
    /// It is on its way up.
    Rising,
    /// It is on its way down.
    Falling,
    /// It should not serve.
    Resting,
}

impl StateName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Starting,
        Self::Up,
        Self::Restarting,
        Self::Backoff,
        Self::Failed,
        Self::Draining,
        Self::Stopping,
        Self::Waiting,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Restarting => "restarting",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Waiting => "waiting",
        }
    }

    /// How it is shown. A module that is up may be out of the load balancer: `ready` is what that is told.
    pub fn look(self, ready: bool) -> StateLook {
        let (symbol, tone) = match self {
            Self::Up if ready => ('●', StateTone::Serving),
            Self::Up => ('◍', StateTone::Bad),
            Self::Starting => ('◐', StateTone::Rising),
            Self::Restarting => ('◑', StateTone::Rising),
            Self::Backoff => ('◔', StateTone::Pending),
            Self::Waiting => ('◌', StateTone::Pending),
            Self::Draining => ('◒', StateTone::Falling),
            Self::Stopping => ('◓', StateTone::Falling),
            Self::Stopped => ('○', StateTone::Resting),
            Self::Failed => ('✗', StateTone::Bad),
        };
        let glyph = match self {
            Self::Up if ready => "ready",
            Self::Up => "out",
            other => other.word(),
        };
        StateLook { word: self.word(), symbol, glyph, tone }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_states_share_a_word_or_a_shape() {
        let words: BTreeSet<&str> = StateName::ALL.into_iter().map(StateName::word).collect();
        assert_eq!(words.len(), StateName::ALL.len());
        let up_and_out = StateName::Up.look(false);
        let looks: Vec<StateLook> =
            StateName::ALL.into_iter().map(|state| state.look(true)).chain([up_and_out]).collect();
        let symbols: BTreeSet<char> = looks.iter().map(|look| look.symbol).collect();
        let glyphs: BTreeSet<&str> = looks.iter().map(|look| look.glyph).collect();
        assert_eq!((symbols.len(), glyphs.len()), (looks.len(), looks.len()));
    }

    #[test]
    fn the_word_is_the_one_that_is_stored_and_sent() {
        for state in StateName::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }

    #[test]
    fn only_a_module_that_is_up_looks_different_when_it_is_not_ready() {
        for state in StateName::ALL {
            assert_eq!(state.look(true) == state.look(false), state != StateName::Up, "{state}");
        }
    }
}
