//! Text from outside never reaches a terminal, a page or the log as a control sequence: marks are placed wherever a
//! component, a file's name or an application can provide text, and looked for wherever something is shown.

use bellwether_tests::answers::{Outcome, State};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::guest;
use bellwether_tests::http;
use bellwether_tests::root::Root;

/// For names of files: without characters that a name cannot contain.
const MARK: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}\u{202e}mark";

const MODULE: &str = r#"
[commands]
start = { run = ["/bin/sh", "-c", "printf '\\033]0;owned\\007\\033[2J\\342\\200\\256mark: no room\\n' >&2; exit 1"] }
[restart]
start-within = "2s"
[health]
drain = "0s"
[[checker]]
name = "mark"
component = "hostile"
interval = "200ms"
fall = 1
grace = "0s"
config = { act = "mark" }
"#;

/// Control sequences of terminals, and characters that change the reading order. Line ends and tabs are added by
/// the output itself.
fn is_obeyed(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_clean(place: &str, text: &str) {
    let at = text.find(is_obeyed);
    let around = at.map(|at| {
        text[text.floor_char_boundary(at.saturating_sub(60))..].chars().take(120).collect::<String>()
    });
    assert_eq!(around, None, "{place}");
    // In JSON they are written differently.
    for escape in ["\\u001b", "\\u0007", "\\u009b", "\\u202e", "\\u2066", "\\u0000"] {
        assert!(!text.contains(escape), "{place}: {escape}: {text}");
    }
}

#[test]
fn nothing_from_outside_is_an_order_to_a_terminal_wherever_it_is_shown() {
    let root = Root::default();
    root.write("checkers/hostile.wasm", guest::HOSTILE);
    root.write(&format!("checkers/{MARK}.wasm"), "no component");
    root.write(&format!("modules/{MARK}.toml"), format!("# {MARK}\nname = \"{MARK}\"\n"));
    root.write("modules/wrong.toml", format!("[commands]\nstart = {{ run = [\"x\"], {MARK} = 1 }}\n"));
    root.write("modules/marked.toml", MODULE);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_outcome("marked", "mark", Outcome::Fail);
    daemon.until("marked", "the start has failed", |module| module.state != State::Starting);
    eventually("the application's last words are told", || {
        daemon.events().iter().any(|event| event.text.contains("no room")).then_some(())
    });

    // Each is there, escaped: what is looked for below is not merely absent.
    let said = daemon.last("marked", "mark").map(|last| last.summary);
    assert_eq!(said.as_deref(), Some("2Jmark said checker `home` is up"));
    let events = daemon.tell(&["events"]);
    assert!(events.contains("checkers/mark.wasm refused") && events.contains("mark: no room"), "{events}");
    let hostile = root.path().join("checkers/hostile.wasm").display().to_string();
    for arguments in [
        &["status"][..],
        &["status", "marked"],
        &["status", "--json"],
        &["why", "marked"],
        &["why", "marked", "--json"],
        &["events"],
        &["events", "--json"],
        &["check", "marked", "mark"],
        &["check", "marked", "mark", "--json"],
        &["inspect", &hostile],
        &["validate"],
        &["validate", "--json"],
    ] {
        let output = daemon.client(arguments);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        is_clean(&format!("{arguments:?}"), &text.concat());
    }
    let token = daemon.token("reader", "admin", &[]);
    let console = daemon.console();
    for path in [
        "/api/v1/status",
        "/api/v1/modules/marked",
        "/api/v1/events",
        "/api/v1/components",
        "/api/v1/components/checkers/hostile",
        "/api/v1/configuration",
        "/",
        "/modules/marked",
        "/events",
        "/components",
        "/components/checkers/hostile",
        "/configuration",
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {console}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = http::request(console, &head).unwrap_or_else(|| panic!("{path} is answered"));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        is_clean(path, &answer.body);
    }
    is_clean("the daemon's log", &daemon.log());
    let lines = daemon.log();
    assert!(!lines.lines().any(|line| line.starts_with("checker `home` is up")), "{lines}");
}
