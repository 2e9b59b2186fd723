//! Delivery by e-mail, over SMTP.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bellwether_core::notify::{MAX_WAITING, Notification};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use lettre::{Address, Message};
use tokio::time::Instant;

use super::outlet::{Delivery, NotDelivered};
use super::secret;
use super::webhook::Connector;
use bellwether_config::notify::{EmailSpec, SmtpTls};
use bellwether_os::clock::Clock;
use bellwether_os::names::look_up;

/// A server that has accepted a mail may be slow to close the connection.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// The number of keys whose recipients are remembered: as many as can wait for one target.
const REMEMBERED: usize = MAX_WAITING;

pub(super) struct Email {
    spec: EmailSpec,
    root: PathBuf,
    connector: Connector,
    timeout: Duration,
    /// For mails that some recipients have deferred: who has received it, by key.
    told: Mutex<VecDeque<(String, BTreeSet<String>)>>,
}

impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Recipients that the server rejected, with its answers.
#[derive(Debug, Default)]
struct RefusedRecipients {
    /// Deferred, to be tried again.
    for_now: Vec<String>,
    /// Recipients that the server rejected permanently.
    for_good: Vec<String>,
}

impl Email {
    pub(super) fn new(spec: EmailSpec, root: PathBuf, connector: Connector, timeout: Duration) -> Self {
        Self { spec, root, connector, timeout, told: Mutex::default() }
    }

    /// A separate connection for each mail: there are few. A recipient that the server rejects does not prevent
    /// delivery to the others.
    pub(super) async fn deliver(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
    ) -> Delivery {
        let message = self.message(notification, link, clock)?;
        let mut told = self.told(&notification.key);
        let to = message.envelope().to();
        let left: Vec<Address> = to.iter().filter(|to| !told.contains(&to.to_string())).cloned().collect();
        let failed = |why: String| NotDelivered::new(format!("the mail server {}: {why}", self.spec.host));
        let mut connection = self.connect().await?;
        let refused = send(&mut connection, &message, &left).await;
        let (taken, refused) = refused.map_err(|error| failed(chain(&error)))?;
        told.extend(taken.iter().map(ToString::to_string));
        let RefusedRecipients { for_now, mut for_good } = refused;
        let partly = !told.is_empty();
        self.remember(&notification.key, (!for_now.is_empty()).then(|| told.clone()));
        // The mail is delivered: errors of the connection neither delay the result nor change it.
        tokio::spawn(async move {
            let _ = tokio::time::timeout(GOODBYE_WITHIN, connection.quit()).await;
        });
        if !for_now.is_empty() {
            let why = format!("it has deferred the mail for {}", for_now.join(", "));
            return Err(NotDelivered { partly, ..failed(why) });
        }
        if told.is_empty() {
            return Err(failed(format!("it accepts the mail for no recipient: {}", for_good.join(", "))));
        }
        for_good.sort_unstable();
        Ok((!for_good.is_empty()).then(|| format!("the mail server refuses {}", for_good.join(", "))))
    }

    /// Who has received the mail with this key already.
    fn told(&self, key: &str) -> BTreeSet<String> {
        let remembered = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let found = remembered.iter().find(|(known, _)| known == key);
        found.map(|(_, told)| told.clone()).unwrap_or_default()
    }

    /// `None`, once the mail is delivered.
    fn remember(&self, key: &str, told: Option<BTreeSet<String>>) {
        let mut remembered = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.retain(|(known, _)| known != key);
        remembered.extend(told.map(|told| (key.to_owned(), told)));
        if remembered.len() > REMEMBERED {
            remembered.pop_front();
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, NotDelivered> {
        let EmailSpec { host, port, tls, .. } = &self.spec;
        let failed = |why: String| NotDelivered::new(format!("the mail server {host}: {why}"));
        let by = Instant::now() + self.timeout;
        let found = look_up(host, self.connector.names(), by).await;
        let mut addresses =
            found.map_err(|error| failed(format!("its name cannot be looked up: {error}")))?;
        for address in &mut addresses {
            address.set_port(*port);
        }
        let (name, timeout) = (ClientId::default(), Some(self.timeout));
        let parameters = match tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => Some(self.tls().await?),
        };
        let at_once = parameters.clone().filter(|_| matches!(tls, SmtpTls::Tls));
        let connected =
            AsyncSmtpConnection::connect_tokio1(&addresses[..], timeout, &name, at_once, None).await;
        let mut connection = connected.map_err(|error| failed(chain(&error)))?;
        if let Some(parameters) = parameters.filter(|_| matches!(tls, SmtpTls::Starttls)) {
            connection.starttls(parameters, &name).await.map_err(|error| failed(chain(&error)))?;
        }
        if let Some((user, file)) = &self.spec.sign_in {
            let credentials = Credentials::new(user.clone(), secret::read(&self.root, file).await?);
            let signed_in = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            signed_in.map_err(|error| failed(chain(&error)))?;
        }
        Ok(connection)
    }

    async fn tls(&self) -> Result<TlsParameters, NotDelivered> {
        let mut parameters = TlsParameters::builder(self.spec.host.clone());
        for authority in self.connector.authorities() {
            // An unusable one was reported when the file was read.
            if let Ok(certificate) = Certificate::from_der(authority.to_vec()) {
                parameters = parameters.add_root_certificate(certificate);
            }
        }
        // It reads the system's certificates.
        let built = tokio::task::spawn_blocking(move || parameters.build()).await;
        let no_tls = |why: String| NotDelivered::new(format!("no TLS: {why}"));
        let built = built.map_err(|error| no_tls(error.to_string()))?;
        built.map_err(|error| no_tls(chain(&error)))
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
            // The same for each attempt, so that a duplicate can be recognised.
            .message_id(Some(format!("<{key}@{node}>")))
            .header(ContentType::TEXT_PLAIN)
            // RFC 3834: suppresses automatic replies such as holiday notices.
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

/// Sends the mail to all recipients that the server accepts: returns who they are, and who is rejected.
async fn send(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    to: &[Address],
) -> Result<(Vec<Address>, RefusedRecipients), smtp::Error> {
    let text = message.formatted();
    let mut parameters = Vec::new();
    let envelope = message.envelope();
    if envelope.from().into_iter().chain(envelope.to()).any(|address| !address.to_string().is_ascii()) {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if !text.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let from = envelope.from().cloned();
    connection.command(Mail::new(from, parameters)).await?;
    let (mut taken, mut refused) = (Vec::new(), RefusedRecipients::default());
    for to in to {
        match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
            Ok(_) => taken.push(to.clone()),
            Err(error) if error.is_permanent() => refused.for_good.push(format!("{to} ({})", chain(&error))),
            // 421 (RFC 5321, 3.8): the server closes the connection. Without a code it is broken.
            Err(error)
                if error.is_transient() && error.status().is_none_or(|code| code.to_string() != "421") =>
            {
                refused.for_now.push(format!("{to} ({})", chain(&error)));
            }
            Err(error) => return Err(error),
        }
    }
    if !taken.is_empty() {
        connection.command(Data).await?;
        connection.message(&text).await?;
    }
    Ok((taken, refused))
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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
