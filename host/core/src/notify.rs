//! Notifications out of records: which are sent to which recipient, when, and how often.
//!
//! ```text
//!   record ──▶ news ──▶ alert, in the group of its module ──▶ notification ──▶ queue of the target ──▶ Deliver
//!                            group: what is told together        delivered ◀──┴──▶ tried again, given up
//! ```
//! Each target has groups and a queue of its own, so that one that hangs is in
//! nobody's way. An alert is neither lost (the state is stored, with the number
//! of the last record that is in it) nor repeated a hundred times (see [`group`]).

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

use self::news::{Change, SEES_AGAIN, blind_checker, news};
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

/// What one target is told, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Of these modules only, and then nothing that concerns the node as a whole. `None`: of everything.
    pub modules: Option<BTreeSet<ModuleName>>,
    /// What is told.
    pub on: BTreeSet<Topic>,
    /// What happens within this time is told together; and so long all must be
    /// well before it is said to be over.
    pub group_wait: Duration,
    /// What comes again within this time is flapping: it is told once, and is
    /// over when it has not come for so long.
    pub calm: Duration,
    /// While it lasts, it is told again this often.
    pub repeat: Duration,
    /// A notification that could not be delivered for so long is given up.
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

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record was written. One that was taken in before changes nothing.
    Record(&'a Record),
    /// How everything is: what no record has ended, and is over all the same, ends.
    /// Only once all modules are loaded.
    Seen {
        /// The modules.
        snapshot: &'a Snapshot,
        /// Files that are not in force: `checkers/http.wasm`.
        refused: &'a BTreeSet<String>,
    },
    /// The target has taken what was under way.
    Delivered {
        /// Which target.
        target: &'a TargetName,
    },
    /// It has not.
    Failed {
        /// Which target.
        target: &'a TargetName,
        /// Why, in one sentence.
        why: String,
        /// The target asks to be left alone for so long.
        retry_after: Option<Duration>,
        /// Chance from outside, in 0..1: nodes do not try in step.
        jitter: f64,
    },
    /// Some of its recipients have it, and the others do not take it yet.
    Deferred {
        /// Which target.
        target: &'a TargetName,
        /// Why, in one sentence.
        why: String,
        /// Chance from outside, in 0..1: nodes do not try in step.
        jitter: f64,
    },
    /// Nothing: time has passed.
    Time,
}

/// What to do. The state is to be stored first: a notification that is sent
/// again after a crash must have the key that it had.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Hand this over. Answered by [`Event::Delivered`], [`Event::Failed`] or [`Event::Deferred`].
    Deliver {
        /// To whom.
        target: TargetName,
        /// What.
        notification: Box<Notification>,
    },
    /// A notification was given up.
    GaveUp {
        /// Whose.
        target: TargetName,
        /// What it would have said.
        title: String,
        /// What went wrong last.
        why: String,
    },
}

/// How things stand with one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Notifications that are to be delivered.
    pub waiting: usize,
    /// Of them, those that stand for others which had no room.
    pub merged: u64,
    /// Tries that failed since the last that did not.
    pub failing: u32,
    /// The next try, if it waits for one.
    pub next: Option<Moment>,
    /// When something was delivered last.
    pub delivered: Option<Moment>,
    /// When a try failed last, and why.
    pub failed: Option<(Moment, String)>,
    /// What was given up last, until something is delivered again.
    pub given_up: Option<String>,
}

/// All that must outlive the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last record that is in here.
    record: u64,
    /// Tells the keys of this state from those of one that was lost.
    origin: i64,
    /// Notifications that were made so far.
    serial: u64,
    targets: BTreeMap<TargetName, TargetState>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct TargetState {
    groups: Groups,
    queue: Queue,
}

impl State {
    /// Nothing is to be told. What was recorded up to `record` is history.
    pub fn new(record: u64, now: Moment) -> Self {
        Self { record, origin: now.as_micros(), serial: 0, targets: BTreeMap::new() }
    }

    /// The number of the last record that is in here.
    pub fn record(&self) -> u64 {
        self.record
    }

    /// A journal that was lost begins at lower numbers again.
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
    /// Goes on where the daemon before has ended. What is kept for targets that
    /// are no more is dropped.
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

    /// What must outlive the daemon.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How things stand.
    pub fn targets(&self) -> BTreeMap<&TargetName, Target> {
        self.state.targets.iter().map(|(name, target)| (name, target.queue.standing())).collect()
    }

    /// Takes in what happened, and says what to do.
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

    fn take_in(&mut self, module: Option<&ModuleName>, changes: &[Change], at: Moment) {
        let key = module.map_or("", ModuleName::as_str);
        for (name, policy) in &self.policies {
            let Some(target) = self.state.targets.get_mut(name) else { continue };
            for change in changes {
                if let Change::Begins { topic, about, summary } = change {
                    if policy.wants(module, *topic) {
                        let group = target.groups.entry(key.to_owned()).or_default();
                        group.begins((*topic, about), summary, (at, self.now), policy);
                    }
                } else if let Some(group) = target.groups.get_mut(key) {
                    match change {
                        Change::Ends { topic, about, why } => group.ends((*topic, about), why, at),
                        Change::AllEnds { why } => group.all_ends(why, at),
                        Change::Begins { .. } => {}
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

/// The notification that tells a batch.
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

/// Whether something that lasted is over, and why, as things are.
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
        Topic::Suspended if !module.wish.suspended => Some("automatic actions are enabled again"),
        _ => None,
    }
}
