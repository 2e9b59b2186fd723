//! The queue of one target.
//!
//! ```text
//!   push ──▶ waiting ──▶ under way ──▶ delivered
//!               ▲            │ failed: the target is left alone for a while, longer each time
//!               └────────────┴──▶ given up, after a day
//! ```
//! A notification that some recipients have received and others have deferred is retried separately: the target
//! works, and the notifications behind it are delivered in the meantime.
//!
//! Notifications about the same modules are merged, as long as the older one is not being delivered; so the length
//! of the queue is bounded by the number of modules, and by [`MAX_WAITING`].

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notification::Notification;
use super::{Policy, Target};
use crate::moment::Moment;

/// The maximum number of notifications for one target. If there are more, the oldest are merged.
pub const MAX_WAITING: usize = 100;
/// The delay before the second attempt.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The delay doubles with each failed attempt, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The maximum pause that a target can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The queue of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The key of the notification that is being delivered. After a crash there is none.
    #[serde(skip)]
    under_way: Option<String>,
    /// The number of failed attempts in a row.
    failing: u32,
    /// Nothing is attempted before this time.
    next: Moment,
    delivered: Option<Moment>,
    failed: Option<(Moment, String)>,
    given_up: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    notification: Notification,
    since: Moment,
    tried: bool,
    /// The number of attempts in a row that some recipients deferred.
    #[serde(default)]
    deferred: u32,
    /// It is not attempted before this time.
    #[serde(default)]
    not_before: Moment,
}

impl Queue {
    /// Adds one. True if this changed the oldest one, which needs another key then.
    pub(super) fn push(&mut self, mut notification: Notification, now: Moment) -> bool {
        // The latest first: its items of a module are newer than those before it.
        loop {
            let same = |waiting: &Waiting| notification.is_about_the_same(&waiting.notification);
            let older = self.waiting.iter().rposition(|waiting| same(waiting) && !self.is_under_way(waiting));
            let Some(older) = older.and_then(|at| self.waiting.remove(at)) else { break };
            notification.takes_over(older.notification);
        }
        let (tried, deferred, not_before) = (false, 0, now);
        self.waiting.push_back(Waiting { notification, since: now, tried, deferred, not_before });
        self.waiting.len() > MAX_WAITING && self.merge_oldest()
    }

    fn merge_oldest(&mut self) -> bool {
        let free = |queue: &Self| queue.waiting.iter().position(|waiting| !queue.is_under_way(waiting));
        let Some(oldest) = free(self).and_then(|at| self.waiting.remove(at)) else { return false };
        let Some(next) = free(self).and_then(|at| self.waiting.get_mut(at)) else { return false };
        next.notification.more = next.notification.more.saturating_add(oldest.notification.more + 1);
        // A notification that was sent with a key is not changed.
        std::mem::take(&mut next.tried)
    }

    /// The key of the notification that [`Self::push`] changed.
    pub(super) fn renew(&mut self, key: String) {
        let free = self.waiting.iter().position(|waiting| !self.is_under_way(waiting));
        if let Some(oldest) = free.and_then(|at| self.waiting.get_mut(at)) {
            oldest.notification.key = key;
        }
    }

    /// What to deliver now, if it is time. Marks it as being delivered.
    pub(super) fn next(&mut self, now: Moment) -> Option<&Notification> {
        if self.under_way.is_some() || now < self.next {
            return None;
        }
        let first = self.waiting.iter_mut().find(|waiting| waiting.not_before <= now)?;
        first.tried = true;
        self.under_way = Some(first.notification.key.clone());
        Some(&first.notification)
    }

    /// The notification has been delivered.
    pub(super) fn delivered(&mut self, now: Moment) {
        if self.take_under_way().is_some() {
            (self.failing, self.next, self.delivered, self.given_up) = (0, now, Some(now), None);
        }
    }

    /// The attempt to deliver it has failed.
    pub(super) fn failed(&mut self, why: String, retry_after: Option<Duration>, jitter: f64, now: Moment) {
        let Some(waiting) = self.take_under_way() else { return };
        self.failing = self.failing.saturating_add(1);
        self.next = now + wait(self.failing, jitter).max(retry_after.unwrap_or_default().min(LONGEST_ASKED));
        self.failed = Some((now, why));
        self.put_back(waiting);
    }

    /// Some recipients have it, and the others have deferred it.
    pub(super) fn deferred(&mut self, why: String, jitter: f64, now: Moment) {
        let Some(mut waiting) = self.take_under_way() else { return };
        waiting.deferred = waiting.deferred.saturating_add(1);
        waiting.not_before = now + wait(waiting.deferred, jitter);
        (self.failing, self.next, self.failed) = (0, now, Some((now, why)));
        self.put_back(waiting);
    }

    fn put_back(&mut self, mut waiting: Waiting) {
        let is_same = |newer: &Waiting| newer.notification.is_about_the_same(&waiting.notification);
        let Some(first) = self.waiting.iter().position(is_same) else {
            // A notification that the target rejects does not delay the others.
            return self.waiting.push_back(waiting);
        };
        for newer in self.waiting.iter().skip(first + 1) {
            waiting.notification.leave_to(&newer.notification);
        }
        if let Some(newer) = self.waiting.get_mut(first) {
            newer.notification.takes_over(waiting.notification);
        }
    }

    /// Removes those that have waited for too long: the title, and the reason.
    pub(super) fn give_up(&mut self, policy: &Policy, now: Moment) -> Vec<(String, String)> {
        let mut given_up = Vec::new();
        loop {
            let overdue = self.overdue(policy).find(|(_, due)| *due <= now);
            let Some(waiting) = overdue.and_then(|(at, _)| self.waiting.remove(at)) else { break };
            let title = waiting.notification.title();
            let why = self.failed.as_ref().map_or_else(String::new, |(_, why)| why.clone());
            self.given_up = Some(title.clone());
            given_up.push((title, why));
        }
        given_up
    }

    /// When there is something to do.
    pub(super) fn due(&self, policy: &Policy) -> Option<Moment> {
        self.next_try().into_iter().chain(self.overdue(policy).map(|(_, due)| due)).min()
    }

    /// When the next one is attempted; `None` while one is being delivered, or if none is waiting.
    fn next_try(&self) -> Option<Moment> {
        let first = self.waiting.iter().map(|waiting| waiting.not_before).min()?;
        self.under_way.is_none().then(|| first.max(self.next))
    }

    /// A new daemon attempts immediately.
    pub(super) fn resume(&mut self, now: Moment) {
        (self.next, self.failing, self.under_way) = (now, 0, None);
        for waiting in &mut self.waiting {
            waiting.since = waiting.since.min(now);
            (waiting.deferred, waiting.not_before) = (0, now);
        }
    }

    pub(super) fn standing(&self) -> Target {
        Target {
            waiting: self.waiting.len(),
            merged: self.waiting.iter().map(|waiting| waiting.notification.more).sum(),
            failing: self.failing,
            next: self.next_try(),
            delivered: self.delivered,
            failed: self.failed.clone(),
            given_up: self.given_up.clone(),
        }
    }

    /// What is discarded at which moment, if it still waits then. Only while the target fails, or some recipients
    /// do: a daemon that was not running for a day makes an attempt first.
    fn overdue(&self, policy: &Policy) -> impl Iterator<Item = (usize, Moment)> + use<'_> {
        let give_up = policy.give_up;
        let waiting = self.waiting.iter().enumerate();
        let fails = self.failing > 0;
        let free = waiting
            .filter(move |(_, waiting)| (fails || waiting.deferred > 0) && !self.is_under_way(waiting));
        free.map(move |(at, waiting)| (at, waiting.since + give_up))
    }

    fn is_under_way(&self, waiting: &Waiting) -> bool {
        self.under_way.as_deref() == Some(waiting.notification.key.as_str())
    }

    fn take_under_way(&mut self) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| self.is_under_way(waiting));
        self.under_way = None;
        self.waiting.remove(at?)
    }
}

/// The delay after this many failed attempts in a row.
fn wait(failed: u32, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(LONGEST_WAIT);
    doubled.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ModuleName;
    use crate::notify::tests::world::{at, name, policy};

    fn about(key: &str, module: &str) -> Notification {
        let node = "n1".parse().unwrap();
        let mut told = Notification::test(key.to_owned(), node, name("mail"), "root", at(0));
        told.module = ModuleName::new(module).ok();
        told
    }

    #[test]
    fn what_some_recipients_do_not_take_yet_delays_nothing_else() {
        let mut queue = Queue::default();
        queue.push(about("1", "web"), at(0));
        assert_eq!(queue.next(at(0)).unwrap().key, "1");
        queue.deferred("try again later".to_owned(), 0.0, at(0));
        queue.push(about("2", "db"), at(0));
        assert_eq!(queue.next(at(0)).unwrap().key, "2");
        queue.delivered(at(0));
        let standing = queue.standing();
        assert_eq!((standing.failing, standing.waiting, standing.next), (0, 1, Some(at(1))));
        assert_eq!(queue.next(at(0)), None);
        // It is attempted again with the same key, with increasing delays.
        assert_eq!(queue.next(at(1)).unwrap().key, "1");
        queue.deferred("try again later".to_owned(), 0.0, at(1));
        assert_eq!(queue.standing().next, Some(at(3)));
        let policy = policy(&[]);
        let end = at(0) + policy.give_up;
        assert_eq!(queue.give_up(&policy, end).len(), 1, "and not for ever");
        assert_eq!(queue.standing().waiting, 0);
    }

    #[test]
    fn what_a_later_notification_tells_is_not_told_by_an_earlier_one() {
        let mut queue = Queue::default();
        let mut both = about("1", "web");
        both.module = None;
        let item = both.items.remove(0);
        both.items = ["web", "db"]
            .map(|module| crate::notify::Item { module: ModuleName::new(module).ok(), ..item.clone() })
            .to_vec();
        queue.push(both, at(0));
        queue.next(at(0));
        queue.push(about("2", "web"), at(0));
        queue.push(about("3", "db"), at(0));
        queue.failed("refused".to_owned(), None, 0.0, at(0));
        let first = queue.next(at(1)).unwrap();
        assert_eq!((first.key.as_str(), first.items.len()), ("2", 1));
        queue.delivered(at(1));
        assert_eq!(queue.next(at(1)).unwrap().key, "3");
    }
}
