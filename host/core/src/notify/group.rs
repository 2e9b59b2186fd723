//! The alerts of one module.
//!
//! ```text
//!            begins                 group-wait is over            all over, for group-wait
//!   (none) ─────────▶ Untold ────────────────────────▶ Begun ─────────────────────────────▶ Over ── calm ──▶ (none)
//!                       ▲                              │ ▲ │ repeat: told again                │
//!                       │                              └─┘ └─ again: nothing new is told       │
//!                       └───────────── again: told when calm has passed since it was told ─────┘
//! ```
//! An alert that occurs a third time before it was calm is flapping: it is over only when it has not recurred for
//! `calm`. So an alert that comes and goes all day is sent at its beginning, once more as flapping, and then as a
//! reminder; and each alert is sent at least once.

use serde::{Deserialize, Serialize};

use super::Policy;
use super::news::Topic;
use super::notification::{Item, ItemState, Standing};
use crate::moment::Moment;
use crate::text;

/// The maximum number of alerts in one group; further ones are counted.
const MAX_ALERTS: usize = 64;
/// The maximum length of a summary, in bytes.
const MAX_SUMMARY: usize = 500;
/// An alert that occurs this often before it was calm is flapping.
const FLAPS: u32 = 3;

/// One group of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// In the order in which they began.
    alerts: Vec<Alert>,
    /// The number of alerts that had no room.
    left_out: u32,
    /// When something was sent last.
    told: Option<Moment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Alert {
    topic: Topic,
    about: String,
    summary: String,
    since: Moment,
    /// When it ended, and why.
    until: Option<(Moment, String)>,
    /// How often it occurred since it was new.
    times: u32,
    flapping: bool,
    telling: Telling,
}

/// How much of an alert has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Telling {
    /// Nothing; it is due then.
    Untold(Moment),
    /// The beginning has been sent.
    Begun,
    /// The end has been sent.
    Over,
}

/// The content that a group has to send.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) standing: Standing,
    pub(super) reminder: bool,
    pub(super) items: Vec<Item>,
    pub(super) left_out: u32,
}

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    News,
    End,
    Reminder,
}

impl Group {
    /// An alert begins, or an event happens. `times`: when it did, and now.
    pub(super) fn begins(
        &mut self,
        (topic, about): (Topic, &str),
        summary: &str,
        (at, now): (Moment, Moment),
        policy: &Policy,
    ) {
        let until = if topic.lasts() { None } else { Some((at, String::new())) };
        let summary = one_line(summary);
        let due = now + policy.group_wait;
        if let Some(alert) = self.alerts.iter_mut().find(|alert| alert.is(topic, about)) {
            let again = alert.until.is_some();
            (alert.summary, alert.until) = (summary, until);
            alert.times = alert.times.saturating_add(1);
            alert.flapping |= again && alert.times >= FLAPS;
            if alert.telling == Telling::Over {
                let calm = self.told.map_or(due, |told| told + policy.calm);
                alert.telling = Telling::Untold(due.max(calm));
            }
            return;
        }
        if self.alerts.len() >= MAX_ALERTS {
            let told = self.alerts.iter().position(|alert| alert.telling == Telling::Over);
            let Some(told) = told else {
                self.left_out = self.left_out.saturating_add(1);
                return;
            };
            self.alerts.remove(told);
        }
        let about = about.to_owned();
        let telling = Telling::Untold(due);
        let (since, times, flapping) = (at, 1, false);
        self.alerts.push(Alert { topic, about, summary, since, until, times, flapping, telling });
    }

    /// An alert is over.
    pub(super) fn ends(&mut self, (topic, about): (Topic, &str), why: &str, at: Moment) {
        for alert in self.alerts.iter_mut().filter(|alert| alert.is(topic, about)) {
            alert.end(why, at);
        }
    }

    /// All alerts are over. Maintenance is not: a module that is stopped stays suspended.
    pub(super) fn all_ends(&mut self, why: &str, at: Moment) {
        let stays = |topic| matches!(topic, Topic::Suspended | Topic::Refused);
        for alert in self.alerts.iter_mut().filter(|alert| !stays(alert.topic)) {
            alert.end(why, at);
        }
    }

    /// The alerts that continue.
    pub(super) fn lasting(&self) -> Vec<(Topic, String)> {
        let lasting = self.alerts.iter().filter(|alert| alert.until.is_none());
        lasting.map(|alert| (alert.topic, alert.about.clone())).collect()
    }

    /// The content to send, now that this is due.
    pub(super) fn tell(&mut self, policy: &Policy, due: Due, now: Moment) -> Option<Told> {
        let over = due == Due::End;
        let open = self.alerts.iter_mut().filter(|alert| alert.telling != Telling::Over);
        let items: Vec<Item> = open
            .map(|alert| {
                let done = alert.until.is_some() && (over || !alert.flapping);
                alert.telling = if done { Telling::Over } else { Telling::Begun };
                alert.item(done)
            })
            .collect();
        if over && !policy.on.contains(&Topic::Recovered) {
            return None;
        }
        self.told = Some(now);
        let standing = Standing::of(&items);
        Some(Told { standing, reminder: due == Due::Reminder, items, left_out: self.left_out })
    }

    /// Whether the group can be dropped.
    pub(super) fn is_forgotten(&self, policy: &Policy, now: Moment) -> bool {
        self.forgotten(policy).is_some_and(|at| at <= now)
    }

    /// Time may have gone back while no daemon ran: nothing waits longer than it should.
    pub(super) fn resume(&mut self, policy: &Policy, now: Moment) {
        self.told = self.told.map(|told| told.min(now));
        for alert in &mut self.alerts {
            alert.since = alert.since.min(now);
            if let Some((until, _)) = &mut alert.until {
                *until = (*until).min(now);
            }
            if let Telling::Untold(due) = &mut alert.telling {
                *due = (*due).min(now + policy.group_wait.max(policy.calm));
            }
        }
    }

    /// What is due next, and when.
    pub(super) fn next(&self, policy: &Policy) -> Option<(Moment, Due)> {
        let untold = self.alerts.iter().filter_map(|alert| match alert.telling {
            Telling::Untold(due) => Some((due, Due::News)),
            Telling::Begun | Telling::Over => None,
        });
        let begun = self.alerts.iter().any(|alert| alert.telling == Telling::Begun);
        let end = self.over_since().map(|over| {
            let flapping = self.alerts.iter().any(|alert| alert.flapping);
            let wait = if flapping { policy.calm } else { policy.group_wait };
            (over + wait, Due::End)
        });
        let reminder = self.told.map(|told| (told + policy.repeat, Due::Reminder));
        untold.chain(end.into_iter().chain(reminder).filter(|_| begun)).min()
    }

    /// Since when no alert of the group continues; `None` if one does.
    fn over_since(&self) -> Option<Moment> {
        let untils = self.alerts.iter().map(|alert| alert.until.as_ref().map(|(at, _)| *at));
        untils.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// When the group can be dropped.
    pub(super) fn forgotten(&self, policy: &Policy) -> Option<Moment> {
        if self.alerts.iter().any(|alert| alert.telling != Telling::Over) {
            return None;
        }
        let over = self.over_since().unwrap_or_default();
        Some(over.max(self.told.unwrap_or_default()) + policy.calm)
    }
}

impl Alert {
    fn is(&self, topic: Topic, about: &str) -> bool {
        self.topic == topic && self.about == about
    }

    fn end(&mut self, why: &str, at: Moment) {
        if self.until.is_none() {
            self.until = Some((at, one_line(why)));
        }
    }

    fn item(&self, done: bool) -> Item {
        let state = match &self.until {
            _ if !self.topic.lasts() => ItemState::Happened,
            None => ItemState::Lasts,
            Some(_) if !done => ItemState::Flapping,
            Some(_) => ItemState::Over,
        };
        Item {
            module: None,
            topic: self.topic,
            about: self.about.clone(),
            state,
            summary: self.summary.clone(),
            since: self.since,
            until: self.until.clone().filter(|_| done && self.topic.lasts()),
            times: self.times,
        }
    }
}

/// The text is from outside: it is truncated, and is used in the subject of a mail.
fn one_line(text: &str) -> String {
    text::one_line(text, MAX_SUMMARY)
}
