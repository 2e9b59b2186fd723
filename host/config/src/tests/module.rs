//! `modules/NAME.toml`

use std::fs;
use std::path::Path;
use std::time::Duration;

use bellwether_core::drain::Drain;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::policy::{CheckerKind, OnDown, Thresholds};

use super::{GOOD, mistakes, parse};
use crate::effective::Origin;
use crate::host_files::ThisHost;
use crate::mistake::Mistakes;
use crate::read::{parse_module, read_module, read_root};
use crate::spec::{ModuleSpec, Subject};
use bellwether_os::process::find::{Find, Of};

const CHECKER: &str = "[[checker]]\nname = \"a\"\n";
const CHECKER_OF_TWO: &str = "[commands]\nstart = { run = [\"/bin/sleep\", \"1\"], keep = true }\n\
    [[checker]]\nname = \"a\"\nprocess = { kept = \"start\", at-least = 1 }\n";
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
    assert_eq!(home_page.interval, Duration::from_secs(2));
    assert_eq!(home_page.thresholds.rise, 2);
    let Subject::Component(component) = &home_page.subject else { panic!("{home_page:?}") };
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
    assert_eq!((process.interval, process.timeout), (Duration::from_secs(2), Duration::from_secs(1)));
    assert_eq!(process.thresholds, Thresholds::default());
    assert_eq!((component.interval, component.timeout), (Duration::from_secs(5), Duration::from_secs(2)));
    let grace = Duration::from_secs(30);
    assert_eq!(component.thresholds, Thresholds { rise: 2, fall: 3, grace, ..Thresholds::default() });
    assert_eq!((process.on_down, component.on_down), (OnDown::Restart, OnDown::Restart));
    let Subject::Process(process) = &process.subject else { panic!("{process:?}") };
    assert_eq!((&process.find, process.at_least), (&Find::Unit("nginx.service".into()), 1));
}

#[test]
fn a_kept_command_is_watched_unless_a_checker_does() {
    let commands = "[commands]\nstart = { run = [\"/app\"], keep = true }\n";
    let names = |checkers: &str| {
        let module = module(&format!("{commands}{checkers}"));
        module.checkers.keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["start"]);
    assert_eq!(names("[[checker]]\nname = \"app\"\nprocess = { kept = \"start\" }\n"), ["app"]);
    assert_eq!(names("[[checker]]\nname = \"start\"\nprocess = { name = \"app\" }\n"), ["start"]);
    assert_eq!(names("[[checker]]\nname = \"start\"\ncomponent = \"http\"\n"), ["start", "start-process"]);
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
fn what_load_balancers_are_told_is_read() {
    let text = format!(
        "[commands]\njoin = {{ run = [\"/bin/true\"] }}\n[health]\ndegrade = true\non-yes = \"join\"\n{PROCESS}"
    );
    let health = module(&text).health;
    assert_eq!((health.drain, health.degrade), (Drain::UntilHeard, true));
    assert_eq!(health.on_yes.as_ref().map(CommandName::as_str), Some("join"));
    assert_eq!(health.on_no, None);
}

#[test]
fn commands_that_could_not_tell_a_load_balancer() {
    let commands = "[commands]\nstart = { run = [\"/bin/sleep\", \"1\"], keep = true }\nleave = { run = [\"/bin/true\"] }\n";
    let health = "[health]\non-yes = \"start\"\non-no = \"leaf\"\n";
    insta::assert_snapshot!(mistakes(&format!("{commands}{health}")), @r#"
     × the command `start` is a kept command, and would never exit
      ╭─[modules/web.toml:5:10]
    5 │ on-yes = "start"
      ·          ───┬───
      ·             ╰── expected a command without `keep` that notifies the load balancer and exits
      ╰────
     × `[commands]` has no `leaf`
      ╭─[modules/web.toml:6:9]
    6 │ on-no = "leaf"
      ·         ───┬──
      ·            ╰── expected `leave`
      ╰────
     help: declare it: `leaf = { run = ["/path/to/program", "ARGUMENT"] }` in `[commands]`
    "#);
}

#[test]
fn a_bad_duration() {
    insta::assert_snapshot!(mistakes(&format!("{PROCESS}interval = \"2 sec\"\ntimeout = \"5\"\n")), @r#"
     × `2 sec` is not a duration: there is a space in it
      ╭─[modules/web.toml:4:12]
    4 │ interval = "2 sec"
      ·            ───┬───
      ·               ╰── expected a duration such as "2s" or "1m30s"
      ╰────
     help: units: ms, s, m, h and d (24 hours)
     × `5` is not a duration: the unit is missing
      ╭─[modules/web.toml:5:11]
    5 │ timeout = "5"
      ·           ─┬─
      ·            ╰── expected a duration such as "2s" or "1m30s"
      ╰────
     help: units: ms, s, m, h and d (24 hours)
    "#);
}

#[test]
fn a_duration_out_of_its_bounds() {
    insta::assert_snapshot!(mistakes(&format!("{PROCESS}interval = \"10ms\"\n")), @r#"
     × `interval` is out of range
      ╭─[modules/web.toml:4:12]
    4 │ interval = "10ms"
      ·            ───┬──
      ·               ╰── expected a duration from "100ms" to "1h"
      ╰────
    "#);
}

#[test]
fn a_backoff_that_shrinks() {
    let text = format!("[restart]\nbackoff = {{ first = \"10s\", max = \"5s\" }}\n{PROCESS}");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `max` is shorter than `first`
      ╭─[modules/web.toml:2:34]
    2 │ backoff = { first = "10s", max = "5s" }
      ·                                  ──┬─
      ·                                    ╰── expected the longest delay
      ╰────
     help: the delay begins with `first` and doubles with each attempt up to `max`
    "#);
}

#[test]
fn both_a_process_and_a_component() {
    insta::assert_snapshot!(mistakes(&format!("{PROCESS}component = \"http\"\n")), @r#"
     × both `process` and `component`
      ╭─[modules/web.toml:4:13]
    4 │ component = "http"
      ·             ───┬──
      ·                ╰── expected only one of them
      ╰────
     help: a checker has one subject: split it into two checkers
    "#);
}

#[test]
fn neither_a_process_nor_a_component() {
    insta::assert_snapshot!(mistakes(CHECKER), @r#"
     × this checker has no subject
      ╭─[modules/web.toml:1:1]
    1 │ [[checker]]
      · ─────┬─────
      ·      ╰── expected `process = { … }` or `component = "NAME"`
      ╰────
    "#);
}

#[test]
fn no_name() {
    insta::assert_snapshot!(mistakes("[[checker]]\nprocess = { name = \"nginx\" }\n"), @r#"
     × `[[checker]]` has no `name`
      ╭─[modules/web.toml:1:1]
    1 │ [[checker]]
      · ─────┬─────
      ·      ╰── expected `name = "home-page"`
      ╰────
    "#);
}

#[test]
fn one_name_twice() {
    insta::assert_snapshot!(mistakes(&format!("{PROCESS}{PROCESS}")), @r#"
     × another checker is named `a`
      ╭─[modules/web.toml:5:8]
    5 │ name = "a"
      ·        ─┬─
      ·         ╰── expected a unique name
      ╰────
    "#);
}

#[test]
fn two_ways_to_find_a_process() {
    let text = format!("{CHECKER}process = {{ unit = \"a.service\", name = \"a\" }}\n");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × both `unit` and `name`
      ╭─[modules/web.toml:3:40]
    3 │ process = { unit = "a.service", name = "a" }
      ·                                        ─┬─
      ·                                         ╰── expected only one way to find the processes
      ╰────
     help: `arguments` sees the program's name too, and matches the whole command line
    "#);
}

#[test]
fn no_way_to_find_a_process() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}process = {{ at-least = 1 }}\n")), @r#"
     × the way to find the processes is missing
      ╭─[modules/web.toml:3:11]
    3 │ process = { at-least = 1 }
      ·           ────────┬───────
      ·                   ╰── expected exactly one of `name`, `arguments`, `pid-file`, `unit` or `kept`
      ╰────
    "#);
}

#[test]
fn fewer_at_most_than_at_least() {
    let text = format!("{CHECKER}process = {{ name = \"a\", at-least = 3, at-most = 2 }}\n");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `at-most` is less than `at-least`, which is 3
      ╭─[modules/web.toml:3:49]
    3 │ process = { name = "a", at-least = 3, at-most = 2 }
      ·                                                 ┬
      ·                                                 ╰── expected 3 or more
      ╰────
    "#);
}

#[test]
fn more_processes_than_there_can_be() {
    let kept = |more: &str| {
        format!(
            "[commands]\nstart = {{ run = [\"/bin/sh\"], keep = true }}\n{CHECKER}process = {{ kept = \"start\", {more} }}\n"
        )
    };
    let pid_file = format!("{CHECKER}process = {{ pid-file = \"/run/a.pid\", at-least = 2 }}\n");
    for (text, words) in [
        (
            kept("at-least = 3"),
            [
                "the kept command `start` is one process: there are never 3",
                "modules/web.toml:5:40",
                "expected 1, or no `at-least`",
            ],
        ),
        (
            kept("at-least = 0, at-most = 0"),
            [
                "the kept command `start` is one process, and none would be allowed",
                "modules/web.toml:5:53",
                "expected 1, or no `at-most`",
            ],
        ),
        (
            pid_file,
            [
                "a pid file names one process: there are never 2",
                "modules/web.toml:3:49",
                "expected 1, or no `at-least`",
            ],
        ),
    ] {
        let told = mistakes(&text);
        assert!(words.iter().all(|words| told.contains(words)), "{told}");
    }
    for fine in ["at-least = 1", "at-least = 0", "at-most = 1", "at-least = 1, at-most = 7"] {
        module(&kept(fine));
    }
}

#[test]
fn a_path_as_a_program_name() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}process = {{ name = \"/usr/sbin/nginx\" }}\n")), @r#"
     × `/usr/sbin/nginx` is not the file name of a program
      ╭─[modules/web.toml:3:20]
    3 │ process = { name = "/usr/sbin/nginx" }
      ·                    ────────┬────────
      ·                            ╰── expected a name such as "nginx", without folders
      ╰────
     help: to tell programs of the same name apart, use `arguments`
    "#);
}

#[test]
fn a_regular_expression_that_is_none() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}process = {{ arguments = \"java (\" }}\n")), @r#"
     × not a regular expression: unclosed group
      ╭─[modules/web.toml:3:25]
    3 │ process = { arguments = "java (" }
      ·                         ────┬───
      ·                             ╰── expected a regular expression over the whole command line
      ╰────
     help: in TOML, single quotes keep backslashes as they are: 'java .*shop\.jar'
    "#);
}

#[test]
fn a_pid_file_that_is_relative() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}process = {{ pid-file = \"nginx.pid\" }}\n")), @r#"
     × `nginx.pid` is not an absolute path
      ╭─[modules/web.toml:3:24]
    3 │ process = { pid-file = "nginx.pid" }
      ·                        ─────┬─────
      ·                             ╰── expected a path such as "/run/nginx.pid"
      ╰────
    "#);
}

#[test]
fn a_unit_without_processes() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}process = {{ unit = \"nginx.socket\" }}\n")), @r#"
     × `nginx.socket` is not a systemd unit with processes
      ╭─[modules/web.toml:3:20]
    3 │ process = { unit = "nginx.socket" }
      ·                    ───────┬──────
      ·                           ╰── expected the name of a service, scope or slice, such as "nginx.service"
      ╰────
    "#);
}

#[test]
fn a_kept_command_that_does_not_exist() {
    let text = "[commands]\nstart = { run = [\"/app\"], keep = true }\n[[checker]]\nname = \"a\"\nprocess = { kept = \"strat\" }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `[commands]` has no `strat`
      ╭─[modules/web.toml:5:20]
    5 │ process = { kept = "strat" }
      ·                    ───┬───
      ·                       ╰── did you mean `start`?
      ╰────
    "#);
}

#[test]
fn a_command_that_is_not_kept() {
    let text = "[commands]\nstart = { run = [\"/app\"] }\n[[checker]]\nname = \"a\"\nprocess = { kept = \"start\" }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × the command `start` is not kept
      ╭─[modules/web.toml:5:20]
    5 │ process = { kept = "start" }
      ·                    ───┬───
      ·                       ╰── expected a command with `keep = true`
      ╰────
     help: add `keep = true` to `start` in `[commands]` if it is the long-running application
    "#);
}

#[test]
fn a_grant_that_is_none() {
    let text =
        format!("{CHECKER}component = \"tcp\"\ngrant = {{ connect = [\"http://a/\", \"10.0.0.1/8:80\"] }}\n");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `http://a/` cannot be granted: a URL is not a host and port
      ╭─[modules/web.toml:4:22]
    4 │ grant = { connect = ["http://a/", "10.0.0.1/8:80"] }
      ·                      ─────┬─────
      ·                           ╰── expected HOST:PORT such as "127.0.0.1:8080"
      ╰────
     help: leave `http://` and the path out
     × `10.0.0.1/8:80` cannot be granted: the address has bits outside of its prefix
      ╭─[modules/web.toml:4:35]
    4 │ grant = { connect = ["http://a/", "10.0.0.1/8:80"] }
      ·                                   ───────┬───────
      ·                                          ╰── expected HOST:PORT such as "127.0.0.1:8080"
      ╰────
     help: the network is 10.0.0.0/8; for the one host, leave the prefix out
    "#);
}

#[test]
fn config_for_a_process_checker() {
    insta::assert_snapshot!(mistakes(&format!("{PROCESS}config = {{ url = \"x\" }}\n")), @r#"
     × a process checker takes no `config`
      ╭─[modules/web.toml:4:10]
    4 │ config = { url = "x" }
      ·          ──────┬──────
      ·                ╰── expected only with `component`
      ╰────
    "#);
}

#[test]
fn a_command_without_a_program() {
    insta::assert_snapshot!(mistakes(&format!("[commands]\nstop = {{ timeout = \"1s\" }}\n{PROCESS}")), @r#"
     × command `stop` has no `run`
      ╭─[modules/web.toml:2:1]
    2 │ stop = { timeout = "1s" }
      · ──┬─
      ·   ╰── expected `run = ["/path/to/program", "argument"]`
      ╰────
    "#);
}

fn real_host(text: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    let name = ModuleName::new("web").unwrap();
    let result = parse_module(name, "modules/web.toml", text, &ThisHost::new(root.path()));
    result.expect_err("the text should have a mistake").render(false)
}

#[test]
fn a_program_that_is_not_there() {
    let text = "[commands]\nstart = { run = [\"/no/such/app\"], keep = true }\nstop = { run = [\"no-such-program\"] }\n";
    insta::assert_snapshot!(real_host(text), @r#"
     × no such program: /no/such/app
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/no/such/app"], keep = true }
      ·                  ───────┬──────
      ·                         ╰── expected a file that exists
      ╰────
     help: install it, or correct the path (a relative one is relative to the root)
     × no such program: no-such-program
      ╭─[modules/web.toml:3:17]
    3 │ stop = { run = ["no-such-program"] }
      ·                 ────────┬────────
      ·                         ╰── expected one in a folder of the system, such as /usr/bin
      ╰────
     help: install it, or write its path (with a slash: ./NAME is relative to the root)
    "#);
}

#[test]
fn a_whole_command_line_as_the_program() {
    insta::assert_snapshot!(real_host("[commands]\nstart = { run = [\"/bin/sleep 10\"], keep = true }\n"), @r#"
     × no such program: /bin/sleep 10
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/bin/sleep 10"], keep = true }
      ·                  ───────┬───────
      ·                         ╰── expected a file that exists
      ╰────
     help: one text for each argument: ["/bin/sleep", "10"]
    "#);
}

#[test]
fn a_folder_as_the_program() {
    insta::assert_snapshot!(real_host("[commands]\nstart = { run = [\"/\"], dir = \"none\", keep = true }\n"), @r#"
     × not a program that can be run: /
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/"], dir = "none", keep = true }
      ·                  ─┬─
      ·                   ╰── expected an executable file
      ╰────
     help: `chmod +x` makes a file executable
     × no such folder: none
      ╭─[modules/web.toml:2:30]
    2 │ start = { run = ["/"], dir = "none", keep = true }
      ·                              ───┬──
      ·                                 ╰── expected a folder that exists, absolute or relative to the root
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

#[test]
fn a_definition_changes_with_what_is_observed_and_not_with_what_follows_from_it() {
    let definition = |text: &str| module(text).policy().checkers["a"].definition;
    let component = format!("{CHECKER}component = \"http\"\n");
    let with = |more: &str| definition(&format!("{component}{more}"));
    let plain = definition(&component);
    assert_eq!(plain, with("rise = 5\non-down = \"out\"\ngrace = \"1s\"\n"));
    assert_eq!(plain, with("interval = \"5s\"\n"));
    assert_ne!(plain, with("interval = \"6s\"\n"));
    assert_ne!(plain, with("timeout = \"3s\"\n"));
    assert_ne!(plain, with("grant = { connect = [\"a:1\"] }\n"));
    assert_ne!(plain, with("config = { a = 1 }\n"));
    assert_eq!(
        with("config = { a = 1, b = { d = 2, c = 3 } }\n"),
        with("config = { b = { c = 3, d = 2 }, a = 1 }\n")
    );
    // It is kept across restarts of the daemon: it must never change by itself.
    assert_eq!(definition(PROCESS), 10_535_776_743_960_198_607);
    assert_eq!(module(PROCESS).policy().checkers["a"].kind, CheckerKind::Process);
}

#[test]
fn a_start_gets_the_time_that_the_file_gives_it() {
    let restart = |head: &str, grace: &str| {
        let text = format!("{head}\n[[checker]]\nname = \"a\"\ncomponent = \"http\"\n{grace}\n");
        let restart = module(&text).restart;
        (restart.start_within.as_secs(), restart.appear_within.as_secs(), restart.keep_trying.as_secs())
    };
    let day = 86_400;
    assert_eq!(restart("", ""), (900, 90, day));
    assert_eq!(restart("", "grace = \"1h\""), (3600, 90, day), "no start ends within a grace");
    assert_eq!(restart("[restart]\nstart-within = \"20s\"", "grace = \"1h\""), (20, 20, day), "as it says");
    assert_eq!(restart("[restart]\nstart-within = \"2h\"", ""), (7200, 7200, day));
    assert_eq!(restart("[restart]\nbudget = { restarts = 5 }", ""), (900, 90, 0), "each try counts");
    assert_eq!(restart("[restart]\nkeep-trying = \"1h\"\nbudget = {}", ""), (900, 90, 3600));
}

#[test]
fn containers_can_be_looked_into_where_processes_are_found_by_what_they_are() {
    let process =
        |find: &str| format!("[[checker]]\nname = \"a\"\nprocess = {{ {find}, containers = true }}\n");
    let plain = module("[[checker]]\nname = \"a\"\nprocess = { name = \"shop\" }\n");
    let with = module(&process("name = \"shop\""));
    let definition = |module: &ModuleSpec| module.policy().checkers["a"].definition;
    assert_ne!(definition(&plain), definition(&with));
    let said = mistakes(&process("pid-file = \"/run/shop.pid\""));
    assert!(said.contains("`containers` has no effect here"), "{said}");
}

#[test]
fn processes_of_the_module_count_where_it_keeps_one_and_of_the_host_otherwise() {
    let of = |commands: &str, rest: &str| {
        let text = format!("{commands}[[checker]]\nname = \"a\"\n{rest}\n");
        let module = module(&text);
        let Subject::Process(process) = &module.checkers["a"].subject else { panic!("{module:?}") };
        process.of
    };
    let kept = "[commands]\nstart = { run = [\"/usr/bin/app\"], keep = true }\n";
    let forks = "[commands]\nstart = { run = [\"/usr/bin/app\"] }\n";
    let by_name = "process = { name = \"app\" }";
    assert_eq!(of(kept, by_name), Of::Module);
    assert_eq!(of(kept, "process = { arguments = \"app\" }"), Of::Module);
    assert_eq!(of(kept, "process = { name = \"app\", of = \"host\" }"), Of::Host);
    assert_eq!(of(kept, "process = { name = \"app\", containers = true }"), Of::Host);
    assert_eq!(of(kept, &format!("{by_name}\non-down = \"wait\"")), Of::Host, "it may be somebody else's");
    assert_eq!(of(forks, by_name), Of::Host, "a service manager may have started it");
    assert_eq!(of("", by_name), Of::Host);
    let command =
        |name: &str, keep: bool| format!("{name} = {{ run = [\"/usr/bin/app\"], keep = {keep} }}\n");
    for (commands, expected) in [
        // A service manager starts the application, and a log shipper is kept.
        (&[("start", false), ("ship-logs", true)][..], Of::Host),
        (&[("start", true), ("ship-logs", true), ("warm-up", false)], Of::Module),
        (&[("app", true), ("stop", false), ("reload", false)], Of::Module),
        (&[("app", true), ("begin", false)], Of::Host),
        (&[("stop", false)], Of::Host),
    ] {
        let table: String = commands.iter().map(|(name, keep)| command(name, *keep)).collect();
        assert_eq!(of(&format!("[commands]\n{table}"), by_name), expected, "{table}");
    }
    assert_eq!(of(forks, "process = { name = \"app\", of = \"module\" }"), Of::Module);
    let said = mistakes("[[checker]]\nname = \"a\"\nprocess = { unit = \"app\", of = \"host\" }\n");
    assert!(said.contains("`of` has no effect here"), "{said}");
    let said = mistakes("[[checker]]\nname = \"a\"\nprocess = { name = \"app\", of = \"modul\" }\n");
    assert!(said.contains("did you mean `module`?"), "{said}");
}

#[test]
fn so_many_fails_of_so_many_runs_are_said_in_one_text() {
    let thresholds = |fall: &str| module(&format!("{PROCESS}fall = {fall}\n")).checkers["a"].thresholds;
    assert_eq!((thresholds("3").fall, thresholds("3").fall_of), (3, None));
    assert_eq!((thresholds("\"3 of 10\"").fall, thresholds("\"3 of 10\"").fall_of), (3, Some(10)));
    for wrong in ["\"3\"", "\"10 of 3\"", "\"3 of 100\""] {
        let said = mistakes(&format!("{PROCESS}fall = {wrong}\n"));
        assert!(said.contains("expected a string such as \"3 of 10\""), "{said}");
    }
    for wrong in ["true", "[3]", "1.5", "{}"] {
        let said = mistakes(&format!("{PROCESS}fall = {wrong}\n"));
        assert!(said.contains("fall = "), "{wrong} is no mistake: {said}");
    }
}

#[test]
fn values_of_a_file_are_counted_wherever_they_stand() {
    let said = |text: &str| parse(text).unwrap().said();
    assert_eq!(said(CHECKER_OF_TWO), 5, "a list of words is one value");
    let from_file = |text: &str| {
        parse(text).unwrap().effective().iter().filter(|value| value.source == Origin::File).count()
    };
    assert!(said(GOOD) >= from_file(GOOD), "more than are listed: names are no values there");
}

#[test]
fn effective_values_say_where_they_come_from() {
    let effective = parse(GOOD).unwrap().effective();
    let shown: Vec<_> = effective
        .iter()
        .map(|value| {
            let source = if value.source == Origin::File { "" } else { "   (default)" };
            format!("{} = {}{source}", value.key, value.value)
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    restart.script = "command"
    restart.config = {}   (default)
    restart.budget.restarts = 3
    restart.budget.within = "24h"
    restart.backoff.first = "1s"
    restart.backoff.max = "1m"
    restart.start-within = "15m"   (default)
    restart.keep-trying = "0s"   (default)
    health.drain = "15s"
    health.degrade = false   (default)
    commands.start.run = ["/usr/sbin/nginx","-g","daemon off;"]
    commands.start.keep = true
    commands.start.timeout = "10s"   (default)
    commands.start.leftovers = "500ms"   (default)
    commands.start.dir = "."   (default)
    commands.stop.run = ["/usr/sbin/nginx","-s","quit"]
    commands.stop.keep = false   (default)
    commands.stop.timeout = "10s"
    commands.stop.dir = "."   (default)
    checker.home-page.component = "http"
    checker.home-page.config = {"expect-status":200,"url":"http://127.0.0.1:8080/"}
    checker.home-page.grant.connect = ["127.0.0.1:8080"]
    checker.home-page.interval = "2s"
    checker.home-page.timeout = "1s"
    checker.home-page.rise = 2
    checker.home-page.fall = 3
    checker.home-page.grace = "30s"   (default)
    checker.home-page.unknown = "ignore"   (default)
    checker.home-page.on-down = "restart"
    checker.nginx.process.name = "nginx"
    checker.nginx.process.at-least = 1
    checker.nginx.process.containers = false   (default)
    checker.nginx.process.of = "module"   (default)
    checker.nginx.interval = "2s"   (default)
    checker.nginx.timeout = "1s"   (default)
    checker.nginx.rise = 1   (default)
    checker.nginx.fall = 1   (default)
    checker.nginx.grace = "0s"   (default)
    checker.nginx.unknown = "ignore"   (default)
    checker.nginx.on-down = "restart"   (default)
    checker.start.process.kept = "start"   (default)
    checker.start.process.at-least = 1   (default)
    checker.start.interval = "2s"   (default)
    checker.start.timeout = "1s"   (default)
    checker.start.rise = 1   (default)
    checker.start.fall = 1   (default)
    checker.start.grace = "0s"   (default)
    checker.start.unknown = "ignore"   (default)
    checker.start.on-down = "restart"   (default)
    "#);
}
