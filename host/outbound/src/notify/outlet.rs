//! One target: delivers with a time limit on every attempt.

use std::time::Duration;

use bellwether_core::moment::plain;
use bellwether_core::notify::Notification;

use super::command::Program;
use super::email::Email;
use super::webhook::{Connector, Webhook};
use bellwether_config::notify::{NotifySpec, WaySpec};
use bellwether_os::clock::Clock;
use bellwether_os::spawn::child::Home;

/// Why a notification was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDelivered {
    /// One sentence, without secrets.
    pub why: String,
    /// The target asks for a pause of this length.
    pub retry_after: Option<Duration>,
    /// Some of its recipients have received it; only the others remain.
    pub partly: bool,
}

impl NotDelivered {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, partly: false }
    }
}

/// It was delivered; with a sentence if some of the recipients do not have it and never will.
pub type Delivery = Result<Option<String>, NotDelivered>;

#[derive(Debug)]
pub(super) struct Outlet {
    way: Way,
    timeout: Duration,
    /// The console's address, without a slash at the end.
    console: Option<String>,
}

#[derive(Debug)]
enum Way {
    Webhook(Webhook),
    Email(Email),
    Command(Program),
}

impl Outlet {
    /// `console`: its address for users, if it is known.
    pub(super) fn new(spec: &NotifySpec, home: &Home, connector: &Connector, console: Option<&str>) -> Self {
        let root = || home.root.clone();
        let way = match &spec.way {
            WaySpec::Webhook(webhook) => {
                Way::Webhook(Webhook::new(webhook.clone(), root(), connector.of_its_own()))
            }
            WaySpec::Email(email) => {
                Way::Email(Email::new(email.clone(), root(), connector.of_its_own(), spec.timeout))
            }
            WaySpec::Command(run) => Way::Command(Program::new(run.clone(), home.clone())),
        };
        Self { way, timeout: spec.timeout, console: console.map(str::to_owned) }
    }

    /// The page that shows what it is about, with the actions.
    fn link(&self, notification: &Notification) -> Option<String> {
        let console = self.console.as_ref()?;
        Some(match &notification.module {
            Some(module) => format!("{console}/modules/{module}"),
            None => format!("{console}/"),
        })
    }

    /// Makes one attempt to deliver.
    pub(super) async fn deliver(&self, notification: &Notification, clock: Clock) -> Delivery {
        let link = self.link(notification);
        let link = link.as_deref();
        let attempt = async {
            match &self.way {
                Way::Webhook(webhook) => webhook.deliver(notification, link, clock).await.map(|()| None),
                Way::Email(email) => email.deliver(notification, link, clock).await,
                Way::Command(program) => {
                    program.deliver(notification, link, clock, self.timeout).await.map(|()| None)
                }
            }
        };
        // The code that runs a command kills it a moment earlier.
        let within = self.timeout + Duration::from_millis(500);
        let late = || NotDelivered::new(format!("no answer within {}", plain(self.timeout)));
        tokio::time::timeout(within, attempt).await.unwrap_or_else(|_| Err(late()))
    }
}
