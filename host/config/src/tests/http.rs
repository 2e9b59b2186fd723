//! `[http]` of the node.

use std::fs;

use crate::mistake::Mistakes;
use crate::read::{parse_node, read_node};

#[test]
fn the_way_of_requests_can_be_set() {
    let text = "[http]\nproxy = \"http://proxy:3128\"\nno-proxy = [\"127.0.0.1\", \"*.internal\"]\n";
    let http = parse_node(text, "host").unwrap().spec.http;
    assert_eq!(
        http.rules.through("example.org").map(ToString::to_string).as_deref(),
        Some("http://proxy:3128")
    );
    assert_eq!(http.rules.through("db.internal"), None);
}

#[test]
fn a_proxy_that_is_no_url_and_a_host_that_is_none_are_shown_in_place() {
    let text = "[http]\nproxy = \"proxy:3128\"\nno-proxy = [\"*\"]\n";
    let told = parse_node(text, "host").unwrap_err().render(false);
    assert!(told.contains("bellwether.toml:2:9") && told.contains("bellwether.toml:3:13"), "{told}");
    assert!(told.contains("`proxy:3128` does not begin with http://"), "{told}");
}

#[test]
fn a_bundle_that_cannot_be_used_is_shown_in_place() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("bellwether.toml"), "[http]\nca-bundle = \"own-ca.pem\"\n").unwrap();
    let told = || {
        let mistakes: Mistakes = read_node(root.path()).unwrap_err();
        let told = mistakes.render(false);
        assert!(told.contains("bellwether.toml:2:13"), "{told}");
        told
    };
    assert!(told().contains("`ca-bundle` cannot be read: No such file"), "{}", told());
    let bundle = root.path().join("own-ca.pem");
    fs::write(&bundle, "nothing\n").unwrap();
    assert!(told().contains("contains no certificate"), "{}", told());
    fs::write(&bundle, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    assert!(told().contains("contains a certificate that cannot be used, number 1"), "{}", told());
}
