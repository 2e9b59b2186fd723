//! The values in effect, and where each comes from.

use super::{GOOD, parse};
use crate::effective::Origin;

const CHECKER_OF_TWO: &str = "[commands]\nstart = { run = [\"/bin/sleep\", \"1\"], keep = true }\n\
    [[checker]]\nname = \"a\"\nprocess = { kept = \"start\", at-least = 1 }\n";

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
