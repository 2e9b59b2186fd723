//! The recent activity of a connection over HTTP/2 or TLS, and whether it has to be closed.
//!
//! ```text
//!  accepted ── no request in time ──▶ lacks
//!     │ request
//!     ▼
//!  responding ── no response taken in time ──▶ lacks
//!     │ all taken              (a watched service is spared: its response has no end)
//!     ▼
//!  quiet ── for long, and nothing watched ──▶ is_quiet_for
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep};

use bellwether_os::at_most;

/// The time limit for the first request.
const FIRST_WITHIN: Duration = at_most!(Duration::from_secs(10));
/// While responses are pending, one of them must be received within this time.
const TAKEN_WITHIN: Duration = at_most!(Duration::from_secs(5));
/// The interval at which the times are checked.
const LOOK: Duration = Duration::from_secs(1);

/// The activity of one connection. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<Mutex<Facts>>);

#[derive(Debug)]
struct Facts {
    accepted: Instant,
    /// The time of the last request, or of the last message about a watched service.
    last: Option<Instant>,
    /// Responses that have not been received completely, and the time since which none has been.
    untaken: usize,
    untaken_since: Instant,
    /// The number of watched services.
    watched: usize,
}

impl Default for Facts {
    fn default() -> Self {
        let now = Instant::now();
        Self { accepted: now, last: None, untaken: 0, untaken_since: now, watched: 0 }
    }
}

impl Facts {
    fn quiet_since(&self) -> Instant {
        self.last.unwrap_or(self.accepted)
    }

    /// Whether the client has sent no request, or has received nothing, for too long.
    fn lacks(&self, now: Instant) -> bool {
        let silent = self.last.is_none() && now >= self.accepted + FIRST_WITHIN;
        let takes_nothing = self.untaken > 0 && now >= self.untaken_since + TAKEN_WITHIN;
        silent || takes_nothing
    }

    /// Whether there was no activity for this long, and no service is watched.
    fn is_quiet_for(&self, long: Duration, now: Instant) -> bool {
        self.watched == 0 && now >= self.quiet_since() + long
    }
}

impl Activity {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, or a message about a watched service.
    pub(super) fn happens(&self) {
        self.facts().last = Some(Instant::now());
    }

    /// The time of the last activity.
    pub(super) fn quiet_since(&self) -> Instant {
        self.facts().quiet_since()
    }

    /// A response that ends: the time until it has been received is limited.
    pub(super) fn responds(&self, body: UnsyncBoxBody<Bytes, Infallible>) -> Response {
        let mut facts = self.facts();
        if facts.untaken == 0 {
            facts.untaken_since = Instant::now();
        }
        facts.untaken += 1;
        drop(facts);
        Response { body, watches: false, activity: self.clone() }
    }

    /// A response without an end.
    pub(super) fn watches(&self, body: UnsyncBoxBody<Bytes, Infallible>) -> Response {
        self.facts().watched += 1;
        Response { body, watches: true, activity: self.clone() }
    }

    /// Completes when the client has sent no request, or has received nothing, for too long.
    pub(super) async fn lacks(&self) {
        while !self.facts().lacks(Instant::now()) {
            sleep(LOOK).await;
        }
    }

    /// Completes when there was no activity for this long, and no service is watched.
    pub(super) async fn is_quiet_for(&self, long: Duration) {
        while !self.facts().is_quiet_for(long, Instant::now()) {
            sleep(LOOK).await;
        }
    }
}

/// The body of a response, which records when it has been received.
#[derive(Debug)]
pub(super) struct Response {
    body: UnsyncBoxBody<Bytes, Infallible>,
    watches: bool,
    activity: Activity,
}

impl Body for Response {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        let mut facts = self.activity.facts();
        if self.watches {
            facts.watched -= 1;
        } else {
            facts.untaken -= 1;
            facts.untaken_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn body() -> UnsyncBoxBody<Bytes, Infallible> {
        Empty::new().boxed_unsync()
    }

    #[test]
    fn a_connection_on_which_nothing_is_asked_lacks_something() {
        let activity = Activity::default();
        let accepted = activity.quiet_since();
        assert!(!activity.facts().lacks(accepted + FIRST_WITHIN.saturating_sub(MOMENT)));
        assert!(activity.facts().lacks(accepted + FIRST_WITHIN));
        activity.happens();
        assert!(!activity.facts().lacks(accepted + 10 * FIRST_WITHIN));
    }

    #[test]
    fn responses_must_be_taken_one_after_the_other_but_for_those_without_an_end() {
        let activity = Activity::default();
        activity.happens();
        let _watch = activity.watches(body());
        let mut responses: Vec<_> = (0..3).map(|_| activity.responds(body())).collect();
        while !responses.is_empty() {
            let since = activity.facts().untaken_since;
            assert!(!activity.facts().lacks(since + TAKEN_WITHIN.saturating_sub(MOMENT)));
            assert!(activity.facts().lacks(since + TAKEN_WITHIN));
            drop(responses.pop());
            assert!(activity.facts().untaken_since >= since);
        }
        assert!(!activity.facts().lacks(Instant::now() + 10 * TAKEN_WITHIN), "all have been taken");
    }

    #[test]
    fn a_connection_on_which_a_service_is_watched_is_not_quiet() {
        let (activity, long) = (Activity::default(), Duration::from_mins(5));
        let later = activity.quiet_since() + long;
        let watch = activity.watches(body());
        assert!(!activity.facts().is_quiet_for(long, later));
        drop(watch);
        assert!(activity.facts().is_quiet_for(long, later));
        activity.happens();
        assert!(!activity.facts().is_quiet_for(long, later));
    }
}
