//! What one target is still to be told.
//!
//! ```text
//!   push ──▶ waiting ──▶ under way ──▶ delivered
//!               ▲            │ failed: the target is left alone for a while, longer each time
//!               └────────────┴──▶ given up, after a day
//! ```
//! Those about the same modules become one, as long as the older one is not under
//! way; so what waits is bounded by the modules, and by [`MAX_WAITING`].

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::notification::Notification;
use super::{Policy, Target};
use crate::moment::Moment;

/// So many wait for one target. Of more, the oldest become one.
pub(super) const MAX_WAITING: usize = 100;
/// Before the second try.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The wait doubles with each try that fails, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A target that asks to be left alone is, for at most so long.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// One target's queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The key of what is under way. After a crash, nothing is.
    #[serde(skip)]
    under_way: Option<String>,
    /// Tries that failed in a row.
    failing: u32,
    /// Nothing is tried before.
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
}

impl Queue {
    /// Adds one. True if the oldest one changed that way and needs another key.
    pub(super) fn push(&mut self, mut notification: Notification, now: Moment) -> bool {
        // The latest first: what it says of a module is newer than what those before it say.
        loop {
            let same = |waiting: &Waiting| notification.is_about_the_same(&waiting.notification);
            let older = self.waiting.iter().rposition(|waiting| same(waiting) && !self.is_under_way(waiting));
            let Some(older) = older.and_then(|at| self.waiting.remove(at)) else { break };
            notification.takes_over(older.notification);
        }
        self.waiting.push_back(Waiting { notification, since: now, tried: false });
        self.waiting.len() > MAX_WAITING && self.merge_oldest()
    }

    fn merge_oldest(&mut self) -> bool {
        let free = |queue: &Self| queue.waiting.iter().position(|waiting| !queue.is_under_way(waiting));
        let Some(oldest) = free(self).and_then(|at| self.waiting.remove(at)) else { return false };
        let Some(next) = free(self).and_then(|at| self.waiting.get_mut(at)) else { return false };
        next.notification.more = next.notification.more.saturating_add(oldest.notification.more + 1);
        // What was sent under a key is not changed under it.
        std::mem::take(&mut next.tried)
    }

    /// The key of the one that [`Self::push`] changed.
    pub(super) fn renew(&mut self, key: String) {
        let free = self.waiting.iter().position(|waiting| !self.is_under_way(waiting));
        if let Some(oldest) = free.and_then(|at| self.waiting.get_mut(at)) {
            oldest.notification.key = key;
        }
    }

    /// What to deliver now, if it is time. It is under way from then on.
    pub(super) fn next(&mut self, now: Moment) -> Option<&Notification> {
        if self.under_way.is_some() || now < self.next {
            return None;
        }
        let first = self.waiting.front_mut()?;
        first.tried = true;
        self.under_way = Some(first.notification.key.clone());
        Some(&first.notification)
    }

    /// What was under way has arrived.
    pub(super) fn delivered(&mut self, now: Moment) {
        if self.take_under_way().is_some() {
            (self.failing, self.next, self.delivered, self.given_up) = (0, now, Some(now), None);
        }
    }

    /// It has not.
    pub(super) fn failed(&mut self, why: String, retry_after: Option<Duration>, jitter: f64, now: Moment) {
        let Some(waiting) = self.take_under_way() else { return };
        self.failing = self.failing.saturating_add(1);
        let doubled = FIRST_WAIT.saturating_mul(1 << (self.failing - 1).min(20)).min(LONGEST_WAIT);
        let own = doubled.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
        self.next = now + own.max(retry_after.unwrap_or_default().min(LONGEST_ASKED));
        self.failed = Some((now, why));
        let newer = self.waiting.iter_mut();
        let mut newer = newer.filter(|newer| newer.notification.is_about_the_same(&waiting.notification));
        match newer.next() {
            Some(newer) => newer.notification.takes_over(waiting.notification),
            // One that the target does not like does not keep the others.
            None => self.waiting.push_back(waiting),
        }
    }

    /// Takes out what has waited for too long: its title, and why it was not delivered.
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
        let next = (self.under_way.is_none() && !self.waiting.is_empty()).then_some(self.next);
        next.into_iter().chain(self.overdue(policy).map(|(_, due)| due)).min()
    }

    /// A new daemon tries at once.
    pub(super) fn resume(&mut self, now: Moment) {
        (self.next, self.failing, self.under_way) = (now, 0, None);
        for waiting in &mut self.waiting {
            waiting.since = waiting.since.min(now);
        }
    }

    pub(super) fn standing(&self) -> Target {
        Target {
            waiting: self.waiting.len(),
            merged: self.waiting.iter().map(|waiting| waiting.notification.more).sum(),
            failing: self.failing,
            next: (self.under_way.is_none() && !self.waiting.is_empty()).then_some(self.next),
            delivered: self.delivered,
            failed: self.failed.clone(),
            given_up: self.given_up.clone(),
        }
    }

    /// What is given up at which moment, if it still waits then. Only while the target fails:
    /// a daemon that was away for a day tries first.
    fn overdue(&self, policy: &Policy) -> impl Iterator<Item = (usize, Moment)> + use<'_> {
        let give_up = policy.give_up;
        let waiting = self.waiting.iter().enumerate();
        let free = waiting.filter(|(_, waiting)| self.failing > 0 && !self.is_under_way(waiting));
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
