//! One guest, and what must become of it.

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::Guest;
use bellwether_tests::guest;

/// What must become of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// Each run is `unknown`, with these words.
    Unknown(&'static str),
    /// It answers: the outcome, and words of the summary.
    Told(Outcome, &'static str),
    /// It is not put in force, with these words.
    Refused(&'static str),
}

/// One guest.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub name: &'static str,
    pub component: Vec<u8>,
    pub becomes: Becomes,
    /// Of one run, in milliseconds.
    pub timeout: u64,
    /// Further lines of the checker's table.
    pub more: String,
}

/// For those who compute without end; the others need some time for what they are ended for.
const SHORT: u64 = 300;
/// For those who wait without end: they have to get as far as that.
const WAITING: u64 = 2000;
const LONG: u64 = 40_000;

impl Act {
    pub(super) fn new(name: &'static str, guest: &Guest, becomes: Becomes) -> Self {
        Self { name, component: guest.build(), becomes, timeout: LONG, more: String::new() }
    }

    /// A `check` that does this.
    pub(super) fn checking(name: &'static str, check: &str, becomes: Becomes) -> Self {
        Self::new(name, &Guest::checking(check), becomes)
    }

    /// An act of the guest that the SDK made.
    pub(super) fn of_rust(name: &'static str, becomes: Becomes) -> Self {
        let more = format!("config = {{ act = \"{name}\" }}\n");
        Self { name, component: guest::HOSTILE.to_vec(), becomes, timeout: LONG, more }
    }

    /// Which never ends by itself.
    pub(super) fn endless(self) -> Self {
        Self { timeout: SHORT, ..self }
    }

    /// Which waits, and never ends by itself.
    pub(super) fn waiting(self) -> Self {
        Self { timeout: WAITING, ..self }
    }

    pub(super) fn limited(mut self, limits: &str) -> Self {
        self.more = format!("{}limits = {{ {limits} }}\n", self.more);
        self
    }

    /// Its checker's table in the module's file.
    pub(super) fn table(&self) -> String {
        let Self { name, timeout, more, .. } = self;
        format!(
            "\n[[checker]]\nname = \"{name}\"\ncomponent = \"{name}\"\ninterval = \"1s\"\ntimeout = \"{timeout}ms\"\n\
             rise = 1\nfall = 1\ngrace = \"0s\"\non-down = \"notify\"\n{more}"
        )
    }
}

/// A loop without end, wherever a value is wanted.
pub(super) const SPIN: &str = "(loop $spin (br $spin)) unreachable";
