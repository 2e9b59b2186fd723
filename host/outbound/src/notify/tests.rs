//! Real servers that fail, hang, close and then work; a real SMTP conversation; real programs.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwether_core::id::TargetName;
use bellwether_core::moment::Moment;
use bellwether_core::notify::Notification;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::outlet::{Delivery, Outlet};
use super::webhook::Connector;
use bellwether_config::parse_node;
use bellwether_os::clock::Clock;
use bellwether_os::spawn::child::Home;
use bellwether_os::spawn::gate::Launcher;

/// The outlet of a `[[notify]]` table, with a time limit that suffices on a busy machine.
fn outlet(root: &Path, table: &str) -> Outlet {
    outlet_within(root, "1m", table)
}

fn outlet_within(root: &Path, timeout: &str, table: &str) -> Outlet {
    let (table, rest) = table.split_once('\n').unwrap_or((table, ""));
    let text = format!("{rest}\n[[notify]]\nname = \"on-call\"\ntimeout = \"{timeout}\"\n{table}\n");
    let node = parse_node(&text, "n1").map_err(|mistakes| mistakes.render(false)).unwrap().spec;
    let home = Home { root: root.to_owned(), node: "n1".parse().unwrap(), launcher: Launcher::Nobody };
    Outlet::new(&node.notify[0], &home, &Connector::new(&node.http), Some("https://console.example.org"))
}

fn notification() -> Notification {
    let target = TargetName::new("on-call").unwrap();
    let at = Moment::from_micros(1_774_000_000_000_000);
    let told = Notification::test("n1-7-1".into(), "n1".parse().unwrap(), target, "root", at);
    Notification { module: "web".parse().ok(), ..told }
}

async fn deliver(outlet: &Outlet) -> Delivery {
    outlet.deliver(&notification(), Clock::start()).await
}

fn secret(root: &Path, name: &str, value: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = root.join(name);
    std::fs::write(&path, value).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What a server does with one connection.
#[derive(Clone, Copy)]
enum Does {
    Answers(&'static str),
    Hangs,
    Closes,
}

/// A server that does one thing after the other, and records the requests.
async fn server(script: &'static [Does]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&got);
    tokio::spawn(async move {
        let mut hanging = Vec::new();
        for does in script {
            let mut stream = listener.accept().await.unwrap().0;
            if let Does::Closes = does {
                continue;
            }
            // A client whose time was over before it had sent anything does not count.
            let request = loop {
                match request(&mut stream).await {
                    Some(request) => break request,
                    None => stream = listener.accept().await.unwrap().0,
                }
            };
            heard.lock().unwrap().push(request);
            match does {
                Does::Answers(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                Does::Hangs | Does::Closes => hanging.push(stream),
            }
        }
    });
    (port, got)
}

/// `None` if the client disconnects.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&buffer[..length]);
        let so_far = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        if length.is_none_or(|length| body.len() >= length) {
            return Some(so_far);
        }
    }
}

#[tokio::test]
async fn a_webhook_gets_json_with_a_key_and_its_headers() {
    let (port, got) = server(&[Does::Answers("HTTP/1.1 204 No Content\r\n\r\n")]).await;
    let root = tempfile::tempdir().unwrap();
    secret(root.path(), "token", "Bearer hunter2\n");
    let table = format!(
        "webhook = {{ url = \"http://127.0.0.1:{port}/hook?a=b\", headers = {{ X-Team = \"ops\" }}, \
         secret-headers = {{ Authorization = \"token\" }} }}"
    );
    assert_eq!(deliver(&outlet(root.path(), &table)).await, Ok(None));
    let got = got.lock().unwrap();
    let (head, body) = got[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
    for header in [
        "idempotency-key: n1-7-1",
        "x-team: ops",
        "authorization: Bearer hunter2",
        "content-type: application/json",
    ] {
        assert!(head.to_ascii_lowercase().contains(&header.to_ascii_lowercase()), "{header}: {head}");
    }
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (&body["key"], &body["status"], &body["module"]),
        (&"n1-7-1".into(), &"test".into(), &"web".into())
    );
    assert!(body["text"].as_str().unwrap().starts_with("[TEST] web on n1: this is a test"), "{body}");
    assert_eq!(body["at"], "2026-03-20T09:46:40.000Z");
    assert_eq!(body["link"], "https://console.example.org/modules/web", "the page on which a person can act");
}

#[tokio::test]
async fn a_webhook_that_fails_says_why_and_works_again_when_the_server_does() {
    let (port, got) = server(&[
        Does::Answers("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\noops\n"),
        Does::Answers("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n"),
        Does::Answers("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"),
        Does::Closes,
        Does::Hangs,
        Does::Answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ])
    .await;
    let root = tempfile::tempdir().unwrap();
    let table = format!("webhook = {{ url = \"http://127.0.0.1:{port}/\" }}");
    let outlet = outlet(root.path(), &table);
    let mut failures = Vec::new();
    for _ in 0..4 {
        failures.push(deliver(&outlet).await.unwrap_err());
    }
    assert_eq!(failures[0].why, "answered 500 Internal Server Error: oops");
    assert_eq!(failures[1].retry_after, Some(Duration::from_secs(17)));
    assert!(failures[2].why.contains("not followed"), "{failures:?}");
    assert!(!failures[3].why.is_empty() && failures[3].retry_after.is_none(), "{failures:?}");
    // Until the server has received the unanswered request: on a busy machine a client may have disconnected
    // before.
    let impatient = outlet_within(root.path(), "500ms", &table);
    for _ in 0..20 {
        assert_eq!(deliver(&impatient).await.unwrap_err().why, "no answer within 500ms");
        if got.lock().unwrap().len() == 4 {
            break;
        }
    }
    assert_eq!(got.lock().unwrap().len(), 4, "answered three times, and kept waiting");
    assert_eq!(deliver(&outlet).await, Ok(None));
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 5);
    assert!(got.iter().all(|request| request.contains("idempotency-key: n1-7-1")), "the same key each time");
}

#[tokio::test]
async fn a_webhook_that_nobody_answers_and_a_secret_that_is_not_there_are_told() {
    let root = tempfile::tempdir().unwrap();
    // Bound, so that no other test can listen there.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = taken.local_addr().unwrap();
    let nobody = outlet(root.path(), &format!("webhook = {{ url = \"http://{silent}/\" }}"));
    let why = deliver(&nobody).await.unwrap_err().why;
    assert!(why.contains("refused"), "{why}");
    let secret_url = outlet(root.path(), "webhook = { url-file = \"hook.url\" }");
    let why = deliver(&secret_url).await.unwrap_err().why;
    assert!(why.contains("hook.url cannot be used"), "{why}");
    secret(root.path(), "hook.url", "ftp://x/");
    let why = deliver(&secret_url).await.unwrap_err().why;
    assert!(why.contains("does not begin with `https://`"), "{why}");
}

/// A mail server that accepts mails for everyone except `nobody@`, and records the conversation.
async fn mail_server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The client may disconnect.
            let _ = conversation(stream, &heard).await;
        }
    });
    (port, told)
}

async fn conversation(stream: TcpStream, told: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink ESMTP\r\n").await?;
    let mut in_mail = false;
    while let Some(line) = lines.next_line().await? {
        told.lock().unwrap().push(line.clone());
        let answer = match (in_mail, line.split(' ').next().unwrap_or_default()) {
            (true, ".") => {
                in_mail = false;
                "250 queued"
            }
            (true, _) => continue,
            (_, "EHLO") => "250-sink\r\n250 AUTH PLAIN",
            (_, "RCPT") if line.contains("nobody@") => "550 no such user",
            (_, "RCPT") if line.contains("later@") && tries_of(told, "RCPT TO:<later@") < 2 => {
                "450 come back later"
            }
            (_, "DATA") => {
                in_mail = true;
                "354 go on"
            }
            (_, "AUTH") => "235 welcome",
            (_, "QUIT") => return write.write_all(b"221 bye\r\n").await,
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn tries_of(told: &Mutex<Vec<String>>, beginning: &str) -> usize {
    told.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
}

#[tokio::test]
async fn a_recipient_that_is_refused_keeps_no_other_one_from_being_told() {
    let (port, told) = mail_server().await;
    let root = tempfile::tempdir().unwrap();
    let mail = |to: &str| {
        let table = format!(
            "email = {{ to = [{to}], from = \"bw@example.org\", server = \"127.0.0.1:{port}\", tls = \"none\" }}"
        );
        outlet(root.path(), &table)
    };
    let both = mail("\"nobody@example.org\", \"ops@example.org\"");
    let refused = deliver(&both).await.unwrap().unwrap();
    assert!(refused.contains("nobody@example.org") && refused.contains("no such user"), "{refused}");
    assert_eq!(tries_of(&told, "."), 1, "one mail was taken");
    // A deferred recipient is tried again, and the others have received it already.
    told.lock().unwrap().clear();
    let greylisted = mail("\"later@example.org\", \"ops@example.org\"");
    let why = deliver(&greylisted).await.unwrap_err().why;
    assert!(why.contains("later@example.org") && why.contains("come back later"), "{why}");
    assert_eq!(deliver(&greylisted).await, Ok(None));
    let tries = ["RCPT TO:<later@", "RCPT TO:<ops@", "."].map(|beginning| tries_of(&told, beginning));
    assert_eq!(tries, [2, 1, 2]);
}

#[tokio::test]
async fn a_webhook_goes_through_the_proxy_of_the_node() {
    let (port, got) = server(&[
        Does::Answers("HTTP/1.1 204 No Content\r\n\r\n"),
        Does::Answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    ])
    .await;
    let root = tempfile::tempdir().unwrap();
    let through = |url: &str| {
        let table = format!("webhook = {{ url = \"{url}\" }}\n[http]\nproxy = \"http://127.0.0.1:{port}\"");
        outlet(root.path(), &table)
    };
    assert_eq!(deliver(&through("http://chat.example/hook?a")).await, Ok(None));
    let why = deliver(&through("https://chat.example/hook")).await.unwrap_err().why;
    assert!(why.contains("the proxy does not let us through to chat.example:443"), "{why}");
    let got = got.lock().unwrap();
    assert!(got[0].starts_with("POST http://chat.example/hook?a HTTP/1.1\r\n"), "{got:?}");
    assert!(got[0].to_ascii_lowercase().contains("\r\nhost: chat.example\r\n"), "{got:?}");
    assert!(got[1].starts_with("CONNECT chat.example:443 HTTP/1.1\r\n"), "{got:?}");
}

#[tokio::test]
async fn a_mail_is_sent_by_smtp_with_a_message_id_made_of_the_key() {
    let (port, told) = mail_server().await;
    let root = tempfile::tempdir().unwrap();
    secret(root.path(), "mail.secret", "hunter2");
    let table = format!(
        "email = {{ to = [\"ops@example.org\", \"Büro <b@example.org>\"], from = \"Bellwether <bw@example.org>\", \
         server = \"127.0.0.1:{port}\", tls = \"none\", user = \"bw\", password-file = \"mail.secret\" }}"
    );
    assert_eq!(deliver(&outlet(root.path(), &table)).await, Ok(None));
    let told = told.lock().unwrap().join("\n");
    for line in [
        "AUTH PLAIN AGJ3AGh1bnRlcjI=",
        "MAIL FROM:<bw@example.org>",
        "RCPT TO:<ops@example.org>",
        "RCPT TO:<b@example.org>",
        "Subject: [test] web on n1: this is a test",
        "Message-ID: <n1-7-1@n1>",
        "Auto-Submitted: auto-generated",
        "[TEST] web on n1: this is a test",
        "key: n1-7-1",
    ] {
        assert!(told.contains(line), "{line}:\n{told}");
    }
}

#[tokio::test]
async fn a_mail_server_that_refuses_or_has_no_tls_is_told() {
    let (port, told) = mail_server().await;
    let root = tempfile::tempdir().unwrap();
    let mail = |to: &str, tls: &str| {
        let table = format!(
            "email = {{ to = [\"{to}\"], from = \"bw@example.org\", \
             server = \"127.0.0.1:{port}\", tls = \"{tls}\" }}"
        );
        outlet(root.path(), &table)
    };
    let why = deliver(&mail("nobody@example.org", "none")).await.unwrap_err().why;
    assert!(why.contains("no such user"), "{why}");
    told.lock().unwrap().clear();
    let why = deliver(&mail("ops@example.org", "starttls")).await.unwrap_err().why;
    assert!(why.contains("127.0.0.1"), "{why}");
    let told = told.lock().unwrap().join("\n");
    assert!(!told.contains("MAIL"), "nothing is said without TLS: {told}");
}

#[tokio::test]
async fn a_command_gets_the_notification_on_its_standard_input() {
    let root = tempfile::tempdir().unwrap();
    let script = "cat > told.json; test \"$BELLWETHER_KEY\" = n1-7-1 && test \"$1\" = --now";
    let table = format!("command = [\"sh\", \"-c\", {script:?}, \"page\", \"--now\"]");
    assert_eq!(deliver(&outlet(root.path(), &table)).await, Ok(None));
    let told: Value =
        serde_json::from_str(&std::fs::read_to_string(root.path().join("told.json")).unwrap()).unwrap();
    assert_eq!(told["key"], "n1-7-1");
}

#[tokio::test]
async fn a_command_that_fails_or_hangs_is_told_and_ended() {
    let root = tempfile::tempdir().unwrap();
    let failing = outlet(root.path(), r#"command = ["sh", "-c", "echo no modem >&2; exit 3"]"#);
    assert_eq!(deliver(&failing).await.unwrap_err().why, "the command exited with 3: no modem");
    let hanging = outlet_within(root.path(), "200ms", r#"command = ["sleep", "1000"]"#);
    let why = deliver(&hanging).await.unwrap_err().why;
    assert!(why.contains("killed"), "{why}");
    let missing = outlet(root.path(), r#"command = ["./none"]"#);
    assert!(deliver(&missing).await.unwrap_err().why.contains("there is no program"));
    let loud = outlet(root.path(), r#"command = ["sh", "-c", "head -c 3000000 /dev/zero; exit 1"]"#);
    assert!(deliver(&loud).await.unwrap_err().why.len() < 1000);
}
