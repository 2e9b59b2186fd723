//! Turns records into notifications: which are sent to which target, when, and how often.
//!
//! ```text
//!   record ──▶ news ──▶ alert, in the group of its module ──▶ notification ──▶ queue of the target ──▶ Deliver
//!                            group: what is told together        delivered ◀──┴──▶ tried again, given up
//! ```
//! Each target has its own groups and queue, so that a target that hangs delays no other. An alert is neither lost
//! (the state is stored, with the number of the last record that is included) nor repeated a hundred times (see
//! [`group`]).

mod group;
mod news;
mod notification;
mod queue;
#[cfg(test)]
mod tests;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::news::Topic;
pub use self::notification::{Item, ItemState, Notification, Standing};

use self::news::{AlertChange, SEES_AGAIN, blind_checker, news};
use self::notification::Contents;
pub use self::queue::MAX_WAITING;
use self::queue::Queue;
use self::together::{Batch, Groups};
use crate::id::{CheckerName, ModuleName, NodeName, TargetName};
use crate::moment::Moment;
use crate::record::Record;
use crate::snapshot::{ModuleView, Snapshot};
use crate::state::StateName;
use crate::verdict::Verdict;

/// Which notifications one target gets, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Only these modules, and then nothing that concerns the node as a whole. `None`: everything.
    pub modules: Option<BTreeSet<ModuleName>>,
    /// The topics of its notifications.
    pub on: BTreeSet<Topic>,
    /// Events within this time are combined; and a group must be clear for this long before it is reported as
    /// resolved.
    pub group_wait: Duration,
    /// An alert that recurs within this time is flapping: it is sent once more, and resolves only after staying
    /// clear for this long.
    pub calm: Duration,
    /// While it lasts, it is repeated at this interval.
    pub repeat: Duration,
    /// A notification that could not be delivered for this long is discarded.
    pub give_up: Duration,
}

impl Policy {
    fn wants(&self, module: Option<&ModuleName>, topic: Topic) -> bool {
        let here = match (&self.modules, module) {
            (None, _) => true,
            (Some(modules), Some(module)) => modules.contains(module),
            (Some(_), None) => false,
        };
        here && self.on.contains(&topic)
    }
}

/// An event for the notifier.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record was written. A record that was handled before has no effect.
    Record(&'a Record),
    /// The present state: an alert that no record has ended, but that is over, ends. Only once all modules are
    /// loaded.
    Seen {
        snapshot: &'a Snapshot,
        /// Files that are not active: `checkers/http.wasm`.
        refused: &'a BTreeSet<String>,
    },
    /// The target has accepted the notification in progress.
    Delivered { target: &'a TargetName },
    /// The delivery has failed.
    Failed {
        target: &'a TargetName,
        /// Why, in one sentence.
        why: String,
        /// The target asks for a pause of this length.
        retry_after: Option<Duration>,
        /// A random number in 0..1, so that nodes do not retry at the same time.
        jitter: f64,
    },
    /// Some of its recipients have it, and the others have deferred it.
    Deferred {
        target: &'a TargetName,
        /// Why, in one sentence.
        why: String,
        /// A random number in 0..1, so that nodes do not retry at the same time.
        jitter: f64,
    },
    /// Only time has passed.
    Time,
}

/// An action. The state has to be stored first: a notification that is sent again after a crash must have the same
/// key.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Deliver this. Answered by [`Event::Delivered`], [`Event::Failed`] or [`Event::Deferred`].
    Deliver { target: TargetName, notification: Box<Notification> },
    /// A notification was discarded.
    GaveUp {
        target: TargetName,
        /// The title of the notification.
        title: String,
        why: String,
    },
}

/// The state of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Notifications that are to be delivered.
    pub waiting: usize,
    /// The number of those that stand for others which had no room.
    pub merged: u64,
    /// Failed attempts since the last success.
    pub failing: u32,
    /// The next attempt, if it waits for one.
    pub next: Option<Moment>,
    /// The time of the last delivery.
    pub delivered: Option<Moment>,
    /// The time and reason of the last failure.
    pub failed: Option<(Moment, String)>,
    /// The last discarded notification, until something is delivered again.
    pub given_up: Option<String>,
}

/// The state that outlives the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last record that is included.
    record: u64,
    /// Distinguishes the keys of this state from those of a lost one.
    origin: i64,
    /// The number of notifications so far.
    serial: u64,
    targets: BTreeMap<TargetName, TargetState>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct TargetState {
    groups: Groups,
    queue: Queue,
}

impl State {
    /// There is nothing to report. Records up to `record` are history.
    pub fn new(record: u64, now: Moment) -> Self {
        Self { record, origin: now.as_micros(), serial: 0, targets: BTreeMap::new() }
    }

    /// The number of the last record that is included.
    pub fn record(&self) -> u64 {
        self.record
    }

    /// The journal was lost, so record numbers start again.
    pub fn not_behind(&mut self, last_record: u64) {
        self.record = self.record.min(last_record);
    }

    fn next_key(&mut self, node: &NodeName) -> String {
        self.serial += 1;
        format!("{node}-{:x}-{}", self.origin, self.serial)
    }
}

/// All targets of a node.
#[derive(Debug)]
pub struct Notifier {
    node: NodeName,
    policies: BTreeMap<TargetName, Policy>,
    state: State,
    now: Moment,
}

impl Notifier {
    /// Continues where the previous daemon ended. The state of targets that no longer exist is dropped.
    pub fn new(
        node: NodeName,
        policies: BTreeMap<TargetName, Policy>,
        mut state: State,
        now: Moment,
    ) -> Self {
        state.targets.retain(|name, _| policies.contains_key(name));
        for (name, policy) in &policies {
            let target = state.targets.entry(name.clone()).or_default();
            target.queue.resume(now);
            for group in target.groups.values_mut() {
                group.resume(policy, now);
            }
        }
        Self { node, policies, state, now }
    }

    /// The state that must outlive the daemon.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The state of each target.
    pub fn targets(&self) -> BTreeMap<&TargetName, Target> {
        self.state.targets.iter().map(|(name, target)| (name, target.queue.standing())).collect()
    }

    /// Handles an event, and returns the actions.
    pub fn handle(&mut self, event: Event<'_>, now: Moment) -> Vec<Action> {
        self.now = self.now.max(now);
        let now = self.now;
        match event {
            Event::Record(record) if record.seq <= self.state.record => return Vec::new(),
            Event::Record(record) => {
                self.state.record = record.seq;
                self.take_in(record.module.as_ref(), &news(record), record.at.min(now));
            }
            Event::Seen { snapshot, refused } => self.look(snapshot, refused),
            Event::Delivered { target } => {
                if let Some(target) = self.state.targets.get_mut(target) {
                    target.queue.delivered(now);
                }
            }
            Event::Failed { target, why, retry_after, jitter } => {
                if let Some(target) = self.state.targets.get_mut(target) {
                    target.queue.failed(why, retry_after, jitter, now);
                }
            }
            Event::Deferred { target, why, jitter } => {
                if let Some(target) = self.state.targets.get_mut(target) {
                    target.queue.deferred(why, jitter, now);
                }
            }
            Event::Time => {}
        }
        self.advance()
    }

    /// When to call again at the latest, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        let due = |(name, policy): (&TargetName, &Policy)| {
            let target = self.state.targets.get(name)?;
            together::due(&target.groups, policy).into_iter().chain(target.queue.due(policy)).min()
        };
        self.policies.iter().filter_map(due).min()
    }

    fn take_in(&mut self, module: Option<&ModuleName>, changes: &[AlertChange], at: Moment) {
        let key = module.map_or("", ModuleName::as_str);
        for (name, policy) in &self.policies {
            let Some(target) = self.state.targets.get_mut(name) else { continue };
            for change in changes {
                if let AlertChange::Begins { topic, about, summary } = change {
                    if policy.wants(module, *topic) {
                        let group = target.groups.entry(key.to_owned()).or_default();
                        group.begins((*topic, about), summary, (at, self.now), policy);
                    }
                } else if let Some(group) = target.groups.get_mut(key) {
                    match change {
                        AlertChange::Ends { topic, about, why } => group.ends((*topic, about), why, at),
                        AlertChange::AllEnds { why } => group.all_ends(why, at),
                        AlertChange::Begins { .. } => {}
                    }
                }
            }
        }
    }

    fn look(&mut self, snapshot: &Snapshot, refused: &BTreeSet<String>) {
        let now = self.now;
        for target in self.state.targets.values_mut() {
            for (key, group) in &mut target.groups {
                let module = snapshot.module(key);
                for (topic, about) in group.lasting() {
                    if let Some(why) = over(key, module, topic, &about, refused) {
                        group.ends((topic, &about), why, now);
                    }
                }
            }
        }
    }

    /// Does what is due, for every target.
    fn advance(&mut self) -> Vec<Action> {
        let now = self.now;
        let mut actions = Vec::new();
        for (name, policy) in &self.policies {
            let Some(mut target) = self.state.targets.remove(name) else { continue };
            for batch in together::tell(&mut target.groups, policy, now) {
                let key = self.state.next_key(&self.node);
                let notification = compose(key, &self.node, name, batch, now);
                if target.queue.push(notification, now) {
                    let renewed = self.state.next_key(&self.node);
                    target.queue.renew(renewed);
                }
            }
            target.groups.retain(|_, group| !group.is_forgotten(policy, now));
            for (title, why) in target.queue.give_up(policy, now) {
                actions.push(Action::GaveUp { target: name.clone(), title, why });
            }
            if let Some(notification) = target.queue.next(now) {
                let notification = Box::new(notification.clone());
                actions.push(Action::Deliver { target: name.clone(), notification });
            }
            self.state.targets.insert(name.clone(), target);
        }
        actions
    }
}

/// The notification for a batch.
fn compose(key: String, node: &NodeName, target: &TargetName, batch: Batch, at: Moment) -> Notification {
    let mut all = Vec::new();
    let (mut left_out, mut reminder) = (0_u32, true);
    for (module, told) in batch {
        let module = ModuleName::new(&module).ok();
        all.extend(told.items.into_iter().map(|item| Item { module: module.clone(), ..item }));
        left_out = left_out.saturating_add(told.left_out);
        reminder &= told.reminder;
    }
    let (node, target) = (node.clone(), target.clone());
    Notification::new(key, node, target, Contents { items: all, left_out, reminder }, at)
}

/// Whether an alert is over, and why, given the present state.
fn over(
    key: &str,
    module: Option<&ModuleView>,
    topic: Topic,
    about: &str,
    refused: &BTreeSet<String>,
) -> Option<&'static str> {
    if matches!(topic, Topic::Refused | Topic::Quarantine | Topic::Approval) {
        return (!refused.contains(about)).then_some("the file is active, or removed");
    }
    if key.is_empty() {
        return None;
    }
    let Some(module) = module else { return Some("the module is not active any more") };
    match topic {
        Topic::Incident => {
            let blind = blind_checker(about);
            let name = blind.unwrap_or(about);
            let checker = CheckerName::new(name).ok().and_then(|name| module.checkers.get(&name));
            match checker {
                None => Some("the module has no such checker any more"),
                Some(checker) if checker.verdict == Verdict::Up => Some("it is up"),
                Some(checker) if blind.is_some() && checker.verdict == Verdict::Down => Some(SEES_AGAIN),
                Some(_) if module.state == StateName::Stopped => Some("the module is stopped"),
                Some(_) => None,
            }
        }
        Topic::Failed if matches!(module.state, StateName::Up | StateName::Stopped) => {
            Some("the module has not failed any more")
        }
        Topic::Waiting if module.state != StateName::Waiting => Some("the module waits no more"),
        Topic::Suspended if !module.desired.suspended => Some("automatic actions are enabled again"),
        _ => None,
    }
}
