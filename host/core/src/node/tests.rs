use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::id::Generation;
use crate::module::looks;
use crate::observation::{Observation, Status};
use crate::policy::{
    BackoffPolicy, BudgetPolicy, CheckerKind, CheckerPolicy, ModulePolicy, OnDown, Thresholds,
};

fn policy(checkers: usize) -> ModulePolicy {
    let checker = CheckerPolicy {
        kind: CheckerKind::Process,
        thresholds: Thresholds::default(),
        on_down: OnDown::Restart,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        patience: Duration::MAX,
        kept: false,
        definition: 1,
    };
    let names = (0..checkers).map(|index| format!("c{index}").parse().unwrap());
    ModulePolicy {
        checkers: names.map(|name| (name, checker.clone())).collect(),
        commands: BTreeMap::new(),
        budget: BudgetPolicy { restarts: 3, within: Duration::from_secs(3600) },
        backoff: BackoffPolicy { first: Duration::from_secs(1), max: Duration::from_secs(60) },
        drain: Duration::from_secs(15).into(),
        degrade: false,
        start_within: Duration::from_secs(60),
        appear_within: None,
        keep_trying: Duration::ZERO,
        plan_within: Duration::from_secs(5),
    }
}

fn loaded(checkers: usize) -> (Node, Vec<(CheckerName, Generation)>) {
    let now = Moment::from_micros(1_000_000_000);
    let mut node = Node::new(Beginning { node: "node-1".parse().unwrap(), last_record: 0, seed: 7, now });
    let module: ModuleName = "web".parse().unwrap();
    let policy = Arc::new(policy(checkers));
    let actions = node.handle(Event::ModuleLoaded { module, policy, memory: None }, now);
    let watches = actions.into_iter().filter_map(|action| match action {
        Action::Watch { checker, generation, .. } => Some((checker, generation)),
        _ => None,
    });
    (node, watches.collect())
}

fn seen((checker, generation): (CheckerName, Generation), at: Moment) -> Event {
    let observation = Observation::new(Status::Pass, "fine", at);
    Event::Observed { module: "web".parse().unwrap(), checker, generation, observation }
}

#[test]
fn what_comes_together_is_shown_together_and_before_anything_is_done_about_it() {
    let (mut node, watches) = loaded(20);
    let (mut other, _) = loaded(20);
    assert_eq!(watches.len(), 20);
    let shown = |node: &Node| node.snapshot().modules[0].checkers.clone();
    let (mut pictures, before) = (0, node.snapshot().generation);
    for (index, watch) in watches.into_iter().enumerate() {
        let at = Moment::from_micros(1_000_000_000 + i64::try_from(index).unwrap());
        let generation = node.snapshot().generation;
        let told = |node: &Node| (node.snapshot().modules[0].state, node.snapshot().modules[0].ready);
        let before = told(&node);
        let actions = node.take(seen(watch.clone(), at), at);
        assert_eq!(actions, other.handle(seen(watch, at), at), "it decides the same");
        assert_eq!(told(&node), told(&other), "load balancers are told the same");
        if actions.iter().any(Action::needs_picture) || told(&node) != before {
            assert_eq!(shown(&node), shown(&other));
            pictures += 1;
        } else {
            assert_eq!(node.snapshot().generation, generation, "nothing is done: nothing is shown yet");
            assert!(!node.is_shown());
        }
    }
    node.refresh();
    assert!(node.snapshot().generation <= before + pictures + 1);
    assert_eq!(node.snapshot().modules.len(), 1);
    assert_eq!(shown(&node), shown(&other));
    let generation = node.snapshot().generation;
    node.refresh();
    assert_eq!(node.snapshot().generation, generation, "nothing has changed");
    assert!(node.is_shown());
}

#[test]
fn pictures_that_only_show_another_run_answer_alike() {
    let (mut node, watches) = loaded(2);
    let web: ModuleName = "web".parse().unwrap();
    let mut watches: BTreeMap<_, _> =
        watches.into_iter().map(|(checker, generation)| ((web.clone(), checker), generation)).collect();
    let starting = node.snapshot();
    run_all(&mut node, &mut watches, Status::Pass);
    run_all(&mut node, &mut watches, Status::Pass);
    let up = node.snapshot();
    assert!(up.ready() && !up.answers_like(&starting));
    run_all(&mut node, &mut watches, Status::Warn);
    let warned = node.snapshot();
    assert!(warned.generation > up.generation && warned.answers_like(&up));
    run_all(&mut node, &mut watches, Status::Fail);
    assert!(!node.snapshot().answers_like(&up));
}

/// Tells the core that each of these checkers has run once more, and follows how they are watched.
fn run_all(node: &mut Node, watches: &mut BTreeMap<(ModuleName, CheckerName), Generation>, status: Status) {
    for ((module, checker), generation) in watches.clone() {
        let at = node.known.now + Duration::from_millis(1);
        let observation = Observation::new(status, format!("{checker} says {status}"), at);
        let event = Event::Observed { module, checker, generation, observation };
        for action in node.handle(event, at) {
            if let Action::Watch { module, checker, generation, .. } = action {
                watches.insert((module, checker), generation);
            }
        }
    }
}

/// How often a checker is looked at while so many modules with so many checkers each come up, are watched, go down and
/// say so again.
fn looks_for(modules: usize, checkers: usize) -> usize {
    let before = looks::taken();
    let now = Moment::from_micros(1_000_000_000);
    let mut node = Node::new(Beginning { node: "node-1".parse().unwrap(), last_record: 0, seed: 7, now });
    let mut watches = BTreeMap::new();
    let mut policy = policy(checkers);
    for (index, checker) in policy.checkers.values_mut().enumerate() {
        checker.patience = Duration::from_secs(20);
        checker.kind = if index % 2 == 0 { CheckerKind::Process } else { CheckerKind::Component };
        checker.on_down = if index % 5 == 0 { OnDown::Out } else { OnDown::Notify };
    }
    for module in 0..modules {
        let module: ModuleName = format!("m{module}").parse().unwrap();
        let policy = Arc::new(policy.clone());
        for action in node.handle(Event::ModuleLoaded { module, policy, memory: None }, now) {
            if let Action::Watch { module, checker, generation, .. } = action {
                watches.insert((module, checker), generation);
            }
        }
    }
    for status in
        [Status::Pass, Status::Pass, Status::Pass, Status::Pass, Status::Fail, Status::Fail, Status::Pass]
    {
        run_all(&mut node, &mut watches, status);
    }
    assert!(
        node.snapshot().modules.iter().all(|module| module.ready),
        "{:?}",
        node.snapshot().modules[0].reason
    );
    // Nothing is heard of any of them for some time.
    let end = node.known.now + Duration::from_secs(25);
    while node.known.now < end {
        let due = node.next_deadline().expect("silence is noticed");
        node.handle(Event::Tick, due);
    }
    looks::taken() - before
}

#[test]
fn the_work_grows_with_the_events_and_not_with_the_checkers_beside_them() {
    let (few, many) = (looks_for(1, 400), looks_for(1, 4_000));
    assert!(many < few * 12, "ten times as many checkers in one module: {few} looks became {many}");
    let (few, many) = (looks_for(40, 8), looks_for(400, 8));
    assert!(many < few * 12, "ten times as many modules: {few} looks became {many}");
}
