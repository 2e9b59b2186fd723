//! Every operation of the API's description, requested with every role: without sufficient rights it is rejected as
//! described, and with them it is not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually};
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use serde_json::Value;

const DESCRIPTION: &str = include_str!("../../docs/openapi.json");
const ROLES: [&str; 3] = ["monitor", "control", "admin"];

/// The status of the answer, and its media type; a stream is not read to its end.
fn ask(console: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(console).expect("the console listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let bearer = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let head = format!(
        "{} /api/v1{path} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        method.to_uppercase(),
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).expect("an answer");
        assert!(read > 0, "the answer to {method} {path} broke off");
        answer.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    (status, kind.split(';').next().unwrap_or_default().to_owned())
}

/// With names in it that exist, or that do no harm.
fn filled(path: &str) -> String {
    path.replace("{module}", "web")
        .replace("{checker}", "home")
        .replace("{command}", "start")
        .replace("{occasion}", "start")
        .replace("{rest}", "status")
        .replace("{folder}", "checkers")
        .replace("/components/checkers/{name}", "/components/checkers/http")
        .replace("{name}", "nobody")
}

/// A valid body, by the operation's name.
fn body(operation: &Value) -> &'static str {
    match operation["operationId"].as_str() {
        Some("postUsers") => r#"{"name":"somebody","role":"monitor","password":"long enough"}"#,
        Some("putUsersName") => r#"{"role":"monitor"}"#,
        Some("putUsersNamePassword") => r#"{"password":"long enough"}"#,
        Some("postTokens") => r#"{"name":"another","role":"monitor"}"#,
        Some("postFarmJoin") => r#"{"line":"bw1.nonsense"}"#,
        Some("putFarmAuthorityKey") => r#"{"pem":"nonsense"}"#,
        Some("postSignIns") => r#"{"user":"nobody"}"#,
        Some(other) => {
            assert!(operation["requestBody"].is_null(), "{other} takes a body that this test does not know");
            ""
        }
        None => panic!("an operation without a name"),
    }
}

#[test]
fn every_operation_lets_in_just_those_whose_role_is_enough() {
    let root = Root::new("node-1", "[farm]\nlisten = \"127.0.0.1:0\"\n");
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let console = daemon.console();
    let tokens = ROLES.map(|role| daemon.token(role, role, &[]));
    let expired = daemon.token("old", "admin", &["--expires", "1s"]);
    eventually("the token expires", || {
        (ask(console, "get", "/me", Some(&expired), "").0 == 401).then_some(())
    });

    let description: Value = serde_json::from_str(DESCRIPTION).expect("JSON");
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let (path, body) = (filled(path), body(operation));
            let title = format!("{method} {path}");
            asked += 1;
            let Some(needed) = operation["x-role"].as_str() else {
                assert_eq!(ask(console, method, &path, None, body).0, 200, "{title} is open to everybody");
                continue;
            };
            for nobody in [None, Some(expired.as_str()), Some("bw_nonsense")] {
                let (status, kind) = ask(console, method, &path, nobody, body);
                assert_eq!((status, kind.as_str()), (401, "application/problem+json"), "{title} by nobody");
            }
            let needed = ROLES.iter().position(|role| *role == needed).expect("a role");
            for (role, token) in tokens.iter().enumerate() {
                let (status, kind) = ask(console, method, &path, Some(token), body);
                if role < needed {
                    assert_eq!(
                        (status, kind.as_str()),
                        (403, "application/problem+json"),
                        "{title} by {}",
                        ROLES[role]
                    );
                } else {
                    let described = operation["responses"].get(status.to_string()).is_some();
                    assert!(status != 401 && status != 403, "{title} by {}: {status}", ROLES[role]);
                    assert!(described, "{title} answers {status}, which is not described");
                }
            }
        }
    }
    assert!(asked > 30, "only {asked} operations were asked");
}
