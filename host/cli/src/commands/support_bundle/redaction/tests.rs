use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A redaction that has looked at these texts.
fn of(texts: &[&str]) -> Redaction {
    let mut redaction = Redaction::default();
    for text in texts {
        redaction.look(text);
    }
    redaction.settle();
    redaction
}

fn redacted(text: &str) -> String {
    of(&[text]).replace(text)
}

#[test]
fn what_identifies_somebody_is_replaced_and_the_rest_stays() {
    for (text, shown) in [
        ("connect to 10.1.2.3:5432", "connect to privateip1:5432"),
        ("from 8.8.8.8, then 8.8.4.4.", "from publicip2, then publicip1."),
        ("[2001:db8::7]:9013 and 2001:DB8:0::7", "[publicip1]:9013 and publicip1"),
        ("::ffff:10.1.2.3 is 10.1.2.3", "privateip1 is privateip1"),
        ("fe80::1%eth0: no route", "privateip1%eth0: no route"),
        ("10.0.0.0/8", "privateip1/8"),
        // Of every host.
        (
            "127.0.0.1:9010, [::1]:80, 0.0.0.0:9010, localhost",
            "127.0.0.1:9010, [::1]:80, 0.0.0.0:9010, localhost",
        ),
        ("at 12:03:07 and 2026-12-01T01:02:03.123Z", "at 12:03:07 and 2026-12-01T01:02:03.123Z"),
        ("Vec::new() of bellwether_core::node", "Vec::new() of bellwether_core::node"),
        ("52:54:00:12:34:56 is up", "id1 is up"),
        ("https://shop.example.com:8443/cart", "https://host1:8443/cart"),
        ("db.internal does not answer; DB.internal!", "host1 does not answer; host1!"),
        ("mail for jane.doe@example.org", "mail for user1@host1"),
        ("\"db:5432\" and db", "\"host1:5432\" and host1"),
        ("user = \"alice\"\nalice_1 (alice) malice", "user = \"user1\"\nuser1_1 (user1) malice"),
        ("/home/carol/app/start.sh", "/home/user1/app/start.sh"),
        ("names = [\"console\", \"a.b.example\"]", "names = [\"host2\", \"host1\"]"),
        (
            "modules/web.toml:14 and checkers/http.wasm, /opt/app/run.py",
            "modules/web.toml:14 and checkers/http.wasm, /opt/app/run.py",
        ),
        ("Linux 6.1.0-18-amd64, version 0.1.0", "Linux 6.1.0-18-amd64, version 0.1.0"),
        ("user = \"root\", user = 1000", "user = \"root\", user = 1000"),
    ] {
        assert_eq!(redacted(text), shown, "{text}");
    }
}

#[test]
fn what_gives_access_never_stays() {
    for (text, shown) in [
        ("password = \"hunter2\" # not hunter2", "password = \"secret1\" # not secret1"),
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=secret1 next"),
        ("{\"api-key\": \"k3y5\"}", "{\"api-key\": \"secret1\"}"),
        ("SIGNING_KEY=k3y5 BASIC_AUTH=a:bcd", "SIGNING_KEY=secret2 BASIC_AUTH=secret1"),
        ("key = \"health.key\"", "key = \"health.key\""),
        ("token: abc", "token: ***"),
        ("Authorization: Bearer abcdefgh\nabcdefgh", "Authorization: secret2\nsecret1"),
        ("Basic dXNlcjpwYXNz, basic checks", "Basic secret1, basic checks"),
        ("[\"--password\", \"hunter2\"]", "[\"--password\", \"secret1\"]"),
        ("tool --db-token hunter2 -v", "tool --db-token secret1 -v"),
        ("postgres://app:hunter2@10.0.0.9/db", "postgres://user1:secret1@privateip1/db"),
        ("https://127.0.0.1/x?sig=a1b2&page=3", "https://127.0.0.1/x?sig=secret1&page=3"),
        (
            "webhook = { url = \"https://hooks.example.com/services/T0/B0/x\" }",
            "webhook = { url = \"https://host1/secret1\" }",
        ),
        ("join bw1.10.0.0.5:9014.ab.cd now", "join bw1.secret1 now"),
        ("it is 3f9aC2kLm0Qp7Zx81TtV", "it is secret1"),
        ("password-file = \"/etc/app/db.secret\"", "password-file = \"/etc/app/db.secret\""),
        ("\"has_password\": true, \"token\": null", "\"has_password\": true, \"token\": null"),
        (
            "a\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nb",
            "a\n[a key or certificate was here]\nb",
        ),
        ("a -----BEGIN EC PRIVATE KEY-----\nMIIE", "a [a key or certificate was here]"),
    ] {
        assert_eq!(redacted(text), shown, "{text}");
    }
}

#[test]
fn the_same_name_has_the_same_stand_in_in_all_texts() {
    let (log, file) =
        ("alice asked db-1.example.com", "user = \"alice\"\nurl = \"https://db-1.example.com/\"");
    let redaction = of(&[log, file]);
    assert_eq!(redaction.replace(log), "user1 asked host1");
    assert_eq!(redaction.replace(file), "user = \"user1\"\nurl = \"https://host1/\"");
    assert_eq!(redaction.counts().into_iter().collect::<Vec<_>>(), [(Kind::Host, 1), (Kind::User, 1)]);
    assert_eq!(redaction.table(), [("host1", "db-1.example.com"), ("user1", "alice")]);
}

#[test]
fn a_name_that_looks_like_a_stand_in_is_not_taken_for_one() {
    let mut redaction = Redaction::default();
    for name in ["node1", "node-1"] {
        redaction.add(Kind::Node, name);
    }
    redaction.add_alias(Kind::Host, "shop-7.example.com", "shop-7");
    let text = "node1, node-1, node2 and shop-7 (shop-7.example.com)";
    redaction.look(text);
    redaction.settle();
    // `node2` is in the text, but nobody's name.
    assert_eq!(redaction.replace(text), "node4, node3, node2 and host1 (host1)");
}

#[test]
fn a_document_keeps_its_form() {
    let document = json!({
        "node": "shop-1",
        "modules": [{ "name": "web", "reason": "no answer\nshop-1 cannot reach 10.0.0.9:80", "restarts": 3 }],
        "by": "alice from 10.0.0.9",
        "secret": "ab", "token": 7, "ready": true,
    });
    let mut redaction = Redaction::default();
    redaction.look_at(&document);
    redaction.settle();
    let shown = json!({
        "node": "node1",
        "modules": [{ "name": "web", "reason": "no answer\nnode1 cannot reach privateip1:80", "restarts": 3 }],
        "by": "user1 from privateip1",
        "secret": "***", "token": "***", "ready": true,
    });
    assert_eq!(redaction.replace_in(&document), shown);
}

/// Whether `name` is in `text` as a whole word, in any case.
fn occurs(name: &str, text: &str) -> bool {
    let (name, text) = (name.to_ascii_lowercase(), text.to_ascii_lowercase());
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name.to_ascii_lowercase().as_str())
}

/// What surrounds a name in a log, a file or a sentence.
fn around() -> impl Strategy<Value = (String, String)> {
    let piece = || "[ -~\n]{0,12}";
    let bounds =
        || prop::sample::select(vec![" ", "\n", "\"", "(", ")", ", ", "=", "<", ">", "[", "]", "\t", "; "]);
    (piece(), bounds(), bounds(), piece())
        .prop_map(|(before, left, right, after)| (format!("{before}{left}"), format!("{right}{after}")))
}

proptest! {
    #[test]
    fn no_address_that_occurs_in_a_text_occurs_in_what_is_shown(
        address in prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(std::net::IpAddr::from),
            any::<std::net::Ipv6Addr>().prop_map(std::net::IpAddr::from),
        ],
        (before, after) in around(),
    ) {
        let canonical = address.to_canonical();
        let is_of_every_host = canonical.is_loopback() || canonical.is_unspecified();
        let text = format!("{before}{address}{after}");
        let shown = redacted(&text);
        prop_assert!(is_of_every_host || !occurs(&address.to_string(), &shown), "{text:?}: {shown:?}");
    }

    #[test]
    fn no_known_name_occurs_in_what_is_shown(
        names in prop::collection::vec(("[a-zA-Z][a-zA-Z0-9]{1,6}([.-][a-z0-9]{1,6}){0,2}", 0usize..3), 1..6),
        (before, after) in around(),
        numbers in prop::collection::vec(0usize..6, 0..12),
    ) {
        let mut redaction = Redaction::default();
        for (name, kind) in &names {
            redaction.add([Kind::Host, Kind::Node, Kind::User][*kind], name);
        }
        let middle: Vec<&str> = numbers.iter().filter_map(|n| names.get(*n)).map(|(name, _)| name.as_str()).collect();
        let text = format!("{before}{}{after} host1 user2", middle.join(", "));
        redaction.look(&text);
        redaction.settle();
        let shown = redaction.replace(&text);
        for (name, _) in names.iter().filter(|(name, _)| !is_kept(name)) {
            prop_assert!(!occurs(name, &shown), "{name:?} in {text:?}: {shown:?}");
        }
    }

    #[test]
    fn a_name_in_a_file_occurs_nowhere_in_what_is_shown(
        name in "[a-z][a-z0-9]{2,8}",
        form in prop::sample::select(vec![
            "user = \"NAME\"", "https://NAME.example.org/", "\"node\":\"NAME\"", "\"NAME:5432\"", "NAME@example.org",
            "/home/NAME/x", "\"by\": \"NAME from 10.0.0.1\"", "password = \"NAME0000\"", "https://u:NAME0000@h.example",
            "api_token=NAME0000", "host = \"NAME\"",
        ]),
        (before, after) in around(),
    ) {
        let secret = form.contains("NAME0000");
        let whole = if secret { format!("{name}0000") } else { name.clone() };
        let whole = if form.contains("NAME.example") { format!("{name}.example.org") } else { whole };
        let file = form.replace("NAME", &name);
        let log = format!("{before}{whole}{after}");
        let mut redaction = Redaction::default();
        redaction.look(&file);
        redaction.look(&log);
        redaction.settle();
        for text in [&file, &log] {
            let shown = redaction.replace(text);
            prop_assert!(is_kept(&whole) || !occurs(&whole, &shown), "{whole:?} in {text:?}: {shown:?}");
        }
    }

    #[test]
    fn any_text_can_be_redacted(text in any::<String>()) {
        let _ = redacted(&text);
    }
}
