use super::*;
use bellwether_guest::{Incident, StepFailure, parse_config};

/// `app:kept,running stop` is a module with these two commands.
fn request(occasion: Occasion, commands: &str) -> PlanRequest {
    commands.split_whitespace().fold(PlanRequest::for_test(occasion), |request, text| {
        let (name, traits) = text.split_once(':').unwrap_or((text, ""));
        request.with_command(DeclaredCommand {
            name: name.into(),
            keep: traits.contains("kept"),
            running: traits.contains("running"),
            timeout: Duration::from_secs(7),
        })
    })
}

fn incident() -> Occasion {
    Occasion::Incident(Incident {
        checker: "page".into(),
        summary: "answered 500".into(),
        observations: Vec::new(),
        history: Vec::new(),
    })
}

/// The steps in short form: `run stop 7s!` is forced, `…?` continues, `…` fails.
fn steps(occasion: Occasion, commands: &str) -> String {
    steps_with("{}", occasion, commands)
}

fn steps_with(config: &str, occasion: Occasion, commands: &str) -> String {
    let made = match plan(parse_config(config).unwrap(), &request(occasion, commands)) {
        Ok(made) => made,
        Err(reason) => return reason,
    };
    made.steps.iter().map(in_short).collect::<Vec<_>>().join(", ")
}

fn in_short(step: &Step) -> String {
    let name = |target: &Target| match target {
        Target::Command(name) | Target::Checker(name) => name.clone(),
    };
    let action = match &step.action {
        StepAction::Run { command, arguments } if arguments.is_empty() => format!("run {command}"),
        StepAction::Keep(command) => format!("keep {command}"),
        StepAction::Signal(target, signal) => format!("{signal:?} {}", name(target)),
        StepAction::AwaitExit(target) => format!("await {}", name(target)),
        other => panic!("this script makes no such step: {other:?}"),
    };
    let mark = match step.on_failure {
        OnFailure::Fail => "",
        OnFailure::GoOn => "?",
        OnFailure::ForceStop => "!",
    };
    format!("{action} {}s{mark}", step.timeout.as_secs())
}

#[test]
fn a_start_keeps_the_application() {
    assert_eq!(steps(Occasion::Start, "app:kept stop"), "keep app 10s");
    assert_eq!(steps(Occasion::Start, "a:kept b:kept"), "keep a 10s, keep b 10s");
    assert_eq!(steps(Occasion::Start, "start:kept"), "keep start 10s");
}

#[test]
fn a_start_runs_what_goes_into_the_background_first() {
    assert_eq!(steps(Occasion::Start, "start stop"), "run start 7s");
    assert_eq!(steps(Occasion::Start, "worker:kept start stop"), "run start 7s, keep worker 10s");
}

#[test]
fn a_stop_runs_the_stop_command_and_waits_for_the_end() {
    assert_eq!(steps(Occasion::Stop, "app:kept,running stop"), "run stop 7s, await app 7s");
}

#[test]
fn a_stop_without_a_stop_command_sends_the_signal_to_what_runs() {
    assert_eq!(
        steps(Occasion::Stop, "a:kept,running b:kept c:kept,running"),
        "Term a 1s, Term c 1s, await a 7s, await c 7s"
    );
}

#[test]
fn the_stop_signal_is_the_operators_choice() {
    let config = parse_config(r#"{"stop-signal": "quit"}"#).unwrap();
    let made = plan(config, &request(Occasion::Stop, "app:kept,running")).unwrap();
    assert_eq!(in_short(&made.steps[0]), "Quit app 1s");
    assert!(parse_config::<Config>(r#"{"stop-signal": "stop"}"#).unwrap_err().contains("`stop-signal`"));
}

const SERIES: &str = r#"{"stop": [{"signal": "int", "wait": "20s"}, {"signal": "quit"}]}"#;

#[test]
fn a_series_of_signals_goes_on_with_what_has_not_ended() {
    assert_eq!(
        steps_with(SERIES, Occasion::Stop, "app:kept,running"),
        "Int app 1s?, await app 20s?, Quit app 1s, await app 7s"
    );
    assert_eq!(
        steps_with(SERIES, Occasion::Restart, "app:kept,running"),
        "Int app 1s?, await app 20s?, Quit app 1s!, await app 7s!, keep app 10s"
    );
    assert_eq!(
        steps_with(SERIES, Occasion::Stop, "a:kept,running b:kept,running c:kept"),
        "Int a 1s?, Int b 1s?, await a 20s?, await b 20s?, Quit a 1s, Quit b 1s, await a 7s, await b 7s"
    );
    assert_eq!(steps_with(SERIES, Occasion::Stop, "app:kept"), "");
}

#[test]
fn a_series_follows_a_stop_command_where_something_is_kept() {
    assert_eq!(
        steps_with(SERIES, Occasion::Stop, "app:kept,running stop"),
        "run stop 7s?, await app 7s?, Int app 1s?, await app 20s?, Quit app 1s, await app 7s"
    );
    assert_eq!(steps_with(SERIES, Occasion::Stop, "start stop"), "run stop 7s");
}

#[test]
fn a_series_that_means_nothing_is_refused() {
    for config in [r#"{"stop": [{"signal": "int", "wait": "20"}]}"#, r#"{"stop": [{"wait": "20s"}]}"#] {
        assert!(parse_config::<Config>(config).is_err(), "{config}");
    }
    let schema = bellwether_guest::config_schema::<Config>();
    assert!(schema.contains(r#""minItems":1"#) && schema.contains(r#""maxItems":5"#), "{schema}");
}

#[test]
fn what_is_to_run_before_the_start_runs_before_it() {
    assert_eq!(steps(Occasion::Start, "app:kept before-start"), "run before-start 7s, keep app 10s");
    assert_eq!(steps(Occasion::Start, "before-start start stop"), "run before-start 7s, run start 7s");
    assert_eq!(
        steps(Occasion::Restart, "app:kept,running before-start"),
        "Term app 1s!, await app 7s!, run before-start 7s, keep app 10s"
    );
    assert!(steps(Occasion::Start, "before-start").contains("declares nothing to start"));
}

#[test]
fn what_does_not_run_needs_no_stop() {
    let made = plan(Config::default(), &request(Occasion::Stop, "app:kept stop")).unwrap();
    assert_eq!(made, Plan::new("nothing to stop"));
    assert_eq!(steps(Occasion::Stop, "app:kept"), "");
}

#[test]
fn what_is_in_the_background_is_stopped_without_looking() {
    assert_eq!(steps(Occasion::Stop, "start stop"), "run stop 7s");
    assert_eq!(steps(Occasion::Restart, "start stop"), "run stop 7s!, run start 7s");
    assert_eq!(steps(incident(), "start stop"), "run stop 7s!, run start 7s");
}

#[test]
fn a_forced_stop_kills_and_waits_until_all_is_gone() {
    let forced = || Occasion::ForcedStop(None);
    assert_eq!(steps(forced(), "app:kept,running"), "Kill app 1s?, await app 5s");
    assert_eq!(steps(forced(), "app:kept"), "Kill app 1s?, await app 5s");
    assert_eq!(
        steps(forced(), "a:kept,running b:kept forced-stop stop"),
        "run forced-stop 7s?, Kill a 1s?, Kill b 1s?, await a 5s, await b 5s"
    );
    let failure = StepFailure { plan: "stop web".into(), step: 0, reason: "exit status 1".into() };
    assert_eq!(steps(Occasion::ForcedStop(Some(failure)), "start stop forced-stop"), "run forced-stop 7s?");
}

#[test]
fn a_restart_forces_the_stop_where_it_does_not_work() {
    assert_eq!(
        steps(Occasion::Restart, "app:kept,running stop"),
        "run stop 7s!, await app 7s!, keep app 10s"
    );
    assert_eq!(steps(incident(), "app:kept,running"), "Term app 1s!, await app 7s!, keep app 10s");
}

#[test]
fn a_dead_application_is_only_started() {
    assert_eq!(steps(incident(), "app:kept stop"), "keep app 10s");
    assert_eq!(steps(Occasion::Restart, "app:kept stop"), "keep app 10s");
    assert_eq!(
        steps(incident(), "dead:kept alive:kept,running"),
        "Term alive 1s!, await alive 7s!, keep dead 10s, keep alive 10s"
    );
}

#[test]
fn what_is_missing_is_said() {
    assert_eq!(
        steps(Occasion::Start, "stop"),
        "module `module` declares nothing to start: add a command with `keep = true`, or one named `start`, to \
         its [commands]"
    );
    assert!(steps(Occasion::Stop, "start").ends_with("add a command named `stop` to its [commands]"));
    assert!(steps(Occasion::ForcedStop(None), "start stop").contains("named `forced-stop`"));
}
