//! A notifier with one target, and the records that a test tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::command::{Command, CommandOutcome};
use crate::id::{CheckerName, ModuleName, TargetName};
use crate::moment::Moment;
use crate::notify::{Action, Event, Notification, Notifier, Policy, State, Topic};
use crate::observation::Status;
use crate::plan::Incident;
use crate::record::{FarmEvent, Record, RecordKind};
use crate::state::StateName;
use crate::verdict::Verdict;

pub(in crate::notify) fn at(seconds: u64) -> Moment {
    Moment::from_micros(1_700_000_000_000_000) + Duration::from_secs(seconds)
}

pub(in crate::notify) fn name(text: &str) -> TargetName {
    TargetName::new(text).unwrap()
}

pub(in crate::notify) fn policy(on: &[Topic]) -> Policy {
    Policy {
        modules: None,
        on: on.iter().copied().collect(),
        group_wait: Duration::from_secs(10),
        calm: Duration::from_secs(300),
        repeat: Duration::from_secs(4 * 3600),
        give_up: Duration::from_secs(24 * 3600),
    }
}

pub(super) fn down(checker: &str) -> RecordKind {
    let checker = CheckerName::new(checker).unwrap();
    let summary = "refused".to_owned();
    RecordKind::Incident { incident: Incident { at: at(0), checker, summary, observations: Vec::new() } }
}

pub(super) fn cannot_tell(checker: &str) -> RecordKind {
    let checker = CheckerName::new(checker).unwrap();
    RecordKind::CannotTell { checker, runs: 3, summary: "not granted".to_owned() }
}

pub(super) fn up(checker: &str) -> RecordKind {
    RecordKind::Verdict {
        checker: CheckerName::new(checker).unwrap(),
        from: Verdict::Down,
        to: Verdict::Up,
        status: Status::Pass,
        summary: "200 OK".to_owned(),
    }
}

pub(super) fn state(from: StateName, to: StateName) -> RecordKind {
    RecordKind::State { from, to, reason: format!("it is {to}") }
}

pub(super) fn does_not_start(wait: &str) -> RecordKind {
    let decision = format!("{} in {wait} (not counted)", crate::record::KEEP_TRYING);
    RecordKind::Decision { decision, reason: "exited with 1".to_owned() }
}

/// A record about another node.
pub(super) fn farm(event: FarmEvent, peer: &str) -> RecordKind {
    let message = match event {
        FarmEvent::NotHeard => format!("{peer} is not heard any more"),
        _ => format!("{peer}: {}", event.word()),
    };
    RecordKind::Farm { event, peer: peer.parse().ok(), message, by: None }
}

pub(super) fn said(command: Command) -> RecordKind {
    let outcome = CommandOutcome::Accepted("so be it".to_owned());
    RecordKind::Command { command, by: "root".to_owned(), outcome }
}

/// A notifier with one target that takes what it is given, unless it is broken.
pub(super) struct World {
    pub(super) notifier: Notifier,
    pub(super) now: Moment,
    pub(super) seq: u64,
    pub(super) broken: bool,
    /// What was tried, and whether it arrived.
    pub(super) tried: Vec<(Moment, Notification, bool)>,
    pub(super) given_up: Vec<String>,
}

impl World {
    pub(super) fn new(policy: Policy) -> Self {
        let policies = BTreeMap::from([(name("on-call"), policy)]);
        let notifier = Notifier::new("n1".parse().unwrap(), policies, State::new(0, at(0)), at(0));
        Self { notifier, now: at(0), seq: 0, broken: false, tried: Vec::new(), given_up: Vec::new() }
    }

    /// Something happens now.
    pub(super) fn happens(&mut self, module: &str, kind: RecordKind) {
        self.seq += 1;
        let module = ModuleName::new(module).ok();
        let record = Record { seq: self.seq, at: self.now, node: "n1".parse().unwrap(), module, kind };
        let actions = self.notifier.handle(Event::Record(&record), self.now);
        self.carry_out(actions);
    }

    /// Time passes, and what is due is done in between.
    pub(super) fn passes(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for _ in 0..100_000 {
            let Some(due) = self.notifier.next_deadline().filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            let actions = self.notifier.handle(Event::Time, self.now);
            self.carry_out(actions);
        }
        self.now = end;
    }

    /// The daemon is killed, and the next one goes on with what was stored.
    pub(super) fn crashes(&mut self) {
        let stored = serde_json::to_vec(self.notifier.state()).unwrap();
        let state = serde_json::from_slice(&stored).unwrap();
        let policies = self.notifier.policies.clone();
        self.notifier = Notifier::new("n1".parse().unwrap(), policies, state, self.now);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut actions = actions;
        for _ in 0..1000 {
            let mut more = Vec::new();
            for action in actions {
                match action {
                    Action::Deliver { target, notification } => {
                        self.tried.push((self.now, *notification, !self.broken));
                        let event = if self.broken {
                            let why = "refused".to_owned();
                            Event::Failed { target: &target, why, retry_after: None, jitter: 0.0 }
                        } else {
                            Event::Delivered { target: &target }
                        };
                        more.extend(self.notifier.handle(event, self.now));
                    }
                    Action::GaveUp { title, .. } => self.given_up.push(title),
                }
            }
            if more.is_empty() {
                return;
            }
            actions = more;
        }
        panic!("it never comes to rest");
    }

    pub(super) fn arrived(&self) -> impl Iterator<Item = (Moment, &Notification)> {
        self.tried.iter().filter(|(_, _, arrived)| *arrived).map(|(at, notification, _)| (*at, notification))
    }

    /// When each arrived, in seconds, with its first line.
    pub(super) fn said(&self) -> Vec<(u64, String)> {
        self.arrived()
            .map(|(when, told)| (when.since(at(0)).as_secs(), told.text().lines().next().unwrap().to_owned()))
            .collect()
    }
}

pub(super) fn said_at(seconds: u64, text: &str) -> (u64, String) {
    (seconds, text.to_owned())
}

pub(super) fn same_content_under_a_key(world: &World) {
    let mut known: BTreeMap<&str, &Notification> = BTreeMap::new();
    for (_, told, _) in &world.tried {
        assert_eq!(*known.entry(&told.key).or_insert(told), told);
    }
}
