//! The table `[farm]` of `bellwether.toml`.

use crate::effective::Origin;
use crate::node_changes::NodeChanges;
use crate::read::parse_node;
use crate::spec::FarmSpec;

fn farm(text: &str) -> FarmSpec {
    parse_node(text, "host").expect("the text has no mistake").spec.farm
}

fn mistakes(text: &str) -> String {
    parse_node(text, "host").expect_err("the text should have a mistake").render(false)
}

#[test]
fn without_a_word_all_addresses_are_listened_on() {
    for text in ["", "[farm]\n"] {
        let FarmSpec { listen, address, zone } = farm(text);
        assert_eq!((listen.to_string().as_str(), address, zone), ("0.0.0.0:9014", None, None), "{text}");
    }
}

#[test]
fn everything_in_the_table_counts() {
    let text =
        "[farm]\nlisten = \"10.0.0.5:9100\"\naddress = \"Node-1.example.org:9200\"\nzone = \"eu-1a\"\n";
    let FarmSpec { listen, address, zone } = farm(text);
    assert_eq!(listen.to_string(), "10.0.0.5:9100");
    assert_eq!(address.as_deref(), Some("node-1.example.org:9200"));
    assert_eq!(zone.as_deref(), Some("eu-1a"));
}

#[test]
fn an_address_has_a_host_that_can_be_reached_and_a_port() {
    for good in ["10.0.0.5:9014", "node-1:1", "[2001:db8::5]:9014", "a.example.org:65535"] {
        assert_eq!(farm(&format!("[farm]\naddress = \"{good}\"\n")).address.as_deref(), Some(good));
    }
    for wrong in [
        "",
        "10.0.0.5",
        "10.0.0.5:",
        "10.0.0.5:0",
        "node-1:65536",
        "2001:db8::5:9014",
        "[2001:db8::5]",
        "0.0.0.0:9014",
        "[::]:9014",
        "https://node-1:9014",
        "node 1:9014",
        "[node-1]:9014",
    ] {
        let told = mistakes(&format!("[farm]\naddress = \"{wrong}\"\n"));
        assert!(told.contains("is not the address of a node"), "{wrong}: {told}");
        assert!(told.contains("bellwether.toml:2:11"), "{wrong}: {told}");
    }
}

#[test]
fn an_address_that_another_listener_has() {
    let text = "[metrics]\nlisten = \"127.0.0.1:9014\"\n[farm]\nlisten = \"0.0.0.0:9014\"\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `0.0.0.0:9014` is already used by the metrics
      ╭─[bellwether.toml:4:10]
    4 │ listen = "0.0.0.0:9014"
      ·          ───────┬──────
      ·                 ╰── expected a unique port
      ╰────
     help: every listener of this file needs its own address and port
    "#);
}

#[test]
fn a_zone_that_is_not_a_name() {
    let told = mistakes("[farm]\nzone = \"eu 1a\"\n");
    assert!(told.contains("`eu 1a` is not a name") && told.contains("bellwether.toml:2:8"), "{told}");
}

#[test]
fn the_values_are_shown_and_wait_for_the_next_start() {
    let node = parse_node("[farm]\nzone = \"eu-1a\"\n", "host").unwrap();
    let effective = node.effective();
    let shown = |key: &str| effective.iter().find(|value| value.key == key);
    assert_eq!(shown("farm.listen").unwrap().source, Origin::Default);
    let zone = shown("farm.zone").unwrap();
    assert_eq!((zone.value.as_str(), zone.source), ("\"eu-1a\"", Origin::File));
    assert_eq!(shown("farm.address"), None);
    let before = parse_node("", "host").unwrap();
    let changes = NodeChanges::between(&before.spec, &node.spec);
    assert_eq!(changes, NodeChanges { now: vec![], restart: vec!["farm"] });
}
