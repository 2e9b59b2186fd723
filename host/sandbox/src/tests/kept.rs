//! Guests that were compiled once, for interfaces that have been extended since.

use super::*;
use bellwether_testing::guest::{FIRST_INTERFACE, INTERFACE};

const CHECKER_1_0: &[u8] = include_bytes!("../../../../tests/guests/kept/checker-1.0.0.wasm");
const SCRIPT_1_0: &[u8] = include_bytes!("../../../../tests/guests/kept/restart-script-1.0.0.wasm");
/// As from a guest that was compiled by another compiler, for instance.
const TIME: Duration = Duration::from_secs(60);

fn of_the_daemon() -> Sandbox {
    Sandbox::new(&LimitsSpec::default(), Compiler::Own).unwrap().describing_within(TIME)
}

#[tokio::test]
async fn the_checker_of_1_0_runs_as_it_did() {
    let sandbox = of_the_daemon();
    let component = sandbox.load(CHECKER_1_0).unwrap();
    assert_eq!(component.kind(), Kind::Checker);
    assert!(component.imports().contains(&"bellwether:guest/state@1.0.0".to_owned()), "it was replaced");
    let about = component.about();
    assert_eq!((about.name.as_str(), about.version.as_str()), ("kept", "1.0.0"));
    assert!(about.config_schema.contains("sleep-ms"), "{}", about.config_schema);
    assert_eq!(about.grants.len(), 2);
    assert_eq!((about.grants[0].kind.as_str(), about.grants[0].value.as_str()), ("connect", "127.0.0.1:9"));

    let state = StateHandle::default();
    let config: Arc<str> = r#"{"greet": "the farm", "sleep-ms": 5}"#.into();
    for number in 1..=2_u32 {
        let run = CheckRun {
            run: number.into(),
            config: Arc::clone(&config),
            time: TIME,
            limits: RunLimits::default(),
            state: state.clone(),
            ..run(0)
        };
        let report = sandbox.check(&component, run).await;
        let seen = report.result.unwrap();
        assert_eq!(
            (seen.status, seen.summary.as_str()),
            (Status::Pass, "node-1/web/home-page greets the farm")
        );
        let measured = |name: &str| seen.measurements.iter().find(|m| m.name == name).unwrap().value;
        assert!((measured("runs") - f64::from(number)).abs() < 0.1, "the state did not carry on");
        assert!((measured("run-number") - f64::from(number)).abs() < 0.1);
        assert!((measured("time-limit") - 54_000.0).abs() < 0.1, "{}", measured("time-limit"));
        let refused = seen.attributes.iter().find(|(name, _)| name == "too-large").unwrap();
        assert!(refused.1.contains("65536 are allowed"), "{}", refused.1);
        assert_eq!(report.log.len(), 4);
        assert_eq!((report.log[1].level, report.log[1].text.as_str()), (LogLevel::Info, "hello the farm"));
        assert_eq!(report.written, "written to the standard output\n");
        assert_eq!(report.refusals, []);
    }
    let wrong = CheckRun { config: r#"{"great": 1}"#.into(), time: TIME, ..run(0) };
    let seen =
        sandbox.check(&component, CheckRun { limits: RunLimits::default(), ..wrong }).await.result.unwrap();
    assert_eq!(seen.status, Status::Unknown);
    assert!(seen.summary.contains("unknown field `great`"), "{}", seen.summary);
}

#[tokio::test]
async fn the_restart_script_of_1_0_makes_its_plans() {
    let sandbox = of_the_daemon();
    let component = sandbox.load(SCRIPT_1_0).unwrap();
    assert_eq!(component.kind(), Kind::RestartScript);
    assert!(component.imports().contains(&"bellwether:guest/log@1.0.0".to_owned()), "it was replaced");
    let state = StateHandle::default();
    let run = || PlanRun {
        config: r#"{"application": "start"}"#.into(),
        time: TIME,
        limits: RunLimits::default(),
        state: state.clone(),
        ..plan_run(Clock::start())
    };
    let plan = sandbox.plan(&component, run()).await.unwrap();
    assert_eq!(plan.summary, "1: start on node-1/web, 0 of 3, [start true false 10s]");
    let steps: Vec<_> = plan.steps.iter().map(|step| step.action.to_string()).collect();
    assert_eq!(steps.len(), 6, "{steps:?}");
    let StepAction::Run { arguments, .. } = &plan.steps[2].action else { panic!("{steps:?}") };
    assert_eq!(arguments, &["--fast"]);
    assert_eq!(plan.steps[1].timeout, Duration::from_secs(7));
    let again = sandbox.plan(&component, run()).await.unwrap();
    assert!(again.summary.starts_with("2: "), "the state did not carry on: {}", again.summary);

    let stop = PlanRequest { occasion: Occasion::Stop, ..run().request };
    let error = sandbox.plan(&component, PlanRun { request: stop, ..run() }).await.unwrap_err();
    assert_eq!(error.to_string(), "this one never stops");
}

#[test]
fn a_guest_of_a_later_minor_is_taken_unless_it_needs_what_is_not_there() {
    const LEVEL: &str = r#"
        (type $level' (enum "debug" "info" "warn" "error"))
        (export "level" (type $level (eq $level')))
        (export "log" (func (param "level" $level) (param "message" string)))"#;
    let of = |interface: &str, functions: &str| {
        format!(r#"(import "bellwether:guest/{interface}@1.9.0" (instance {functions}))"#)
    };
    let sandbox = sandbox();
    // Its exports are missing, so it is rejected all the same; the message names the interface.
    for (imports, missing) in [
        (of("log", LEVEL), None),
        (of("state", r#"(export "remove" (func (param "key" string)))"#), None),
        (of("log", &format!(r#"{LEVEL} (export "flush" (func))"#)), Some("flush")),
        (of("state", r#"(export "remove" (func (param "key" string) (param "old" bool)))"#), Some("remove")),
        (of("brewery", r#"(export "brew" (func))"#), Some("bellwether:guest/brewery@1.9.0")),
        // A type with another field is another type.
        (
            of("log", &LEVEL.replace("\"error\"", "\"error\" \"panic\"")),
            Some("expected enum of 4 names, found 5 names"),
        ),
        // Another major version is another interface.
        (of("log", LEVEL).replace("1.9.0", "2.0.0"), Some("bellwether:guest/log@2.0.0")),
    ] {
        let bytes = wat::parse_str(format!("(component {imports})")).unwrap();
        let error = sandbox.load(bytes).unwrap_err();
        let LoadError::Incompatible(why) = error else { panic!("{imports}: {error}") };
        match missing {
            None => assert!(why.contains("it exports neither bellwether:guest/check"), "{imports}: {why}"),
            Some(missing) => assert!(why.contains(missing), "{imports}: {why}"),
        }
    }
}

/// The declarations of an interface or a world, without comments: `record x {…}`, `get: func(…)`.
fn declarations(wit: &str, of: &str) -> Vec<String> {
    let plain: Vec<&str> = wit.lines().filter_map(|line| line.split("///").next()).collect();
    let plain = plain.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let start = plain.find(&format!("{of} {{")).unwrap_or_else(|| panic!("there is no {of}"));
    let body = &plain[start + of.len() + 2..];
    let (mut depth, mut declaration, mut all) = (0, String::new(), Vec::new());
    for letter in body.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if depth < 0 {
            break;
        }
        declaration.push(letter);
        if depth == 0 && matches!(letter, ';' | '}') {
            all.push(std::mem::take(&mut declaration).trim().to_owned());
        }
    }
    all
}

#[test]
fn the_interface_has_only_grown_since_1_0() {
    let named = |line: &&str| line.starts_with("interface ") || line.starts_with("world ");
    let parts: Vec<_> =
        FIRST_INTERFACE.lines().filter(named).map(|line| line.trim_end_matches(" {")).collect();
    assert_eq!(parts.len(), 8, "{parts:?}");
    for part in parts {
        let (first, now) = (declarations(FIRST_INTERFACE, part), declarations(INTERFACE, part));
        assert!(!first.is_empty());
        for declaration in &first {
            assert!(now.contains(declaration), "{part} had `{declaration}`");
        }
        if part.starts_with("world ") {
            assert_eq!(first, now, "a {part} that asks for more is another one");
        }
    }
}
