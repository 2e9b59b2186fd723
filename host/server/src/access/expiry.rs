//! Sign-ins and tokens that end by themselves, and when they were used last.

use std::time::Duration;

use tokio::time::Instant;

use super::Access;

/// How old what is written of the use of sign-ins and tokens may be.
const KEEP: Duration = Duration::from_mins(1);
/// And how late one of them is ended at the most, when it is over.
const SHORTEST: Duration = Duration::from_millis(100);

impl Access {
    /// Looks once in a while which sign-ins have ended by themselves.
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

    /// How long it is until the next sign-in or token ends, unless it is used meanwhile.
    fn next_end(&self) -> Duration {
        let (register, now, wall) = (self.0.register.load(), self.0.clock.now(), self.wall());
        // What is over already could not be written down just now, and is tried again after the usual time.
        let sessions =
            register.sessions.values().map(|session| session.times()).filter(|times| !times.is_over(now));
        let sessions = sessions.map(|times| times.ends().since(now));
        let tokens = register.tokens.values().filter_map(|token| token.expires);
        let tokens = tokens
            .filter_map(|expires| u64::try_from(expires.saturating_sub(wall)).ok().filter(|left| *left > 0));
        let next = sessions.chain(tokens.map(Duration::from_micros)).min();
        next.map_or(KEEP, |next| next.clamp(SHORTEST, KEEP))
    }

    /// Writes down who used what last, and ends what is over.
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
