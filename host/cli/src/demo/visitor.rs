//! The user who opens the demo in a browser.

use std::time::Duration;

use bellwether_api::UserLine;
use bellwether_daemon::app::Ready;
use hyper::Method;
use serde_json::json;

use crate::client::Client;
use crate::commands::console;
use crate::exit::Failure;

/// The user of the example. It has no password, only one-time links.
const NAME: &str = "demo";

/// Long enough to read what the demo prints first.
pub(super) const GOOD_FOR: Duration = Duration::from_mins(10);

/// A user with access to the console.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) name: &'static str,
    /// The link, which signs in once within [`GOOD_FOR`].
    pub(super) address: String,
}

impl Visitor {
    /// `None` if there is no console, or if the root has users of its own.
    pub(super) async fn admit(client: &Client, ready: &Ready) -> Result<Option<Self>, Failure> {
        if ready.console.is_none() {
            return Ok(None);
        }
        let users: Vec<UserLine> = client.get("/users").await?;
        if users.is_empty() {
            client.tell(Method::POST, "/users", &json!({ "name": NAME, "role": "admin" })).await?;
        } else if !users.iter().any(|user| user.name == NAME) {
            return Ok(None);
        }
        let (address, _) = console::address(client, NAME, GOOD_FOR).await?;
        Ok(Some(Self { name: NAME, address }))
    }
}
