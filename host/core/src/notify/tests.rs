//! Which notifications are sent, and when: examples, and invariants.

mod laws;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::command::{Command, CommandOutcome};
use crate::id::CheckerName;
use crate::observation::Status;
use crate::plan::Incident;
use crate::record::RecordKind;

pub(super) fn at(seconds: u64) -> Moment {
    Moment::from_micros(1_700_000_000_000_000) + Duration::from_secs(seconds)
}

pub(super) fn name(text: &str) -> TargetName {
    TargetName::new(text).unwrap()
}

pub(super) fn policy(on: &[Topic]) -> Policy {
    Policy {
        modules: None,
        on: on.iter().copied().collect(),
        group_wait: Duration::from_secs(10),
        calm: Duration::from_secs(300),
        repeat: Duration::from_secs(4 * 3600),
        give_up: Duration::from_secs(24 * 3600),
    }
}

fn down(checker: &str) -> RecordKind {
    let checker = CheckerName::new(checker).unwrap();
    let summary = "refused".to_owned();
    RecordKind::Incident { incident: Incident { at: at(0), checker, summary, observations: Vec::new() } }
}

fn cannot_tell(checker: &str) -> RecordKind {
    let checker = CheckerName::new(checker).unwrap();
    RecordKind::CannotTell { checker, runs: 3, summary: "not granted".to_owned() }
}

fn up(checker: &str) -> RecordKind {
    RecordKind::Verdict {
        checker: CheckerName::new(checker).unwrap(),
        from: Verdict::Down,
        to: Verdict::Up,
        status: Status::Pass,
        summary: "200 OK".to_owned(),
    }
}

fn state(from: StateName, to: StateName) -> RecordKind {
    RecordKind::State { from, to, reason: format!("it is {to}") }
}

fn does_not_start(wait: &str) -> RecordKind {
    let decision = format!("{} in {wait} (not counted)", crate::record::KEEP_TRYING);
    RecordKind::Decision { decision, reason: "exited with 1".to_owned() }
}

fn said(command: Command) -> RecordKind {
    let outcome = CommandOutcome::Accepted("so be it".to_owned());
    RecordKind::Command { command, by: "root".to_owned(), outcome }
}

/// A notifier with one target that accepts everything, unless it is broken.
pub(super) struct World {
    pub(super) notifier: Notifier,
    pub(super) now: Moment,
    seq: u64,
    pub(super) broken: bool,
    /// All attempts, and whether they succeeded.
    pub(super) tried: Vec<(Moment, Notification, bool)>,
    pub(super) given_up: Vec<String>,
}

impl World {
    pub(super) fn new(policy: Policy) -> Self {
        let policies = BTreeMap::from([(name("on-call"), policy)]);
        let notifier = Notifier::new("n1".parse().unwrap(), policies, State::new(0, at(0)), at(0));
        Self { notifier, now: at(0), seq: 0, broken: false, tried: Vec::new(), given_up: Vec::new() }
    }

    /// Writes a record now.
    pub(super) fn happens(&mut self, module: &str, kind: RecordKind) {
        self.seq += 1;
        let module = ModuleName::new(module).ok();
        let record = Record { seq: self.seq, at: self.now, node: "n1".parse().unwrap(), module, kind };
        let actions = self.notifier.handle(Event::Record(&record), self.now);
        self.carry_out(actions);
    }

    /// Time passes, and everything that becomes due is done.
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

    /// The daemon is killed, and the next one continues with the stored state.
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

    /// The arrival of each, in seconds, with its first line.
    fn said(&self) -> Vec<(u64, String)> {
        self.arrived()
            .map(|(when, told)| (when.since(at(0)).as_secs(), told.text().lines().next().unwrap().to_owned()))
            .collect()
    }
}

fn said_at(seconds: u64, text: &str) -> (u64, String) {
    (seconds, text.to_owned())
}

#[test]
fn a_checker_that_cannot_tell_is_told_like_one_that_is_down_and_is_over_when_it_is_up() {
    let mut world = World::new(policy(&[Topic::Incident, Topic::Recovered]));
    world.happens("web", cannot_tell("page"));
    world.passes(20);
    let titles = |world: &World| world.arrived().map(|(_, told)| told.title()).collect::<Vec<_>>();
    assert_eq!(
        titles(&world),
        ["web on n1: checker `page` cannot tell: its last 3 runs were unknown: not granted"]
    );
    world.passes(60);
    assert_eq!(titles(&world).len(), 1, "it is no news that it goes on");
    world.happens("web", up("page"));
    world.passes(60);
    assert_eq!(titles(&world)[1], "web on n1: recovered");
}

#[test]
fn an_outage_is_told_although_the_checker_could_not_tell_before() {
    let mut world = World::new(policy(&[Topic::Incident, Topic::Recovered]));
    world.happens("web", cannot_tell("page"));
    world.passes(60);
    world.happens("web", down("page"));
    world.passes(60);
    let titles: Vec<_> = world.arrived().map(|(_, told)| told.title()).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].contains("cannot tell"), "{titles:?}");
    assert!(titles[1].contains("checker `page` is down: refused"), "{titles:?}");
    world.happens("web", up("page"));
    world.passes(60);
    let titles: Vec<_> = world.arrived().map(|(_, told)| told.title()).collect();
    assert_eq!(titles[2..], ["web on n1: recovered"], "both are over");
}

#[test]
fn what_happens_together_is_told_together_and_its_end_once() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.passes(4);
    world.happens("web", down("process"));
    world.happens("web", state(StateName::Up, StateName::Failed));
    world.passes(60);
    world.happens("web", up("home"));
    world.happens("web", up("process"));
    world.passes(5);
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(1000);
    let told = [
        said_at(10, "[FIRING] web on n1: it is failed (and 2 more)"),
        said_at(79, "[RESOLVED] web on n1: recovered"),
    ];
    assert_eq!(world.said(), told);
    let text = world.arrived().nth(1).unwrap().1.text();
    assert!(text.contains("- failed: it is failed (over after 1m 5s: it is up again)"), "{text}");
}

#[test]
fn what_happens_to_many_modules_at_once_is_told_once_and_their_end_too() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    for module in 0..20 {
        world.happens(&format!("m{module:02}"), down("home"));
        if module % 5 == 0 {
            world.passes(1);
        }
    }
    world.happens("m07", state(StateName::Up, StateName::Failed));
    world.passes(60);
    assert_eq!(world.said(), [said_at(10, "[FIRING] 20 modules on n1: m07: it is failed (and 20 more)")]);
    let told = world.arrived().next().unwrap().1.clone();
    assert!(told.module.is_none() && told.modules().len() == 20 && told.items.len() == 21, "{told:?}");
    assert!(
        told.text().contains("\n- m19: incident: checker `home` is down: refused (for "),
        "{}",
        told.text()
    );
    // Recovered within half a minute: each within twice the delay.
    for module in 0..20 {
        world.happens(&format!("m{module:02}"), up("home"));
        world.happens(&format!("m{module:02}"), state(StateName::Starting, StateName::Up));
        world.passes(1);
    }
    world.passes(60);
    let said = world.said();
    assert_eq!(said[1..].iter().map(|(when, _)| *when).collect::<Vec<_>>(), [84, 93], "{said:?}");
    assert_eq!(said[1].1, "[RESOLVED] 11 modules on n1: recovered: m00, m01, m02, m03, m04 and 6 more");
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn one_module_that_lasts_keeps_no_other_one_from_being_told_and_the_node_stands_for_itself() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", down("home"));
    world.happens("", RecordKind::Daemon { message: "something is damaged".into() });
    world.happens("db", down("home"));
    world.passes(20);
    world.happens("db", up("home"));
    world.passes(20);
    world.happens("cache", said(Command::Suspend));
    world.passes(20);
    let mut said = world.said();
    said.sort();
    let told = [
        said_at(10, "[FIRING] 2 modules on n1: db: checker `home` is down: refused (and 1 more)"),
        said_at(10, "[HAPPENED] n1: something is damaged"),
        said_at(30, "[RESOLVED] db on n1: recovered"),
        said_at(50, "[FIRING] cache on n1: root has suspended it: no automatic action is taken"),
    ];
    assert_eq!(said, told);
}

#[test]
fn what_waits_about_several_modules_is_not_said_to_be_over_by_news_of_one_of_them() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.happens("db", down("home"));
    world.passes(60);
    world.happens("web", up("home"));
    world.passes(60);
    world.broken = false;
    world.passes(600);
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].1, "[FIRING] 2 modules on n1: db: checker `home` is down: refused");
    let told = world.arrived().next().unwrap().1;
    let web =
        told.items.iter().find(|item| item.module.as_ref().is_some_and(|module| module.as_str() == "web"));
    assert_eq!(web.unwrap().state, ItemState::Over);
    same_content_under_a_key(&world);
}

#[test]
fn the_worst_of_what_lasts_is_the_title() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", said(Command::Suspend));
    world.happens("web", down("home"));
    world.happens("web", state(StateName::Up, StateName::Waiting));
    world.happens("web", state(StateName::Waiting, StateName::Restarting));
    world.passes(10);
    world.happens("web", state(StateName::Restarting, StateName::Failed));
    world.passes(10);
    let titles: Vec<String> = world.said().into_iter().map(|(_, title)| title).collect();
    assert!(titles[0].contains("checker `home` is down"), "{titles:?}");
    assert!(titles[1].contains("it is failed (and 2 more)"), "{titles:?}");
}

#[test]
fn what_was_over_before_it_was_told_is_told_all_the_same_and_once() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.passes(3);
    world.happens("web", up("home"));
    world.passes(1000);
    assert_eq!(world.said(), [said_at(10, "[RESOLVED] web on n1: recovered")]);
    assert_eq!(world.notifier.next_deadline(), None, "it is forgotten");
}

#[test]
fn flapping_is_told_once_more_then_as_a_reminder_and_its_end_when_it_is_calm() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    // Every 30 seconds, for five hours.
    for _ in 0..600 {
        world.happens("web", down("home"));
        world.passes(15);
        world.happens("web", up("home"));
        world.passes(15);
    }
    world.passes(1000);
    let told = [
        said_at(10, "[FIRING] web on n1: checker `home` is down: refused"),
        said_at(25, "[RESOLVED] web on n1: recovered"),
        said_at(325, "[FIRING] web on n1: it is flapping"),
        said_at(325 + 4 * 3600, "[FIRING] web on n1: still: it is flapping"),
        said_at(18_000 - 15 + 300, "[RESOLVED] web on n1: recovered"),
    ];
    assert_eq!(world.said(), told);
    assert!(world.arrived().nth(4).unwrap().1.text().contains("600 times"));
}

#[test]
fn what_comes_again_before_it_was_well_for_the_wait_is_not_told_as_over() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    for _ in 0..900 {
        world.happens("web", down("home"));
        world.passes(12);
        world.happens("web", up("home"));
        world.passes(8);
    }
    world.passes(1000);
    assert_eq!(world.said().len(), 3, "its beginning, a reminder, its end: {:#?}", world.said());
}

#[test]
fn while_it_lasts_it_is_told_again_now_and_then() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", state(StateName::Restarting, StateName::Failed));
    world.passes(9 * 3600);
    let told = [
        said_at(10, "[FIRING] web on n1: it is failed"),
        said_at(10 + 4 * 3600, "[FIRING] web on n1: still: it is failed"),
        said_at(10 + 8 * 3600, "[FIRING] web on n1: still: it is failed"),
    ];
    assert_eq!(world.said(), told);
}

#[test]
fn a_stop_ends_what_lasted_but_not_maintenance() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", down("home"));
    world.happens("web", said(Command::Suspend));
    world.passes(20);
    world.happens("web", state(StateName::Stopping, StateName::Stopped));
    world.passes(20);
    let notifier = &world.notifier;
    let group = &notifier.state.targets[&name("on-call")].groups["web"];
    assert_eq!(group.lasting(), [(Topic::Suspended, String::new())]);
    world.happens("web", said(Command::Resume));
    world.passes(4 * 3600);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED]"), "{:#?}", world.said());
}

#[test]
fn a_suspension_that_ends_by_itself_is_told_as_over() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("web", said(Command::Suspend));
    world.passes(20);
    let decision = crate::record::ACT_AGAIN.to_owned();
    let reason = "the time of the suspension is over".to_owned();
    world.happens("web", RecordKind::Decision { decision, reason });
    world.passes(4 * 3600);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED]"), "{:#?}", world.said());
}

#[test]
fn only_what_is_asked_for_is_told() {
    let only_failed =
        Policy { modules: Some(BTreeSet::from(["web".parse().unwrap()])), ..policy(&[Topic::Failed]) };
    let mut world = World::new(only_failed);
    for module in ["db", "web", ""] {
        world.happens(module, down("home"));
        world.happens(module, RecordKind::Daemon { message: "started".into() });
        world.happens(module, state(StateName::Up, StateName::Failed));
    }
    world.passes(60);
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(1000);
    assert_eq!(world.said(), [said_at(10, "[FIRING] web on n1: it is failed")], "no `recovered`, no end");
}

#[test]
fn a_broken_target_is_tried_less_and_less_often_and_told_the_latest_then() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.passes(3600);
    let tries: Vec<u64> = world.tried.iter().map(|(when, ..)| when.since(at(10)).as_secs()).collect();
    assert_eq!(tries[..10], [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
    assert!(tries.len() < 25, "{tries:?}");
    let keys: BTreeSet<&str> = world.tried.iter().map(|(_, told, _)| told.key.as_str()).collect();
    assert_eq!(keys.len(), 1, "the same is sent under the same key");
    world.happens("web", up("home"));
    world.passes(60);
    world.broken = false;
    world.passes(600);
    let said = world.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.starts_with("[RESOLVED]"), "{said:?}");
    assert!(world.arrived().next().unwrap().1.text().contains("incident: checker `home` is down"));
}

#[test]
fn a_target_that_asks_to_be_left_alone_is() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", down("home"));
    world.passes(10);
    assert_eq!(world.tried.len(), 1);
    let target = name("on-call");
    world.passes(1);
    let mut world_queue = world.notifier.state.targets[&target].queue.clone();
    world_queue.next(world.now + Duration::from_secs(400));
    world_queue.failed("429".into(), Some(Duration::from_secs(120)), 0.5, world.now);
    assert_eq!(world_queue.standing().next, Some(world.now + Duration::from_secs(120)));
    world_queue.next(world.now + Duration::from_secs(400));
    world_queue.failed("429".into(), Some(Duration::from_secs(1_000_000)), 0.5, world.now);
    assert_eq!(world_queue.standing().next, Some(world.now + Duration::from_secs(3600)), "within reason");
}

#[test]
fn after_a_day_it_is_given_up_and_said_so_until_something_arrives() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    world.happens("web", said(Command::Stop));
    world.happens("web", down("home"));
    world.passes(10);
    world.happens("web", up("home"));
    world.passes(30 * 3600);
    assert_eq!(world.given_up, ["web on n1: recovered"]);
    let standing = |world: &World| world.notifier.targets().into_values().next().unwrap();
    assert_eq!(standing(&world).given_up.as_deref(), Some("web on n1: recovered"));
    assert_eq!(standing(&world).waiting, 0);
    world.broken = false;
    world.happens("web", down("home"));
    world.passes(400);
    assert_eq!(standing(&world).given_up, None);
    assert_eq!(world.said().len(), 1, "{:?}", world.said());
}

#[test]
fn when_too_many_wait_the_oldest_become_one_that_says_how_many() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.broken = true;
    for module in 0..250 {
        world.happens(&format!("m{module}"), down("home"));
        // Longer than the time in which events are combined.
        world.passes(30);
    }
    world.passes(60);
    let standing = world.notifier.targets().into_values().next().unwrap();
    assert_eq!((standing.waiting, standing.merged), (MAX_WAITING, 150));
    world.broken = false;
    world.passes(3600);
    let more: u64 = world.arrived().map(|(_, told)| told.more).sum();
    assert_eq!((world.arrived().count(), more), (MAX_WAITING, 150));
    same_content_under_a_key(&world);
}

#[test]
fn what_no_record_has_ended_ends_when_it_is_seen_to_be_over() {
    let mut world = World::new(policy(&Topic::ALL));
    world.happens("gone", state(StateName::Up, StateName::Failed));
    world.happens("", RecordKind::Reload { what: "checkers/a.wasm".into(), ok: false, detail: "no".into() });
    world.passes(20);
    let snapshot = Snapshot::empty("n1".parse().unwrap(), world.now);
    let refused = BTreeSet::from(["checkers/a.wasm".to_owned()]);
    world.notifier.handle(Event::Seen { snapshot: &snapshot, refused: &refused }, world.now);
    world.passes(20);
    let seen = || Event::Seen { snapshot: &snapshot, refused: &refused };
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] gone on n1"), "{:?}", world.said());
    world.notifier.handle(seen(), world.now);
    world.passes(20);
    let none = BTreeSet::new();
    world.notifier.handle(Event::Seen { snapshot: &snapshot, refused: &none }, world.now);
    world.passes(20);
    assert!(world.said().last().unwrap().1.starts_with("[RESOLVED] n1"), "{:?}", world.said());
}

#[test]
fn a_record_is_taken_in_once_and_a_lost_journal_does_not_make_deaf() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    world.seq = 0;
    world.happens("web", down("process"));
    world.passes(60);
    assert_eq!(world.arrived().next().unwrap().1.items.len(), 1);
    let mut state = State::new(500, at(0));
    state.not_behind(3);
    assert_eq!(state.record(), 3);
}

#[test]
fn time_that_went_back_between_two_daemons_delays_nothing_for_long() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.now = at(100_000);
    world.happens("web", down("home"));
    world.now = at(0);
    world.crashes();
    world.passes(301);
    assert_eq!(world.arrived().count(), 1);
}

#[test]
fn what_is_kept_for_a_target_that_is_no_more_is_dropped() {
    let mut world = World::new(policy(&Topic::DEFAULT));
    world.happens("web", down("home"));
    let state = world.notifier.state().clone();
    let policies = BTreeMap::from([(name("other"), policy(&Topic::DEFAULT))]);
    let notifier = Notifier::new("n1".parse().unwrap(), policies, state, world.now);
    assert_eq!(notifier.targets().into_keys().collect::<Vec<_>>(), [&name("other")]);
    assert_eq!(notifier.next_deadline(), None);
}

pub(super) fn same_content_under_a_key(world: &World) {
    let mut known: BTreeMap<&str, &Notification> = BTreeMap::new();
    for (_, told, _) in &world.tried {
        assert_eq!(*known.entry(&told.key).or_insert(told), told);
    }
}

#[test]
fn a_start_that_fails_again_and_again_is_told_once_and_its_end_too() {
    let mut world = World::new(policy(&[Topic::Failed, Topic::Recovered]));
    let early = RecordKind::Decision { decision: "try again in 1s".to_owned(), reason: "no".to_owned() };
    world.happens("web", early);
    world.passes(60);
    assert!(world.tried.is_empty(), "it may work in a moment");
    for _ in 0..20 {
        world.happens("web", does_not_start("15s"));
        world.passes(15);
    }
    assert_eq!(world.tried.len(), 1, "{:?}", world.tried);
    let (_, told, _) = &world.tried[0];
    assert!(told.title().contains("it does not start, and is being retried: exited with 1"), "{told:?}");
    world.happens("web", state(StateName::Starting, StateName::Up));
    world.passes(600);
    assert_eq!(world.tried.len(), 2, "{:?}", world.tried);
}
