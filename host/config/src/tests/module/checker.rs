//! `[[checker]]`

use bellwether_core::policy::CheckerKind;

use super::super::mistakes;
use super::{CHECKER, PROCESS, module};

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
    assert_eq!(module(PROCESS).policy().checkers["a"].kind, CheckerKind::Process);
}

#[test]
fn a_definition_has_the_digest_that_earlier_versions_wrote_down() {
    // A digest that changes puts every checker of its kind on probation at the next upgrade. Where a key was added, add
    // it to `CheckerDefinition` so that it is left out while it has its default.
    let kept = "[commands]\nstart = { run = [\"/app\"], keep = true }\n[[checker]]\nname = \"a\"\nprocess = { kept = \"start\" }\n";
    for (text, digest) in [
        (PROCESS.to_owned(), 10_535_776_743_960_198_607),
        (PROCESS.replace(" }", ", of = \"module\" }"), 9_030_430_034_609_038_205),
        (kept.to_owned(), 15_936_125_309_884_119_640),
        (
            "[[checker]]\nname = \"a\"\ninterval = \"1m\"\ntimeout = \"500ms\"\n\
             process = { arguments = \"java .*\", at-least = 2, at-most = 8, containers = true, max-memory = \"2GiB\", \
             max-cpu = 150.5, max-open-files = 10000, max-threads = 500 }\n"
                .to_owned(),
            2_105_545_694_348_575_759,
        ),
        (format!("{CHECKER}component = \"http\"\n"), 6_890_873_624_455_247_439),
        (
            format!(
                "{CHECKER}component = \"http\"\ninterval = \"10s\"\n\
                 config = {{ url = \"http://127.0.0.1:8080/\", expect-status = 200 }}\n\
                 grant = {{ processes = true, connect = [\"127.0.0.1:8080\"] }}\n\
                 limits = {{ host-calls = 1000, memory = \"8MiB\" }}\n"
            ),
            5_761_764_583_730_773_290,
        ),
    ] {
        assert_eq!(module(&text).checkers["a"].definition.digest(), digest, "{text}");
    }
}
