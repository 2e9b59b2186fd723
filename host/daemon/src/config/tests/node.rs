//! `bellwether.toml`

use std::fs;

use crate::config::mistake::Mistakes;
use crate::config::read::{parse_node, read_node};
use crate::config::spec::LimitsSpec;

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
        concurrent-runs = 8
    "#;
    let node = parse_node(text, "host").unwrap().spec;
    assert_eq!(node.name.as_str(), "node-1");
    assert_eq!(node.health.to_string(), "0.0.0.0:9100");
    assert_eq!(node.agent_checks[0].module.as_ref().unwrap().as_str(), "web");
    assert_eq!(node.agent_checks[1].listen.to_string(), "[::1]:9012");
    assert_eq!(node.agent_checks[1].module, None);
    assert_eq!(node.limits, LimitsSpec { memory: 32 << 20, concurrent_runs: 8 });
}

#[test]
fn a_file_that_is_not_utf8_shows_where() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("bellwether.toml"), b"# node\nname = \"caf\xe9\"\n").unwrap();
    let mistakes: Mistakes = read_node(root.path()).unwrap_err();
    insta::assert_snapshot!(mistakes.render(false), @"");
}

#[test]
fn an_address_without_a_port() {
    insta::assert_snapshot!(mistakes("[health]\nlisten = \"localhost\"\n"), @"");
}

#[test]
fn two_listeners_on_one_port() {
    let text = "[health]\nlisten = \"0.0.0.0:9010\"\n[[agent-check]]\nlisten = \"127.0.0.1:9010\"\n";
    insta::assert_snapshot!(mistakes(text), @"");
}

#[test]
fn an_agent_check_without_an_address() {
    insta::assert_snapshot!(mistakes("[[agent-check]]\nmodule = \"web\"\n"), @"");
}

#[test]
fn single_brackets_where_a_list_of_tables_belongs() {
    insta::assert_snapshot!(mistakes("[agent-check]\nlisten = \"127.0.0.1:9011\"\n"), @"");
}

#[test]
fn a_limit_out_of_its_bounds() {
    insta::assert_snapshot!(mistakes("[limits]\nmemory = \"1kB\"\nconcurrent-runs = 0\n"), @"");
}

#[test]
fn a_name_that_is_none() {
    insta::assert_snapshot!(mistakes("name = \"node 1\"\n"), @"");
}

#[test]
fn a_size_without_its_unit() {
    insta::assert_snapshot!(mistakes("[limits]\nmemory = \"64M\"\n"), @"");
}
