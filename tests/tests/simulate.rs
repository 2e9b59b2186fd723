//! Simulations with the real binary, its restart script, and a scenario.

use std::process::Command;

use bellwether_tests::answers::{End, Expectation, Mistaken, Simulation, State, Summary, read};
use bellwether_tests::binary::bellwether;
use bellwether_tests::invocation::Ended;
use bellwether_tests::root::Root;

const GUIDE: &str = include_str!("../../docs/simulate.md");

/// The text after the line that opens a block of the guide, up to the block's end.
fn block(opening: &str) -> &'static str {
    let (_, rest) = GUIDE.split_once(opening).unwrap_or_else(|| panic!("the guide has `{opening}`"));
    rest.split_once("```").expect("the block ends").0
}

/// A root with the guide's module and scenario.
fn root() -> Root {
    let root = Root::default();
    for file in ["modules/web.toml", "scenarios/database-away.toml"] {
        // Complete, with the line that names the file: lines are counted as in a copy.
        let name = format!("# {file}\n");
        root.write(file, format!("{name}{}", block(&format!("```toml\n{name}"))));
    }
    root
}

/// Runs the binary in the root's folder, like its owner.
fn simulate(root: &Root, scenario: &str, more: &[&str]) -> Ended {
    let output = Command::new(bellwether())
        .args(["--root", ".", "simulate", "web", "--scenario", scenario])
        .args(more)
        .env_remove("BELLWETHER_ROOT")
        .current_dir(root.path())
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 is written");
    Ended { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
}

#[test]
fn the_guides_example_is_played_as_the_guide_shows_it() {
    let root = root();
    let ended = simulate(&root, "scenarios/database-away.toml", &[]);
    let shown = block("$ bellwether simulate web --scenario scenarios/database-away.toml\n");
    if std::env::var_os("BELLWETHER_UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/simulate.md");
        let line = "$ bellwether simulate web --scenario scenarios/database-away.toml\n";
        let guide = GUIDE.replace(&format!("{line}{shown}"), &format!("{line}{}", ended.out));
        std::fs::write(path, guide).expect("the guide can be written");
        return;
    }
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, shown, "write it anew with BELLWETHER_UPDATE=1 if this is right");
}

#[test]
fn the_same_scenario_gives_the_same_timeline_and_programs_can_read_it() {
    let root = root();
    let first = simulate(&root, "scenarios/database-away.toml", &["--json"]);
    assert_eq!(simulate(&root, "scenarios/database-away.toml", &["--json"]), first);
    let report: Simulation = read(&first.out);
    assert_eq!((report.ok, report.module.as_str(), report.seed), (true, "web", 1));
    assert_eq!(report.end, End { state: State::Up });
    assert_eq!(report.summary, Summary { restarts: 1, for_ms: 300_000 });
    let states = report.timeline.iter().filter(|entry| entry.kind == "state");
    let states: Vec<&str> = states.filter_map(|entry| entry.to.as_deref()).collect();
    assert_eq!(states, ["stopping", "waiting", "starting", "up", "restarting", "up"]);
    assert_eq!(report.expectations, vec![Expectation { met: true }; 4]);
    assert!(!root.path().join("state").exists(), "nothing is written");
}

#[test]
fn an_expectation_that_is_not_met_is_told_with_its_line_and_what_was_instead() {
    let root = root();
    root.write(
        "scenarios/wrong.toml",
        "for = \"1m\"\n[[event]]\nat = \"10s\"\nkill = \"start\"\n\n[[expect]]\nnever = \"restarting\"\n",
    );
    let ended = simulate(&root, "scenarios/wrong.toml", &[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let said = "✗ scenarios/wrong.toml:6: never restarting: it was at +10s: checker `start` is down: process `start`";
    assert!(ended.out.contains(said), "{}", ended.out);
    let report: Simulation = read(&simulate(&root, "scenarios/wrong.toml", &["--json"]).out);
    assert_eq!((report.ok, report.expectations), (false, vec![Expectation { met: false }]));
}

#[test]
fn mistakes_of_a_scenario_are_shown_with_their_lines() {
    let root = root();
    root.write(
        "scenarios/wrong.toml",
        "for = \"5 min\"\n[[event]]\nat = \"30s\"\nchecker = \"databse\"\nsays = \"fial\"\n",
    );
    let ended = simulate(&root, "scenarios/wrong.toml", &[]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    for said in [
        "scenarios/wrong.toml:1:7",
        "`5 min` is not a duration",
        "scenarios/wrong.toml:4:11",
        "did you mean `database`?",
        "scenarios/wrong.toml:5:8",
        "did you mean `fail`?",
        "3 errors",
    ] {
        assert!(ended.out.contains(said), "`{said}` is not said:\n{}", ended.out);
    }
    let report: Mistaken = read(&simulate(&root, "scenarios/wrong.toml", &["--json"]).out);
    let lines: Vec<u64> = report.mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 4, 5]);
}

#[test]
fn an_unknown_module_and_an_unknown_scenario_are_told_as_such() {
    let root = root();
    let ended = simulate(&root, "scenarios/none.toml", &[]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.out.contains("scenarios/none.toml: there is no such file"), "{ended:?}");
    assert!(!ended.out.contains("must be able to read"), "{ended:?}");

    let modules = root.path().join("modules");
    std::fs::rename(modules.join("web.toml"), modules.join("shop.toml")).expect("a file is renamed");
    let ended = simulate(&root, "scenarios/database-away.toml", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(11), ""), "{ended:?}");
    let said = "error: there is no module `web` in this root\n  next: its modules are: shop\n";
    assert_eq!(ended.error, said);
}

#[test]
fn an_edited_module_file_is_tried_without_being_put_into_force() {
    let root = root();
    let own = block("```toml\n# modules/web.toml\n");
    root.write("edited.toml", own.replace("on-down = \"wait\"", "on-down = \"notify\""));
    let ended = simulate(&root, "scenarios/database-away.toml", &["--module-file", "edited.toml"]);
    // It waits for nothing now, although the first expectation requires it.
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.out.contains("at +1m 30s: waiting, not ready: it was up, ready"), "{}", ended.out);
}

#[test]
fn a_year_takes_moments_and_what_is_too_much_is_a_clear_error() {
    let root = root();
    root.write("scenarios/year.toml", "for = \"366d\"\n[[expect]]\nnot-ready-at-most = \"0s\"\n");
    let ended = simulate(&root, "scenarios/year.toml", &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let flaps =
        "[[event]]\nat = \"1s\"\nchecker = \"home-page\"\nsays = \"fail\"\nlasts = \"5s\"\nevery = \"10s\"\n";
    root.write("scenarios/flaps.toml", format!("for = \"1d\"\n{}", flaps.repeat(8)));
    let ended = simulate(&root, "scenarios/flaps.toml", &[]);
    assert_eq!(ended.code, Some(1), "{:?} {}", ended.code, ended.error);
    assert!(ended.error.contains("too many events"), "{}", ended.error);
    assert!(ended.error.contains("next: make `for` shorter"), "{}", ended.error);
}
