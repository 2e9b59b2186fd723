//! `[health]`

use bellwether_core::drain::Drain;
use bellwether_core::id::CommandName;

use super::super::mistakes;
use super::{PROCESS, module};

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
