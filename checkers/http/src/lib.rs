//! The standard checker of HTTP services: it sends one request, and checks the status and text of the
//! response.
//!
//! ```text
//!  config ─▶ request ─▶ exchange ─▶ answer ─▶ judge ─▶ observation
//!            (text)     (the only   (bytes to
//!                        I/O)        status and body)
//! ```
//! HTTP/1.1, with TLS for `https`, one connection for each request, no redirects: only the response of the service
//! itself counts.

mod answer;
mod exchange;
mod expect;
mod request;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bellwether_guest::net::Tls;
use bellwether_guest::prelude::*;

use crate::answer::Answer;
use crate::exchange::{Exchanged, NoAnswer, exchange};
use crate::expect::ExpectStatus;
use crate::request::Request;

/// `config = { url = "http://127.0.0.1:8080/", expect-status = [200, 204] }`
///
/// Certificates are issued for names. If `url` has an address, the schema requires `tls`, which says how
/// the certificate is verified.
#[bellwether_guest::config]
#[derive(Debug)]
#[schemars(extend(
    "if" = { "properties": { "url": { "pattern": "^https://(\\[|[0-9.]+([:/]|$))" } } },
    "then" = {
        "required": ["tls"],
        "description": "a certificate is made for names, and `url` has an address: add `tls = { server-name = \"…\" }` with \
                        the name in the certificate (the address itself if it stands there)",
    }
))]
pub struct Config {
    /// The URL to request: `http://127.0.0.1:8080/health`, or `https://…` with TLS.
    #[schemars(
        regex(pattern = r"^[hH][tT][tT][pP][sS]?://(\[[^\]/?#@]+\]|[^\[\]:/?#@]+)(:[0-9]{0,5})?([/?#].*)?$"),
        extend("x-connects-to" = "url")
    )]
    url: String,
    /// The request method. Default: `GET`.
    #[serde(default = "get")]
    method: String,
    /// The expected status, or a list of them. Default: 200.
    #[serde(default)]
    expect_status: ExpectStatus,
    /// Text that must be in the first mebibyte of the body.
    #[serde(default)]
    expect_body: Option<String>,
    /// Request headers. They override the checker's own, including `Host`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// TLS settings, for `https`.
    #[serde(default)]
    tls: Tls,
    /// For `https`: warn when the certificate is valid for fewer days than this. Default:
    /// 14.
    #[serde(default = "fortnight")]
    warn_days: u16,
}

/// Long enough for an operator to renew a certificate by hand.
fn fortnight() -> u16 {
    14
}

fn get() -> String {
    "GET".into()
}

/// Sends one HTTP request, and checks the status and optionally the text of the response.
#[bellwether_guest::checker(grants(connect = "the service to check"))]
pub fn check(config: Config, run: &Run) -> Observation {
    let request = match Request::new(&config.url, &config.method, &config.headers) {
        Ok(request) => request,
        Err(reason) => return Observation::unknown(reason),
    };
    let seen = match exchange(&request, &config.tls, config.expect_body.is_some(), run) {
        Ok(Exchanged { answer, certificate_ends_ms: None }) => judge(&config, &answer),
        Ok(Exchanged { answer, certificate_ends_ms: Some(ends) }) => {
            certified(judge(&config, &answer), days_until(ends, SystemTime::now()), config.warn_days)
        }
        Err(NoAnswer::Net(error)) => error.into(),
        Err(NoAnswer::Malformed(reason)) => {
            Observation::fail(format!("{} gave an answer that is not HTTP: {reason}", request.address))
        }
        Err(NoAnswer::Silent) => {
            Observation::fail(format!("{} closed the connection without an answer", request.address))
        }
        Err(NoAnswer::Unfinished { status, within }) => {
            Observation::hang(format!("answered {status}, and the body did not end within {within:?}"))
        }
    };
    seen.measure("response-time", run.elapsed_ms(), "ms")
}

/// Days until this moment, in milliseconds since 1970; negative if it has passed.
fn days_until(ends_ms: i64, now: SystemTime) -> f64 {
    const DAY_MS: f64 = 86_400_000.0;
    let now_ms = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any century are exact")]
    let left = (ends_ms as f64 - now_ms) / DAY_MS;
    (left * 10.0).floor() / 10.0
}

/// The same with the service's certificate: one that expires soon is a warning.
fn certified(seen: Observation, days: f64, warn_days: u16) -> Observation {
    let seen = match seen.status {
        Status::Pass if days < f64::from(warn_days) => {
            let summary = format!("{}; its certificate expires within {days} days", seen.summary);
            Observation { status: Status::Warn, summary, ..seen }
        }
        _ => seen,
    };
    seen.measure("certificate-days", days, "")
}

/// The observation that follows from a response.
fn judge(config: &Config, answer: &Answer) -> Observation {
    let status = answer.status;
    if !config.expect_status.contains(status) {
        return Observation::fail(format!("answered {status} instead of {}", config.expect_status));
    }
    match &config.expect_body {
        Some(text) if !answer.contains(text) => {
            Observation::fail(format!("answered {status} without the text `{}`", text.escape_debug()))
        }
        _ => Observation::pass(format!("answered {status}")),
    }
}

#[cfg(test)]
mod tests;
