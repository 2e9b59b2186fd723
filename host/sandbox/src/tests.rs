//! Tests with guests that behave, and guests that do not.

mod deadlines;
mod fuzz;
mod kept;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::id::{CheckerName, CommandName, ModuleName, NodeName};
use bellwether_core::observation::Status;
use bellwether_core::plan::{Occasion, PlanRequest, StepAction};

use super::component::{Component, Kind, LoadError};
use super::facilities::NoModule;
use super::failure::{Doing, Failure, Limit};
use super::plan::DeclaredCommand;
use super::run::{CheckReport, CheckRun, PlanRun};
use super::{Compiler, LogLevel, Sandbox, StateHandle};
use bellwether_config::spec::{LimitsSpec, RunLimits};
use bellwether_os::clock::Clock;
use bellwether_testing::guest::Guest;

const LIMITS: RunLimits = RunLimits {
    memory: 4 << 20,
    cpu: Duration::from_secs(5),
    output: 1 << 20,
    log_lines: 100,
    state: 64 << 10,
    handles: 1000,
    sockets: 8,
    host_calls: 100_000,
    call_data: 1 << 20,
};
/// Two ticks would suffice; the rest is for a busy machine.
const SLACK: Duration = Duration::from_secs(10);
/// The time limit for what ends by itself, which is never reached.
const AMPLE: u64 = 20_000;

/// The time limit of descriptions, which is never reached.
fn sandbox() -> Sandbox {
    let limits = LimitsSpec { run: LIMITS, concurrent_runs: 4 };
    Sandbox::new(&limits, Compiler::Own).unwrap().describing_within(Duration::from_millis(AMPLE))
}

fn run(ms: u64) -> CheckRun {
    CheckRun {
        node: NodeName::new("node-1").unwrap(),
        module: ModuleName::new("web").unwrap(),
        checker: CheckerName::new("home-page").unwrap(),
        run: 1,
        config: "{}".into(),
        time: Duration::from_millis(ms),
        limits: LIMITS,
        grants: Arc::default(),
        facilities: Arc::new(NoModule),
        state: StateHandle::default(),
    }
}

async fn check(sandbox: &Sandbox, component: &Component, run: CheckRun) -> CheckReport {
    let (start, time) = (Instant::now(), run.time);
    let report = sandbox.check(component, run).await;
    assert!(start.elapsed() < time + SLACK, "it took {:?}", start.elapsed());
    report
}

/// The failure of one check of this guest.
async fn failure(guest: Guest) -> Failure {
    let sandbox = sandbox();
    let component = sandbox.load(guest.build()).unwrap();
    check(&sandbox, &component, run(AMPLE)).await.result.unwrap_err()
}

fn load_error(bytes: impl AsRef<[u8]>) -> LoadError {
    sandbox().load(bytes).unwrap_err()
}

#[tokio::test]
async fn a_good_guest_is_described_and_answers() {
    let sandbox = sandbox();
    let bytes = Guest::default().build();
    let component = sandbox.load(&bytes).unwrap();
    assert_eq!(component.kind(), Kind::Checker);
    assert_eq!(component.about().to_string(), "test 1.0.0: allwell");
    assert_eq!(component.digest(), blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(component.size(), bytes.len());
    assert!(component.exports().contains(&"bellwether:guest/check@1.0.0".to_owned()));
    assert!(component.imports().contains(&"bellwether:guest/log@1.0.0".to_owned()));

    let seen = check(&sandbox, &component, run(AMPLE)).await.result.unwrap();
    assert_eq!((seen.status, seen.summary.as_str()), (Status::Pass, "allwell"));
}

#[test]
fn control_characters_of_what_a_guest_says_of_itself_are_stripped_and_nul_is_refused() {
    // The last character of its version.
    let with = |character: &'static str| Guest { describe: character, ..Guest::default() }.build();
    let line = with("(i32.store8 (i32.const 40) (i32.const 10)) (call $about)");
    assert_eq!(sandbox().load(line).unwrap().about().version, "1.0.");
    let nul = with("(i32.store8 (i32.const 40) (i32.const 0)) (call $about)");
    assert_eq!(load_error(nul), LoadError::NotText("version"));
}

#[tokio::test]
async fn the_time_that_a_guest_is_told_is_less_than_it_has() {
    let told_a_tenth_less = Guest::checking(
        "(call $answer (i32.ne (local.get $limit) (i32.const 18000)) (i32.const 16) (i32.const 7))",
    );
    let sandbox = sandbox();
    let component = sandbox.load(told_a_tenth_less.build()).unwrap();
    assert_eq!(check(&sandbox, &component, run(20_000)).await.result.unwrap().status, Status::Pass);
}

#[tokio::test]
async fn too_much_memory_is_a_limit_and_not_a_panic() {
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    assert_eq!(failure(Guest::checking(grow)).await, Limit::Memory(LIMITS.memory).into());
    let table = Guest {
        parts: "(table $t 1 funcref)",
        ..Guest::checking("(drop (table.grow $t (ref.null func) (i32.const 10000000))) unreachable")
    };
    assert_eq!(failure(table).await, Limit::Memory(LIMITS.memory).into());
}

#[tokio::test]
async fn a_run_may_have_less_memory_than_the_sandbox_allows() {
    let sandbox = sandbox();
    let component = sandbox.load(Guest { memory_pages: 32, ..Guest::default() }.build()).unwrap();
    let small = CheckRun { limits: RunLimits { memory: 1 << 20, ..LIMITS }, ..run(AMPLE) };
    let failure = check(&sandbox, &component, small).await.result.unwrap_err();
    assert_eq!(failure, Limit::Memory(1 << 20).into());
}

#[tokio::test]
async fn calls_to_the_host_are_counted_and_limited() {
    let sandbox = sandbox();
    let few = RunLimits { host_calls: 1000, ..LIMITS };
    let flood = "(loop $l (call $get (i32.const 16) (i32.const 3) (i32.const 512)) (br $l)) unreachable";
    let component = sandbox.load(Guest::checking(flood).build()).unwrap();
    let report = check(&sandbox, &component, CheckRun { limits: few, ..run(AMPLE) }).await;
    assert_eq!(report.result.unwrap_err(), Limit::HostCalls(1000).into());
    assert_eq!(report.usage.host_calls, 1001);
    let once = "(call $get (i32.const 16) (i32.const 3) (i32.const 512))
        (call $answer (i32.const 0) (i32.const 16) (i32.const 7))";
    let component = sandbox.load(Guest::checking(once).build()).unwrap();
    let report = check(&sandbox, &component, CheckRun { limits: few, ..run(AMPLE) }).await;
    assert_eq!(report.result.unwrap().status, Status::Pass);
    assert!((1..10).contains(&report.usage.host_calls), "{:?}", report.usage);
    // One page, and the elements of a table.
    assert!((64 << 10..65 << 10).contains(&report.usage.memory), "{:?}", report.usage);
}

#[tokio::test]
async fn sockets_are_a_limit() {
    let flood = "(loop $l (call $socket (i32.const 0) (i32.const 512)) (br $l)) unreachable";
    assert_eq!(failure(Guest::checking(flood)).await, Limit::Sockets(LIMITS.sockets).into());
}

#[tokio::test]
async fn calls_too_deep_are_a_limit() {
    let deep = Guest {
        parts: "(func $down (result i32) (i32.add (call $down) (i32.const 1)))",
        ..Guest::checking("(call $down)")
    };
    assert_eq!(failure(deep).await, Limit::Stack.into());
}

#[tokio::test]
async fn handles_without_end_are_a_limit() {
    let hoard = Guest::checking("(loop $l (drop (call $timer (i64.const 1))) (br $l)) unreachable");
    assert_eq!(failure(hoard).await, Limit::Handles(1000).into());
}

#[tokio::test]
async fn a_flood_of_log_lines_is_a_limit_and_the_first_are_kept() {
    let flood = "(loop $l (call $log (i32.const 2) (i32.const 16) (i32.const 7)) (br $l)) unreachable";
    let sandbox = sandbox();
    let component = sandbox.load(Guest::checking(flood).build()).unwrap();
    let report = check(&sandbox, &component, run(AMPLE)).await;
    assert_eq!(report.result.unwrap_err(), Limit::Output(1 << 20).into());
    assert_eq!(report.log.len(), 101);
    assert_eq!((report.log[99].level, report.log[99].text.as_str()), (LogLevel::Warn, "allwell"));
}

/// Pins the text by which [`Failure`] recognises wasmtime's private error.
#[tokio::test]
async fn too_much_data_in_one_call_is_a_limit() {
    let logged = Guest {
        memory_pages: 40,
        ..Guest::checking("(call $log (i32.const 1) (i32.const 0) (i32.const 2000000)) unreachable")
    };
    assert_eq!(failure(logged).await, Limit::Data(1 << 20).into());
    let answered = Guest {
        memory_pages: 40,
        ..Guest::checking("(call $answer (i32.const 0) (i32.const 0) (i32.const 2000000))")
    };
    assert_eq!(failure(answered).await, Limit::Data(1 << 20).into());
}

#[tokio::test]
async fn a_panic_is_told_in_the_words_on_standard_error() {
    let words = Guest {
        parts: r#"(data (i32.const 1024) "thread '<unnamed>' panicked at src/lib.rs:3:5:\nno such key\nnote: run with")"#,
        ..Guest::checking(
            "(call $write (call $stderr) (i32.const 1024) (i32.const 73) (i32.const 512)) unreachable",
        )
    };
    assert_eq!(failure(words).await, Failure::Panic("no such key (at src/lib.rs:3:5)".to_owned()));
    assert_eq!(failure(Guest::checking("unreachable")).await, Failure::Panic("it gave no reason".to_owned()));
}

#[tokio::test]
async fn other_endings_have_their_own_words() {
    assert_eq!(failure(Guest::checking("(call $exit (i32.const 1)) unreachable")).await, Failure::Exit(1));
    let three = Guest::checking("(call $exit_with_code (i32.const 3)) unreachable");
    assert_eq!(failure(three).await, Failure::Exit(3), "a guest that tells its code is heard");
    let outside = Failure::Trap(super::failure::OUT_OF_BOUNDS.to_owned());
    assert_eq!(failure(Guest::checking("(i32.load (i32.const -4))")).await, outside);
    let status_9 = "(call $answer (i32.const 9) (i32.const 16) (i32.const 7))";
    let Failure::Trap(text) = failure(Guest::checking(status_9)).await else { panic!("no trap") };
    assert!(text.contains("discriminant"), "{text}");
    let not_utf8 = Guest {
        parts: r#"(data (i32.const 1024) "\ff\ff\ff\ff")"#,
        ..Guest::checking("(call $answer (i32.const 0) (i32.const 1024) (i32.const 4))")
    };
    let Failure::Trap(text) = failure(not_utf8).await else { panic!("no trap") };
    assert!(text.contains("utf-8"), "{text}");
}

/// Writes one byte more in each run, then traps in the third.
const REMEMBERING: &str = r"
    (call $get (i32.const 41) (i32.const 4) (i32.const 512))
    (call $set (i32.const 41) (i32.const 4)
        (i32.const 1024) (i32.add (i32.const 1) (i32.load (i32.const 520))) (i32.const 600))
    (if (i64.eq (local.get $run) (i64.const 3)) (then unreachable))
    (call $answer (i32.const 0) (i32.const 16) (i32.load (i32.const 520)))";

#[tokio::test]
async fn state_lasts_from_run_to_run_and_a_trap_leaves_no_trace() {
    let sandbox = sandbox();
    let component = sandbox.load(Guest::checking(REMEMBERING).build()).unwrap();
    let state = StateHandle::default();
    let mut summaries = Vec::new();
    for n in 1..=4 {
        let report =
            check(&sandbox, &component, CheckRun { run: n, state: state.clone(), ..run(AMPLE) }).await;
        summaries.push(report.result.map_or_else(|failure| failure.to_string(), |seen| seen.summary));
    }
    assert_eq!(summaries, ["", "a", "panicked: it gave no reason", "al"]);
}

#[test]
fn what_is_no_component_is_told_from_what_does_not_fit() {
    let core = wat::parse_str("(module)").unwrap();
    let whole = Guest::default().build();
    for (bytes, why) in [
        (Vec::new(), "not a component: the file is empty"),
        (b"#!/bin/sh\n".to_vec(), "not a component: the file is not WebAssembly"),
        (b"(component)".to_vec(), "not a component: the file is not WebAssembly"),
        (core, "not a component: it is a core WebAssembly module; build it for wasm32-wasip2"),
        (whole[..whole.len() / 2].to_vec(), "not a component: "),
        (whole[..8].to_vec(), "does not fit this host: it exports neither bellwether:guest/check nor"),
        (
            Guest { world: "neither", ..Guest::default() }.build(),
            "does not fit this host: it exports neither bellwether:guest/check nor bellwether:guest/plan, but hello",
        ),
    ] {
        let error = load_error(bytes).to_string();
        assert!(error.starts_with(why), "{error}");
    }
    assert_eq!(load_error(vec![0; (64 << 20) + 1]), LoadError::TooLarge((64 << 20) + 1));
}

#[test]
fn a_component_cut_short_anywhere_is_refused() {
    let whole = Guest::default().build();
    let sandbox = sandbox();
    for end in (0..whole.len()).step_by(whole.len() / 40) {
        assert!(sandbox.load(&whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn an_import_that_nobody_offers_is_named() {
    let stranger = Guest { world: "stranger", check: "(call $brew) unreachable", ..Guest::default() };
    let LoadError::Incompatible(why) = load_error(stranger.build()) else { panic!("it was taken") };
    assert!(why.contains("`wasi:http/types@0.9.0`"), "{why}");
}

#[test]
fn an_export_that_is_missing_or_of_another_shape_is_incompatible() {
    for (describe, why) in [
        ("", "no exported instance named `bellwether:guest/describe@1.1.0`"),
        (
            r#"(instance $describe (export "describe" (func $number)))
               (export "bellwether:guest/describe@1.0.0" (instance $describe))"#,
            "expected",
        ),
    ] {
        let text = format!(
            r#"(component
                (core module $m (func (export "number") (result i32) (i32.const 1)))
                (core instance $m (instantiate $m))
                (func $number (result u32) (canon lift (core func $m "number")))
                (instance $check (export "check" (func $number)))
                (export "bellwether:guest/check@1.0.0" (instance $check))
                {describe})"#
        );
        let LoadError::Incompatible(told) = load_error(wat::parse_str(text).unwrap()) else {
            panic!("it was taken, or its describe() was called");
        };
        assert!(told.contains(why), "{told}");
    }
}

fn plan_run(clock: Clock) -> PlanRun {
    PlanRun {
        node: NodeName::new("node-1").unwrap(),
        module: ModuleName::new("web").unwrap(),
        config: "{}".into(),
        request: PlanRequest {
            occasion: Occasion::Start,
            history: Vec::new(),
            restarts: 0,
            restarts_allowed: 3,
        },
        commands: vec![DeclaredCommand {
            name: CommandName::new("start").unwrap(),
            keep: true,
            running: false,
            timeout: Duration::from_secs(10),
        }],
        time: Duration::from_millis(AMPLE),
        limits: LIMITS,
        facilities: Arc::new(NoModule),
        grants: Arc::default(),
        state: StateHandle::default(),
        clock,
    }
}

/// A plan of one pause: `result` at 256 (tag, then the plan at 264), its step at 1024.
const PAUSING: &str = r"
    (i32.store (i32.const 260) (i32.const 16)) (i32.store (i32.const 264) (i32.const 7))
    (i32.store (i32.const 268) (i32.const 1024)) (i32.store (i32.const 272) (i32.const 1))
    (i32.store8 (i32.const 1024) (i32.const 5)) (i64.store (i32.const 1032) (i64.const 50))
    (i64.store (i32.const 1048) (i64.const 100))
    (i32.const 256)";

#[tokio::test]
async fn a_restart_script_makes_a_plan() {
    let sandbox = sandbox();
    let script = Guest { world: "restart-script", plan: Some(PAUSING), ..Guest::default() };
    let component = sandbox.load(script.build()).unwrap();
    assert_eq!(component.kind(), Kind::RestartScript);
    let plan = sandbox.plan(&component, plan_run(Clock::start())).await.unwrap();
    assert_eq!(plan.summary, "allwell");
    assert_eq!(plan.steps[0].action, StepAction::Pause(Duration::from_millis(50)));

    let report = check(&sandbox, &component, run(AMPLE)).await;
    let why = "does not fit this host: it is a restart script, not a checker";
    assert_eq!(report.result.unwrap_err().to_string(), why);
}

#[tokio::test]
async fn a_restart_script_that_traps_gives_a_reason_instead() {
    let sandbox = sandbox();
    let script = Guest { world: "restart-script", plan: Some("unreachable"), ..Guest::default() };
    let component = sandbox.load(script.build()).unwrap();
    let error = sandbox.plan(&component, plan_run(Clock::start())).await.unwrap_err();
    assert_eq!(error.to_string(), "the restart script gave no plan: panicked: it gave no reason");
}

/// A sandbox that stores compiled code here, and whose compiler only reads this cache.
fn caching(folder: &std::path::Path, compiler: Compiler) -> Sandbox {
    let limits = LimitsSpec { concurrent_runs: 4, ..LimitsSpec::default() };
    let sandbox = Sandbox::new(&limits, compiler).unwrap();
    let mut sandbox = sandbox.describing_within(Duration::from_millis(AMPLE));
    sandbox.cache_in(&folder.join("compiled")).unwrap();
    sandbox
}

#[tokio::test]
async fn compiled_code_that_was_kept_needs_no_compiler_and_damaged_code_is_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::default().build();
    drop(caching(folder.path(), Compiler::Own).load(&bytes).unwrap());
    let no_compiler = Compiler::Child { program: "/bin/false".into(), arguments: Vec::new() };
    let sandbox = caching(folder.path(), no_compiler);
    let component = sandbox.load(&bytes).unwrap();
    assert_eq!(check(&sandbox, &component, run(AMPLE)).await.result.unwrap().status, Status::Pass);

    let entries =
        std::fs::read_dir(folder.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    let entry = entries.filter(|path| path.extension().is_some_and(|end| end == "code")).last().unwrap();
    let mut code = std::fs::read(&entry).unwrap();
    *code.last_mut().unwrap() ^= 1;
    std::fs::write(&entry, code).unwrap();
    assert!(matches!(sandbox.load(&bytes), Err(LoadError::NotAComponent(_) | LoadError::Compile(_))));
    drop(caching(folder.path(), Compiler::Own).load(&bytes).unwrap());
    assert!(sandbox.load(&bytes).is_ok(), "it was compiled anew and kept again");
}
