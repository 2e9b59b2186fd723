use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::command::{Command, CommandOutcome};
use crate::id::{CheckerName, ModuleName, NodeName};
use crate::observation::Observation;
use crate::policy::{CheckerKind, OnDown};
use crate::snapshot::PlanView;

fn at(seconds: u64) -> Moment {
    Moment::default() + Duration::from_secs(seconds)
}

fn checker(name: &str, on_down: OnDown, verdict: Verdict) -> CheckerView {
    let status = if verdict == Verdict::Up { Status::Pass } else { Status::Fail };
    CheckerView {
        name: CheckerName::new(name).unwrap(),
        kind: CheckerKind::Component,
        on_down,
        verdict,
        since: at(1),
        watched: true,
        on_probation: false,
        definition: 1,
        interval: Duration::from_secs(5),
        next: None,
        last: Some(Arc::new(Observation::new(status, "connection refused", at(90)))),
    }
}

fn module(state: StateName, checkers: Vec<CheckerView>) -> ModuleView {
    ModuleView {
        ready: state == StateName::Up && checkers.iter().all(|c| c.verdict == Verdict::Up),
        since: at(60),
        ready_since: at(60),
        reason: "checker `home` is down".into(),
        restarts_allowed: 3,
        restarts_within: Duration::from_hours(24),
        checkers: checkers.into(),
        ..ModuleView::empty(ModuleName::new("web").unwrap(), state)
    }
}

struct Journal(Vec<Record>);

impl Journal {
    fn add(mut self, seconds: u64, kind: RecordKind) -> Self {
        let seq = self.0.len() as u64 + 1;
        let (node, module) = (NodeName::new("n").unwrap(), ModuleName::new("web").ok());
        self.0.push(Record { seq, at: at(seconds), node, module, kind });
        self
    }

    fn state(self, seconds: u64, from: StateName, to: StateName) -> Self {
        self.add(seconds, RecordKind::State { from, to, reason: "because".into() })
    }
}

fn down(seconds: u64) -> RecordKind {
    let saw = |s, status, summary: &str| PastObservation { at: at(s), status, summary: summary.into() };
    RecordKind::Incident {
        incident: Incident {
            at: at(seconds),
            checker: CheckerName::new("home").unwrap(),
            summary: "connection refused".into(),
            observations: vec![
                saw(seconds - 4, Status::Pass, "200"),
                saw(seconds - 3, Status::Pass, "200"),
                saw(seconds - 2, Status::Fail, "connection refused"),
                saw(seconds - 1, Status::Fail, "connection refused"),
            ],
        },
    }
}

fn a_restart() -> Journal {
    use StateName::{Restarting, Starting, Stopped, Up};
    Journal(Vec::new())
        .state(10, Stopped, Starting)
        .state(11, Starting, Up)
        .add(
            50,
            RecordKind::Verdict {
                checker: CheckerName::new("home").unwrap(),
                from: Verdict::Up,
                to: Verdict::Down,
                status: Status::Fail,
                summary: "connection refused".into(),
            },
        )
        .add(50, down(50))
        .add(50, RecordKind::Decision { decision: "restart (1 of 3)".into(), reason: "home is down".into() })
        .state(50, Up, Restarting)
        .add(
            51,
            RecordKind::Plan {
                occasion: "incident".into(),
                summary: "restart web".into(),
                steps: vec!["start `start`".into()],
            },
        )
        .add(52, RecordKind::Step { step: "start `start`".into(), ok: true, result: "process 7".into() })
}

fn roles(why: &Why) -> Vec<Role> {
    why.chain.iter().map(|link| link.role).collect()
}

#[test]
fn a_module_that_came_back_tells_the_whole_chain_in_order() {
    let journal = a_restart().state(52, StateName::Restarting, StateName::Starting).state(
        53,
        StateName::Starting,
        StateName::Up,
    );
    let up = module(StateName::Up, vec![checker("home", OnDown::Restart, Verdict::Up)]);
    let why = why(&up, &journal.0, at(100));
    assert_eq!(why.headline, "web is up and ready");
    assert_eq!(
        roles(&why),
        [
            Role::Observation,
            Role::Observation,
            Role::Verdict,
            Role::Incident,
            Role::Decision,
            Role::State,
            Role::Plan,
            Role::Step,
            Role::State,
            Role::State,
        ]
    );
    assert_eq!(why.chain[1].text, "checker `home` saw fail: connection refused (2 times)");
    assert_eq!(why.next, NextStep { sentence: "Nothing to do.".into(), command: None });
}

#[test]
fn while_it_restarts_the_story_begins_at_the_last_time_it_was_up() {
    let mut restarting = module(StateName::Restarting, vec![checker("home", OnDown::Restart, Verdict::Down)]);
    restarting.plan = Some(PlanView {
        occasion: "incident".into(),
        summary: "restart web".into(),
        steps: vec!["stop `start`".into(), "start `start`".into()],
        step: 1,
    });
    let why = why(&restarting, &a_restart().0, at(53));
    assert_eq!(why.headline, "web is restarting and not ready: checker `home` is down");
    assert_eq!(why.chain[0].text, "checker `home` saw pass: 200");
    assert_eq!(why.chain.last().unwrap().text, "last run of checker `home`: fail: connection refused");
    assert_eq!(
        why.next.sentence,
        "Its plan is being carried out: restart web, step 2 of 2 (start `start`). Then its checkers must come up."
    );
}

#[test]
fn out_of_the_load_balancer_only_tells_what_happened_since_it_came_up() {
    let journal = Journal(Vec::new()).state(11, StateName::Starting, StateName::Up).add(50, down(50));
    let out = module(StateName::Up, vec![checker("home", OnDown::Out, Verdict::Down)]);
    let why = why(&out, &journal.0, at(60));
    assert_eq!(why.headline, "web is up and not ready: checker `home` is down");
    assert_eq!(why.chain[0].role, Role::State);
    assert_eq!(why.next.command.as_deref(), Some("check web home"));
}

#[test]
fn a_stop_is_told_with_who_asked_for_it() {
    let by = "root on the local socket".to_owned();
    let outcome = CommandOutcome::Accepted("drains, then stops".into());
    let journal = a_restart()
        .state(53, StateName::Starting, StateName::Up)
        .add(60, RecordKind::Command { command: Command::Stop, by, outcome })
        .state(60, StateName::Up, StateName::Draining)
        .state(63, StateName::Draining, StateName::Stopping)
        .state(64, StateName::Stopping, StateName::Stopped);
    let why = why(&module(StateName::Stopped, Vec::new()), &journal.0, at(70));
    assert_eq!(roles(&why), [Role::Command, Role::State, Role::State, Role::State]);
    assert!(why.chain[0].text.starts_with("root on the local socket said `stop`"));
    assert_eq!(why.next.command.as_deref(), Some("start web"));
}

#[test]
fn every_state_has_a_next_step() {
    use StateName::{Backoff, Draining, Failed, Restarting, Starting, Stopped, Stopping, Up, Waiting};
    for (state, sentence, command) in [
        (Stopped, "It stays stopped, even after a reboot. To start it:", Some("start web")),
        (
            Starting,
            "It becomes ready automatically when checker `home` is up (if that takes longer than 12s, the start has failed). To run one now:",
            Some("check web home"),
        ),
        (
            Up,
            "It becomes ready automatically when checker `home` is up. To run one now:",
            Some("check web home"),
        ),
        (
            Restarting,
            "It becomes ready automatically when checker `home` is up. To run one now:",
            Some("check web home"),
        ),
        (Backoff, "The next automatic attempt is in 12s. To try now:", Some("start web")),
        (
            Failed,
            "It waits for an operator. When the cause is fixed, this starts it and resets the count of restarts:",
            Some("start web"),
        ),
        (Draining, "The application still serves; it is stopped in 12s. Then it is started again.", None),
        (
            Stopping,
            "The application is being stopped, by force if it takes too long. Then it is started again.",
            None,
        ),
        (
            Waiting,
            "It starts automatically when checker `home` is up. To run that checker now:",
            Some("check web home"),
        ),
    ] {
        let mut view = module(state, vec![checker("home", OnDown::Wait, Verdict::Down)]);
        view.next = Some(at(112));
        let next = why(&view, &[], at(100)).next;
        assert_eq!((next.sentence.as_str(), next.command.as_deref()), (sentence, command), "{state}");
        view.desired.suspended = true;
        assert_eq!(why(&view, &[], at(100)).next.command.as_deref(), Some("resume web"), "{state}");
    }
}

#[test]
fn a_checker_that_cannot_tell_is_something_to_do() {
    let blind = |name: &str| CheckerView {
        last: Some(Arc::new(Observation::new(Status::Unknown, "not granted.", at(90)))),
        ..checker(name, OnDown::Restart, Verdict::Undecided)
    };
    let next = |checkers| next_step(&ModuleView { ready: true, ..module(StateName::Up, checkers) }, at(100));
    let one = next(vec![checker("cart", OnDown::Restart, Verdict::Up), blind("home")]);
    assert_eq!(
        one.sentence,
        "Checker `home` cannot tell whether the application works: not granted. It monitors nothing until this is \
         fixed. To run it now:"
    );
    assert_eq!(one.command.as_deref(), Some("check web home"));
    let two = next(vec![blind("home"), blind("cart")]);
    assert!(two.sentence.contains("1 more checker has no result either."), "{}", two.sentence);
    let young = CheckerView { on_probation: true, ..blind("home") };
    assert_eq!(next(vec![young]).command.as_deref(), Some("check web home"), "to confirm it is of no use");
    // One that has not run yet, or is not run at present, is not blind.
    let new = CheckerView { last: None, ..blind("home") };
    let unwatched = CheckerView { watched: false, ..blind("home") };
    assert_eq!(next(vec![new, unwatched]).sentence, NOTHING_TO_DO);
}

#[test]
fn a_spent_budget_is_said_before_it_hurts() {
    let mut up = module(StateName::Up, Vec::new());
    up.restarts = 3;
    let next = why(&up, &[], at(100)).next;
    assert!(next.sentence.contains("3 automatic restarts within 1d are used up"), "{}", next.sentence);
}

#[test]
fn a_long_story_keeps_its_beginning_and_its_end() {
    let mut journal = Journal(Vec::new()).state(1, StateName::Starting, StateName::Up);
    for second in 2..200 {
        journal = journal.state(second, StateName::Starting, StateName::Backoff);
    }
    let why = why(&module(StateName::Backoff, Vec::new()), &journal.0, at(300));
    assert_eq!(why.chain.len(), MAX_LINKS);
    assert_eq!((why.chain[0].at, why.chain[MAX_LINKS - 1].at), (at(2), at(199)));
    let omission = &why.chain[FIRST_LINKS];
    assert_eq!(omission.role, Role::Omission);
    assert!(omission.text.starts_with("… 159 more"), "{}", omission.text);
}

#[test]
fn a_checker_on_probation_is_told_where_all_is_well_and_what_a_person_can_do() {
    let mut young = checker("home", OnDown::Restart, Verdict::Undecided);
    young.on_probation = true;
    let mut up = module(StateName::Up, vec![young]);
    up.ready = true;
    let why = why(&up, &[], at(100));
    assert_eq!(why.headline, "web is up and ready");
    let told = why.chain.last().map(|link| link.text.clone()).unwrap_or_default();
    assert_eq!(
        told,
        "checker `home` is on probation: has not been up yet; its last run: fail: connection refused"
    );
    assert_eq!(why.next.command.as_deref(), Some("confirm web"));
    assert!(why.next.sentence.starts_with("Checker `home` is on probation"), "{}", why.next.sentence);
    // It holds nothing back either.
    let starting = module(StateName::Starting, up.checkers.into_iter().collect());
    assert_eq!(next_step(&starting, at(100)).sentence, "It continues automatically.");
}

#[test]
fn records_of_other_modules_are_passed_over() {
    let mut journal = a_restart();
    for record in &mut journal.0 {
        record.module = ModuleName::new("other").ok();
    }
    assert_eq!(why(&module(StateName::Backoff, Vec::new()), &journal.0, at(60)).chain, []);
}
