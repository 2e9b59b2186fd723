//! How long the health check fails before a serving application is stopped.
//!
//! A load balancer learns of a drain by its own probes, and most of them stop sending requests only after several
//! answers. A shorter drain cuts off requests that are still being sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A load balancer that has had this many negative answers has stopped sending requests: three or fewer suffice for
/// all common ones, and as many again for those with higher thresholds.
const ANSWERS: u32 = 6;
/// The shortest drain, unless the file sets one: there may be load balancers that have not been noticed yet.
const LEAST: Duration = Duration::from_secs(15);
/// The longest drain: a client that probes less often is not a load balancer that an operator would wait for.
const MOST: Duration = Duration::from_secs(90);
/// Half of the time in which the daemon shuts down.
const MOST_AT_THE_END: Duration = Duration::from_secs(30);

/// The drain that a module's file sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drain {
    /// Not set: until every client that probes regularly has had six answers.
    #[default]
    UntilHeard,
    /// This long, whatever probes.
    #[serde(untagged)]
    For(Duration),
}

impl Drain {
    /// Its length for a module that the slowest regular client probes at this interval.
    pub fn lasts(self, probed_every: Option<Duration>) -> Duration {
        match self {
            Self::For(time) => time,
            Self::UntilHeard => needed(probed_every).clamp(LEAST, MOST),
        }
    }

    /// The same while the daemon shuts down, which takes a minute at most unless its file says otherwise: there
    /// must be time left to stop the application.
    pub fn lasts_at_the_end(self, probed_every: Option<Duration>) -> Duration {
        match self {
            Self::For(time) => time,
            Self::UntilHeard => self.lasts(probed_every).min(MOST_AT_THE_END),
        }
    }

    pub fn longest(self) -> Duration {
        match self {
            Self::For(time) => time,
            Self::UntilHeard => MOST,
        }
    }
}

impl From<Duration> for Drain {
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

/// The recommended length for the present clients, if it is shorter than that.
pub fn needed_instead(drain: Duration, probed_every: Option<Duration>) -> Option<Duration> {
    let needed = needed(probed_every).min(MOST);
    (drain < needed).then_some(needed)
}

fn needed(probed_every: Option<Duration>) -> Duration {
    probed_every.map_or(Duration::ZERO, |every| every.saturating_mul(ANSWERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_drain_lasts_for_six_answers_within_bounds_or_as_long_as_the_file_says() {
        for (drain, every, lasts, needed) in [
            (Drain::UntilHeard, None, 15, None),
            (Drain::UntilHeard, Some(1), 15, None),
            (Drain::UntilHeard, Some(5), 30, None),
            (Drain::UntilHeard, Some(10), 60, None),
            (Drain::UntilHeard, Some(30), 90, None),
            (Drain::UntilHeard, Some(u64::MAX), 90, None),
            (Drain::For(seconds(5)), None, 5, None),
            (Drain::For(seconds(5)), Some(1), 5, Some(6)),
            (Drain::For(seconds(60)), Some(10), 60, None),
            (Drain::For(seconds(120)), Some(30), 120, None),
            (Drain::For(seconds(20)), Some(30), 20, Some(90)),
        ] {
            let every = every.map(seconds);
            assert_eq!(drain.lasts(every), seconds(lasts), "{drain:?} {every:?}");
            let instead = needed_instead(drain.lasts(every), every);
            assert_eq!(instead, needed.map(seconds), "{drain:?} {every:?}");
            assert!(drain.lasts(every) <= drain.longest());
            let at_the_end = drain.lasts_at_the_end(every);
            let expected = if matches!(drain, Drain::For(_)) { lasts } else { lasts.min(30) };
            assert_eq!(at_the_end, seconds(expected), "{drain:?} {every:?}");
        }
    }

    #[test]
    fn what_earlier_versions_wrote_is_a_time() {
        let time = serde_json::to_string(&seconds(15)).unwrap();
        assert_eq!(serde_json::from_str::<Drain>(&time).unwrap(), Drain::For(seconds(15)));
        for drain in [Drain::UntilHeard, Drain::For(seconds(3))] {
            let text = serde_json::to_string(&drain).unwrap();
            assert_eq!(serde_json::from_str::<Drain>(&text).unwrap(), drain);
        }
    }
}
