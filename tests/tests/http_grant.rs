//! A component that requests URLs through the host: what is granted, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use bellwether_tests::guest;
use bellwether_tests::invocation::{Ended, bellwether_ends};

/// Answers every connection until the test ends, depending on the request.
fn server(answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 4096];
            let Ok(length) = stream.read(&mut asked) else { continue };
            // The client may have disconnected.
            drop(answer(&String::from_utf8_lossy(&asked[..length]), &mut stream));
        }
    });
    address
}

fn hello() -> SocketAddr {
    server(|asked, stream| {
        let line = asked.lines().next().unwrap_or_default();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len())
    })
}

/// Runs once with this configuration and these granted origins.
fn check(config: &serde_json::Value, grants: &[String], timeout: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("web.wasm");
    std::fs::write(&file, guest::WEB).expect("the guest can be written");
    let (file, config) = (file.display().to_string(), config.to_string());
    let mut arguments =
        vec!["check".to_owned(), "--component".to_owned(), file, "--config".to_owned(), config];
    arguments.extend(["--timeout".to_owned(), timeout.to_owned()]);
    arguments.extend(grants.iter().map(|origin| format!("--grant=http={origin}")));
    bellwether_ends(&arguments)
}

fn told(ended: &Ended, code: i32, words: &str) {
    assert!(ended.code == Some(code) && ended.out.contains(words), "`{words}` in {ended:?}");
}

#[test]
fn what_is_granted_is_asked_for_and_nothing_else() {
    let (address, other) = (hello(), hello());
    let url = format!("http://{address}/x?y");
    let origin = [format!("http://{address}")];
    let get = check(&serde_json::json!({ "url": url }), &origin, "60s");
    told(&get, 0, "answered 200: GET /x?y HTTP/1.1");

    let post = serde_json::json!({ "url": url, "method": "POST", "body": "some text" });
    let refused = check(&post, &origin, "60s");
    told(&refused, 3, &format!("add `http = [\"POST http://{address}\"]` to the checker's `grant`"));
    told(&check(&post, &[format!("POST http://{address}")], "60s"), 0, "answered 200: POST /x?y HTTP/1.1");

    let elsewhere = serde_json::json!({ "url": format!("http://{other}/") });
    told(&check(&elsewhere, &origin, "60s"), 3, &format!("GET http://{other} is not granted"));
    told(&check(&elsewhere, &[], "60s"), 3, &format!("GET http://{other} is not granted"));
}

#[test]
fn a_redirect_is_judged_again() {
    let there = hello();
    let here = server(move |_, stream| {
        write!(stream, "HTTP/1.1 302 Found\r\nLocation: http://{there}/\r\nContent-Length: 0\r\n\r\n")
    });
    let config = serde_json::json!({ "url": format!("http://{here}/"), "redirects": 3 });
    let refused = check(&config, &[format!("http://{here}")], "60s");
    told(&refused, 3, &format!("GET http://{there} is not granted"));
    let both = [format!("http://{here}"), format!("http://{there}")];
    told(&check(&config, &both, "60s"), 0, "answered 200: GET / HTTP/1.1");
}

#[test]
fn an_answer_without_an_end_is_cut_off_in_length_and_in_time() {
    let flood = server(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 1 << 14])?;
        }
    });
    let config = serde_json::json!({ "url": format!("http://{flood}/") });
    told(&check(&config, &[format!("http://{flood}")], "60s"), 3, "more than 8 MiB of an answer");

    let trickle = server(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            stream.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let config = serde_json::json!({ "url": format!("http://{trickle}/") });
    told(&check(&config, &[format!("http://{trickle}")], "5s"), 3, "no whole answer in time");
}
