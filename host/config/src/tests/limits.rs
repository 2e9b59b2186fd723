//! `[limits]` and `limits = { … }`

use std::time::Duration;

use super::{mistakes, parse};
use crate::spec::{LimitsSpec, OwnLimits, RunLimits, Subject};

#[test]
fn a_component_of_its_own_limits_keeps_the_nodes_for_the_rest() {
    let text = r#"
        [restart]
        limits = { memory = "16MiB" }
        [[checker]]
        name = "python"
        component = "python"
        limits = { memory = "256MiB", cpu = "10s", host-calls = 1000000 }
    "#;
    let module = parse(text).unwrap().spec;
    let Subject::Component(component) = &module.checkers["python"].definition.subject else {
        panic!("{module:?}")
    };
    let node = RunLimits { memory: 1 << 20, sockets: 3, ..LimitsSpec::default().run };
    let run = node.with(&component.limits);
    assert_eq!(
        run,
        RunLimits { memory: 256 << 20, cpu: Duration::from_secs(10), host_calls: 1_000_000, ..node }
    );
    assert_eq!(module.restart.limits, OwnLimits { memory: Some(16 << 20), ..OwnLimits::default() });
    let shown = component.limits.list();
    let shown: Vec<_> = shown.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(shown, [("memory", "\"256MiB\""), ("cpu", "\"10s\""), ("host-calls", "1000000")]);
}

#[test]
fn limits_that_make_no_sense_are_shown_where_they_stand() {
    let text = "[[checker]]\nname = \"a\"\ncomponent = \"http\"\n\
                limits = { cpu = \"2min\", memory = \"1kB\", concurrent-runs = 3, sockets = -1 }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `2min` is not a duration: `min` is not a unit
      ╭─[modules/web.toml:4:18]
    4 │ limits = { cpu = "2min", memory = "1kB", concurrent-runs = 3, sockets = -1 }
      ·                  ───┬──
      ·                     ╰── expected a duration such as "2s" or "1m30s"
      ╰────
     help: units: ms, s, m, h and d (24 hours)
     × `memory` is out of range
      ╭─[modules/web.toml:4:35]
    4 │ limits = { cpu = "2min", memory = "1kB", concurrent-runs = 3, sockets = -1 }
      ·                                   ──┬──
      ·                                     ╰── expected a size from "1MiB" to "4GiB"
      ╰────
     × `concurrent-runs` applies to all components of the node
      ╭─[modules/web.toml:4:60]
    4 │ limits = { cpu = "2min", memory = "1kB", concurrent-runs = 3, sockets = -1 }
      ·                                                            ┬
      ·                                                            ╰── expected it under `[limits]` in bellwether.toml
      ╰────
     × `sockets` is out of range
      ╭─[modules/web.toml:4:73]
    4 │ limits = { cpu = "2min", memory = "1kB", concurrent-runs = 3, sockets = -1 }
      ·                                                                         ─┬
      ·                                                                          ╰── expected a number from 0 to 10000
      ╰────
    "#);
    let text = "[[checker]]\nname = \"a\"\nprocess = { name = \"x\" }\nlimits = { cpu = \"1s\" }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × a process checker takes no `limits`
      ╭─[modules/web.toml:4:10]
    4 │ limits = { cpu = "1s" }
      ·          ───────┬──────
      ·                 ╰── expected only with `component`
      ╰────
    "#);
}
