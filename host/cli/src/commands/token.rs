//! `token`: manages the tokens of programs.

use std::io::Write as _;
use std::time::Duration;

use bellwether_api::{TokenAnswer, TokenLine};
use bellwether_core::access::Role;
use bellwether_core::id::AccountName;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::Client;
use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::{self, TimeFormat};

/// Create, list and revoke API tokens for programs
///
/// A program sends its token with every request: `Authorization: Bearer TOKEN`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Create a token; its secret is printed only once
    Create {
        /// The name: letters, digits, and - _ . between them
        name: AccountName,

        /// monitor, control or admin: see `bellwether help user`
        #[arg(long)]
        role: Role,

        /// Its lifetime, such as 90d. Default: until it is revoked
        #[arg(long, value_name = "DURATION", value_parser = when::duration)]
        expires: Option<Duration>,

        /// Print a JSON object with `secret`
        #[arg(long)]
        json: bool,
    },
    /// List all tokens, without their secrets
    List {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; requests with it are rejected from now on
    Revoke {
        /// The name of the token
        name: AccountName,
    },
}

pub(crate) async fn run(args: &TokenArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    match &args.action {
        TokenAction::Create { name, role, expires, json } => {
            let expires = expires.map(|lasts| lasts.as_secs());
            let body = json!({ "name": name, "role": role, "expires_in_s": expires });
            let token: TokenAnswer = client.send_body(hyper::Method::POST, "/tokens", &body).await?;
            if *json {
                output.json(&token)?;
            } else {
                writeln!(output, "{}", token.secret)?;
                // To standard error: `> token` creates a file that contains only the token.
                writeln!(
                    std::io::stderr(),
                    "\nShown only once. The token has the role {role}: store it where only its program can read it."
                )?;
            }
        }
        TokenAction::List { json } => return list(&client, *json, output).await,
        TokenAction::Revoke { name } => {
            client.tell(hyper::Method::DELETE, &format!("/tokens/{name}"), &json!(null)).await?;
            writeln!(output, "Token {name} is revoked.")?;
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, json: bool, output: &mut Output) -> Outcome {
    let tokens: Vec<TokenLine> = client.get("/tokens").await?;
    if json {
        output.json(&tokens)?;
        return Ok(Exit::Done);
    }
    if tokens.is_empty() {
        writeln!(output, "There are no tokens yet: bellwether token create NAME --role monitor")?;
        return Ok(Exit::Done);
    }
    let when = TimeFormat::here();
    let rows = tokens.iter().map(|token| {
        let told = |at: &Option<String>, none: &str| at.as_ref().map_or(none.to_owned(), |at| when.both(at));
        vec![
            (Tone::Plain, token.name.clone()),
            (Tone::Plain, token.role.to_string()),
            (Tone::Plain, told(&token.expires, "when revoked")),
            (Tone::Plain, told(&token.last_used, "never")),
        ]
    });
    output.table(&["TOKEN", "ROLE", "ENDS", "LAST USED"], rows.collect())?;
    Ok(Exit::Done)
}
