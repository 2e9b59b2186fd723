//! The table `[console]` of `bellwether.toml`.

use crate::read::parse_node;
use crate::spec::ConsoleSpec;

fn console(text: &str) -> Option<ConsoleSpec> {
    parse_node(text, "host").expect("the text has no mistake").spec.console
}

fn mistakes(text: &str) -> String {
    parse_node(text, "host").expect_err("the text should have a mistake").render(false)
}

#[test]
fn without_a_word_there_is_one_that_only_this_host_reaches() {
    for text in ["", "[console]\n", "[console]\nenabled = true\n"] {
        let console = console(text).unwrap();
        assert_eq!((console.listen.to_string().as_str(), console.configured), ("127.0.0.1:9013", false));
        assert!(console.pair.is_none() && console.names.is_empty());
    }
    assert_eq!(console("[console]\nenabled = false\nlisten = \"0.0.0.0:1\"\n"), None);
}

#[test]
fn everything_in_the_table_counts() {
    let text = r#"
        [console]
        listen = "0.0.0.0:9443"
        certificate = "/etc/ssl/console.pem"
        key = "console.key"
        names = ["Console.Example.org", "192.0.2.7"]
    "#;
    let console = console(text).unwrap();
    assert_eq!((console.listen.port(), console.configured), (9443, true));
    let pair = console.pair.unwrap();
    assert_eq!(
        (pair.certificate.to_str(), pair.key.to_str()),
        (Some("/etc/ssl/console.pem"), Some("console.key"))
    );
    assert_eq!(console.names, ["console.example.org", "192.0.2.7"]);
}

#[test]
fn a_certificate_without_its_key() {
    insta::assert_snapshot!(mistakes("[console]\ncertificate = \"console.pem\"\n"), @r#"
     × `[console]` has no matching `key`
      ╭─[bellwether.toml:2:15]
    2 │ certificate = "console.pem"
      ·               ──────┬──────
      ·                     ╰── expected `key = "/etc/ssl/private/console.key"` beside it
      ╰────
    "#);
}

#[test]
fn a_name_with_a_port() {
    insta::assert_snapshot!(mistakes("[console]\nnames = [\"node-1:9013\"]\n"), @r#"
     × `node-1:9013` is neither a host's name nor an address
      ╭─[bellwether.toml:2:10]
    2 │ names = ["node-1:9013"]
      ·          ──────┬──────
      ·                ╰── expected a name such as "console.example.org", without a port
      ╰────
    "#);
}

#[test]
fn an_address_that_another_listener_has() {
    let text = "[metrics]\nlisten = \"127.0.0.1:9013\"\n[console]\nlisten = \"0.0.0.0:9013\"\n";
    assert!(mistakes(text).contains("already used by the metrics"), "{}", mistakes(text));
}

#[test]
fn notifications_link_to_the_address_by_which_people_reach_the_console() {
    let address = |text: &str| console(&format!("[console]\n{text}\n")).unwrap().address();
    assert_eq!(
        address("url = \"https://console.example.org/\"").as_deref(),
        Some("https://console.example.org")
    );
    let names = "names = [\"node-1.example.org\"]";
    let listened = format!("listen = \"0.0.0.0:9013\"\n{names}");
    assert_eq!(address(&listened).as_deref(), Some("https://node-1.example.org:9013"));
    let of_an_address = "listen = \"[::]:9013\"\nnames = [\"2001:db8::5\"]";
    assert_eq!(address(of_an_address).as_deref(), Some("https://[2001:db8::5]:9013"));
    assert_eq!(address(names), None, "others cannot reach the loopback");
    assert_eq!(address(""), None);
    for wrong in ["console.example.org", "https://console.example.org/bellwether", "ftp://x"] {
        let said = mistakes(&format!("[console]\nurl = \"{wrong}\"\n"));
        assert!(said.contains("is not the address of a console"), "{said}");
    }
}
