//! `modules/NAME.toml`

mod checker;
mod command;
mod health;
mod process;
mod restart;

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwether_core::policy::{OnDown, Thresholds};
use bellwether_os::process::find::Find;

use super::{GOOD, mistakes, parse};
use crate::mistake::Mistakes;
use crate::read::{read_module, read_root};
use crate::spec::{ModuleSpec, Subject};

const CHECKER: &str = "[[checker]]\nname = \"a\"\n";
const PROCESS: &str = "[[checker]]\nname = \"a\"\nprocess = { name = \"nginx\" }\n";

fn module(text: &str) -> ModuleSpec {
    parse(text).map_or_else(|mistakes| panic!("{mistakes}"), |module| module.spec)
}

#[test]
fn the_example_of_the_design_says_what_it_should() {
    let web = module(GOOD);
    assert_eq!(web.restart.script.as_str(), "command");
    assert_eq!(web.restart.budget.within, Duration::from_hours(24));
    assert_eq!(web.health.drain, Duration::from_secs(15).into());
    assert!(web.commands["start"].keep);
    assert_eq!(web.commands["stop"].run, ["/usr/sbin/nginx", "-s", "quit"]);
    let names: Vec<_> = web.checkers.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["home-page", "nginx", "start"]);
    let home_page = &web.checkers["home-page"];
    assert_eq!(home_page.definition.interval, Duration::from_secs(2));
    assert_eq!(home_page.thresholds.rise, 2);
    let Subject::Component(component) = &home_page.definition.subject else { panic!("{home_page:?}") };
    assert_eq!(component.config["expect-status"], 200);
    assert_eq!(component.grants.connect[0].to_string(), "127.0.0.1:8080");
}

#[test]
fn what_the_file_leaves_out_has_its_default() {
    let web = module(
        "[[checker]]\nname = \"p\"\nprocess = { unit = \"nginx\" }\n[[checker]]\nname = \"c\"\ncomponent = \"http\"\n",
    );
    assert_eq!((web.restart.script.as_str(), web.restart.budget.restarts), ("command", 3));
    assert_eq!(web.restart.start_within, Duration::from_mins(15));
    assert_eq!(web.restart.appear_within, Duration::from_secs(90));
    assert_eq!(web.restart.keep_trying, Duration::from_hours(24));
    let (process, component) = (&web.checkers["p"], &web.checkers["c"]);
    assert_eq!(
        (process.definition.interval, process.definition.timeout),
        (Duration::from_secs(2), Duration::from_secs(1))
    );
    assert_eq!(process.thresholds, Thresholds::default());
    assert_eq!(
        (component.definition.interval, component.definition.timeout),
        (Duration::from_secs(5), Duration::from_secs(2))
    );
    let grace = Duration::from_secs(30);
    assert_eq!(component.thresholds, Thresholds { rise: 2, fall: 3, grace, ..Thresholds::default() });
    assert_eq!((process.on_down, component.on_down), (OnDown::Restart, OnDown::Restart));
    let Subject::Process(process) = &process.definition.subject else { panic!("{process:?}") };
    assert_eq!((&process.find, process.at_least), (&Find::Unit("nginx.service".into()), 1));
}

#[test]
fn several_mistakes_are_told_at_once_and_in_order() {
    let text = r#"
[restart]
budget = { restart = 3, within = "1 day" }

[commands]
start = { run = ["/app"], kep = true }

[[checker]]
name = "a"
process = { name = "x", kept = "start" }

[[checker]]
name = "a"
component = "http"
interval = "1ms"
on-down = "reboot"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
     × `restart.budget` has no key `restart`
      ╭─[modules/web.toml:3:12]
    3 │ budget = { restart = 3, within = "1 day" }
      ·            ───┬───
      ·               ╰── did you mean `restarts`?
      ╰────
     × `1 day` is not a duration: there is a space in it
      ╭─[modules/web.toml:3:34]
    3 │ budget = { restart = 3, within = "1 day" }
      ·                                  ───┬───
      ·                                     ╰── expected a duration such as "2s" or "1m30s"
      ╰────
     help: units: ms, s, m, h and d (24 hours)
     × `commands.start` has no key `kep`
      ╭─[modules/web.toml:6:27]
    6 │ start = { run = ["/app"], kep = true }
      ·                           ─┬─
      ·                            ╰── did you mean `keep`?
      ╰────
     × both `name` and `kept`
       ╭─[modules/web.toml:10:32]
    10 │ process = { name = "x", kept = "start" }
       ·                                ───┬───
       ·                                   ╰── expected only one way to find the processes
       ╰────
     help: `arguments` sees the program's name too, and matches the whole command line
     × `interval` is out of range
       ╭─[modules/web.toml:15:12]
    15 │ interval = "1ms"
       ·            ──┬──
       ·              ╰── expected a duration from "100ms" to "1h"
       ╰────
     × `reboot` is not a valid value for `on-down`
       ╭─[modules/web.toml:16:11]
    16 │ on-down = "reboot"
       ·           ────┬───
       ·               ╰── expected `restart`, `stop`, `wait`, `out` or `notify`
       ╰────
    "#);
}

#[test]
fn one_line_for_the_journal() {
    let mistakes: Mistakes = parse(&format!("{PROCESS}intreval = \"2s\"\n")).unwrap_err();
    insta::assert_snapshot!(mistakes.to_string(), @"modules/web.toml:4:1: `[[checker]]` has no key `intreval`; did you mean `interval`?");
}

#[test]
fn mistakes_travel_as_json() {
    let mistakes: Mistakes = parse(&format!("{PROCESS}intreval = \"2s\"\n")).unwrap_err();
    let json = serde_json::to_string(&mistakes).unwrap();
    insta::assert_snapshot!(json, @r#"[{"file":"modules/web.toml","span":{"start":52,"end":60},"line":4,"column":1,"text":"intreval = \"2s\"","underline":{"start":0,"end":8},"message":"`[[checker]]` has no key `intreval`","expected":"did you mean `interval`?"}]"#);
    assert_eq!(serde_json::from_str::<Mistakes>(&json).unwrap().render(false), mistakes.render(false));
}

#[test]
fn a_root_is_read_file_by_file() {
    let root = tempfile::tempdir().unwrap();
    let modules = root.path().join("modules");
    fs::create_dir(&modules).unwrap();
    fs::write(modules.join("web.toml"), PROCESS).unwrap();
    fs::write(modules.join("bad.toml"), "x").unwrap();
    fs::write(modules.join("no name.toml"), PROCESS).unwrap();
    fs::write(modules.join("notes.txt"), "x").unwrap();
    fs::write(modules.join(".web.toml"), "x").unwrap();
    fs::create_dir(modules.join("dir.toml")).unwrap();

    let report = read_root(root.path());
    assert!(report.node.is_ok());
    let modules: Vec<_> =
        report.modules.iter().map(|(file, module)| (file.as_str(), module.is_ok())).collect();
    assert_eq!(
        modules,
        [("bad.toml", false), ("dir.toml", false), ("no name.toml", false), ("web.toml", true)]
    );
    assert_eq!(read_module(root.path(), Path::new("modules/web.toml")).unwrap().name.as_str(), "web");
    assert!(read_module(root.path(), Path::new("modules/gone.toml")).is_err());
}
