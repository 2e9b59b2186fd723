//! By an HTTP request: the notification as JSON, with a key that tells the same one sent twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::notify::Notification;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use super::email::chain;
use super::outlet::NotDelivered;
use super::{body, secret};
use crate::clock::Clock;
use crate::config::notify::{UrlSpec, WebhookSpec, webhook_url};

pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Of an answer that is no yes, so much is read to be shown.
const MAX_ANSWER: usize = 4 << 10;
/// And so many characters are shown.
const MAX_SHOWN: usize = 200;

/// Made when the first request wants it: it reads the system's certificates.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<Connecting>);

#[derive(Debug)]
struct Connecting {
    authorities: Vec<CertificateDer<'static>>,
    client: OnceCell<HttpClient>,
}

impl Connector {
    pub(crate) fn new(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(Connecting { authorities, client: OnceCell::new() }))
    }

    pub(super) fn authorities(&self) -> Vec<CertificateDer<'static>> {
        self.0.authorities.clone()
    }

    pub(crate) async fn client(&self) -> Result<HttpClient, NotDelivered> {
        let make = || async {
            let authorities = self.0.authorities.clone();
            let made = tokio::task::spawn_blocking(move || client(authorities)).await;
            made.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        };
        let client = self.0.client.get_or_try_init(make).await;
        client.cloned().map_err(|why| NotDelivered::new(format!("no TLS: {why}")))
    }
}

fn client(authorities: Vec<CertificateDer<'static>>) -> Result<HttpClient, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(authorities);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
    // A connection of its own for each: there are few, and an old one may be dead.
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
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
        let answer = self.connector.client().await?.request(request).await;
        let answer = answer.map_err(|error| NotDelivered::new(chain(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = retry_after(&answer);
        let said = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let said = said.map(Collected::to_bytes).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let first = said.lines().map(str::trim).find(|text| !text.is_empty());
        let said = first.map_or_else(String::new, |text| {
            format!(": {}", text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect::<String>())
        });
        let moved =
            if status.is_redirection() { " (what has moved is not followed: correct the URL)" } else { "" };
        Err(NotDelivered { why: format!("answered {status}{said}{moved}"), retry_after })
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

/// Names were looked at when the file was read.
fn header(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

fn retry_after(answer: &http::Response<Incoming>) -> Option<Duration> {
    let asks = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = answer.headers().get(RETRY_AFTER).filter(|_| asks)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
