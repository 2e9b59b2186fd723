//! The names of a module's states, and how they are displayed: the only table for pages, terminals, metrics and the
//! API.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// The application is stopped, as desired by a user.
    Stopped,
    /// The application is being started, or has not been seen to be healthy yet.
    Starting,
    /// The application is serving.
    Up,
    /// The application is being restarted.
    Restarting,
    /// The next attempt is due at a known time.
    Backoff,
    /// The budget is exhausted, or the application cannot be stopped: an operator has to act.
    Failed,
    /// The health check fails, the application still serves.
    Draining,
    /// The application is being stopped.
    Stopping,
    /// A prerequisite is down. Continues automatically.
    Waiting,
}

/// How a state is displayed: a word, a shape and a tone, each of which is sufficient by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLook {
    pub word: &'static str,
    /// The shape, as a character.
    pub symbol: char,
    /// The shape, as the name of a drawing.
    pub glyph: &'static str,
    /// The tone of the state.
    pub tone: StateTone,
}

/// The tone of a state. Each is displayed in a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateTone {
    /// The application is serving.
    Serving,
    /// It should serve, and does not.
    Bad,
    /// It should serve, and does not; it is retried, or continues, automatically.
    Pending,
    /// It is being started.
    Rising,
    /// It is being stopped.
    Falling,
    /// It is not meant to serve.
    Resting,
}

impl StateName {
    /// All states of a module.
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

    /// How it is displayed. A module that is up may be out of the load balancer: `ready` is the health answer.
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
