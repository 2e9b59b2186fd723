//! A checker that requests the URL in its configuration.

use bellwether_guest::http::{Request, Response};
use bellwether_guest::prelude::*;

/// The request to make.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// The URL to request.
    url: String,
    /// The method; `GET` by default.
    #[serde(default = "get")]
    method: String,
    /// The body of the request.
    #[serde(default)]
    body: String,
    /// The maximum number of redirects that are followed.
    #[serde(default)]
    redirects: usize,
}

fn get() -> String {
    "GET".into()
}

/// Requests a URL, and reports the response.
#[bellwether_guest::checker(grants(http = "what to ask for"))]
pub fn check(config: Config, run: &Run) -> Observation {
    ask(config, run).map_or_else(Observation::from, |answer| judge(&answer))
}

fn ask(config: Config, run: &Run) -> Result<Response, HostError> {
    let mut request = Request::new(config.method, config.url).body(config.body);
    let mut answer = request.send(run)?;
    for _ in 0..config.redirects {
        let Some(location) = answer.header("location") else { break };
        location.clone_into(&mut request.url);
        answer = request.send(run)?;
    }
    Ok(answer)
}

fn judge(answer: &Response) -> Observation {
    let said = format!("answered {}: {}", answer.status, answer.text());
    let seen = if answer.is_success() { Observation::pass(said) } else { Observation::fail(said) };
    #[expect(clippy::cast_precision_loss, reason = "it has some megabytes at most")]
    let length = answer.body.len() as f64;
    seen.measure("length", length, "B")
}
