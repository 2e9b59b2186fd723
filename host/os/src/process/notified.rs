//! The state that an application reports by `sd_notify(3)`. Pure.

use std::time::{Duration, Instant};

use bellwether_core::text::one_line;
use serde::{Deserialize, Serialize};

/// The maximum length of a status that is shown, in bytes.
const MAX_STATUS: usize = 200;
/// The range of `WATCHDOG_USEC`. The daemon could not check a shorter time reliably.
const WATCHDOG: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// The stage that an application has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It has not reported yet that it is ready.
    Starting,
    /// It had not reported that it was ready, and then no daemon ran for some time: the message may have been lost.
    Missed,
    Ready,
    /// `STOPPING=1`: it is about to exit.
    Stopping,
}

/// What a kept application has reported since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    pub stage: Stage,
    /// `STATUS=…`: its own description of its state.
    #[serde(skip)]
    pub status: Option<String>,
    /// `EXTEND_TIMEOUT_USEC=…`: how often it has asked for more time to start.
    pub extended: u32,
    /// The longest time between two watchdog messages once it is ready; unlimited if there is none.
    pub watchdog: Option<Duration>,
    /// The application has disabled its watchdog (`WATCHDOG_USEC=0`).
    #[serde(default)]
    pub watchdog_off: bool,
    /// Why it counts as hung.
    #[serde(skip)]
    pub hangs: Option<Hang>,
}

/// Why an application counts as hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hang {
    /// It has sent no watchdog message for longer than its watchdog allows.
    Silent,
    /// `WATCHDOG=trigger`: it has reported so itself.
    Said,
}

impl Notified {
    /// The state of an application that has just been started.
    pub fn nothing(watchdog: Option<Duration>) -> Self {
        Self { stage: Stage::Starting, status: None, extended: 0, watchdog, watchdog_off: false, hangs: None }
    }

    /// The same, after messages may have been lost for some time.
    #[must_use]
    pub fn after_a_gap(self) -> Self {
        let stage = if self.stage == Stage::Starting { Stage::Missed } else { self.stage };
        Self { stage, ..self }
    }

    /// Processes one message. Returns whether it resets the watchdog.
    pub fn take(&mut self, message: &str) -> bool {
        let mut is_alive = false;
        for (key, value) in message.lines().filter_map(|line| line.split_once('=')) {
            match (key, value) {
                ("READY", "1") if self.is_starting() => {
                    // The watchdog time starts here.
                    (is_alive, self.hangs) = (true, None);
                    self.stage = Stage::Ready;
                }
                ("STOPPING", "1") => self.stage = Stage::Stopping,
                ("STATUS", text) => {
                    let text = one_line(text, MAX_STATUS);
                    self.status = (!text.is_empty()).then_some(text);
                }
                ("EXTEND_TIMEOUT_USEC", _) if self.is_starting() => {
                    self.extended = self.extended.saturating_add(1);
                    self.stage = Stage::Starting;
                }
                ("WATCHDOG", "1") => (is_alive, self.hangs) = (true, None),
                ("WATCHDOG", "trigger") => self.hangs = Some(Hang::Said),
                ("WATCHDOG_USEC", micros) => {
                    // Only an application whose file sets a watchdog may change its time.
                    if let (Some(_), Ok(micros)) = (self.watchdog, micros.parse()) {
                        // Both values mean "never" (systemd's `sd_notify`).
                        self.watchdog_off = micros == 0 || micros == u64::MAX;
                        if !self.watchdog_off {
                            let (least, most) = WATCHDOG.into_inner();
                            self.watchdog = Some(Duration::from_micros(micros).clamp(least, most));
                        }
                        (is_alive, self.hangs) = (true, None);
                    }
                }
                _ => {}
            }
        }
        is_alive
    }

    /// Whether it is not known to be ready.
    pub fn is_starting(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Missed)
    }

    /// When its watchdog expires. An application that is stopping need not send further messages.
    pub fn overdue_at(&self, alive_at: Instant) -> Option<Instant> {
        let counts = self.stage == Stage::Ready && self.hangs.is_none() && !self.watchdog_off;
        let watchdog = self.watchdog.filter(|_| counts)?;
        alive_at.checked_add(watchdog)
    }

    /// Whether what it has reported since then means the same as before.
    pub fn differs_in_status_only(&self, before: &Self) -> bool {
        *self == Self { status: self.status.clone(), ..before.clone() }
    }

    /// Whether a daemon that is started later has to know what it has reported since then.
    pub fn is_worth_keeping(&self, before: &Self) -> bool {
        let kept = |of: &Self| (of.stage, of.watchdog, of.watchdog_off);
        kept(self) != kept(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_taken_in_line_by_line() {
        let mut notified = Notified::nothing(None);
        let before = notified.clone();
        assert!(!notified.take("STATUS=recovers\u{7}, 50 %\nMAINPID=7\nnonsense\nREADY=0"));
        assert!(notified.differs_in_status_only(&before) && !notified.is_worth_keeping(&before));
        assert!(!notified.take("EXTEND_TIMEOUT_USEC=5000000"));
        assert!(!notified.differs_in_status_only(&before));
        let status = notified.status.as_deref();
        assert_eq!((notified.stage, status, notified.extended), (Stage::Starting, Some("recovers, 50 %"), 1));
        assert!(notified.take("READY=1\nSTATUS="));
        assert!(notified.is_worth_keeping(&before));
        assert_eq!((notified.stage, notified.status.as_deref()), (Stage::Ready, None));
        notified.take("EXTEND_TIMEOUT_USEC=5000000\nREADY=0");
        assert_eq!((notified.stage, notified.extended), (Stage::Ready, 1));
        notified.take(&format!("STATUS={}", "x".repeat(9000)));
        assert_eq!(notified.status.map(|status| status.len()), Some(MAX_STATUS));
    }

    #[test]
    fn it_may_be_silent_until_it_is_ready_and_then_for_as_long_as_was_agreed() {
        let now = Instant::now();
        let mut notified = Notified::nothing(Some(Duration::from_secs(30)));
        assert_eq!(notified.overdue_at(now), None);
        assert!(notified.take("READY=1"));
        assert_eq!(notified.overdue_at(now), Some(now + Duration::from_secs(30)));
        for (micros, seconds) in [("5000000", 5), ("1", 1), ("18446744073709551614", 3600)] {
            assert!(notified.take(&format!("WATCHDOG_USEC={micros}")));
            assert_eq!(notified.overdue_at(now), Some(now + Duration::from_secs(seconds)), "{micros}");
        }
        for never in ["0", "18446744073709551615"] {
            let mut switched_off = notified.clone();
            assert!(switched_off.take(&format!("WATCHDOG_USEC={never}")));
            assert_eq!(switched_off.overdue_at(now), None, "{never}");
            assert!(switched_off.is_worth_keeping(&notified));
        }
        for nonsense in ["WATCHDOG_USEC=-1", "WATCHDOG_USEC=x", "WATCHDOG_USEC=", "WATCHDOG=2"] {
            assert!(!notified.take(nonsense), "{nonsense}");
        }
        assert!(!notified.take("WATCHDOG=trigger"));
        assert_eq!((notified.hangs, notified.overdue_at(now)), (Some(Hang::Said), None));
        assert!(notified.take("WATCHDOG=1"));
        assert_eq!(notified.hangs, None);
        notified.take("STOPPING=1\nREADY=1");
        assert_eq!((notified.stage, notified.overdue_at(now)), (Stage::Stopping, None));
        let mut unwatched = Notified::nothing(None);
        unwatched.take("READY=1\nWATCHDOG_USEC=5000000");
        assert_eq!(unwatched.overdue_at(now), None);
    }

    #[test]
    fn what_was_said_while_no_daemon_ran_is_not_known_until_it_says_more() {
        let starting = Notified::nothing(None).after_a_gap();
        assert_eq!((starting.stage, starting.clone().after_a_gap()), (Stage::Missed, starting.clone()));
        for (message, stage) in [("READY=1", Stage::Ready), ("EXTEND_TIMEOUT_USEC=1", Stage::Starting)] {
            let mut notified = starting.clone();
            notified.take(message);
            assert_eq!(notified.stage, stage, "{message}");
            let after = notified.after_a_gap().stage;
            assert_eq!(after, if stage == Stage::Ready { stage } else { Stage::Missed });
        }
    }
}
