//! Journal records about access. The number of recorded failures is limited, so that permanent attempts do not fill
//! the disk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_core::record::RecordKind;
use bellwether_core::text::one_line;

use super::refusal::Refusal;
use bellwether_bus::recorder::Recorder;

/// The number of failures that are recorded in a [`SPAN`].
const FAILURES: u32 = 30;
const SPAN: Duration = Duration::from_mins(10);
/// The maximum length of a name that a client typed.
const NAME_AT_MOST: usize = 40;

#[derive(Debug)]
pub(super) struct Notes {
    recorder: Recorder,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    since: Option<Moment>,
    count: u32,
}

impl Notes {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder, failures: Mutex::default() }
    }

    pub(super) fn write(&self, by: String, what: String) {
        self.recorder.record_later(None, RecordKind::Access { by, what });
    }

    /// Records a failed attempt to sign in.
    pub(super) fn failed(&self, who: String, refusal: &Refusal, name: &str, now: Moment) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.since.is_none_or(|since| now.since(since) >= SPAN) {
            *failures = Failures { since: Some(now), count: 0 };
        }
        failures.count += 1;
        let name = one_line(name, NAME_AT_MOST);
        match failures.count {
            ..FAILURES => self.write(who, format!("could not sign in as `{name}`: {refusal}")),
            FAILURES => self.write(who, format!(
                "could not sign in as `{name}`: {refusal}; more failures within ten minutes are not written down"
            )),
            _ => {}
        }
    }
}
