//! What the module that gets commands must be at, by what it was told.

/// What is known of the module that gets commands.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted {
    /// By a command that was acknowledged, with none behind it that may have come through or not.
    pub(super) started: Option<bool>,
    pub(super) suspended: Option<bool>,
    /// Acknowledged and accepted; the process that ran before it.
    pub(super) restarted_from: Option<u32>,
}

impl Wanted {
    /// Nobody has answered: it may have come through or not.
    pub(super) fn perhaps(&mut self, word: &str) {
        match word {
            "start" | "stop" | "restart" => {
                self.started = None;
                // What comes behind it is another matter.
                self.restarted_from = None;
            }
            _ => self.suspended = None,
        }
    }

    /// It was acknowledged and accepted; `before` is the process that ran before it.
    pub(super) fn accepted(&mut self, word: &str, before: Option<u32>) {
        match word {
            "start" => self.started = Some(true),
            "stop" => {
                self.started = Some(false);
                self.restarted_from = None;
            }
            "restart" => {
                self.started = Some(true);
                self.restarted_from = before;
            }
            "suspend" => self.suspended = Some(true),
            _ => self.suspended = Some(false),
        }
    }
}
