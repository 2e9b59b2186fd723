//! The required state of the module that gets commands, according to them.

/// What is known about the module that gets commands.
#[derive(Debug, Default, Clone)]
pub(super) struct Wanted {
    /// By a command that was acknowledged, without a later one that may have been carried out or not.
    pub(super) started: Option<bool>,
    pub(super) suspended: Option<bool>,
    /// Acknowledged and accepted; the process that ran before it.
    pub(super) restarted_from: Option<u32>,
}

impl Wanted {
    /// Not answered: it may have been carried out or not.
    pub(super) fn perhaps(&mut self, word: &str) {
        match word {
            "start" | "stop" | "restart" => {
                self.started = None;
                // Later commands are a separate case.
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
