//! The whole reload on a root of its own, with small guests.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use bellwether_core::event::Event;
use bellwether_core::id::{CheckerName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::record::RecordKind;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::component_registry::ComponentRegistry;
use crate::loaded_modules::LoadedModules;
use crate::observe::component::ComponentChecker;
use bellwether_bus::metrics::Metrics;
use bellwether_config::spec::{CheckerDefinition, LimitsSpec, Subject};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::gate::Launcher;
use bellwether_sandbox::compile::Compiler;
use bellwether_testing::guest::Guest;
use bellwether_testing::long::is_long;

mod bench;
use self::bench::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_returns_the_mistakes_about_components_of_the_only_module() {
    let checker = version(&Guest::default(), "1");
    let module = MODULE.replace("component = \"c\"", "component = \"none\"");
    let (mut reload, bench) = Bench::prepared(sandbox(Compiler::Own), &checker, &module).await;
    let mistakes: Vec<String> = reload.begin().await.iter().map(|m| m.render(false)).collect();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].contains("none"), "{mistakes:?}");
    assert_eq!(bench.refused.sentences().len(), 1, "it is shown, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_breaks_in_its_trial_never_comes_into_force() {
    let good = version(&Guest::default(), "1");
    let bench = Bench::new(&good, &module_of_little_processor_time()).await;
    assert_eq!(bench.check().await, "allwell");
    let bad = version(&spinning(), "2");
    bench.write("checkers/c.wasm", &bad);
    bench.until_refused(&format!("its trial run for checker `c` of module `m`: {SPUN}")).await;
    assert_eq!(bench.digest(), blake3::hash(&good).to_hex().as_str());
    let digest = blake3::hash(&bad).to_hex().to_string();
    let entries = bench.context.registry.entries();
    let entry = entries.values().find(|entry| entry.quarantined.is_some()).unwrap();
    assert_eq!(entry.quarantined.as_ref().map(|case| (&case.digest, case.tries)), Some((&digest, 1)));
    bench.until("it is told", |bench| bench.sentences(is_quarantine).len() == 1).await;
    // The next good one is activated, and nothing remains of the bad one.
    let next = version(&Guest::default(), "3");
    bench.write("checkers/c.wasm", &next);
    bench.until_in_force(&next).await;
    bench.until("nothing is refused", |bench| bench.refused.sentences().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_breaks_in_its_first_runs_is_rolled_back_by_itself() {
    let good = version(&Guest::default(), "1");
    let bench = Bench::new(&good, MODULE).await;
    assert_eq!(bench.check().await, "allwell");
    // It passes its trial, which is run 2, and fails afterwards.
    let late = Guest::checking(
        "(if (i64.gt_u (local.get $run) (i64.const 2)) (then unreachable))
         (call $answer (i32.const 0) (i32.const 16) (i32.const 7))",
    );
    let late = version(&late, "2");
    bench.write("checkers/c.wasm", &late);
    bench.until_in_force(&late).await;
    assert_eq!(bench.check().await, "allwell");
    assert!(bench.check().await.starts_with("panicked"));
    bench.until_in_force(&good).await;
    bench.until_refused("rolled back: checker `c` of module `m`: panicked").await;
    assert_eq!(bench.check().await, "allwell");
    bench.until("it is told", |bench| !bench.sentences(is_quarantine).is_empty()).await;
    let quarantined = bench.sentences(is_quarantine);
    assert!(quarantined.len() == 1 && quarantined[0].contains("rolled back"), "{quarantined:?}");
    // The same file is not tried again before its time.
    bench.write("checkers/c.wasm", &late);
    bench.write("checkers/d.wasm", &good);
    let name = ComponentName::new("d").unwrap();
    let loaded = |bench: &Bench| bench.context.registry.get(ComponentKind::Checker, &name).is_some();
    bench.until("another one is loaded", loaded).await;
    assert_eq!(bench.digest(), blake3::hash(&good).to_hex().as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_breaks_where_the_old_one_broke_too_may_stay() {
    let bench = Bench::new(&version(&spinning(), "1"), &module_of_little_processor_time()).await;
    assert!(bench.check().await.contains(SPUN));
    let next = version(&spinning(), "2");
    bench.write("checkers/c.wasm", &next);
    bench.until_in_force(&next).await;
    assert!(bench.check().await.contains(SPUN));
    assert_eq!(bench.digest(), blake3::hash(&next).to_hex().as_str());
    assert_eq!(bench.refused.sentences(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_loaded_is_in_quarantine_and_said_once() {
    const GARBAGE: &str = "the file is not WebAssembly";
    let bench = Bench::new(&version(&Guest::default(), "1"), MODULE).await;
    let whole = Guest::default().build();
    let half = &whole[..whole.len() / 2];
    bench.write("checkers/c.wasm", half);
    bench.until_refused("not a component").await;
    bench.write("checkers/c.wasm", b"garbage");
    bench.until_refused(GARBAGE).await;
    // The same bytes in another file: known to be bad, and not tried.
    bench.write("checkers/c.wasm", half);
    let half_again = |why: &String| why.contains("not a component: ") && !why.contains(GARBAGE);
    bench.until("it is refused again", |bench| bench.refused.sentences().iter().any(half_again)).await;
    bench.until("both are told", |bench| bench.sentences(is_quarantine).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_and_its_component_change_together_or_not_at_all() {
    let first = version(&Guest::default(), "1");
    let bench = Bench::new(&first, MODULE).await;
    let slower = MODULE.replace("interval = \"1s\"", "interval = \"7s\"");
    let interval = |bench: &Bench| {
        let member = bench.context.loaded_modules.get(&ModuleName::new("m").unwrap()).unwrap();
        member.checker(&CheckerName::new("c").unwrap()).unwrap().definition.interval
    };
    bench.write_both([("checkers/c.wasm", b"garbage"), ("modules/m.toml", slower.as_bytes())]);
    bench.until_refused("it was changed together with checkers/c.wasm, which is not active").await;
    assert_eq!(interval(&bench), Duration::from_secs(1));
    // Both are fixed, and both are activated.
    let second = version(&Guest::default(), "2");
    bench.write("checkers/c.wasm", &second);
    bench.until_in_force(&second).await;
    bench.until("the module's file, too", |bench| interval(bench) == Duration::from_secs(7)).await;
    assert_eq!(bench.refused.sentences(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_nobody_can_run_hurt_nobody() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let bench = Bench::new(&version(&Guest::default(), "1"), MODULE).await;
    let folder = bench.root.path().join("checkers");
    mknodat(CWD, folder.join("pipe.wasm"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::create_dir(folder.join("folder.wasm")).unwrap();
    fs::File::create(folder.join("sparse.wasm")).unwrap().set_len(1 << 40).unwrap();
    bench.write("checkers/bad name.wasm", b"x");
    bench.until_refused("checkers/sparse.wasm: the file has 1099511627776 bytes").await;
    bench.until_refused("checkers/bad name.wasm: ").await;
    // The folder disappears, which is not taken for a removal, and comes back with another version.
    let before = bench.digest();
    fs::remove_dir_all(&folder).unwrap();
    let away =
        |bench: &Bench| bench.problems.sentences().iter().any(|said| said.contains("checkers/ is missing"));
    bench.until("the folder is missed", away).await;
    assert_eq!(bench.digest(), before, "what was there stays in force");
    fs::create_dir(&folder).unwrap();
    let next = version(&Guest::default(), "2");
    bench.write("checkers/c.wasm", &next);
    bench.until_in_force(&next).await;
}

/// A guest that asks to ping 10.0.0.1.
fn pinging() -> Guest {
    Guest {
        parts: r#"(data (i32.const 160) "\00\08\00\00\01\00\00\00")
            (data (i32.const 2048) "\b8\0b\00\00\04\00\00\00" "\bc\0b\00\00\08\00\00\00" "\10\00\00\00\07\00\00\00")
            (data (i32.const 3000) "ping10.0.0.1")"#,
        ..Guest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_asks_for_more_waits_until_a_person_lets_it_in() {
    let first = version(&Guest::default(), "1");
    let bench = Bench::new(&first, MODULE).await;
    let nothing = bench.approve("c").await;
    assert_eq!(nothing, Err(NotApproved::NothingWaits("c".to_owned())));
    let wider = version(&pinging(), "2");
    bench.write("checkers/c.wasm", &wider);
    bench.until_refused("waits for approval: it requests ping 10.0.0.1").await;
    assert_eq!(bench.digest(), blake3::hash(&first).to_hex().as_str());
    let approved = bench.approve("checkers/c").await.unwrap();
    assert_eq!(
        (approved.what.as_str(), approved.version.asks),
        ("checkers/c.wasm", vec!["ping 10.0.0.1".to_owned()])
    );
    bench.until_in_force(&wider).await;
    bench.until("nothing waits", |bench| bench.refused.sentences().is_empty()).await;
    bench.until("it is told", |bench| bench.sentences(is_approval).len() == 2).await;
    let told = bench.sentences(is_approval);
    assert!(told[1].starts_with("somebody approved checkers/c.wasm"), "{told:?}");
    // Its requested grants are known from now on, also for the next version.
    let next = version(&pinging(), "3");
    bench.write("checkers/c.wasm", &next);
    bench.until_in_force(&next).await;
    let kept = fs::read_to_string(bench.root.path().join("state/approvals.json")).unwrap();
    assert!(kept.contains(&blake3::hash(&wider).to_hex().to_string()), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_asks_for_more_comes_with_the_file_that_grants_it() {
    let bench = Bench::new(&version(&Guest::default(), "1"), MODULE).await;
    let wider = version(&pinging(), "2");
    bench.write("checkers/c.wasm", &wider);
    bench.until_refused("waits for approval").await;
    let granting = format!("{MODULE}grant = {{ ping = [\"10.0.0.0/8\"] }}\n");
    bench.write("modules/m.toml", granting.as_bytes());
    bench.until_in_force(&wider).await;
    bench.until("nothing waits", |bench| bench.refused.sentences().is_empty()).await;
}

/// A guest that accepts only the config `{"a":1}`, and panics with any other.
fn taking_1() -> Guest {
    Guest {
        parts: r#"(data (i32.const 152) "\00\0c\00\00\21\00\00\00")
            (data (i32.const 3072) "{\22properties\22:{\22a\22:{\22const\22:1 }}}")"#,
        ..Guest::checking(
            "(if (i32.ne (local.get 8) (i32.const 7)) (then unreachable))
             (call $answer (i32.const 0) (i32.const 16) (i32.const 7))",
        )
    }
}

/// The same for `{"a":22}`.
fn taking_22() -> Guest {
    Guest {
        parts: r#"(data (i32.const 152) "\00\0c\00\00\21\00\00\00")
            (data (i32.const 3072) "{\22properties\22:{\22a\22:{\22const\22:22}}}")"#,
        ..Guest::checking(
            "(if (i32.ne (local.get 8) (i32.const 8)) (then unreachable))
             (call $answer (i32.const 0) (i32.const 16) (i32.const 7))",
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_takes_another_config_waits_for_the_modules_file() {
    let with = |a: u32| format!("{MODULE}config = {{ a = {a} }}\n");
    let first = version(&taking_1(), "1");
    let bench = Bench::new(&first, &with(1)).await;
    let second = version(&taking_22(), "2");
    bench.write("checkers/c.wasm", &second);
    bench.until_refused("checkers/c.wasm: waits: it does not accept the config of modules/m.toml").await;
    assert_eq!(bench.digest(), blake3::hash(&first).to_hex().as_str());
    bench.write("modules/m.toml", with(22).as_bytes());
    bench.until_in_force(&second).await;
    bench.until("nothing waits", |bench| bench.refused.sentences().is_empty()).await;
    assert_eq!(bench.check().await, "allwell");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_run_ever_has_a_component_with_the_config_of_another_version() {
    let with = |a: u32| format!("{MODULE}config = {{ a = {a} }}\n");
    let versions = [(version(&taking_1(), "1"), with(1)), (version(&taking_22(), "2"), with(22))];
    let bench = Bench::new(&versions[0].0, &versions[0].1).await;
    // Back and forth; a rare race needs many repetitions.
    let times = if is_long() { 12 } else { 4 };
    let replacing = async {
        for (component, module) in versions.iter().cycle().skip(1).take(times) {
            bench.write("checkers/c.wasm", component);
            bench.write("modules/m.toml", module.as_bytes());
            bench.until_in_force(component).await;
        }
    };
    let mut runs = 0;
    tokio::pin!(replacing);
    loop {
        tokio::select! {
            () = &mut replacing => break,
            saw = bench.check() => {
                assert_eq!(saw, "allwell", "after {runs} runs");
                runs += 1;
            }
        }
    }
    assert!(runs > times, "{runs}");
    assert_eq!(bench.sentences(is_quarantine), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_components_that_take_long_to_compile_delay_no_small_one() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (version(&Guest::default(), "1"), version(&Guest::default(), "2"));
    let caching = |compiler| {
        let mut sandbox = sandbox(compiler);
        sandbox.cache_in(&folder.path().join("compiled")).unwrap();
        sandbox
    };
    // Small ones have been compiled before; others take the compiler some time.
    for bytes in [&script().build(), &first, &second] {
        caching(Compiler::Own).load(bytes).unwrap();
    }
    // Reading it takes until there is a line. It is opened here, because otherwise opening would block as well.
    let pipe = folder.path().join("go-on");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut go_on = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let wait = format!("read line < {}", pipe.display());
    let slow = Compiler::Child { program: "/bin/sh".into(), arguments: vec!["-c".to_owned(), wait] };
    let bench = Bench::on(caching(slow), &first, MODULE).await;
    let large = |n: u8| [Guest::default().build(), vec![n; 3 << 20]].concat();
    bench.write("checkers/python-a.wasm", &large(1));
    bench.write("checkers/python-b.wasm", &large(2));
    bench.write("checkers/c.wasm", &second);
    bench.until_in_force(&second).await;
    assert_eq!(bench.refused.sentences(), Vec::<String>::new(), "they are still being compiled");
    go_on.write_all(b"\n\n").unwrap();
    bench.until_refused("checkers/python-a.wasm: ").await;
    bench.until_refused("checkers/python-b.wasm: ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_comes_while_many_are_missing_waits_until_it_is_known_what_became_of_them() {
    let first = version(&Guest::default(), "1");
    let bench = Bench::new(&first, MODULE).await;
    let is_in_force =
        |name: &str| bench.context.loaded_modules.get(&ModuleName::new(name).unwrap()).is_some();
    for name in ["a", "b", "c"] {
        bench.write(&format!("modules/{name}.toml"), MODULE.as_bytes());
    }
    bench.until("they are in force", |_| ["a", "b", "c"].iter().all(|name| is_in_force(name))).await;
    // `a` is renamed, and two others are removed with it.
    let file = |name: &str| bench.root.path().join(format!("modules/{name}.toml"));
    fs::remove_file(file("b")).unwrap();
    fs::remove_file(file("c")).unwrap();
    fs::rename(file("a"), file("d")).unwrap();
    let said = |bench: &Bench| bench.problems.sentences().iter().any(|it| it.ends_with("modules/d.toml"));
    bench.until("it is said that `d` waits", said).await;
    // A later file that is not held back is activated first.
    let second = version(&Guest::default(), "2");
    bench.write("checkers/c.wasm", &second);
    bench.until_in_force(&second).await;
    assert!(is_in_force("a") && !is_in_force("d"));
    bench.look_now().await;
    bench.until("`d` is in force", |_| is_in_force("d")).await;
    assert!(!is_in_force("a") && !is_in_force("b") && !is_in_force("c"));
}
