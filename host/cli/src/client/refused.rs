//! Why a request was not answered as it should be: what was tried, what came, and what to do next.

use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::{Problem, UNCONFIRMED};
use bellwether_core::moment::plain;
use bellwether_core::text::is_shown;
use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::Destination;
use super::remote::Remote;
use super::token::TokenSource;
use crate::exit::{Exit, Failure};

/// A refusal in plain text is no longer, in bytes.
const MAX_PLAIN: usize = 1_000;

/// What to do if something else than a console answers.
pub(super) const PORT_WANTED: &str = "check the host and the port: `listen` in [console] of bellwether.toml on that host, \
     9013 by default (9010 is the health endpoint)";
const TOKEN_WANTED: &str = "on that host, `bellwether token list` shows the tokens and when they end, and `bellwether token \
     create NAME --role ROLE` creates one; pass it with --token-file FILE or in BELLWETHER_TOKEN";
/// What a console over TLS says in plain text to plain HTTP.
const OVER_TLS: &str = "This is the console of Bellwether over TLS";

/// What was answered, if this program understands it.
pub(super) fn understood<T: DeserializeOwned>(place: &Destination, body: &[u8]) -> Result<T, Failure> {
    let answer = serde_json::from_slice(body).context("the daemon's answer is invalid");
    answer.map_err(|error| match place {
        Destination::Remote(remote) if serde_json::from_slice::<serde_json::Value>(body).is_err() => {
            foreign(remote, "its answer is no JSON")
        }
        _ => Failure::from(error).next("use a `bellwether` of the same version as the daemon"),
    })
}

/// There was no answer at all.
pub(super) fn unanswered(place: &Destination, error: anyhow::Error) -> Failure {
    match place {
        Destination::Root(_) => Failure::from(error.context("the daemon did not answer"))
            .next("only its own user and root have access; if you are one of them, see the daemon's log"),
        Destination::Remote(remote) => {
            let is_other = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
            if is_other {
                return foreign(remote, "it does not speak HTTP");
            }
            Failure::from(error.context(format!("{} did not answer", remote.shown()))).next(PORT_WANTED)
        }
    }
}

/// There was no answer in this time.
pub(super) fn overdue(place: &Destination, within: Duration) -> Failure {
    let within = plain(within);
    let (what, next) = match place {
        Destination::Root(_) => (
            format!("the daemon did not answer in time ({within})"),
            "try again; if the problem persists, see the daemon's log".to_owned(),
        ),
        Destination::Remote(remote) => (
            format!("{} did not answer in time ({within})", remote.shown()),
            format!("try again; if the problem persists, {PORT_WANTED}"),
        ),
    };
    Failure::new(Exit::Error, what, next)
}

/// What the daemon says is wrong.
pub(super) fn refusal(place: &Destination, status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.status == 401 => not_let_in(place, problem.detail),
        Ok(problem) => {
            let exit = match problem.status {
                403 | 409 | UNCONFIRMED => Exit::Denied,
                404 => Exit::NoSuch,
                _ => Exit::Error,
            };
            Failure::new(exit, problem.detail, problem.next)
        }
        Err(_) => plain_refusal(place, status, body),
    }
}

/// The token is not accepted, or there is none.
fn not_let_in(place: &Destination, detail: String) -> Failure {
    let what = match place {
        Destination::Root(_) => detail,
        Destination::Remote(remote) => {
            let wrong = "it is wrong, has expired or was revoked";
            let shown = remote.shown();
            match remote.token_source() {
                TokenSource::None => format!("{shown} requires a token, and none is given"),
                TokenSource::File(file) => {
                    format!("{shown} does not accept the token in {}: {wrong}", file.display())
                }
                TokenSource::Variable => {
                    format!("{shown} does not accept the token in the variable BELLWETHER_TOKEN: {wrong}")
                }
            }
        }
    };
    Failure::new(Exit::Denied, what, TOKEN_WANTED)
}

/// Said by what stands in front of the API, in a line or two: what it is, and what to do. Or by something else.
fn plain_refusal(place: &Destination, status: StatusCode, body: &[u8]) -> Failure {
    let text = std::str::from_utf8(body).ok().map(str::trim).filter(|text| text.len() < MAX_PLAIN);
    let plain = |c: char| c != '<' && (c == '\n' || is_shown(c));
    let text = text.filter(|text| !text.is_empty() && text.chars().all(plain));
    let said = text.and_then(|text| text.split_once('\n'));
    match (place, said, text) {
        (_, Some((what, next)), _) => Failure::new(Exit::Error, what, next),
        (Destination::Root(_), None, Some(text)) => Failure::new(Exit::Error, text, "see the daemon's log"),
        (Destination::Root(_), None, None) => Failure::new(
            Exit::Error,
            format!("the daemon refused the request without a reason (status {status})"),
            "see the daemon's log",
        ),
        (Destination::Remote(remote), None, Some(text)) if text.starts_with(OVER_TLS) => {
            let what = format!("{} uses TLS, and was asked in plain HTTP", remote.shown());
            Failure::new(Exit::Error, what, format!("use https: --url https://{}", remote.authority()))
        }
        (Destination::Remote(remote), None, _) => {
            foreign(remote, &format!("it answered with status {status}"))
        }
    }
}

/// Something else than a console.
fn foreign(remote: &Remote, found: &str) -> Failure {
    let what = format!("what answers at {} is not the console of Bellwether: {found}", remote.shown());
    Failure::new(Exit::Error, what, PORT_WANTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Profile;

    fn remote(token_file: Option<std::path::PathBuf>) -> Destination {
        let url = "http://127.0.0.1:9010".to_owned();
        Destination::Remote(Profile { url, token_file, fingerprint: None, ca: None }.find().unwrap())
    }

    #[test]
    fn another_server_is_told_from_a_console() {
        let of = |body: &str| refusal(&remote(None), StatusCode::NOT_FOUND, body.as_bytes()).to_string();
        for body in ["not found", "", "<html>\n</html>"] {
            let said = of(body);
            assert!(said.contains("at http://127.0.0.1:9010 is not the console"), "{said}");
            assert!(said.contains("404") && said.contains("9013 by default"), "{said}");
        }
        let tls = of("This is the console of Bellwether over TLS: write https:// before.\n");
        assert!(tls.ends_with("use https: --url https://127.0.0.1:9010"), "{tls}");
        let own = of("This node is not known by that name.\nAsk for its address.\n");
        assert_eq!(own, "error: This node is not known by that name.\n  next: Ask for its address.");
        let html = understood::<u32>(&remote(None), b"<html>").unwrap_err().to_string();
        assert!(html.contains("its answer is no JSON"), "{html}");
        let later = understood::<u32>(&remote(None), b"{}").unwrap_err().to_string();
        assert!(later.contains("of the same version"), "{later}");
    }

    #[test]
    fn a_token_that_is_not_accepted_is_named_by_where_it_is_from() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "bw_secret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let body = br#"{"title":"t","status":401,"detail":"sign in","next":"n"}"#;
        let refused = |place: &Destination| refusal(place, StatusCode::UNAUTHORIZED, body);
        let wrong = refused(&remote(Some(file.clone())));
        assert_eq!(wrong.exit(), Exit::Denied);
        let said = wrong.to_string();
        assert!(
            said.contains(&format!("does not accept the token in {}: it is wrong", file.display())),
            "{said}"
        );
        assert!(said.contains("bellwether token list") && !said.contains("bw_secret"), "{said}");
    }

    #[test]
    fn who_does_not_answer_in_time_is_named_with_the_time() {
        let said = overdue(&remote(None), Duration::from_secs(5)).to_string();
        assert!(said.contains("http://127.0.0.1:9010 did not answer in time (5s)"), "{said}");
    }
}
