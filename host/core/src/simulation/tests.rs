//! Stories, and their results.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::cast::{Cast, Role, Sees};
use super::judging::offset;
use super::report::Report;
use super::scenario::{Behaviour, End, Expectation, Expected, Happening, Look, Scenario, Start, Then, What};
use super::{MAX_TURNS, Question, Simulation, TooMuch, Turn};
use crate::command::Command;
use crate::id::{CheckerName, CommandName};
use crate::observation::Status;
use crate::plan::{Occasion, OnFailure, Plan, Signal, Step, StepAction, Target};
use crate::policy::{
    BackoffPolicy, BudgetPolicy, CheckerKind, CheckerPolicy, CommandPolicy, ModulePolicy, OnDown, Thresholds,
};
use crate::state::StateName;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn name<N: std::str::FromStr>(text: &str) -> N
where
    N::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn component(on_down: OnDown) -> (CheckerPolicy, Role) {
    let thresholds = Thresholds { rise: 2, fall: 3, grace: seconds(30), ..Thresholds::default() };
    let policy = CheckerPolicy {
        kind: CheckerKind::Component,
        thresholds,
        on_down,
        interval: seconds(5),
        timeout: seconds(2),
        patience: seconds(30),
        kept: false,
        definition: 1,
    };
    (policy, Role { interval: seconds(5), first: seconds(2), sees: Sees::Component })
}

/// A kept application `start` with its process checker, a `page` and a prerequisite `database`.
pub(crate) fn cast() -> Cast {
    let process = (
        CheckerPolicy {
            kind: CheckerKind::Process,
            thresholds: Thresholds::default(),
            on_down: OnDown::Restart,
            interval: seconds(2),
            timeout: seconds(2),
            patience: seconds(30),
            kept: true,
            definition: 1,
        },
        Role {
            interval: seconds(2),
            first: Duration::ZERO,
            sees: Sees::Kept { command: name("start"), at_least: 1 },
        },
    );
    let all: [(&str, (CheckerPolicy, Role)); 3] =
        [("app", process), ("page", component(OnDown::Restart)), ("database", component(OnDown::Wait))];
    let command = |keep| CommandPolicy { keep, timeout: seconds(10) };
    Cast {
        node: name("node-1"),
        module: name("web"),
        policy: Arc::new(ModulePolicy {
            checkers: all.iter().map(|(checker, (policy, _))| (name(checker), policy.clone())).collect(),
            commands: BTreeMap::from([(name("start"), command(true)), (name("stop"), command(false))]),
            budget: BudgetPolicy { restarts: 3, within: seconds(86_400) },
            backoff: BackoffPolicy { first: seconds(1), max: seconds(60) },
            drain: seconds(15).into(),
            degrade: false,
            start_within: seconds(60),
            appear_within: None,
            keep_trying: Duration::ZERO,
            plan_within: seconds(5),
        }),
        checkers: all.into_iter().map(|(checker, (_, role))| (name(checker), role)).collect(),
    }
}

/// `nginx` in the background, started and stopped by commands.
fn background() -> Cast {
    let mut cast = cast();
    let mut policy = (*cast.policy).clone();
    for command in policy.commands.values_mut() {
        command.keep = false;
    }
    policy.checkers.remove("database");
    cast.policy = Arc::new(policy);
    cast.checkers.remove("database");
    let role = cast.checkers.get_mut("app").unwrap();
    role.sees = Sees::Processes { label: "`nginx`".to_owned(), at_least: 1 };
    cast
}

fn step(action: StepAction, on_failure: OnFailure) -> Step {
    Step { action, timeout: seconds(10), on_failure }
}

/// The answer of the standard restart script.
pub(crate) fn plan(cast: &Cast, question: &Question) -> Plan {
    let keeps = cast.kept().next().is_some();
    let run = |command: &str| StepAction::Run { command: name(command), arguments: Vec::new() };
    let app = || Target::Command(name("start"));
    let start = step(if keeps { StepAction::Keep(name("start")) } else { run("start") }, OnFailure::Fail);
    let runs = !question.running.is_empty() || !keeps;
    let stop = |on_failure| {
        let asked = step(run("stop"), on_failure);
        let gone = keeps.then(|| step(StepAction::AwaitExit(app()), on_failure));
        if runs { [asked].into_iter().chain(gone).collect() } else { Vec::new() }
    };
    let steps = match question.request.occasion {
        Occasion::Start => vec![start],
        Occasion::Stop => stop(OnFailure::Fail),
        Occasion::ForcedStop(_) => vec![
            step(StepAction::Signal(app(), Signal::Kill), OnFailure::GoOn),
            step(StepAction::AwaitExit(app()), OnFailure::Fail),
        ],
        Occasion::Restart | Occasion::Incident(_) => {
            stop(OnFailure::ForceStop).into_iter().chain([start]).collect()
        }
    };
    Plan { summary: question.request.occasion.word().to_owned(), steps }
}

fn play_out(cast: &Cast, scenario: &Scenario, seed: u64) -> Result<Report, TooMuch> {
    let mut simulation = Simulation::new(cast.clone(), scenario.clone(), seed);
    loop {
        match simulation.go_on()? {
            Turn::Over(report) => return Ok(*report),
            Turn::Ask(question) => {
                let plan = plan(cast, &question);
                simulation.answer(&question, Ok(plan));
            }
        }
    }
}

pub(crate) fn story(lasts: u64, happenings: Vec<Happening>) -> Scenario {
    Scenario {
        lasts: seconds(lasts),
        start: Start::Running,
        warm_up: seconds(1),
        happenings,
        commands: BTreeMap::new(),
        expectations: Vec::new(),
    }
}

pub(crate) fn says(at: u64, checker: &str, status: Status, lasts: Option<u64>) -> Happening {
    let what = What::Says { checker: name(checker), status, summary: "no answer".to_owned() };
    Happening { at: seconds(at), lasts: lasts.map(seconds), what }
}

pub(crate) fn dies(at: u64, lasts: Option<u64>) -> Happening {
    let what = What::Ends { command: name("start"), how: End::Killed };
    Happening { at: seconds(at), lasts: lasts.map(seconds), what }
}

pub(crate) fn types(at: u64, command: Command) -> Happening {
    Happening { at: seconds(at), lasts: None, what: What::Command(command) }
}

/// The states in their order, each with the second in which it was entered.
fn states(report: &Report) -> Vec<(u64, StateName)> {
    report.entered.iter().map(|(at, state)| (at.as_secs(), *state)).collect()
}

fn told(report: &Report) -> String {
    let line =
        |entry: &super::report::TimelineEntry| format!("{} {}\n", offset(entry.at), entry.kind.sentence());
    report.timeline.iter().map(line).collect()
}

fn play(scenario: &Scenario) -> Report {
    play_out(&cast(), scenario, 1).unwrap()
}

use StateName::{Backoff, Draining, Failed, Restarting, Starting, Stopped, Stopping, Up, Waiting};

#[test]
fn when_nothing_happens_nothing_is_told_and_days_take_no_longer_than_minutes() {
    let report = play(&story(7 * 86_400, Vec::new()));
    assert_eq!(told(&report), "");
    assert_eq!(states(&report), [(0, Up)]);
    assert_eq!((report.summary.not_ready, report.summary.restarts), (Duration::ZERO, 0));
    assert!(report.summary.runs > 400_000, "all of them are counted: {}", report.summary.runs);
}

#[test]
fn a_death_is_answered_by_a_restart() {
    let report = play(&story(60, vec![dies(10, None)]));
    assert_eq!(states(&report), [(0, Up), (10, Restarting), (11, Up)], "{}", told(&report));
    assert_eq!(report.summary.restarts, 1);
    let not_ready = report.summary.not_ready;
    assert!(not_ready > seconds(1) && not_ready < seconds(2), "the warm-up, above all: {not_ready:?}");
}

#[test]
fn while_a_prerequisite_is_away_the_module_waits_and_then_starts_by_itself() {
    let report = play(&story(300, vec![says(30, "database", Status::Fail, Some(90))]));
    let entered: Vec<StateName> = states(&report).into_iter().map(|(_, state)| state).collect();
    assert_eq!(entered, [Up, Stopping, Waiting, Starting, Up], "{}", told(&report));
    assert_eq!(report.summary.restarts, 0, "waiting costs no restart");
    assert!(report.summary.end.as_ref().unwrap().ready);
}

#[test]
fn an_application_that_dies_again_and_again_spends_its_budget_and_fails() {
    let report = play(&story(600, vec![dies(10, Some(500))]));
    assert_eq!(report.summary.restarts, 3, "{}", told(&report));
    assert_eq!(report.summary.end.as_ref().unwrap().state, Failed);
    assert!(states(&report).iter().any(|(_, state)| *state == Backoff));
    assert!(told(&report).contains("3 automatic restarts within 1d are used up"), "{}", told(&report));
}

#[test]
fn one_that_lives_again_before_the_budget_is_spent_comes_up() {
    let report = play(&story(600, vec![dies(10, Some(1))]));
    assert_eq!(report.summary.end.as_ref().unwrap().state, Up, "{}", told(&report));
    assert!(report.summary.restarts < 3);
}

#[test]
fn a_stop_drains_first_and_a_start_brings_it_back() {
    let report = play(&story(120, vec![types(10, Command::Stop), types(60, Command::Start)]));
    assert_eq!(
        states(&report),
        [(0, Up), (10, Draining), (25, Stopping), (25, Stopped), (60, Starting), (61, Up)],
        "{}",
        told(&report)
    );
}

#[test]
fn while_it_is_suspended_a_death_is_not_acted_on() {
    let happenings = vec![types(5, Command::Suspend), dies(10, None), types(60, Command::Resume)];
    let report = play(&story(120, happenings));
    assert_eq!(states(&report), [(0, Up), (60, Restarting), (61, Up)], "{}", told(&report));
    assert_eq!(report.summary.not_ready.as_secs(), 51);
}

#[test]
fn a_checker_that_flaps_below_its_thresholds_moves_nothing() {
    let happenings = (1..20).map(|n| says(n * 30, "page", Status::Fail, Some(8))).collect();
    let report = play(&story(700, happenings));
    assert_eq!(states(&report), [(0, Up)], "{}", told(&report));
}

#[test]
fn a_checker_that_cannot_tell_restarts_nothing() {
    let report = play(&story(600, vec![says(30, "page", Status::Unknown, Some(300))]));
    assert_eq!(states(&report), [(0, Up)], "{}", told(&report));
    assert!(told(&report).contains("up → undecided"), "{}", told(&report));
}

#[test]
fn a_stop_that_hangs_is_forced() {
    let mut scenario = story(120, vec![says(10, "page", Status::Fail, Some(30))]);
    scenario
        .commands
        .insert(name("start"), Behaviour { ends_in: Some(seconds(3600)), ..Behaviour::default() });
    let report = play(&scenario);
    assert!(told(&report).contains("send SIGKILL to `start`: sent SIGKILL"), "{}", told(&report));
    assert_eq!(report.summary.end.as_ref().unwrap().state, Up, "{}", told(&report));
}

#[test]
fn a_command_takes_and_fails_as_the_scenario_says() {
    for (behaviour, said) in [
        (Behaviour { takes: Some(seconds(4)), ..Behaviour::default() }, "run `stop`: exited with 0 after 4s"),
        (
            Behaviour { takes: Some(seconds(40)), ..Behaviour::default() },
            "run `stop`: failed: not done within 10s",
        ),
        (
            Behaviour { fails: Some("exit code 1".to_owned()), ..Behaviour::default() },
            "run `stop`: failed: exit code 1",
        ),
    ] {
        let mut scenario = story(120, vec![types(10, Command::Stop)]);
        scenario.commands.insert(name("stop"), behaviour);
        let report = play(&scenario);
        assert!(told(&report).contains(said), "{said}:\n{}", told(&report));
        assert_eq!(report.summary.end.as_ref().unwrap().state, Stopped);
    }
}

#[test]
fn a_start_that_fails_a_number_of_times_works_then() {
    let mut scenario = story(120, vec![dies(10, None)]);
    let fails = Some("address in use".to_owned());
    scenario.commands.insert(name("start"), Behaviour { fails, times: Some(2), ..Behaviour::default() });
    let report = play(&scenario);
    assert_eq!(
        told(&report).matches("start `start`: failed: address in use").count(),
        2,
        "{}",
        told(&report)
    );
    assert_eq!(report.summary.end.as_ref().unwrap().state, Up, "{}", told(&report));
    assert_eq!(report.summary.restarts, 3);
}

#[test]
fn a_scenario_begins_stopped_or_with_a_boot_if_it_says_so() {
    let mut scenario = story(60, Vec::new());
    scenario.start = Start::Stopped;
    assert_eq!(states(&play(&scenario)), [(0, Stopped)]);
    scenario.start = Start::Boot;
    assert_eq!(states(&play(&scenario)), [(0, Stopped), (0, Starting), (1, Up)]);
}

#[test]
fn an_application_in_the_background_is_started_and_stopped_by_its_commands() {
    let happenings = vec![dies(10, None), types(40, Command::Stop), types(80, Command::Start)];
    let report = play_out(&background(), &story(120, happenings), 1).unwrap();
    let entered: Vec<StateName> = states(&report).into_iter().map(|(_, state)| state).collect();
    assert_eq!(entered, [Up, Restarting, Up, Draining, Stopping, Stopped, Starting, Up], "{}", told(&report));
}

#[test]
fn what_a_command_makes_of_the_application_can_be_said() {
    let mut cast = background();
    let mut policy = (*cast.policy).clone();
    let start = policy.commands.remove("start").unwrap();
    policy.commands.insert(name("launch"), start);
    cast.policy = Arc::new(policy);
    let mut scenario = story(10, Vec::new());
    let then = |then| Behaviour { then: Some(then), ..Behaviour::default() };
    scenario.commands.insert(name("launch"), then(Then::Running));
    assert_eq!(states(&play_out(&cast, &scenario, 1).unwrap()), [(0, Up)]);
}

fn expecting(what: Expected) -> Option<String> {
    let mut scenario = story(120, vec![says(30, "database", Status::Fail, Some(30)), dies(90, None)]);
    scenario.expectations.push(Expectation { line: 7, what });
    let report = play(&scenario);
    assert_eq!(report.outcomes.len(), 1);
    assert_eq!(report.is_as_expected(), report.outcomes[0].instead.is_none());
    report.outcomes[0].instead.clone()
}

#[test]
fn expectations_are_met_or_it_is_said_what_was_instead() {
    let look = |state, ready, restarts| Look { state, ready, restarts };
    for (what, instead) in [
        (Expected::At(seconds(10), look(Some(Up), Some(true), Some(0))), None),
        (Expected::At(seconds(50), look(Some(Up), None, None)), Some("it was waiting (since +40s: ")),
        (Expected::At(seconds(50), look(None, Some(true), None)), Some("it was not ready (since +")),
        (Expected::At(seconds(110), look(None, None, Some(2))), Some("it was 1 automatic restart (since +")),
        (Expected::Within(seconds(30), seconds(60), look(Some(Waiting), None, None)), None),
        (
            Expected::Within(seconds(0), seconds(20), look(Some(Waiting), None, None)),
            Some("it never was; at +20s it was up (since +0s: "),
        ),
        (Expected::Never(Failed), None),
        (Expected::Never(Waiting), Some("it was at +40s: ")),
        (Expected::RestartsAtMost(1), None),
        (Expected::RestartsAtMost(0), Some("there were 1, number 1 at +1m 30s")),
        (Expected::NotReadyAtMost(seconds(60)), None),
        (Expected::NotReadyAtMost(seconds(5)), Some("it was not ready for ")),
    ] {
        let was = expecting(what.clone());
        match (&was, instead) {
            (None, None) => {}
            (Some(was), Some(instead)) => assert!(was.starts_with(instead), "{what:?}: {was}"),
            _ => panic!("{what:?}: {was:?}"),
        }
    }
}

#[test]
fn more_than_a_simulation_takes_in_is_a_clear_error() {
    // It never settles: the checker has another result each time.
    let happenings = (0..80_000).map(|n| says(n, "page", Status::Warn, None)).collect();
    let error = play_out(&cast(), &story(100_000, happenings), 1).unwrap_err();
    assert!(error.entries >= super::MAX_ENTRIES && error.turns < MAX_TURNS, "{error:?}");
    assert!(error.to_string().starts_with("too many events: after 13h 53m of the scenario"), "{error}");
}

fn checker() -> impl Strategy<Value = CheckerName> {
    prop_oneof![Just("app"), Just("page"), Just("database")].prop_map(name)
}

fn happening() -> impl Strategy<Value = Happening> {
    let status =
        prop_oneof![Just(Status::Pass), Just(Status::Warn), Just(Status::Fail), Just(Status::Unknown)];
    let what = prop_oneof![
        4 => (checker(), status).prop_map(|(checker, status)| What::Says {
            checker,
            status,
            summary: "so".to_owned()
        }),
        2 => Just(What::Ends { command: name::<CommandName>("start"), how: End::Exits(3) }),
        2 => proptest::sample::select(Command::ALL.to_vec()).prop_map(What::Command),
    ];
    (0u64..4000, proptest::option::of(1u64..600), what).prop_map(|(at, lasts, what)| Happening {
        at: seconds(at),
        lasts: lasts.map(seconds),
        what,
    })
}

proptest! {
    // Each is an hour of a module's life, three times.
    #![proptest_config(crate::long::cases(16, 64))]

    #[test]
    fn equal_scenarios_give_equal_reports_and_what_is_left_out_changes_nothing(
        happenings in proptest::collection::vec(happening(), 0..12), seed: u64,
    ) {
        let scenario = story(4200, happenings);
        let report = play_out(&cast(), &scenario, seed).unwrap();
        prop_assert_eq!(&play_out(&cast(), &scenario, seed).unwrap(), &report);

        let mut whole = Simulation::new(cast(), scenario, seed);
        whole.sights.leave_nothing_out();
        let whole = loop {
            match whole.go_on().unwrap() {
                Turn::Over(report) => break *report,
                Turn::Ask(question) => {
                    let plan = plan(&cast(), &question);
                    whole.answer(&question, Ok(plan));
                }
            }
        };
        prop_assert_eq!(whole, report);
    }
}
