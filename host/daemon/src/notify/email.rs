//! By e-mail, over SMTP.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::notify::Notification;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use rustls::pki_types::CertificateDer;

use super::outlet::NotDelivered;
use super::secret;
use crate::clock::Clock;
use crate::config::notify::{EmailSpec, SmtpTls};

pub(super) struct Email {
    spec: EmailSpec,
    root: PathBuf,
    authorities: Vec<CertificateDer<'static>>,
    timeout: Duration,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Email {
    pub(super) fn new(
        spec: EmailSpec,
        root: PathBuf,
        authorities: Vec<CertificateDer<'static>>,
        timeout: Duration,
    ) -> Self {
        Self { spec, root, authorities, timeout }
    }

    /// A connection of its own for each: there are few.
    pub(super) async fn deliver(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
    ) -> Result<(), NotDelivered> {
        let message = self.message(notification, link, clock)?;
        let EmailSpec { host, port, .. } = &self.spec;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(*port)
            .timeout(Some(self.timeout))
            .tls(self.tls().await?);
        let transport = match &self.spec.sign_in {
            None => transport,
            Some((user, file)) => {
                let password = secret::read(&self.root, file).await?;
                transport.credentials(Credentials::new(user.clone(), password))
            }
        };
        let sent = transport.build().send(message).await;
        sent.map(drop)
            .map_err(|error| NotDelivered::new(format!("the mail server {host}: {}", chain(&error))))
    }

    async fn tls(&self) -> Result<Tls, NotDelivered> {
        let wrap = match self.spec.tls {
            SmtpTls::None => return Ok(Tls::None),
            SmtpTls::Starttls => Tls::Required,
            SmtpTls::Tls => Tls::Wrapper,
        };
        let mut parameters = TlsParameters::builder(self.spec.host.clone());
        for authority in &self.authorities {
            // One that cannot be used was found when the file was read.
            if let Ok(certificate) = Certificate::from_der(authority.to_vec()) {
                parameters = parameters.add_root_certificate(certificate);
            }
        }
        // It reads the system's certificates.
        let built = tokio::task::spawn_blocking(move || parameters.build()).await;
        let no_tls = |why: String| NotDelivered::new(format!("no TLS: {why}"));
        let built = built.map_err(|error| no_tls(error.to_string()))?;
        built.map(wrap).map_err(|error| no_tls(chain(&error)))
    }

    fn message(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
    ) -> Result<Message, NotDelivered> {
        let Notification { key, node, standing, at, .. } = notification;
        let mut message = Message::builder()
            .from(self.spec.from.clone())
            .subject(format!("[{}] {}", standing.word(), notification.title()))
            // The same for each try: a mail that comes twice is known as one.
            .message_id(Some(format!("<{key}@{node}>")))
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834: nobody's holiday is told to us.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.spec.to {
            message = message.to(to.clone());
        }
        let micros = u64::try_from(clock.wall_micros(*at)).unwrap_or(0);
        message = message.date(std::time::UNIX_EPOCH + Duration::from_micros(micros));
        let link = link.map(|link| format!("\n\n{link}")).unwrap_or_default();
        let text = format!("{}{link}\n\nkey: {key}\n", notification.text());
        message.body(text).map_err(|error| NotDelivered::new(format!("no mail can be made of it: {error}")))
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
