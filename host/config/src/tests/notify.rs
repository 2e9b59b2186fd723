//! `[[notify]]` and `[metrics]` of `bellwether.toml`.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_core::notify::Topic;

use crate::notify::{SmtpTls, UrlSpec, WaySpec};
use crate::read::parse_node;
use crate::spec::NodeSpec;

fn node(text: &str) -> NodeSpec {
    parse_node(text, "host").map_err(|mistakes| mistakes.render(false)).unwrap().spec
}

fn mistakes(text: &str) -> String {
    parse_node(text, "host").expect_err("the text should have a mistake").render(false)
}

#[test]
fn everything_in_the_tables_counts_and_has_a_default() {
    let node = node(
        r#"
        [[notify]]
        name = "chat"
        webhook = { url-file = "/etc/hook.url", headers = { X-Team = "ops" }, secret-headers = { Authorization = "/etc/t" } }
        [[notify]]
        name = "on-call"
        modules = ["web"]
        on = ["failed", "recovered"]
        email = { to = ["a@example.org"], from = "b@example.org", server = "smtp.example.org", tls = "tls", user = "b", password-file = "/etc/p" }
        group-wait = "0s"
        calm = "1m"
        repeat = "1h"
        timeout = "5s"
        give-up = "2h"
        [[notify]]
        name = "page"
        command = ["/usr/local/bin/page", "--now"]
        [metrics]
        listen = "127.0.0.1:9012"
        "#,
    );
    let [chat, on_call, page] = node.notify.as_slice() else { panic!("{:?}", node.notify) };
    assert_eq!(chat.policy.on, BTreeSet::from(Topic::DEFAULT));
    let durations = |policy: &bellwether_core::notify::Policy| {
        [policy.group_wait, policy.calm, policy.repeat, policy.give_up].map(|d| d.as_secs())
    };
    assert_eq!(durations(&chat.policy), [10, 300, 4 * 3600, 24 * 3600]);
    assert!(matches!(&chat.way, WaySpec::Webhook(hook) if matches!(hook.url, UrlSpec::File(_))));
    assert_eq!(on_call.policy.on, BTreeSet::from([Topic::Failed, Topic::Recovered]));
    assert_eq!((durations(&on_call.policy), on_call.timeout), ([0, 60, 3600, 7200], Duration::from_secs(5)));
    let WaySpec::Email(email) = &on_call.way else { panic!("{on_call:?}") };
    assert_eq!((email.host.as_str(), email.port, email.tls), ("smtp.example.org", 465, SmtpTls::Tls));
    assert_eq!(page.way, WaySpec::Command(vec!["/usr/local/bin/page".into(), "--now".into()]));
    assert_eq!(node.metrics.unwrap().to_string(), "127.0.0.1:9012");
    assert_eq!(parse_node("", "host").unwrap().spec.metrics, None);
}

#[test]
fn a_mail_server_has_a_port_or_the_usual_one() {
    for (server, tls, expected) in [
        ("smtp.example.org", "starttls", ("smtp.example.org", 587)),
        ("smtp.example.org:2525", "starttls", ("smtp.example.org", 2525)),
        ("[::1]:25", "none", ("::1", 25)),
        ("10.0.0.1", "none", ("10.0.0.1", 25)),
    ] {
        let text = format!(
            "[[notify]]\nname = \"m\"\nemail = {{ to = [\"a@b.org\"], from = \"a@b.org\", server = \"{server}\", tls = \"{tls}\" }}\n"
        );
        let node = node(&text);
        let WaySpec::Email(email) = &node.notify[0].way else { panic!() };
        assert_eq!((email.host.as_str(), email.port), expected);
    }
    for server in ["", "smtp.example.org:port", "smtp.example.org:99999", "a@b", "a b"] {
        let text = format!(
            "[[notify]]\nname = \"m\"\nemail = {{ to = [\"a@b.org\"], from = \"a@b.org\", server = \"{server}\" }}\n"
        );
        assert!(mistakes(&text).contains("is not a mail server"), "{server}: {}", mistakes(&text));
    }
}

#[test]
fn each_mistake_says_what_was_expected() {
    for (text, expected) in [
        ("[[notify]]\nname = \"a\"\n", "exactly one of `webhook`, `email` and `command`"),
        (
            "[[notify]]\nname = \"a\"\ncommand = [\"x\"]\nwebhook = { url = \"http://x/\" }\n",
            "exactly one of",
        ),
        ("[[notify]]\ncommand = [\"x\"]\n", "expected `name = \"on-call\"`"),
        (
            "[[notify]]\nname = \"a\"\ncommand = [\"x\"]\n[[notify]]\nname = \"a\"\ncommand = [\"x\"]\n",
            "a unique name",
        ),
        ("[[notify]]\nname = \"a\"\non = [\"fail\"]\ncommand = [\"x\"]\n", "failed"),
        ("[[notify]]\nname = \"a\"\nrepeat = \"1s\"\ncommand = [\"x\"]\n", "expected a duration from \"1m\""),
        ("[[notify]]\nname = \"a\"\nwebhook = { url = \"x\" }\n", "expected a URL"),
        ("[[notify]]\nname = \"a\"\nwebhook = { url = \"http://u:p@x/\" }\n", "use a header"),
        ("[[notify]]\nname = \"a\"\nwebhook = {}\n", "exactly one of `url` and `url-file`"),
        (
            "[[notify]]\nname = \"a\"\nwebhook = { url = \"http://x/\", headers = { Host = \"y\" } }\n",
            "set by the host",
        ),
        (
            "[[notify]]\nname = \"a\"\nemail = { to = [\"x\"], from = \"a@b.org\", server = \"s\" }\n",
            "expected an address such as",
        ),
        (
            "[[notify]]\nname = \"a\"\nemail = { to = [\"a@b.org\"], from = \"a@b.org\" }\n",
            "`email` has no `server`",
        ),
        (
            "[[notify]]\nname = \"a\"\nemail = { to = [\"a@b.org\"], from = \"a@b.org\", server = \"s\", user = \"u\" }\n",
            "belong together",
        ),
        (
            "[[notify]]\nname = \"a\"\nemail = { to = [\"a@b.org\"], from = \"a@b.org\", server = \"s\", tls = \"none\", \
             user = \"u\", password-file = \"p\" }\n",
            "in plain text",
        ),
        ("[metrics]\n", "`[metrics]` has no `listen`"),
        ("[metrics]\nlisten = \"127.0.0.1:9010\"\n", "is already used by the health endpoint"),
    ] {
        let rendered = mistakes(text);
        assert!(rendered.contains(expected), "{text}\n{rendered}");
    }
}
