//! Scenarios: their specifications, and their errors.

use std::time::Duration;

use bellwether_core::command::Command;
use bellwether_core::observation::Status;
use bellwether_core::simulation::scenario::{End, Expected, Look, Scenario, Start, What};
use bellwether_core::state::StateName;

use super::{GOOD, parse};
use crate::mistake::Mistakes;
use crate::read::parse_scenario;

fn read(text: &str) -> Result<Scenario, Mistakes> {
    let module = parse(GOOD).expect("the module is right").spec;
    parse_scenario("scenarios/one.toml", text, &module).map(|scenario| scenario.spec)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_scenario_comes_to_what_its_file_says() {
    let scenario = read(
        r#"
for = "5m"
start = "boot"
warm-up = "3s"
[[event]]
at = "30s"
checker = "home-page"
says = "unknown"
lasts = "90s"
[[event]]
at = "1m"
exit = "start"
code = 3
every = "2m"
[[event]]
at = "4m"
command = "restart"
[[step]]
command = "start"
ends-in = "20s"
fails = "address in use"
times = 2
[[expect]]
at = "2m10s"
state = "up"
ready = true
[[expect]]
after = "1m"
within = "30s"
restarts = 1
[[expect]]
never = "failed"
[[expect]]
restarts-at-most = 3
"#,
    )
    .unwrap();
    assert_eq!((scenario.lasts, scenario.start, scenario.warm_up), (seconds(300), Start::Boot, seconds(3)));
    let [says, first, second, third, typed] = scenario.happenings.as_slice() else {
        panic!("{:?}", scenario.happenings)
    };
    assert!(matches!(&says.what, What::Says { status: Status::Unknown, .. }));
    assert_eq!((says.at, says.lasts), (seconds(30), Some(seconds(90))));
    assert_eq!([first.at, second.at, third.at], [seconds(60), seconds(180), seconds(300)]);
    assert!(matches!(&first.what, What::Ends { how: End::Exits(3), .. }));
    assert_eq!(typed.what, What::Command(Command::Restart));
    let behaviour = &scenario.commands["start"];
    assert_eq!((behaviour.times, behaviour.ends_in), (Some(2), Some(seconds(20))));
    let expected: Vec<(usize, &Expected)> =
        scenario.expectations.iter().map(|expectation| (expectation.line, &expectation.what)).collect();
    let look = Look { state: Some(StateName::Up), ready: Some(true), restarts: None };
    let once = Look { restarts: Some(1), ..Look::default() };
    assert_eq!(
        expected,
        [
            (23, &Expected::At(seconds(130), look)),
            (27, &Expected::Within(seconds(60), seconds(90), once)),
            (31, &Expected::Never(StateName::Failed)),
            (33, &Expected::RestartsAtMost(3)),
        ]
    );
}

/// Each text has one error.
fn are_mistaken(texts: &[(&str, &str)]) {
    for (text, mistake) in texts {
        let mistakes = read(text).expect_err(text).to_string();
        assert_eq!(mistakes, format!("scenarios/one.toml:{mistake}"), "{text}");
    }
}

#[test]
fn what_is_wrong_with_the_whole_is_told_with_what_was_expected() {
    are_mistaken(&[
        ("", "1:1: the scenario has no `for`; expected `for = \"5m\"`"),
        ("for = \"0s\"", "1:7: `for` is out of range; expected a duration from \"1s\" to \"366d\""),
        ("for = \"5m\"\nstrat = \"boot\"", "2:1: this file has no key `strat`; did you mean `start`?"),
    ]);
}

#[test]
fn what_is_wrong_with_an_event_is_told_with_what_was_expected() {
    are_mistaken(&[
        (
            "for = \"5m\"\n[[event]]\nchecker = \"home-page\"\nsays = \"fail\"",
            "2:1: `[[event]]` has no `at`; expected `at = \"30s\"`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"",
            "2:1: this event has no effect; expected `checker` and `says`, or `kill`, `exit` or `command`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"\nchecker = \"home-page\"",
            "2:1: `[[event]]` with a `checker` has no `says`; expected `says = \"fail\"`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"\nchecker = \"page\"\nsays = \"fail\"",
            "4:11: module `web` has no checker `page`; expected `home-page`, `nginx` or `start`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"\nkill = \"start\"\ncommand = \"stop\"",
            "5:11: an event has only one kind, and this is a second one; expected only one of `checker`, `kill`, `exit` and \
             `command`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"6m\"\nkill = \"start\"",
            "3:6: `at` is after the end of the scenario; expected at most \"5m\", which is its `for`",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"\nkill = \"strat\"",
            "4:8: module `web` has no command `strat`; did you mean `start`?",
        ),
        (
            "for = \"5m\"\n[[event]]\nat = \"1s\"\nkill = \"start\"\ncode = 3",
            "5:8: `code` without `exit`; expected `exit = \"…\"` beside it",
        ),
        (
            "for = \"300d\"\n[[event]]\nat = \"1s\"\nkill = \"start\"\nevery = \"1s\"",
            "5:9: every 1s is 25920000 times to the end of the scenario; expected at most 10000 times",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_step_is_told_with_what_was_expected() {
    are_mistaken(&[
        (
            "for = \"5m\"\n[[step]]\ncommand = \"stop\"\nends-in = \"3s\"",
            "4:11: `ends-in` is for kept commands, and `stop` is not kept; expected `takes`, for a command that runs \
             to completion",
        ),
        (
            "for = \"5m\"\n[[step]]\ncommand = \"stop\"\n[[step]]\ncommand = \"stop\"",
            "5:11: there is another `[[step]]` for `stop`; expected one for each command",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_an_expectation_is_told_with_what_was_expected() {
    are_mistaken(&[
        (
            "for = \"5m\"\n[[expect]]\nstate = \"up\"",
            "2:1: the time of this expectation is missing; expected `at` or `within` with `state`, `ready` or `restarts`, or \
             one of `never`, `restarts-at-most` and `not-ready-at-most`",
        ),
        (
            "for = \"5m\"\n[[expect]]\nat = \"1m\"",
            "2:1: nothing is expected at this time; expected `state`, `ready` or `restarts`",
        ),
        (
            "for = \"5m\"\n[[expect]]\nat = \"1m\"\nstate = \"upp\"",
            "4:9: `upp` is not a valid value for `state`; expected `stopped`, `starting`, `up`, `restarting`, `backoff`, …; did \
             you mean `up`?",
        ),
        (
            "for = \"5m\"\n[[expect]]\nnever = \"failed\"\nrestarts-at-most = 3",
            "4:20: an expectation has only one kind, and this is a second one; expected another `[[expect]]` for it",
        ),
    ]);
}
