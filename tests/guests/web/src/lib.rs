//! A checker that asks for a URL, as the tests tell it to.

use bellwether_guest::http::{Request, Response};
use bellwether_guest::prelude::*;

/// What to ask for.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// Where.
    url: String,
    /// `GET` unless it says otherwise.
    #[serde(default = "get")]
    method: String,
    /// Sent along.
    #[serde(default)]
    body: String,
    /// So many redirects are followed.
    #[serde(default)]
    redirects: usize,
}

fn get() -> String {
    "GET".into()
}

/// Asks for a URL, and says what was answered.
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
