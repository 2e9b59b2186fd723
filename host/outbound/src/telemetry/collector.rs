//! The client of the collector: one request, and its result.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Bytes;
use prost::Message;

use crate::notify::{Connector, secret};
use bellwether_config::spec::{HttpSpec, TelemetrySpec};

/// The time limit of a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The maximum size of a response, which has a few bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Why a request was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(super) struct NotTaken {
    pub(super) why: String,
    /// Whether repeating the request is useless.
    pub(super) for_good: bool,
}

impl NotTaken {
    #[expect(clippy::needless_pass_by_value, reason = "errors are mapped to it by its name alone")]
    fn now(why: impl ToString) -> Self {
        Self { why: why.to_string(), for_good: false }
    }
}

#[derive(Debug)]
pub(super) struct Collector {
    root: PathBuf,
    endpoint: Uri,
    headers: Option<PathBuf>,
    connector: Connector,
}

impl Collector {
    pub(super) fn new(root: PathBuf, spec: &TelemetrySpec, http: &HttpSpec) -> Self {
        let (endpoint, headers) = (spec.endpoint.clone(), spec.headers.clone());
        Self { root, endpoint, headers, connector: Connector::new(http) }
    }

    /// Returns the body of the response. `path` is added to the endpoint: `v1/logs`.
    pub(super) async fn take<A: Message + Default>(
        &self,
        path: &str,
        message: &impl Message,
    ) -> Result<A, NotTaken> {
        let told = tokio::time::timeout(ANSWER_WITHIN, self.tell(path, message.encode_to_vec()));
        let body = told.await.map_err(|_| NotTaken::now("it did not answer within 10s"))??;
        A::decode(body).map_err(|error| NotTaken::now(format!("its answer is invalid: {error}")))
    }

    async fn tell(&self, path: &str, body: Vec<u8>) -> Result<Bytes, NotTaken> {
        let url = format!("{}/{path}", self.endpoint.to_string().trim_end_matches('/'));
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("bellwether/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)))
            .map_err(NotTaken::now)?;
        if let Some(file) = &self.headers {
            let text = secret::whole(&self.root, file).await.map_err(|error| NotTaken::now(error.why))?;
            request.headers_mut().extend(headers(&text).map_err(NotTaken::now)?);
        }
        let answer = self.connector.request(request).await.map_err(|error| NotTaken::now(error.why))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map(Collected::to_bytes);
        if status.is_success() {
            return body.map_err(NotTaken::now);
        }
        let for_good = matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
        Err(NotTaken { why: format!("it answered {status}"), for_good })
    }
}

/// The line with this number is not a header. The line itself is a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} of the headers file is not `Name: value`")]
struct NoHeader(usize);

/// One `Name: value` on each line; empty lines and those with `#` are ignored.
fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, NoHeader> {
    let mut headers = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || NoHeader(index + 1);
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = name.trim().parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.push((name, value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_lines_of_name_and_value_and_a_wrong_one_is_named_by_its_number_alone() {
        let good = headers("# the token\nAuthorization: Bearer a:b\n\nx-tenant:  ops \n").unwrap();
        let shown: Vec<(&str, &str)> =
            good.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(shown, [("authorization", "Bearer a:b"), ("x-tenant", "ops")]);
        assert!(good.iter().all(|(_, value)| value.is_sensitive()));
        let wrong = headers("a: b\nhunter2\n").unwrap_err();
        assert_eq!(wrong.to_string(), "line 2 of the headers file is not `Name: value`");
    }
}
