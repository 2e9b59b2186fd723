//! `[[notify]]` of the node: the targets of notifications.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::id::{ModuleName, TargetName};
use bellwether_core::notify::{Policy, Topic};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Uri};
use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::Deserialize;

use super::field;
use super::mistake::Findings;
use super::quantity::DurationText;
use super::source::Located;

/// One target of notifications.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifySpec {
    /// The name of the target.
    pub name: TargetName,
    /// Which notifications it gets, and when.
    pub policy: Policy,
    /// The time limit of one attempt.
    pub timeout: Duration,
    /// The way of delivery.
    pub way: WaySpec,
}

/// The ways of delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum WaySpec {
    /// By an HTTP request.
    Webhook(WebhookSpec),
    /// By e-mail, over SMTP.
    Email(EmailSpec),
    /// By a program with its arguments, which gets the notification on its standard input.
    Command(Vec<String>),
}

/// The settings of `webhook = { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookSpec {
    /// The URL, directly or in a file.
    pub url: UrlSpec,
    /// Headers as in the file, with names in lower case.
    pub headers: BTreeMap<String, HeaderValue>,
    /// Headers whose values are in files.
    pub secret_headers: BTreeMap<String, PathBuf>,
}

/// The URL itself may be secret.
#[derive(Debug, Clone, PartialEq)]
pub enum UrlSpec {
    /// The URL as in the file.
    Plain(Uri),
    /// The path of a file with the URL.
    File(PathBuf),
}

/// The settings of `email = { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailSpec {
    /// The addresses of the recipients.
    pub to: Vec<Mailbox>,
    /// The address of the sender.
    pub from: Mailbox,
    /// The mail server's name or address.
    pub host: String,
    /// The port of the mail server.
    pub port: u16,
    /// How the connection is secured.
    pub tls: SmtpTls,
    /// The user to sign in as, and the file of the password.
    pub sign_in: Option<(String, PathBuf)>,
}

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpTls {
    /// The connection begins in plain text and must switch to TLS before anything else is sent. Port 587.
    #[default]
    Starttls,
    /// TLS from the first byte on. Port 465.
    Tls,
    /// No TLS: only for a server on a trusted network path. Port 25.
    None,
}

/// A URL that is valid for a webhook, or why it is not.
pub fn webhook_url(text: &str) -> Result<Uri, &'static str> {
    let url: Uri = text.trim().parse().map_err(|_| "it is not a URL")?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("it does not begin with `https://` or `http://`"),
    }
    match url.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            Err("a URL must not contain a user name: use a header")
        }
        Some(authority) if !authority.host().is_empty() => Ok(url),
        _ => Err("it has no host"),
    }
}

/// A notification target, with exactly one of `webhook`, `email` and `command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct NotifyTable {
    /// The name of the target, unique in this file.
    #[schemars(required, example = &"on-call")]
    name: Option<Located<String>>,
    /// Only events of these modules, and none about the node as a whole. Default: everything.
    #[schemars(example = ["web"])]
    modules: Option<Vec<Located<String>>>,
    /// The events to send. Default: `["failed", "incident", "waiting", "farm", "recovered"]`.
    on: Option<Vec<TopicWord>>,
    /// Send an HTTP request (POST) with the notification as JSON.
    webhook: Option<Located<WebhookTable>>,
    /// Send an e-mail to the recipients.
    email: Option<Located<EmailTable>>,
    /// Run a program with its arguments, one string each; it gets the notification as JSON on its standard
    /// input, and exits with 0 if the notification was delivered. A path relative to the root has a slash in
    /// it.
    #[schemars(length(min = 1), example = ["/usr/local/bin/page", "--now"])]
    command: Option<Vec<Located<String>>>,
    /// Events within this time are sent together; a module must also be healthy for this long before its
    /// recovery is sent. Default: `"10s"`.
    group_wait: Option<Located<DurationText>>,
    /// An alert that recurs within this time is flapping: one more notification is sent, and it resolves only
    /// after staying clear for this long. Default: `"5m"`.
    calm: Option<Located<DurationText>>,
    /// The interval of reminders, while an alert lasts. Default: `"4h"`.
    repeat: Option<Located<DurationText>>,
    /// The time limit of one delivery attempt. Default: `"10s"`.
    timeout: Option<Located<DurationText>>,
    /// How long a failed delivery is retried. Default: `"24h"`.
    give_up: Option<Located<DurationText>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TopicWord {
    /// A module has failed and waits for an operator.
    Failed,
    /// A checker went down while the application should be running.
    Incident,
    /// A prerequisite is down, and the module waits for it.
    Waiting,
    /// An application is restarted, automatically or by an operator.
    Restart,
    /// An event that was notified is over.
    Recovered,
    /// A module is suspended (maintenance).
    Suspended,
    /// An operator gave a command.
    Command,
    /// A file was rejected.
    Refused,
    /// A component does not work and is quarantined.
    Quarantine,
    /// A component waits for approval.
    Approval,
    /// A node of the farm is not heard any more, or a certificate of the farm expires soon.
    Farm,
    /// The daemon started, or has a message about itself.
    Daemon,
}

impl From<TopicWord> for Topic {
    fn from(word: TopicWord) -> Self {
        match word {
            TopicWord::Failed => Self::Failed,
            TopicWord::Incident => Self::Incident,
            TopicWord::Waiting => Self::Waiting,
            TopicWord::Restart => Self::Restart,
            TopicWord::Recovered => Self::Recovered,
            TopicWord::Suspended => Self::Suspended,
            TopicWord::Command => Self::Command,
            TopicWord::Refused => Self::Refused,
            TopicWord::Quarantine => Self::Quarantine,
            TopicWord::Approval => Self::Approval,
            TopicWord::Farm => Self::Farm,
            TopicWord::Daemon => Self::Daemon,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WebhookTable {
    /// The URL, `https://` or `http://`.
    #[schemars(example = &"https://chat.example.org/hooks/abc")]
    url: Option<Located<String>>,
    /// Instead of `url`: a file with the URL, which only its owner may read. Relative to the root.
    #[schemars(example = &"/etc/bellwether/chat.url")]
    url_file: Option<Located<String>>,
    /// Headers of the request.
    headers: Option<BTreeMap<Located<String>, Located<String>>>,
    /// Headers of the request whose values are in files, which only their owner may read:
    /// `{ Authorization = "/etc/bellwether/hook.secret" }`.
    secret_headers: Option<BTreeMap<Located<String>, Located<String>>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct EmailTable {
    /// The addresses of the recipients.
    #[schemars(required, length(min = 1), example = ["on-call@example.org"])]
    to: Option<Vec<Located<String>>>,
    /// The address of the sender.
    #[schemars(required, example = &"Bellwether <bellwether@example.org>")]
    from: Option<Located<String>>,
    /// The mail server, with its port unless it is the default one.
    #[schemars(required, example = &"smtp.example.org:587")]
    server: Option<Located<String>>,
    /// How the connection is secured. Default: `"starttls"`.
    tls: Option<SmtpTls>,
    /// The user to sign in as. Default: no sign-in.
    #[schemars(example = &"bellwether")]
    user: Option<Located<String>>,
    /// The file with the password, which only its owner may read. Relative to the root.
    #[schemars(example = &"/etc/bellwether/mail.secret")]
    password_file: Option<Located<String>>,
}

const GROUP_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);
const CALM: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const REPEAT: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 30);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);
const GIVE_UP: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 7);

/// The maximum number of targets.
const MAX_TARGETS: usize = 32;
/// The maximum number of recipients of a mail.
const MAX_TO: usize = 50;

/// All targets of the file.
pub(super) fn specs(tables: &[Located<NotifyTable>], findings: &mut Findings<'_>) -> Vec<NotifySpec> {
    let mut specs: Vec<NotifySpec> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        if index == MAX_TARGETS {
            findings
                .at(table.span(), "there are too many `[[notify]]` tables")
                .expected(format!("expected at most {MAX_TARGETS}"));
            break;
        }
        let Some(spec) = spec(index, table, findings) else { continue };
        if specs.iter().any(|other| other.name == spec.name) {
            let span = table.get().name.as_ref().map_or(table.span(), Located::span);
            findings
                .at(span, format!("there is another `[[notify]]` named `{}`", spec.name))
                .expected("expected a unique name");
            continue;
        }
        specs.push(spec);
    }
    specs
}

fn spec(index: usize, table: &Located<NotifyTable>, findings: &mut Findings<'_>) -> Option<NotifySpec> {
    let path = format!("notify[{index}]");
    let way = way(&path, table, findings);
    let fields = table.get();
    let modules = fields.modules.as_ref().map(|modules| {
        modules.iter().filter_map(|name| field::name(findings, name, ModuleName::new)).collect()
    });
    let on = fields.on.as_ref().map(|words| words.iter().map(|word| Topic::from(*word)).collect());
    let mut duration = |key, text: &Option<Located<DurationText>>, bounds, default| {
        field::duration(findings, key, text.as_ref(), bounds, Duration::from_secs(default))
    };
    let policy = Policy {
        modules,
        on: on.unwrap_or_else(|| BTreeSet::from(Topic::DEFAULT)),
        group_wait: duration("group-wait", &fields.group_wait, &GROUP_WAIT, 10),
        calm: duration("calm", &fields.calm, &CALM, 300),
        repeat: duration("repeat", &fields.repeat, &REPEAT, 4 * 3600),
        give_up: duration("give-up", &fields.give_up, &GIVE_UP, 24 * 3600),
    };
    let timeout = duration("timeout", &fields.timeout, &TIMEOUT, 10);
    let Some(name) = &fields.name else {
        field::missing(findings, table.span(), &path, "`[[notify]]`", "name", "\"on-call\"");
        return None;
    };
    let name = field::name(findings, name, TargetName::new)?;
    Some(NotifySpec { name, policy, timeout, way: way? })
}

fn way(path: &str, table: &Located<NotifyTable>, findings: &mut Findings<'_>) -> Option<WaySpec> {
    let NotifyTable { webhook, email, command, .. } = table.get();
    match (webhook, email, command) {
        (Some(webhook), None, None) => self::webhook(webhook, findings).map(WaySpec::Webhook),
        (None, Some(email), None) => self::email(path, email, findings).map(WaySpec::Email),
        (None, None, Some(command)) => {
            for argument in command.iter().filter(|argument| argument.get().contains('\0')) {
                findings.at(argument.span(), "a program cannot be given a NUL character");
            }
            Some(WaySpec::Command(command.iter().map(|argument| argument.get().clone()).collect()))
        }
        _ => {
            let wrong = |key: &str| findings.is_incomplete(&format!("{path}.{key}"));
            if !["webhook", "email", "command"].into_iter().any(wrong) {
                findings
                    .at(table.span(), "`[[notify]]` has no kind of target, or more than one")
                    .expected("expected exactly one of `webhook`, `email` and `command`");
            }
            None
        }
    }
}

fn webhook(table: &Located<WebhookTable>, findings: &mut Findings<'_>) -> Option<WebhookSpec> {
    let WebhookTable { url, url_file, headers, secret_headers } = table.get();
    let url = match (url, url_file) {
        (Some(url), None) => match webhook_url(url.get()) {
            Ok(url) => Some(UrlSpec::Plain(url)),
            Err(why) => {
                findings
                    .at(url.span(), format!("`url` is invalid: {why}"))
                    .expected("expected a URL such as \"https://chat.example.org/hooks/abc\"");
                None
            }
        },
        (None, Some(file)) => Some(UrlSpec::File(file.get().into())),
        _ => {
            findings
                .at(table.span(), "`webhook` has no URL, or two")
                .expected("expected exactly one of `url` and `url-file`");
            None
        }
    };
    let mut plain = BTreeMap::new();
    for (name, value) in headers.iter().flatten() {
        match HeaderValue::from_str(value.get()) {
            Ok(value) => plain.extend(header(name, findings).map(|name| (name.as_str().to_owned(), value))),
            Err(_) => {
                findings.at(value.span(), "this is not a valid header value").expected("expected plain text");
            }
        }
    }
    let mut secret = BTreeMap::new();
    for (name, file) in secret_headers.iter().flatten() {
        secret
            .extend(header(name, findings).map(|name| (name.as_str().to_owned(), PathBuf::from(file.get()))));
    }
    Some(WebhookSpec { url: url?, headers: plain, secret_headers: secret })
}

/// Headers that the host sets itself.
const OWN_HEADERS: [&str; 5] =
    ["content-length", "content-type", "host", "idempotency-key", "transfer-encoding"];

fn header(name: &Located<String>, findings: &mut Findings<'_>) -> Option<HeaderName> {
    match HeaderName::from_bytes(name.get().as_bytes()) {
        Ok(header) if OWN_HEADERS.contains(&header.as_str()) => {
            findings
                .at(name.span(), format!("the header `{header}` is set by the host"))
                .expected(format!("expected none of {}", OWN_HEADERS.join(", ")));
            None
        }
        Ok(header) => Some(header),
        Err(_) => {
            findings.at(name.span(), format!("`{}` is not the name of a header", name.get()));
            None
        }
    }
}

fn email(path: &str, table: &Located<EmailTable>, findings: &mut Findings<'_>) -> Option<EmailSpec> {
    let path = format!("{path}.email");
    let EmailTable { to, from, server, tls, user, password_file } = table.get();
    let mut needed = |key: &str, there: bool, example: &str| {
        if !there {
            field::missing(findings, table.span(), &path, "`email`", key, example);
        }
    };
    needed("to", to.is_some(), "[\"on-call@example.org\"]");
    needed("from", from.is_some(), "\"bellwether@example.org\"");
    needed("server", server.is_some(), "\"smtp.example.org:587\"");
    let tls = tls.unwrap_or_default();
    let receivers = to.as_deref().unwrap_or_default();
    if receivers.len() > MAX_TO {
        findings
            .at(table.span(), "this mail has too many recipients")
            .expected(format!("expected at most {MAX_TO}: use a mailing list"));
    }
    let to: Vec<Mailbox> = receivers.iter().filter_map(|text| mailbox(text, findings)).collect();
    let from = from.as_ref().and_then(|text| mailbox(text, findings));
    let server = server.as_ref().and_then(|text| self::server(text, tls, findings));
    let sign_in = match (user, password_file) {
        (None, None) => None,
        (Some(user), Some(file)) => {
            let local = server.as_ref().is_some_and(|(host, _)| is_local(host));
            if tls == SmtpTls::None && !local {
                findings
                    .at(user.span(), "a password would go over the network in plain text")
                    .expected("expected `tls = \"starttls\"` or `tls = \"tls\"` with a `user`");
            }
            Some((user.get().clone(), PathBuf::from(file.get())))
        }
        (user, file) => {
            let span = user.as_ref().or(file.as_ref()).map_or(table.span(), Located::span);
            findings
                .at(span, "`user` and `password-file` belong together")
                .expected("expected both, or none");
            None
        }
    };
    let (host, port) = server?;
    Some(EmailSpec { to, from: from?, host, port, tls, sign_in })
}

fn mailbox(text: &Located<String>, findings: &mut Findings<'_>) -> Option<Mailbox> {
    let parsed = text.get().parse();
    if parsed.is_err() {
        findings
            .at(text.span(), format!("`{}` is not an e-mail address", text.get()))
            .expected("expected an address such as \"on-call@example.org\"");
    }
    parsed.ok()
}

fn server(text: &Located<String>, tls: SmtpTls, findings: &mut Findings<'_>) -> Option<(String, u16)> {
    let usual = match tls {
        SmtpTls::Starttls => 587,
        SmtpTls::Tls => 465,
        SmtpTls::None => 25,
    };
    let named: Option<Authority> = text.get().parse().ok();
    let named = named.filter(|named| !named.host().is_empty() && !named.as_str().contains('@'));
    // This parser treats an invalid port as a missing one.
    let named = named.filter(|named| {
        named.port().is_some() || !named.as_str().contains("]:") && named.as_str().matches(':').count() != 1
    });
    let Some(named) = named else {
        findings
            .at(text.span(), format!("`{}` is not a mail server", text.get()))
            .expected("expected a name or address with a port, such as \"smtp.example.org:587\"");
        return None;
    };
    let host = named.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, named.port_u16().unwrap_or(usual)))
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
