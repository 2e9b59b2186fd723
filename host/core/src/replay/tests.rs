//! Transcripts of simulated stories, replayed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::what_if::{ComparedRecord, Question, WhatIf, what_if};
use super::{Comparison, Line, Replay, gist};
use crate::action::Action;
use crate::command::Command;
use crate::event::Event;
use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;
use crate::node::Beginning;
use crate::observation::Status;
use crate::policy::ModulePolicy;
use crate::record::{Record, RecordKind};
use crate::simulation::scenario::{Happening, Scenario};
use crate::simulation::tests::{cast, dies, plan, says, story, types};
use crate::simulation::{Simulation, Turn};
use crate::transcript::Input;

/// The input of the core in a story.
fn lines(scenario: Scenario) -> Vec<Line> {
    let cast = cast();
    let mut simulation = Simulation::new(cast.clone(), scenario, 7);
    let beginning =
        Beginning { node: cast.node.clone(), last_record: 0, seed: 7, now: simulation.transcript.1[0].at };
    while let Turn::Ask(question) = simulation.go_on().unwrap() {
        let plan = plan(&cast, &question);
        simulation.answer(&question, Ok(plan));
    }
    let mut lines = vec![Line { at: beginning.now, input: Input::Began(beginning) }];
    lines.append(&mut simulation.transcript.1);
    lines.extend(simulation.transcript.0.finish().map(|input| Line { at: Moment::NEVER, input }));
    let end = lines[lines.len() - 2].at;
    if let Some(last) = lines.last_mut().filter(|line| line.at == Moment::NEVER) {
        last.at = match &last.input {
            Input::Repeated(repetitions) => repetitions.iter().map(|r| r.last).max().unwrap(),
            Input::Began(_) | Input::Told(_) => end,
        };
    }
    lines
}

fn eventful() -> Vec<Happening> {
    vec![
        says(30, "database", Status::Fail, Some(90)),
        dies(200, Some(2)),
        types(400, Command::Restart),
        says(500, "page", Status::Fail, Some(60)),
        says(700, "page", Status::Unknown, Some(100)),
    ]
}

fn told(lines: &[Line]) -> Replay {
    let mut replay = Replay::new(None);
    for line in lines {
        replay.tell(line);
    }
    replay
}

fn recorded(lines: &[Line]) -> BTreeMap<u64, Record> {
    let replay = told(lines);
    replay.stretches.into_iter().flatten().map(|record| (record.seq, record)).collect()
}

fn compared(lines: &[Line], recorded: &BTreeMap<u64, Record>) -> Comparison {
    told(lines).compare(recorded)
}

#[test]
fn a_core_that_is_told_the_same_writes_the_same() {
    let lines = lines(story(1000, eventful()));
    let recorded = recorded(&lines);
    let comparison = compared(&lines, &recorded);
    assert!(comparison.differences.is_empty(), "{:?}", comparison.differences);
    assert_eq!((comparison.same, comparison.unrecorded), (recorded.len() as u64, 0));
    assert!(comparison.same > 50, "{}", comparison.same);
    assert_eq!(told(&lines).numbers(), Some((1, recorded.len() as u64)));
}

#[test]
fn what_was_written_otherwise_is_told_and_free_texts_are_not_compared() {
    let lines = lines(story(1000, eventful()));
    let mut recorded = recorded(&lines);
    let (seq, record) = recorded.iter_mut().find(|(_, r)| gist(&r.kind) == "up → restarting").unwrap();
    let seq = *seq;
    let text = serde_json::to_string(&record.kind).unwrap();
    record.kind = serde_json::from_str(&text.replace("is down", "sank")).unwrap();
    assert!(compared(&lines, &recorded).differences.is_empty(), "the reason is free text");

    let record = recorded.get_mut(&seq).unwrap();
    record.kind = serde_json::from_str(&text.replace("restarting", "failed")).unwrap();
    let comparison = compared(&lines, &recorded);
    let [difference] = comparison.differences.as_slice() else { panic!("{:?}", comparison.differences) };
    assert_eq!(gist(&difference.recorded.as_ref().unwrap().kind), "up → failed");
    assert_eq!(gist(&difference.replayed.as_ref().unwrap().kind), "up → restarting");
}

#[test]
fn a_journal_from_before_blindness_was_recorded_is_compared_without_it() {
    let lines = lines(story(1000, eventful()));
    let all = recorded(&lines);
    let others = all.values().filter(|record| !matches!(record.kind, RecordKind::CannotTell { .. }));
    let before: BTreeMap<u64, Record> = (1..).zip(others.cloned()).collect();
    assert!(before.len() < all.len(), "a checker cannot tell in this story");
    let comparison = compared(&lines, &before);
    assert!(comparison.differences.is_empty(), "{:?}", comparison.differences);
    assert_eq!((comparison.same, comparison.unrecorded), (before.len() as u64, 0));
}

#[test]
fn records_that_never_reached_the_journal_are_counted_and_are_no_difference() {
    let lines = lines(story(1000, eventful()));
    let mut recorded = recorded(&lines);
    recorded.pop_last();
    recorded.pop_last();
    let comparison = compared(&lines, &recorded);
    assert_eq!((comparison.unrecorded, comparison.differences.len()), (2, 0));
}

#[test]
fn behind_a_gap_nothing_is_told_before_the_next_beginning() {
    let lines = lines(story(1000, eventful()));
    let recorded = recorded(&lines);
    let mut replay = Replay::new(None);
    let (before, behind) = lines.split_at(lines.len() / 2);
    for line in before {
        replay.tell(line);
    }
    replay.miss();
    for line in behind {
        assert!(replay.tell(line).is_empty());
    }
    let comparison = replay.compare(&recorded);
    assert_eq!(comparison.untold, behind.len() as u64);
    assert!(comparison.differences.is_empty() && comparison.same > 10);
}

fn with(lines: &[Line], change: impl FnOnce(&mut ModulePolicy)) -> WhatIf {
    let cast = cast();
    let mut policy = (*cast.policy).clone();
    change(&mut policy);
    what_if(Question { module: &cast.module, policy, checkpoint: None, lines })
}

/// The differences, one on each line.
fn shown(what_if: &WhatIf) -> String {
    let begin = what_if.was.records.first().map_or(Moment::NEVER, |record| record.at);
    let line = |line: &ComparedRecord| {
        let (mark, record) = match line {
            ComparedRecord::Same(record) => (' ', record),
            ComparedRecord::Was(record) => ('-', record),
            ComparedRecord::Would(record) => ('+', record),
        };
        format!("{mark} {:?} {}\n", record.at.since(begin), record.kind.sentence())
    };
    what_if.lines.iter().map(line).collect()
}

fn page() -> CheckerName {
    "page".parse().unwrap()
}

#[test]
fn with_the_same_policy_nothing_would_have_been_different() {
    let what_if = with(&lines(story(1000, eventful())), |_| {});
    assert_eq!(what_if.differs_at(), None, "{}", shown(&what_if));
    assert_eq!(what_if.was.restarts, what_if.would.restarts);
    assert!(what_if.was.restarts > 1 && what_if.silent.is_empty() && !what_if.broken_off);
    let apart = what_if.was.not_ready.abs_diff(what_if.would.not_ready);
    assert!(apart < Duration::from_secs(1), "{apart:?}");
}

/// The same story, in which the first step waits for leftovers of the last run.
fn delayed(lines: Vec<Line>, by: Duration) -> Vec<Line> {
    let (mut replay, mut told, mut later) = (Replay::new(None), Vec::new(), Duration::ZERO);
    for line in lines {
        let line = Line { at: line.at + later, ..line };
        let actions = replay.tell(&line);
        let at = line.at;
        told.push(line);
        let step = actions.into_iter().find_map(|action| match action {
            Action::RunStep { module, attempt, step, .. } => Some((module, attempt, step)),
            _ => None,
        });
        if let Some((module, attempt, step)) = step.filter(|_| later.is_zero()) {
            later = by;
            let reason = "waiting for 1 process of the last run: app 7".to_owned();
            let event = Event::StepDelayed { module, attempt, step, reason, within: by };
            let line = Line { at, input: Input::Told(event) };
            replay.tell(&line);
            told.push(line);
        }
    }
    assert!(!later.is_zero(), "there is no step in this story");
    told
}

#[test]
fn a_step_that_was_delayed_would_have_been_delayed_as_well() {
    // Longer than the time limit of the step itself.
    let lines = delayed(lines(story(300, vec![dies(100, Some(2))])), Duration::from_secs(40));
    let what_if = with(&lines, |_| {});
    assert!(shown(&what_if).contains("waiting for 1 process of the last run"), "{}", shown(&what_if));
    assert_eq!(what_if.differs_at(), None, "{}", shown(&what_if));
    assert!(!shown(&what_if).contains("not done within"), "{}", shown(&what_if));
}

#[test]
fn a_more_patient_threshold_would_not_have_restarted() {
    let lines = lines(story(300, vec![says(60, "page", Status::Fail, Some(25))]));
    let what_if = with(&lines, |policy| {
        policy.checkers.get_mut(&page()).unwrap().thresholds.fall = 10;
    });
    assert_eq!((what_if.was.restarts, what_if.would.restarts), (1, 0), "{}", shown(&what_if));
    let first = what_if.lines.iter().find(|line| !matches!(line, ComparedRecord::Same(_)));
    let Some(ComparedRecord::Was(first)) = first else { panic!("{first:?}") };
    assert_eq!(gist(&first.kind), "checker `page`: up → down");
    assert_eq!(what_if.differs_at(), Some(first.at));
    assert!(what_if.would.not_ready < what_if.was.not_ready);
}

#[test]
fn another_action_would_have_taken_it_out_of_the_load_balancer_only() {
    let lines = lines(story(300, vec![says(60, "page", Status::Fail, Some(60))]));
    let what_if = with(&lines, |policy| {
        policy.checkers.get_mut(&page()).unwrap().on_down = crate::policy::OnDown::Out;
    });
    assert_eq!((what_if.was.restarts > 0, what_if.would.restarts), (true, 0), "{}", shown(&what_if));
    let would_restart = what_if
        .lines
        .iter()
        .any(|line| matches!(line, ComparedRecord::Would(record) if gist(&record.kind).contains("restart")));
    assert!(!would_restart);
}

#[test]
fn a_smaller_budget_would_have_failed_and_its_stop_is_answered_too() {
    let what_if = with(&lines(story(400, vec![dies(60, None), dies(200, None)])), |policy| {
        policy.budget.restarts = 1;
    });
    let would: Vec<String> = what_if
        .lines
        .iter()
        .filter_map(|line| match line {
            ComparedRecord::Would(record) => Some(gist(&record.kind)),
            ComparedRecord::Same(_) | ComparedRecord::Was(_) => None,
        })
        .collect();
    assert!(would.contains(&"stopping → failed".to_owned()), "{would:#?}");
    assert_eq!((what_if.was.restarts, what_if.would.restarts), (2, 1));
}

#[test]
fn a_checker_that_the_recording_does_not_know_is_said_to_be_silent() {
    let lines = lines(story(100, Vec::new()));
    let what_if = with(&lines, |policy| {
        let page = policy.checkers[&page()].clone();
        policy.checkers.insert("other".parse().unwrap(), page);
    });
    let other: CheckerName = "other".parse().unwrap();
    assert_eq!(what_if.silent, [other]);
}

#[test]
fn a_story_of_another_module_is_not_told() {
    let lines = lines(story(100, vec![dies(20, None)]));
    let none: ModuleName = "none".parse().unwrap();
    let policy = (*cast().policy).clone();
    let what_if = what_if(Question { module: &none, policy, checkpoint: None, lines: &lines });
    assert!(what_if.lines.is_empty() && what_if.was.records.is_empty());
}

#[test]
fn it_goes_on_from_a_checkpoint() {
    let lines = lines(story(1000, eventful()));
    let mut node = None;
    let cut = lines
        .iter()
        .position(|line| matches!(&line.input, Input::Told(Event::Commanded { .. })))
        .expect("somebody restarts it");
    for line in &lines[..cut] {
        if let Input::Began(beginning) = &line.input {
            node = Some(crate::node::Node::new(beginning.clone()));
        }
        crate::transcript::tell(node.as_mut().unwrap(), &line.input, line.at);
    }
    let checkpoint = node.unwrap().checkpoint();
    let recorded = recorded(&lines);
    let mut replay = Replay::new(Some(checkpoint.clone()));
    for line in &lines[cut..] {
        replay.tell(line);
    }
    let comparison = replay.compare(&recorded);
    assert!(comparison.differences.is_empty() && comparison.same > 20, "{comparison:?}");

    let cast = cast();
    let question = Question {
        module: &cast.module,
        policy: (*cast.policy).clone(),
        checkpoint: Some(checkpoint),
        lines: &lines[cut..],
    };
    let what_if = what_if(question);
    assert_eq!(what_if.differs_at(), None, "{}", shown(&what_if));
}
