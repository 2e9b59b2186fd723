//! One guest, and its expected result.

use bellwether_tests::answers::Outcome;
use bellwether_tests::composed::Guest;
use bellwether_tests::guest;

/// The expected result of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes {
    /// Each run is `unknown`, with this message.
    Unknown(&'static str),
    /// It answers: the status, and words of the summary.
    Told(Outcome, &'static str),
    /// It is rejected, with this message.
    Refused(&'static str),
}

/// A guest and its settings.
#[derive(Debug, Clone)]
pub(super) struct Act {
    pub name: &'static str,
    pub component: Vec<u8>,
    pub becomes: Becomes,
    /// The time limit of one run, in milliseconds.
    pub timeout: u64,
    /// Further lines of the checker's table.
    pub more: String,
}

/// For guests that compute forever; the others need some time for the act that they are ended for.
const SHORT: u64 = 300;
/// For guests that wait forever: they have to get that far.
const WAITING: u64 = 2000;
const LONG: u64 = 40_000;

impl Act {
    pub(super) fn new(name: &'static str, guest: &Guest, becomes: Becomes) -> Self {
        Self { name, component: guest.build(), becomes, timeout: LONG, more: String::new() }
    }

    /// A guest with this body of `check`.
    pub(super) fn checking(name: &'static str, check: &str, becomes: Becomes) -> Self {
        Self::new(name, &Guest::checking(check), becomes)
    }

    /// An act of the guest that uses the SDK.
    pub(super) fn of_rust(name: &'static str, becomes: Becomes) -> Self {
        let more = format!("config = {{ act = \"{name}\" }}\n");
        Self { name, component: guest::HOSTILE.to_vec(), becomes, timeout: LONG, more }
    }

    /// It never ends by itself.
    pub(super) fn endless(self) -> Self {
        Self { timeout: SHORT, ..self }
    }

    /// It waits, and never ends by itself.
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

/// An endless loop, usable wherever a value is expected.
pub(super) const SPIN: &str = "(loop $spin (br $spin)) unreachable";
