//! `console`: prints a link that opens the console, signed in.

use std::io::Write as _;
use std::time::Duration;

use bellwether_api::{NodeStatus, OneTimeAnswer, UserLine};
use bellwether_core::access::{ONE_TIME, Role};
use bellwether_core::id::AccountName;
use clap::Args;
use serde_json::json;

use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;

/// Print a one-time link that opens the console, signed in
///
/// The link is valid for one minute. Without --user, it is for the only admin.
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Sign in as this user
    #[arg(long)]
    user: Option<AccountName>,

    /// Print a JSON object with `url`
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &ConsoleArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    let user = match &args.user {
        Some(name) => name.to_string(),
        None => only_admin(&client).await?,
    };
    let (url, fingerprint) = address(&client, &user, ONE_TIME).await?;
    if args.json {
        output.json(&json!({ "user": user, "url": url, "fingerprint": fingerprint }))?;
        return Ok(Exit::Done);
    }
    writeln!(output, "{url}")?;
    writeln!(output, "\nOne-time link for {user}, valid for one minute.")?;
    if let Some(fingerprint) = fingerprint {
        writeln!(output, "The browser shows a certificate with this SHA-256 fingerprint:\n  {fingerprint}")?;
    }
    Ok(Exit::Done)
}

/// A one-time link for `user`, and the fingerprint of the console's certificate.
pub(crate) async fn address(
    client: &Client,
    user: &str,
    good_for: Duration,
) -> Result<(String, Option<String>), Failure> {
    let status: NodeStatus = client.get("/status").await?;
    let console = status.console.ok_or_else(|| {
        let next = "see `bellwether status` for the reason, and `[console]` in bellwether.toml";
        Failure::new(Exit::Error, "this node has no console", next)
    })?;
    // A daemon of an earlier version rejects a lifetime.
    let body = if good_for == ONE_TIME {
        json!({ "user": user })
    } else {
        json!({ "user": user, "good_for_s": good_for.as_secs() })
    };
    let once: OneTimeAnswer = client.send_body(hyper::Method::POST, "/sign-ins", &body).await?;
    Ok((format!("{}{}", console.url.trim_end_matches('/'), once.path), console.fingerprint))
}

async fn only_admin(client: &Client) -> Result<String, Failure> {
    let users: Vec<UserLine> = client.get("/users").await?;
    let mut admins = users.into_iter().filter(|user| user.role == Role::Admin).map(|user| user.name);
    match (admins.next(), admins.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let next = "add one: bellwether user add NAME --role admin";
            Err(Failure::new(Exit::Error, "there is no admin yet", next))
        }
        (Some(one), Some(other)) => {
            let next = format!("choose one: bellwether console --user {one}");
            Err(Failure::new(Exit::Error, format!("there are several admins: {one}, {other}, …"), next))
        }
    }
}
