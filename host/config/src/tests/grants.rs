//! `grant = { … }`

use bellwether_core::grant::GrantKind;

use super::{mistakes, parse};
use crate::spec::Subject;

const COMMANDS: &str =
    "[commands]\nprobe = { run = [\"/bin/true\"] }\napp = { run = [\"/bin/app\"], keep = true }\n";

#[test]
fn all_nine_kinds_are_read() {
    let text = format!(
        r#"{COMMANDS}
        [restart]
        grant = {{ processes = true }}
        [[checker]]
        name = "a"
        component = "a"
        [checker.grant]
        connect = ["10.0.0.1:80", "udp:10.0.0.53:53"]
        resolve = ["*.internal"]
        http = ["POST https://api.internal"]
        read = ["/etc/app", "data"]
        env = ["LANG"]
        secrets = {{ db-password = "db.secret" }}
        commands = ["probe"]
        processes = true
        ping = ["10.0.0.0/8"]
        "#
    );
    let module = parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes}")).spec;
    let Subject::Component(component) = &module.checkers["a"].definition.subject else {
        panic!("{module:?}")
    };
    let list = component.grants.list();
    let shown: Vec<_> = list.iter().map(|(kind, value)| format!("{kind} {value}")).collect();
    assert_eq!(
        shown,
        [
            "connect 10.0.0.1:80",
            "connect udp:10.0.0.53:53",
            "resolve *.internal",
            "http POST https://api.internal",
            "read /etc/app",
            "read data",
            "env LANG",
            "secrets db-password=db.secret",
            "commands probe",
            "processes true",
            "ping 10.0.0.0/8",
        ]
    );
    assert!(module.restart.grants.has(GrantKind::Processes));
    assert!(!module.restart.grants.has(GrantKind::Connect));
}

#[test]
fn each_kind_says_what_it_expected() {
    let text = format!(
        "{COMMANDS}[[checker]]\nname = \"a\"\ncomponent = \"a\"\n[checker.grant]\n\
         resolve = [\"10.0.0.1\"]\nhttp = [\"api.internal\"]\nread = [\"/\", \"..\"]\nenv = [\"A=b\"]\n\
         secrets = {{ x = \"\" }}\ncommands = [\"prob\", \"app\"]\nping = [\"a b\"]\n"
    );
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `10.0.0.1` cannot be granted: `10.0.0.1` is an address: there is nothing to look up
      ╭─[modules/web.toml:8:12]
    8 │ resolve = ["10.0.0.1"]
      ·            ─────┬────
      ·                 ╰── expected a host name such as "db.internal", or "*.internal"
      ╰────
     help: grant `connect` with a port
     × `api.internal` cannot be granted: `api.internal` begins with neither http:// nor https://
      ╭─[modules/web.toml:9:9]
    9 │ http = ["api.internal"]
      ·         ───────┬──────
      ·                ╰── expected an origin such as "https://api.internal" or "GET,POST http://127.0.0.1:8080"
      ╰────
     × `/` cannot be granted: granting all files of the host is not supported
       ╭─[modules/web.toml:10:9]
    10 │ read = ["/", ".."]
       ·         ─┬─
       ·          ╰── expected a directory such as "/etc/app"
       ╰────
     help: name the directories that are needed
     × `..` cannot be granted: `..` leads upwards
       ╭─[modules/web.toml:10:14]
    10 │ read = ["/", ".."]
       ·              ──┬─
       ·                ╰── expected a directory such as "/etc/app"
       ╰────
     help: write the directory itself, without `..`
     × `A=b` cannot be granted: `A=b` is not the name of a variable
       ╭─[modules/web.toml:11:8]
    11 │ env = ["A=b"]
       ·        ──┬──
       ·          ╰── expected the name of a variable such as "LANG"
       ╰────
     help: its value is the daemon's own: write the name alone
     × the secret `x` has no file
       ╭─[modules/web.toml:12:17]
    12 │ secrets = { x = "" }
       ·                 ─┬
       ·                  ╰── expected the file that holds its value
       ╰────
     × no command `prob`
       ╭─[modules/web.toml:13:13]
    13 │ commands = ["prob", "app"]
       ·             ───┬──
       ·                ╰── expected the name of a command under `[commands]`
       ╰────
     help: did you mean `probe`?
     × `app` is a kept command
       ╭─[modules/web.toml:13:21]
    13 │ commands = ["prob", "app"]
       ·                     ──┬──
       ·                       ╰── expected a command that runs to completion
       ╰────
     help: only the restart script starts the application itself
     × `a b` cannot be granted: `a b` is neither an address nor a host name
       ╭─[modules/web.toml:14:9]
    14 │ ping = ["a b"]
       ·         ──┬──
       ·           ╰── expected a host such as "10.0.0.1"
       ╰────
    "#);
}
