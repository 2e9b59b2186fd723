//! Files that become unusable, and daemons that are restarted: modules and components are there again with their last
//! good versions.

use std::fs;
use std::path::Path;

use bellwether_tests::answers::{Component, Module};
use bellwether_tests::composed::{Guest, text};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::process::is_alive;
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::{CHECK_PROCESS, Web};

/// How a daemon ends.
type End = fn(&mut Daemon);
const ENDINGS: [(&str, End); 2] = [("SIGTERM", Daemon::end), ("kill -9", Daemon::kill)];

const CHANGING: &str = r#"
[[checker]]
name = "changing"
component = "changing"
interval = "100ms"
rise = 1
fall = 1
grace = "0s"
"#;

/// A component that passes with these words.
fn saying(words: &str) -> Vec<u8> {
    let (parts, answer) = words_of(words);
    Guest::checking(answer).with(parts).build()
}

/// The same, which also asks for a connection.
fn asking(words: &str) -> Vec<u8> {
    let (parts, _) = text(&format!("connect10.0.0.1:80to look{words}"));
    let describe = "(i32.store (i32.const 160) (i32.const 1536)) (i32.store (i32.const 164) (i32.const 1))
        (i32.store (i32.const 1536) (i32.const 1024)) (i32.store (i32.const 1540) (i32.const 7))
        (i32.store (i32.const 1544) (i32.const 1031)) (i32.store (i32.const 1548) (i32.const 11))
        (i32.store (i32.const 1552) (i32.const 1042)) (i32.store (i32.const 1556) (i32.const 7))
        (call $about)"
        .to_owned();
    let answer = format!("(call $answer (i32.const 0) (i32.const 1049) (i32.const {}))", words.len());
    Guest { describe, ..Guest::checking(answer) }.with(parts).build()
}

fn words_of(words: &str) -> (String, String) {
    let (parts, _) = text(words);
    (parts, format!("(call $answer (i32.const 0) (i32.const 1024) (i32.const {}))", words.len()))
}

/// A root with the module `web` and its component `changing`, and a daemon under which both are active and stored.
fn begin() -> (Root, Web, Daemon) {
    let root = Root::default();
    root.write("checkers/changing.wasm", saying("first"));
    let web = Web::lay_out(&root);
    web.write(&root, CHANGING);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    says(&daemon, "first");
    until_stored(&root, &["modules/web.toml", "checkers/changing.wasm"]);
    (root, web, daemon)
}

/// Waits until the next daemon would find the present content of these files.
fn until_stored(root: &Root, files: &[&str]) {
    let folder = root.path().join("state/last-good");
    for file in files {
        let content = fs::read(root.path().join(file)).expect("the file is there");
        eventually(&format!("{file} is stored"), || {
            let index = fs::read_to_string(folder.join("index.json")).ok()?;
            let index: serde_json::Value = serde_json::from_str(&index).ok()?;
            let digest = index.get(file)?.get("digest")?.as_str()?.to_owned();
            let extension = Path::new(file).extension()?.to_str()?;
            let stored = fs::read(folder.join(format!("{digest}.{extension}"))).ok()?;
            (stored == content).then_some(())
        });
    }
}

fn says(daemon: &Daemon, words: &str) {
    daemon.until_checker("web", "changing", words, |checker| {
        checker.last.as_ref().is_some_and(|last| last.summary.contains(words))
    });
}

fn changing(daemon: &Daemon) -> Component {
    daemon.component("changing").unwrap_or_else(|| panic!("it is gone: {:#?}", daemon.status()))
}

/// The module is up under the next daemon, with the application that was started before, and health says so.
fn is_up_again(daemon: &mut Daemon, pids: &[u32], how: &str) -> Module {
    daemon.run_again();
    let module = daemon.until_ready("web");
    assert_eq!((module.pids(), module.restarts), (pids.to_vec(), 0), "{how}: {module:?}");
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{how}");
    assert_eq!(daemon.health("web").status, 200, "{how}");
    module
}

#[test]
fn a_module_whose_file_has_a_mistake_is_up_after_a_restart_of_the_daemon() {
    let (root, web, mut daemon) = begin();
    let pids = daemon.processes("web");
    let broken = format!("{}\n[helth]\n", web.file(CHANGING));
    let line = broken.lines().count();
    for (how, end) in ENDINGS {
        for while_running in [true, false] {
            let how = format!("{how}, while running: {while_running}");
            if while_running {
                root.write("modules/web.toml", &broken);
                eventually("the file is refused", || (!daemon.problems().is_empty()).then_some(()));
            }
            end(&mut daemon);
            root.write("modules/web.toml", &broken);
            is_up_again(&mut daemon, &pids, &how);
            says(&daemon, "first");
            let problems = daemon.problems();
            for said in [
                &*format!("modules/web.toml:{line}:2: "),
                "helth",
                "the file on disk is not active since ",
                "the version of ",
            ] {
                assert!(problems.contains(said), "{how}: {said}: {problems}");
            }
            let why = daemon.tell(&["why", "web"]);
            assert!(why.contains("Waits for an operator:\n  modules/web.toml:"), "{why}");
            assert!(why.contains("The previous version stays active."), "{why}");
            let validated = bellwether_ends(&[Path::new("validate"), Path::new("--root"), root.path()]);
            assert_ne!(validated.code, Some(0), "{validated:?}");
            // Once more, with nothing but what was stored.
            end(&mut daemon);
            is_up_again(&mut daemon, &pids, &how);
            // Mended, and edited: another checker.
            root.write(
                "modules/web.toml",
                web.file(CHANGING) + &CHANGING.replace("\"changing\"\ncomp", "\"added\"\ncomp"),
            );
            daemon.until_checker("web", "added", "run", |checker| checker.last.is_some());
            eventually("nothing is wrong", || daemon.problems().is_empty().then_some(()));
            root.write("modules/web.toml", web.file(CHANGING));
            eventually("it is gone", || daemon.find_checker("web", "added").is_none().then_some(()));
            until_stored(&root, &["modules/web.toml"]);
        }
    }
    let told = daemon.events().into_iter().filter(|event| event.is_reload("modules/web.toml", false));
    let told: Vec<_> = told.filter(|event| event.text.contains("the version of ")).collect();
    assert_eq!(told.len(), 8, "{told:#?}");
}

#[test]
fn a_module_whose_component_waits_or_does_not_work_is_up_after_a_restart_of_the_daemon() {
    let (root, _web, mut daemon) = begin();
    let pids = daemon.processes("web");
    let first = changing(&daemon).digest;
    for (how, end) in ENDINGS {
        for (component, what) in [
            (asking("second"), "waits for approval"),
            (b"garbage".to_vec(), "not WebAssembly"),
            (Guest::checking("unreachable").build(), "its trial run"),
        ] {
            let how = format!("{how}, {what}");
            root.write("checkers/changing.wasm", component);
            eventually(&how, || changing(&daemon).error.filter(|error| error.contains(what)));
            end(&mut daemon);
            is_up_again(&mut daemon, &pids, &how);
            let now = changing(&daemon);
            assert_eq!((&now.digest, now.origin.as_str()), (&first, "file"), "{how}: {now:?}");
            let error = now.error.unwrap_or_default();
            assert!(error.contains(what) && error.contains("the version of "), "{how}: {error}");
            assert!(daemon.problems().contains("checkers/changing.wasm: "), "{how}: {}", daemon.problems());
            says(&daemon, "first");
            root.write("checkers/changing.wasm", saying("first"));
            eventually("nothing is wrong", || daemon.problems().is_empty().then_some(()));
        }
    }
    root.write("checkers/changing.wasm", asking("second"));
    eventually("it waits", || changing(&daemon).waiting);
    daemon.kill();
    is_up_again(&mut daemon, &pids, "before the approval");
    daemon.tell(&["approve", "checkers/changing"]);
    says(&daemon, "second");
    eventually("nothing is wrong", || daemon.problems().is_empty().then_some(()));
    // From now on, this is the last good one.
    until_stored(&root, &["checkers/changing.wasm"]);
    daemon.kill();
    root.write("checkers/changing.wasm", "garbage");
    is_up_again(&mut daemon, &pids, "after the approval");
    says(&daemon, "second");
}

#[test]
fn a_version_in_quarantine_is_not_tried_again_at_once_by_the_next_daemon() {
    let (root, _web, mut daemon) = begin();
    root.write("checkers/changing.wasm", Guest::checking("unreachable").build());
    let quarantine = eventually("it is quarantined", || changing(&daemon).quarantine);
    eventually("that is stored", || {
        let text = fs::read_to_string(root.path().join("state/quarantine.json")).ok()?;
        text.contains(&quarantine.digest).then_some(())
    });
    let cases = |daemon: &Daemon| daemon.events().iter().filter(|event| event.kind == "quarantine").count();
    for (how, end) in ENDINGS {
        let before = cases(&daemon);
        end(&mut daemon);
        daemon.run_again();
        daemon.until_ready("web");
        assert_eq!(changing(&daemon).quarantine.as_ref(), Some(&quarantine), "{how}");
        says(&daemon, "first");
        // An attempt that was due is made, and no other.
        assert!(cases(&daemon) <= before + 1, "{how}: {:#?}", daemon.events());
    }
    root.write("checkers/changing.wasm", saying("second"));
    says(&daemon, "second");
    assert_eq!(changing(&daemon).quarantine, None);
}

#[test]
fn what_was_removed_or_corrected_while_no_daemon_ran_is_removed_or_corrected() {
    let (root, web, mut daemon) = begin();
    let other = Web { address: free_address() };
    root.write("modules/other.toml", other.application("0s") + CHECK_PROCESS);
    daemon.until_ready("other");
    until_stored(&root, &["modules/other.toml"]);
    let pids = daemon.processes("web");
    daemon.kill();
    root.remove("modules/other.toml");
    root.write("checkers/changing.wasm", saying("second"));
    root.write("modules/web.toml", web.file(CHANGING).replace("100ms\"\nrise", "150ms\"\nrise"));
    is_up_again(&mut daemon, &pids, "edited");
    says(&daemon, "second");
    assert_eq!(daemon.find_module("other"), None);
    let problems = daemon.problems();
    assert!(!problems.contains("modules/web") && !problems.contains("checkers/"), "{problems}");
    until_stored(&root, &["modules/web.toml", "checkers/changing.wasm"]);
    // Two modules' files, one component, the index: nothing is left of the others.
    let stored = || fs::read_dir(root.path().join("state/last-good")).expect("it is there").count();
    eventually("nothing else is stored", || (stored() == 3).then_some(()));
}

#[test]
fn where_nothing_can_be_stored_everything_else_goes_on_and_it_is_said() {
    let (root, web, mut daemon) = begin();
    let pids = daemon.processes("web");
    let (folder, away) = (root.path().join("state/last-good"), root.path().join("state/away"));
    fs::rename(&folder, &away).expect("it is there");
    // A file in its place: not even root can write into it.
    fs::write(&folder, "").expect("it can be written");
    root.write("modules/web.toml", web.file(CHANGING).replace("100ms\"\nrise", "150ms\"\nrise"));
    root.write("checkers/changing.wasm", saying("second"));
    says(&daemon, "second");
    eventually("it is said", || {
        daemon.problems().contains("cannot be stored in state/last-good").then_some(())
    });
    assert_eq!(daemon.health("web").status, 200);
    daemon.kill();
    is_up_again(&mut daemon, &pids, "nothing is stored");
    says(&daemon, "second");
    fs::remove_file(&folder).expect("it is there");
    eventually("it is stored again", || (!daemon.problems().contains("state/last-good")).then_some(()));
    until_stored(&root, &["modules/web.toml", "checkers/changing.wasm"]);
    // Damaged copies are not used.
    daemon.kill();
    root.write("checkers/changing.wasm", "garbage");
    for entry in fs::read_dir(&folder).expect("it is there").flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "wasm") {
            fs::write(entry.path(), "damaged").expect("it can be written");
        }
    }
    root.write("modules/other.toml", Web { address: free_address() }.application("0s") + CHECK_PROCESS);
    daemon.run_again();
    daemon.until_ready("other");
    assert_eq!(daemon.find_module("web"), None);
    assert!(daemon.problems().contains("its copy in state/last-good is damaged"), "{}", daemon.problems());
    root.write("checkers/changing.wasm", saying("third"));
    daemon.until_ready("web");
    assert_eq!(daemon.processes("web"), pids);
}
