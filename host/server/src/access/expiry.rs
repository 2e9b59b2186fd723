//! Sign-ins and tokens that end by themselves, and when they were used last.

use std::time::Duration;

use tokio::time::Instant;

use super::Access;

/// The last use of sessions and tokens is stored with at most this delay.
const KEEP: Duration = Duration::from_mins(1);
/// A session or token that has expired ends with at most this delay.
const SHORTEST: Duration = Duration::from_millis(100);

impl Access {
    /// Checks periodically which sessions have expired.
    pub async fn keep_forever(&self) {
        loop {
            self.keep().await;
            let kept = Instant::now();
            loop {
                let due = (kept + KEEP).min(Instant::now() + self.next_end());
                tokio::select! {
                    () = tokio::time::sleep_until(due) => break,
                    () = self.0.changed.notified() => {}
                }
            }
        }
    }

    /// The time until the next session or token expires, unless it is used before.
    fn next_end(&self) -> Duration {
        let (register, now, wall) = (self.0.register.load(), self.0.clock.now(), self.wall());
        // An expired one could not be stored just now, and is retried after the usual interval.
        let sessions =
            register.sessions.values().map(|session| session.times()).filter(|times| !times.is_over(now));
        let sessions = sessions.map(|times| times.ends().since(now));
        let tokens = register.tokens.values().filter_map(|token| token.expires);
        let tokens = tokens
            .filter_map(|expires| u64::try_from(expires.saturating_sub(wall)).ok().filter(|left| *left > 0));
        let next = sessions.chain(tokens.map(Duration::from_micros)).min();
        next.map_or(KEEP, |next| next.clamp(SHORTEST, KEEP))
    }

    /// Stores the last use of sessions and tokens, and ends the expired ones.
    pub async fn keep(&self) {
        if self.0.register.load().users.is_empty() && self.0.register.load().tokens.is_empty() {
            return;
        }
        let (now, wall) = (self.0.clock.now(), self.wall());
        let kept = self
            .change(|register| {
                register.sessions.retain(|_, session| {
                    let over = session.times().is_over(now);
                    if over {
                        session.ended.send_replace(true);
                    }
                    !over
                });
                for token in register.tokens.values().filter(|token| token.is_over(wall)) {
                    token.ended.send_replace(true);
                }
                Ok(())
            })
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, "state/access.json cannot be written");
        }
    }
}
