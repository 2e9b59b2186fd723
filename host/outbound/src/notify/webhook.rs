//! Delivery by an HTTP request: the notification as JSON, with a key that identifies duplicates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::notify::Notification;
use bellwether_core::text::one_line;
use bellwether_http_client::HttpClient;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::{Bytes, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::outlet::NotDelivered;
use super::{body, secret};
use bellwether_config::notify::{UrlSpec, WebhookSpec, webhook_url};
use bellwether_config::spec::HttpSpec;
use bellwether_os::clock::Clock;
use bellwether_os::names::Share;

/// The maximum that is read of an error response.
const MAX_ANSWER: usize = 4 << 10;
/// The maximum that is shown of it, in bytes.
const MAX_SHOWN: usize = 200;

/// The time limit for connecting: a target's own time limit is usually shorter.
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// How the daemon's own requests are made, with the settings in `[http]` of the node's file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    client: Arc<HttpClient>,
    authorities: Vec<CertificateDer<'static>>,
    names: Share,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(spec: &HttpSpec) -> Self {
        // A proxy elsewhere would connect to its own machine instead of this one.
        let spec = HttpSpec { rules: spec.rules.clone().with_loopback_direct(), ..spec.clone() };
        let (client, names) = (Arc::new(HttpClient::new(&spec)), Share::of_the_daemon());
        Self { client, authorities: spec.authorities, names }
    }

    /// For another target: its look-ups delay no others.
    pub(super) fn of_its_own(&self) -> Self {
        Self { names: Share::of_the_daemon(), ..self.clone() }
    }

    pub(super) fn authorities(&self) -> Vec<CertificateDer<'static>> {
        self.authorities.clone()
    }

    /// Limits the target's look-ups.
    pub(super) fn names(&self) -> &Share {
        &self.names
    }

    pub(crate) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NotDelivered> {
        let by = Instant::now() + CONNECTED_WITHIN;
        self.client.request(request, &self.names, by).await.map_err(|why| NotDelivered::new(why.to_string()))
    }
}

#[derive(Debug)]
pub(super) struct Webhook {
    spec: WebhookSpec,
    root: PathBuf,
    connector: Connector,
}

impl Webhook {
    pub(super) fn new(spec: WebhookSpec, root: PathBuf, connector: Connector) -> Self {
        Self { spec, root, connector }
    }

    pub(super) async fn deliver(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
    ) -> Result<(), NotDelivered> {
        let request = self.request(notification, link, clock).await?;
        let answer = self.connector.request(request).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = retry_after(&answer);
        let said = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let said = said.map(Collected::to_bytes).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let first = said.lines().map(str::trim).find(|first| !first.is_empty());
        let reason = first.map_or_else(String::new, |first| format!(": {}", one_line(first, MAX_SHOWN)));
        let moved =
            if status.is_redirection() { " (redirects are not followed: correct the URL)" } else { "" };
        Err(NotDelivered { why: format!("answered {status}{reason}{moved}"), retry_after, partly: false })
    }

    async fn request(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
    ) -> Result<Request<Full<Bytes>>, NotDelivered> {
        let url = match &self.spec.url {
            UrlSpec::Plain(url) => url.clone(),
            UrlSpec::File(file) => {
                let text = secret::read(&self.root, file).await?;
                webhook_url(&text)
                    .map_err(|why| NotDelivered::new(format!("the URL in {}: {why}", file.display())))?
            }
        };
        let text = body::json(notification, link, clock).to_string();
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("bellwether/", env!("CARGO_PKG_VERSION")))
            .header("idempotency-key", &notification.key)
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| NotDelivered::new(error.to_string()))?;
        let headers = request.headers_mut();
        for (name, value) in &self.spec.headers {
            headers.extend(header(name).map(|name| (name, value.clone())));
        }
        for (name, file) in &self.spec.secret_headers {
            let mut value = HeaderValue::from_str(&secret::read(&self.root, file).await?)
                .map_err(|_| NotDelivered::new(format!("{} holds no value for a header", file.display())))?;
            value.set_sensitive(true);
            headers.extend(header(name).map(|name| (name, value)));
        }
        Ok(request)
    }
}

/// The names were checked when the file was read.
fn header(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

fn retry_after(answer: &Response<Incoming>) -> Option<Duration> {
    let asks = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(RETRY_AFTER).filter(|_| asks)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
