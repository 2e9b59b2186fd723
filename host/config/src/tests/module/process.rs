//! `process = { … }`

use bellwether_os::process::find::Of;

use super::super::mistakes;
use super::{CHECKER, module};
use crate::spec::{ModuleSpec, Subject};

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
        let Subject::Process(process) = &module.checkers["a"].definition.subject else {
            panic!("{module:?}")
        };
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
