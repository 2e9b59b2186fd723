use bellwether_core::health::{Body, Code, Subject};
use proptest::prelude::*;

use super::*;

/// Answers with the request itself, so that tests can check it.
#[expect(clippy::unnecessary_wraps, reason = "it stands for what may have no answer yet")]
fn echo(question: Question<'_>) -> Option<HealthAnswer> {
    Some(match question {
        Question::Health(Subject::All) => {
            HealthAnswer { code: Code::Ok, body: Body::Plain("ok\n".into()), degraded: false }
        }
        other => HealthAnswer {
            code: Code::Unavailable,
            body: Body::Plain(format!("{other:?}\n").into()),
            degraded: false,
        },
    })
}

/// Receives the pieces one after the other, as long as more is expected.
fn talk<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Next) {
    let mut conversation = Conversation::default();
    let mut all = Vec::new();
    let mut next = Next::Receive;
    for piece in pieces {
        let mut piece = piece;
        loop {
            let mut output = Vec::new();
            next = conversation.receive(piece, &mut output, echo);
            all.append(&mut output);
            match next {
                Next::Receive => break,
                Next::SendFirst => piece = b"",
                Next::AskAgain | Next::HandOver | Next::Close { .. } => {
                    return (String::from_utf8(all).unwrap(), next);
                }
            }
        }
    }
    (String::from_utf8(all).unwrap(), next)
}

fn say(request: &str) -> (String, Next) {
    talk([request.as_bytes()])
}

const CLOSE: Next = Next::Close { unread: false };
const CLOSE_UNREAD: Next = Next::Close { unread: true };

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\
                  Cache-Control: no-store\r\n\r\nok\n";

fn ok_with(field: &str) -> String {
    OK.replace("no-store\r\n", &format!("no-store\r\n{field}\r\n"))
}

#[test]
fn http_1_1_is_kept_and_http_1_0_is_closed_unless_told_otherwise() {
    let closed = ok_with("Connection: close");
    for (request, response, next) in [
        ("GET /health HTTP/1.1\r\nHost: a\r\n\r\n", OK.to_owned(), Next::Receive),
        ("GET /health HTTP/1.1\r\n\r\n", OK.to_owned(), Next::Receive),
        ("GET /health HTTP/1.1\nAccept: */*\n\n", OK.to_owned(), Next::Receive),
        ("GET /health HTTP/1.1\r\nConnection: foo, Close\r\n\r\n", closed.clone(), CLOSE),
        ("GET /health HTTP/1.0\r\n\r\n", closed.clone(), CLOSE),
        (
            "GET /health HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n",
            ok_with("Connection: keep-alive"),
            Next::Receive,
        ),
        ("GET /health HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", closed.clone(), CLOSE),
        ("GET /health\r\n", closed, CLOSE),
    ] {
        assert_eq!(say(request), (response, next), "{request:?}");
    }
}

#[test]
fn head_is_answered_with_the_same_head_and_no_body() {
    let (response, _) = say("HEAD /health HTTP/1.1\r\n\r\n");
    assert_eq!(response, OK.strip_suffix("ok\n").unwrap());
}

#[test]
fn the_default_probe_of_haproxy_is_answered() {
    let (response, next) = say("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(response, ok_with("Allow: GET, HEAD, OPTIONS\r\nConnection: close"));
    assert_eq!(next, CLOSE);
}

#[test]
fn other_methods_are_told_which_are_allowed() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get"] {
        let (response, next) = say(&format!("{method} /health HTTP/1.1\r\n\r\n"));
        assert!(response.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{response}");
        assert!(response.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{response}");
        assert_eq!(next, Next::Receive);
    }
}

#[test]
fn a_request_with_a_body_is_answered_and_the_connection_closed() {
    for fields in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let (response, next) = say(&format!("GET /health HTTP/1.1\r\n{fields}\r\n\r\nhello"));
        assert_eq!((response, next), (ok_with("Connection: close"), CLOSE_UNREAD));
    }
    assert_eq!(say("GET /health HTTP/1.1\r\nContent-Length: 0\r\n\r\n").1, Next::Receive);
}

#[test]
fn what_is_not_http_is_refused_and_the_connection_closed() {
    for request in [
        "\u{0}\u{1}\u{2}",
        "\u{16}\u{3}\u{1}",
        "GET /health HTTP/1.1\r\nContent-Length: five\r\n\r\n",
        "GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /health HTTP/2.0\r\n\r\n",
        "GET health\r\n",
        "GET  /health HTTP/1.1\r\n\r\n",
    ] {
        let (response, next) = say(request);
        assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request:?}: {response}");
        assert!(response.contains("\r\nConnection: close\r\n"));
        assert_eq!(next, CLOSE_UNREAD);
    }
}

#[test]
fn a_request_of_more_than_8_kib_is_refused() {
    let request = |room: usize| {
        let frame = "GET /health HTTP/1.1\r\nX: \r\n\r\n".len();
        format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(room - frame))
    };
    assert_eq!(say(&request(MAX_REQUEST)), (OK.to_owned(), Next::Receive));
    let endless = "GET /health HTTP/1.1\r\n".to_owned() + &"X: y\r\n".repeat(2_000);
    let unended = "GET /".to_owned() + &"x".repeat(MAX_REQUEST);
    for request in [request(MAX_REQUEST + 1), endless, unended, "\r\n".repeat(MAX_REQUEST)] {
        let (response, next) = say(&request);
        assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
        assert_eq!(next, CLOSE_UNREAD);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (responses, next) = say(
        "GET /health HTTP/1.1\r\n\r\nHEAD /health HTTP/1.1\r\n\r\n\r\nGET /health/web HTTP/1.1\r\n\
         Accept: text/html\r\nAccept: application/health+json\r\n\r\nGET /health HTTP/1.0\r\n\r\nGET /health",
    );
    let report = "Report(Module(\"web\"))\n";
    let third = OK
        .replace("200 OK", "503 Service Unavailable")
        .replace(": 3\r\n", &format!(": {}\r\n", report.len()))
        .replace("ok\n", report);
    let expected = [OK, OK.strip_suffix("ok\n").unwrap(), &third, &ok_with("Connection: close")].concat();
    assert_eq!((responses, next), (expected, CLOSE_UNREAD));
}

#[test]
fn very_many_requests_at_once_are_answered_in_portions() {
    let requests = "GET /health HTTP/1.1\r\n\r\n".repeat(1_000);
    let mut conversation = Conversation::default();
    let mut output = Vec::new();
    assert_eq!(conversation.receive(requests.as_bytes(), &mut output, echo), Next::SendFirst);
    assert!(output.len() < ENOUGH_OUTPUT + 1024);
    assert_eq!(talk([requests.as_bytes()]), (OK.repeat(1_000), Next::Receive));
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered_once_it_is_whole() {
    for request in
        ["GET /health HTTP/1.1\r\nHost: a\r\n\r\n", "\r\nOPTIONS /health HTTP/1.0\r\n\r\n", "GET /health\r\n"]
    {
        assert_eq!(talk(request.as_bytes().chunks(1)), say(request), "{request:?}");
    }
}

/// Pieces of requests, valid and invalid, in any order.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "GET ", "HEAD ", "OPTIONS ", "POST ", "/health", "/", " HTTP/1.1", " HTTP/1.0", "\r\n", "\n", "\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n", "Connection: close\r\n", "Content-Length: 3\r\n", "Accept: x\r\n", "Host: é\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn how_bytes_are_cut_into_pieces_changes_nothing(input in anything(), cuts in proptest::collection::vec(1usize..50, 1..20)) {
        let mut rest = input.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (whole, whole_next) = talk([input.as_slice()]);
        let (cut, cut_next) = talk(pieces);
        prop_assert_eq!(whole, cut);
        // Whether something is left unread can depend on what has arrived.
        let closes = |next| matches!(next, Next::Close { .. });
        prop_assert_eq!(closes(whole_next), closes(cut_next));
    }

    #[test]
    fn whatever_is_received_the_conversation_ends_and_holds_little(input in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        let mut conversation = Conversation::default();
        let mut output = Vec::new();
        for piece in input.chunks(1_000) {
            if let Next::Close { .. } = conversation.receive(piece, &mut output, echo) {
                break;
            }
            prop_assert!(conversation.pending.len() <= MAX_REQUEST);
        }
    }
}

/// Any bytes in any pieces: complete answers, a rejection or nothing; and never a 200 if the answer is 503.
fn converse(bytes: &[u8]) {
    let refuse = |_: Question<'_>| {
        Some(HealthAnswer { code: Code::Unavailable, body: Body::Plain("no\n".into()), degraded: false })
    };
    // The first byte determines the length of the pieces.
    let length = bytes.first().map_or(1, |byte| usize::from(*byte).max(1));
    let (mut conversation, mut output) = (Conversation::default(), Vec::new());
    'talk: for piece in bytes.get(1..).unwrap_or_default().chunks(length) {
        let mut piece = piece;
        loop {
            let before = output.len();
            match conversation.receive(piece, &mut output, refuse) {
                Next::Receive => break,
                Next::SendFirst => {
                    assert!(output.len() > before, "it would never end");
                    piece = b"";
                }
                Next::AskAgain => panic!("there is an answer to everything"),
                Next::HandOver | Next::Close { .. } => break 'talk,
            }
            output.clear();
        }
        assert!(conversation.pending.len() <= MAX_REQUEST + 256);
    }
    let said = String::from_utf8(output).unwrap();
    assert!(!said.contains("HTTP/1.1 2"), "{said}");
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 503"), "{said}");
    assert!(said.is_empty() || said.contains("\r\n\r\n"), "{said}");
}

#[test]
fn whatever_is_asked_gets_a_whole_answer_or_none_and_never_a_yes() {
    let seeds = [
        "\u{7f}GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{5}HEAD /health/web HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "\u{1}OPTIONS / HTTP/1.0\r\n\r\n",
        "\u{9}GET /health\r\n",
        "\u{20}GET /health?x=1 HTTP/1.1\r\nAccept: application/health+json\r\n\r\nGET /ready HTTP/1.1\r\n\r\n",
        "\u{3}POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        "\u{3}PUT /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    bellwether_testing::fuzz::run("health requests", &seeds.map(|seed| seed.as_bytes().to_vec()), converse);
}

#[test]
fn so_many_requests_are_answered_at_once_and_the_rest_is_not_forgotten() {
    let (mut conversation, mut answered) = (Conversation::default(), Vec::new());
    let mut piece = b"HEAD /health HTTP/1.1\r\n\r\n".repeat(2 * REQUESTS_AT_ONCE + 1);
    loop {
        let mut output = Vec::new();
        let next = conversation.receive(&piece, &mut output, echo);
        answered.push(output.windows(5).filter(|line| *line == b"HTTP/").count());
        piece.clear();
        if next == Next::Receive {
            break;
        }
        assert_eq!(next, Next::SendFirst);
    }
    assert_eq!(answered, [REQUESTS_AT_ONCE, REQUESTS_AT_ONCE, 1]);
}

#[test]
fn a_question_without_an_answer_is_asked_again_and_those_after_it_keep_their_order() {
    let known = std::cell::Cell::new(false);
    let answer = |question: Question<'_>| {
        let later = question == Question::Health(Subject::Module("web"));
        if later && !known.get() { None } else { echo(question) }
    };
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\n\r\n");
    let requests = [request("/health"), request("/health/web"), request("/health")].concat();
    let (mut conversation, mut output) = (Conversation::default(), Vec::new());
    assert_eq!(conversation.receive(requests.as_bytes(), &mut output, answer), Next::AskAgain);
    assert_eq!(String::from_utf8_lossy(&output), OK, "the first one had an answer");
    for _ in 0..3 {
        output.clear();
        assert_eq!(conversation.receive(b"", &mut output, answer), Next::AskAgain);
        assert!(output.is_empty());
    }
    known.set(true);
    assert_eq!(conversation.receive(b"", &mut output, answer), Next::Receive);
    let said = String::from_utf8(output).unwrap();
    assert!(said.starts_with("HTTP/1.1 503 ") && said.ends_with(OK), "{said}");
    assert!(!conversation.is_inside_request());
}

#[test]
fn a_proxy_line_is_read_over_in_front_of_the_first_request_alone() {
    let line = "PROXY TCP4 127.0.0.1 127.0.0.2 40000 9010\r\n";
    let request = "GET /health HTTP/1.1\r\n\r\n";
    let whole = format!("{line}{request}{request}");
    assert_eq!(say(&whole), (OK.repeat(2), Next::Receive));
    for cut in 1..whole.len() {
        let (begin, end) = whole.as_bytes().split_at(cut);
        assert_eq!(talk([begin, end]), (OK.repeat(2), Next::Receive), "cut at {cut}");
    }
    let (said, next) = say(&format!("{request}{line}{request}"));
    assert!(said.starts_with(OK) && said[OK.len()..].starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(next, CLOSE_UNREAD);
}

#[test]
fn a_line_that_only_claims_to_be_one_is_refused() {
    let (said, next) = say("PROXY TCP4 somewhere\r\nGET /health HTTP/1.1\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(next, CLOSE_UNREAD);
}

#[test]
fn another_protocol_is_handed_over_with_all_that_was_received_of_it() {
    const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (before, tls, said, handed_over) in [
        ("", false, PREFACE, true),
        ("PROXY UNKNOWN\r\n", false, PREFACE, true),
        ("", true, "\x16\x03\x01", true),
        ("PROXY UNKNOWN\r\n", true, "\x16\x03\x01", true),
        ("", false, "\x16\x03\x01", false),
        ("GET / HTTP/1.1\r\n\r\n", true, "\x16\x03\x01", false),
    ] {
        for length in [1, 5, 100] {
            let (mut conversation, mut next) = (Conversation::new(tls), Next::Receive);
            for piece in format!("{before}{said}more").as_bytes().chunks(length) {
                let mut output = Vec::new();
                if next == Next::Receive {
                    next = conversation.receive(piece, &mut output, echo);
                } else {
                    conversation.pending.extend_from_slice(piece);
                }
            }
            assert_eq!(next == Next::HandOver, handed_over, "{before}{said} by {length}");
            if handed_over {
                assert_eq!(conversation.into_received(), format!("{said}more").as_bytes());
            }
        }
    }
}
