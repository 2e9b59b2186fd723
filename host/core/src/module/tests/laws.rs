//! Invariants under any events, checked against a simpler model.

use std::time::Duration;

use proptest::prelude::*;

use crate::action::Action;
use crate::command::{Command, CommandOutcome};
use crate::moment::Moment;
use crate::node::Node;
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure, StepAction};
use crate::policy::OnDown;
use crate::record::{Record, RecordKind};
use crate::state::StateName;
use crate::transcript::{self, Input};
use crate::verdict::Verdict;

use super::world::{World, keep, run, step};

#[derive(Debug, Clone)]
enum Happening {
    See { checker: usize, status: Status, stale: bool },
    Plan { good: bool, kind: usize },
    Step { good: bool },
    Time { millis: u64 },
    Say(Command),
    Edit { drain: u64, restarts: u32, keep_trying: u64 },
    Progress { checker: usize, value: u8 },
    Change { checker: usize },
    Kill,
}

const CHECKERS: [&str; 6] = ["app", "page", "database", "disk", "licence", "helper"];

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop_oneof![
        5 => Just(Status::Pass),
        1 => Just(Status::Warn),
        3 => Just(Status::Fail),
        2 => Just(Status::Unknown)
    ];
    prop_oneof![
        8 => (0..CHECKERS.len(), status, prop::bool::weighted(0.1))
            .prop_map(|(checker, status, stale)| Happening::See { checker, status, stale }),
        4 => (prop::bool::weighted(0.8), 0usize..5).prop_map(|(good, kind)| Happening::Plan { good, kind }),
        4 => prop::bool::weighted(0.7).prop_map(|good| Happening::Step { good }),
        3 => (1u64..70_000).prop_map(|millis| Happening::Time { millis }),
        1 => prop::sample::select(Command::ALL.to_vec()).prop_map(Happening::Say),
        1 => (0u64..3, 0u32..4, 0u64..300)
            .prop_map(|(drain, restarts, keep_trying)| Happening::Edit { drain, restarts, keep_trying }),
        1 => (0..CHECKERS.len(), 0u8..4).prop_map(|(checker, value)| Happening::Progress { checker, value }),
        1 => (0..CHECKERS.len()).prop_map(|checker| Happening::Change { checker }),
        1 => Just(Happening::Kill),
    ]
}

fn world() -> World {
    World::new()
        .process("app")
        .component("page", OnDown::Restart)
        .component("database", OnDown::Wait)
        .component("disk", OnDown::Out)
        .component("licence", OnDown::Stop)
        .found("helper")
        .load()
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::See { checker, status, stale } => {
            let name: &str = CHECKERS[*checker];
            if world.watched().iter().any(|watched| watched.as_str() == name) {
                let generation = if *stale { crate::id::Generation(0) } else { world.generation(name) };
                world.see_as(name, generation, *status);
            }
        }
        Happening::Plan { good, kind } => {
            if world.occasion().is_none() {
                return;
            }
            if !good {
                return world.no_plan("the script was ended");
            }
            let steps = match kind {
                0 => vec![],
                1 => vec![keep("start")],
                2 => vec![run("stop", OnFailure::ForceStop), keep("start")],
                3 => vec![run("clean", OnFailure::GoOn), step(StepAction::Pause(Duration::from_secs(1)))],
                _ => vec![step(StepAction::AwaitChecker("page".parse().unwrap(), Verdict::Up))],
            };
            world.plan(steps);
        }
        Happening::Step { good } => {
            if world.step_at_work().is_some() || world.killing() {
                if *good { world.step_ok() } else { world.step_failed("no") }
            }
        }
        Happening::Time { millis } => world.pass_time(Duration::from_millis(*millis)),
        Happening::Say(command) => {
            world.command(*command);
        }
        Happening::Edit { drain, restarts, keep_trying } => world.redefine(|policy| {
            policy.keep_trying = Duration::from_secs(*keep_trying);
            policy.appear_within = (*keep_trying > 0).then_some(Duration::from_secs(20));
            policy.drain = Duration::from_secs(*drain).into();
            policy.budget.restarts = *restarts;
        }),
        Happening::Progress { checker, value } => {
            let name: &str = CHECKERS[*checker];
            if world.watched().iter().any(|watched| watched.as_str() == name) {
                world.see_progress(name, f64::from(*value));
            }
        }
        Happening::Change { checker } => world.redefine(|policy| {
            policy.checkers.get_mut(CHECKERS[*checker]).unwrap().definition += 1;
        }),
        Happening::Kill => world.kill_daemon(),
    }
}

/// Whether the diagram has an arrow for this transition.
fn is_an_arrow(from: StateName, to: StateName) -> bool {
    use StateName::{Backoff, Draining, Failed, Restarting, Starting, Stopped, Stopping, Up, Waiting};
    match to {
        Starting => matches!(from, Stopped | Failed | Backoff | Waiting),
        Up => matches!(from, Starting | Restarting | Draining),
        Restarting => matches!(from, Up | Draining | Failed | Starting),
        Backoff => matches!(from, Starting | Restarting | Up),
        Draining => from == Up,
        Stopping => matches!(from, Up | Starting | Restarting | Backoff | Failed | Draining | Waiting),
        Stopped => matches!(from, Stopping | Failed),
        Failed => matches!(from, Stopping | Backoff),
        Waiting => matches!(from, Stopping | Starting | Backoff),
    }
}

fn check_laws(world: &World, at_most: u32) {
    let view = world.view();
    let down = view.checkers.iter().any(|c| c.verdict == Verdict::Down && c.on_down.gates_health());
    assert!(!view.ready || view.state == StateName::Up, "yes outside up: {view:?}");
    assert!(!view.ready || !down, "yes while a checker is down: {view:?}");
    assert!(view.restarts <= at_most, "the budget is exceeded");
    if let Some(Occasion::Incident(incident)) = world.occasion() {
        let cause = view.checkers.iter().find(|checker| checker.name == incident.checker);
        assert!(cause.is_none_or(|checker| !checker.on_probation), "acted on probation: {view:?}");
    }
    let unproven = view.checkers.iter().filter(|c| c.on_probation);
    assert!(unproven.into_iter().all(|c| c.on_down.gates_health()), "on probation for nothing: {view:?}");
    if let Some(due) = world.next_deadline() {
        assert!(due > world.now(), "a deadline lies in the past: the core has stalled");
    }
    assert!(world.is_kept_up(), "what was kept is not what it would be if it were made anew");
}

fn check_journal(world: &World) {
    let mut state = Some(StateName::Stopped);
    for record in world.records() {
        match &record.kind {
            RecordKind::State { from, to, .. } => {
                assert!(state.is_none_or(|state| state == *from), "a change of state is missing");
                // An application that was up under another daemon is checked before it is recorded.
                let looked = state.is_none() && *from == StateName::Up;
                let looked = looked && matches!(to, StateName::Starting | StateName::Waiting);
                assert!(looked || is_an_arrow(*from, *to), "{from} → {to} is not in the diagram");
                state = Some(*to);
            }
            // Another daemon: it checks the state, or continues.
            RecordKind::Daemon { .. } => state = None,
            _ => {}
        }
    }
    assert!(state.is_none_or(|state| state == world.state()));
}

/// The budget, by counting decisions in the journal: only a user's command that was carried out resets the count.
fn check_budget(world: &World, allowed: u32) {
    let window = Duration::from_secs(3600);
    let mut taken: Vec<Moment> = Vec::new();
    for record in world.records() {
        match &record.kind {
            RecordKind::Command {
                command: Command::Start | Command::Stop | Command::Restart | Command::Reset,
                outcome: CommandOutcome::Accepted(_),
                ..
            } => taken.clear(),
            RecordKind::Decision { decision, .. } if decision.starts_with("restart") => {
                taken.retain(|at| record.at.since(*at) < window);
                taken.push(record.at);
                assert!(taken.len() <= allowed as usize, "restart number {} of {allowed}", taken.len());
            }
            _ => {}
        }
    }
}

/// No more answers come: only time passes.
fn deadlines_until(world: &mut World, done: impl Fn(&World) -> bool) -> bool {
    for _ in 0..400 {
        if done(world) {
            return true;
        }
        let Some(due) = world.next_deadline() else { return done(world) };
        world.pass_time(due.since(world.now()));
    }
    done(world)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_after_every_event(happenings in prop::collection::vec(happening(), 0..120)) {
        let mut world = world();
        for happening in &happenings {
            happen(&mut world, happening);
            check_laws(&world, 3);
        }
        check_journal(&world);
        check_budget(&world, 3);
    }

    #[test]
    fn a_persons_stop_always_wins(
        before in prop::collection::vec(happening(), 0..80),
        after in prop::collection::vec(happening(), 0..80),
    ) {
        let mut world = world();
        for happening in &before {
            happen(&mut world, happening);
        }
        let outcome = world.command(Command::Stop);
        prop_assert!(!matches!(outcome, CommandOutcome::Denied(_)), "a stop was denied: {:?}", outcome);
        for happening in &after {
            if !matches!(happening, Happening::Say(_)) {
                happen(&mut world, happening);
            }
            prop_assert!(!world.ready(), "yes after a person's stop");
        }
        let at_rest = |w: &World| matches!(w.state(), StateName::Stopped | StateName::Failed);
        prop_assert!(deadlines_until(&mut world, at_rest), "still {}", world.state());
        prop_assert!(!world.desired().started, "a new daemon would start it");
    }

    #[test]
    fn every_plan_ends_even_if_nobody_ever_answers(happenings in prop::collection::vec(happening(), 0..80)) {
        let mut world = world();
        for happening in &happenings {
            happen(&mut world, happening);
        }
        let ended = deadlines_until(&mut world, |w| w.view().plan.is_none() && w.next_deadline().is_none());
        prop_assert!(ended, "still {} at {:?}", world.state(), world.view().plan);
    }

    #[test]
    fn equal_events_give_equal_decisions(happenings in prop::collection::vec(happening(), 0..60)) {
        let run = || {
            let mut world = world();
            for happening in &happenings {
                happen(&mut world, happening);
            }
            (world.records().to_vec(), world.snapshot())
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_new_daemon_goes_on_where_the_last_one_was_killed(
        before in prop::collection::vec(happening(), 0..80),
        after in prop::collection::vec(happening(), 0..40),
    ) {
        let mut world = world();
        for happening in &before {
            happen(&mut world, happening);
        }
        let (was, desired, at_work) = (world.view(), world.desired(), world.step_at_work());
        world.kill_daemon();
        let is = world.view();
        prop_assert_eq!(world.desired(), desired);
        prop_assert_eq!(is.restarts, was.restarts, "what is counted is counted still");
        match was.state {
            StateName::Stopped => prop_assert_eq!(is.state, StateName::Stopped),
            StateName::Failed | StateName::Draining | StateName::Stopping => {
                prop_assert_eq!((is.state, &is.reason, is.since), (was.state, &was.reason, was.since));
            }
            StateName::Restarting if was.plan.is_some() => prop_assert_eq!(is.state, StateName::Restarting),
            StateName::Backoff => prop_assert_eq!((is.state, is.next), (was.state, was.next)),
            _ => prop_assert_eq!(is.state, StateName::Starting),
        }
        if is.state != StateName::Starting {
            // The step in progress is repeated, and nothing before it.
            let step = |step: Option<(_, usize, StepAction)>| step.map(|(_, index, action)| (index, action));
            prop_assert_eq!(step(world.step_at_work()), step(at_work));
        }
        let at_rest = |w: &World| w.view().plan.is_none() && w.next_deadline().is_none();
        for happening in &after {
            happen(&mut world, happening);
            check_laws(&world, 3);
        }
        prop_assert!(deadlines_until(&mut world, at_rest), "it has stalled in {}", world.state());
    }

    #[test]
    fn a_core_that_is_told_its_transcript_decides_the_same(
        happenings in prop::collection::vec(happening(), 0..120), cut in 0usize..120,
    ) {
        let mut world = world();
        for happening in &happenings {
            happen(&mut world, happening);
        }
        let records = decided(world.records());
        let lines = world.lines().to_vec();
        prop_assert_eq!(&decided(&replayed(&lines, lines.len())), &records);
        // Half-way through it continues from a checkpoint, which was stored in a file.
        prop_assert_eq!(&decided(&replayed(&lines, cut)), &records);
    }
}

/// Records without their evidence: only the number of repetitions is kept.
fn decided(records: &[Record]) -> Vec<Record> {
    let mut records = records.to_vec();
    for record in &mut records {
        if let RecordKind::Incident { incident } = &mut record.kind {
            incident.observations.clear();
        }
    }
    records
}

fn replayed(lines: &[(Moment, Input)], checkpoint_before: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut node: Option<Node> = None;
    for (index, (at, line)) in lines.iter().enumerate() {
        let line: Input = serde_json::from_str(&serde_json::to_string(line).unwrap()).unwrap();
        if let (true, Some(before)) = (index == checkpoint_before, &node) {
            let text = serde_json::to_string(&before.checkpoint()).unwrap();
            node = Some(Node::restore(serde_json::from_str(&text).unwrap()));
        }
        if let Input::Began(beginning) = &line {
            node = Some(Node::new(beginning.clone()));
        }
        let node = node.as_mut().expect("a transcript begins with a beginning");
        records.extend(transcript::tell(node, &line, *at).into_iter().filter_map(|action| match action {
            Action::Record(record) => Some(record),
            _ => None,
        }));
    }
    records
}
