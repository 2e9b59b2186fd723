//! The specification of `bellwether.toml`.

use std::fs;
use std::time::Duration;

use bellwether_core::shutdown::Shutdown;

use crate::mistake::Mistakes;
use crate::read::{parse_node, read_node};
use crate::spec::{JournalSpec, LimitsSpec, RunLimits, ShutdownSpec};

fn mistakes(text: &str) -> String {
    parse_node(text, "host").expect_err("the text should have a mistake").render(false)
}

#[test]
fn no_file_means_every_default() {
    let root = tempfile::tempdir().unwrap();
    let node = read_node(root.path()).unwrap();
    assert_eq!(node.health.to_string(), "127.0.0.1:9010");
    assert_eq!(node.limits, LimitsSpec::default());
    assert!(node.agent_checks.is_empty());
}

#[test]
fn everything_in_the_file_counts() {
    let text = r#"
        name = "node-1"
        [health]
        listen = "0.0.0.0:9100"
        [[agent-check]]
        listen = "127.0.0.1:9011"
        module = "web"
        [[agent-check]]
        listen = "[::1]:9012"
        [limits]
        memory = "32MiB"
        cpu = "500ms"
        output = "64KiB"
        log-lines = 0
        state = "128KiB"
        handles = 100
        sockets = 4
        host-calls = 5000
        call-data = "2MiB"
        concurrent-runs = 8
        [shutdown]
        applications = "drain"
        within = "5m"
    "#;
    let node = parse_node(text, "host").unwrap().spec;
    assert_eq!(node.name.as_str(), "node-1");
    assert_eq!(node.health.to_string(), "0.0.0.0:9100");
    assert_eq!(node.agent_checks[0].agent.module.as_ref().unwrap().as_str(), "web");
    assert_eq!(node.agent_checks[1].listen.to_string(), "[::1]:9012");
    assert_eq!(node.agent_checks[1].agent.module, None);
    let within = Duration::from_mins(5);
    assert_eq!(node.shutdown, ShutdownSpec { applications: Some(Shutdown::Drain), within });
    assert_eq!(
        node.limits,
        LimitsSpec {
            run: RunLimits {
                memory: 32 << 20,
                cpu: Duration::from_millis(500),
                output: 64 << 10,
                log_lines: 0,
                state: 128 << 10,
                handles: 100,
                sockets: 4,
                host_calls: 5000,
                call_data: 2 << 20,
            },
            concurrent_runs: 8,
        }
    );
}

#[test]
fn a_file_that_is_not_utf8_shows_where() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("bellwether.toml"), b"# node\nname = \"caf\xe9\"\n").unwrap();
    let mistakes: Mistakes = read_node(root.path()).unwrap_err();
    insta::assert_snapshot!(mistakes.render(false), @r#"
     × the file is not UTF-8 text
      ╭─[bellwether.toml:2:12]
    2 │ name = "caf�"
      ·            ┬
      ·            ╰── expected UTF-8 from here on
      ╰────
     help: save the file as UTF-8, without a byte-order mark
    "#);
}

#[test]
fn a_shutdown_that_is_none() {
    let text = mistakes("[shutdown]\napplications = \"kill\"\nwithin = \"2h\"\n");
    for part in ["bellwether.toml:2:16", "leave", "drain", "stop", "`within` is out of range"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_address_without_a_port() {
    insta::assert_snapshot!(mistakes("[health]\nlisten = \"localhost\"\n"), @r#"
     × `localhost` is not an address with a port
      ╭─[bellwether.toml:2:10]
    2 │ listen = "localhost"
      ·          ─────┬─────
      ·               ╰── expected an address such as "127.0.0.1:9010" or "[::]:9010"
      ╰────
     help: host names are not resolved here: use the address of one of this host's interfaces
    "#);
}

#[test]
fn two_listeners_on_one_port() {
    let text = "[health]\nlisten = \"0.0.0.0:9010\"\n[[agent-check]]\nlisten = \"127.0.0.1:9010\"\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `127.0.0.1:9010` is already used by the health endpoint
      ╭─[bellwether.toml:4:10]
    4 │ listen = "127.0.0.1:9010"
      ·          ────────┬───────
      ·                  ╰── expected a unique port
      ╰────
     help: every listener of this file needs its own address and port
    "#);
}

#[test]
fn an_agent_check_without_an_address() {
    insta::assert_snapshot!(mistakes("[[agent-check]]\nmodule = \"web\"\n"), @r#"
     × `[[agent-check]]` has no `listen`
      ╭─[bellwether.toml:1:1]
    1 │ [[agent-check]]
      · ───────┬───────
      ·        ╰── expected `listen = "0.0.0.0:9011"`
      ╰────
    "#);
}

#[test]
fn single_brackets_where_a_list_of_tables_belongs() {
    insta::assert_snapshot!(mistakes("[agent-check]\nlisten = \"127.0.0.1:9011\"\n"), @r#"
     × `agent-check` is a table
      ╭─[bellwether.toml:1:1]
    1 │ [agent-check]
      · ──────┬──────
      ·       ╰── expected `[[agent-check]]` as the header, with double brackets
      ╰────
    "#);
}

#[test]
fn a_limit_out_of_its_bounds() {
    insta::assert_snapshot!(mistakes("[limits]\nmemory = \"1kB\"\nconcurrent-runs = 0\n"), @r#"
     × `memory` is out of range
      ╭─[bellwether.toml:2:10]
    2 │ memory = "1kB"
      ·          ──┬──
      ·            ╰── expected a size from "1MiB" to "4GiB"
      ╰────
     × `concurrent-runs` is out of range
      ╭─[bellwether.toml:3:19]
    3 │ concurrent-runs = 0
      ·                   ┬
      ·                   ╰── expected a number from 1 to 4096
      ╰────
    "#);
}

#[test]
fn a_name_that_is_none() {
    insta::assert_snapshot!(mistakes("name = \"node 1\"\n"), @r#"
     × `node 1` is not a name
      ╭─[bellwether.toml:1:8]
    1 │ name = "node 1"
      ·        ────┬───
      ·            ╰── ` ` does not belong in a name: letters, digits, `-`, `_` and `.` do, and it starts with a letter or digit
      ╰────
    "#);
}

#[test]
fn a_size_without_its_unit() {
    insta::assert_snapshot!(mistakes("[limits]\nmemory = \"64M\"\n"), @r#"
     × `64M` is not a size: `M` is not a unit
      ╭─[bellwether.toml:2:10]
    2 │ memory = "64M"
      ·          ──┬──
      ·            ╰── expected a size such as "64MiB" or "2GB"
      ╰────
     help: units: B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB (powers of 1024)
    "#);
}

const KEY: &str = "RWRiZWxsd3RocoqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

#[test]
fn whose_components_run_here_is_in_the_file() {
    let text = format!("[trust]\nrequire-signature = true\nkeys = [\"{KEY}\"]\n[reload]\nrescan = \"5s\"\n");
    let node = parse_node(&text, "host").unwrap().spec;
    assert!(node.trust.require_signature);
    assert_eq!(node.trust.keys, [minisign_verify::PublicKey::from_base64(KEY).unwrap()]);
    assert_eq!(node.rescan, Duration::from_secs(5));
    let default = parse_node("", "host").unwrap().spec;
    assert_eq!((default.trust.require_signature, default.rescan), (false, Duration::from_secs(1)));
}

#[test]
fn a_key_that_is_none_and_a_requirement_without_keys_are_mistakes() {
    insta::assert_snapshot!(mistakes("[trust]\nrequire-signature = true\nkeys = [\"RWQ\"]\n"));
    insta::assert_snapshot!(mistakes("[trust]\nrequire-signature = true\n"));
}

#[test]
fn how_much_of_the_past_is_kept_is_in_the_file() {
    let journal = |text: &str| parse_node(text, "host").unwrap().spec.journal;
    let set = JournalSpec { keep: Duration::from_hours(24 * 30), size: 1 << 30 };
    assert_eq!(journal("[journal]\nkeep = \"30d\"\nsize = \"1GiB\"\n"), set);
    let default = JournalSpec { keep: Duration::from_hours(24 * 90), size: 512_000_000 };
    assert_eq!(journal(""), default);
    insta::assert_snapshot!(mistakes("[journal]\nkeep = \"90\"\nsize = \"1kB\"\n"), @r#"
     × `90` is not a duration: the unit is missing
      ╭─[bellwether.toml:2:8]
    2 │ keep = "90"
      ·        ──┬─
      ·          ╰── expected a duration such as "2s" or "1m30s"
      ╰────
     help: units: ms, s, m, h and d (24 hours)
     × `size` is out of range
      ╭─[bellwether.toml:3:8]
    3 │ size = "1kB"
      ·        ──┬──
      ·          ╰── expected a size from "1MB" to "1TB"
      ╰────
    "#);
}
