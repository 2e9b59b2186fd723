//! `user`: manages the users of the console.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use bellwether_api::UserLine;
use bellwether_core::access::Role;
use bellwether_core::id::AccountName;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::TimeFormat;

/// Add, list, change and remove users of the console
///
/// Roles: monitor can view everything except users and tokens; control can also start, stop, restart
/// and suspend modules and run checkers; admin can also approve components and manage users and tokens.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Add a user; asks for a password
    Add {
        /// The name: letters, digits, and - _ . between them
        name: AccountName,

        /// monitor, control or admin
        #[arg(long)]
        role: Role,

        #[command(flatten)]
        password: PasswordArgs,

        /// Create the user without a password, to sign in only with links from `bellwether console`
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// List all users of the console
    List {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Change a user's role; ends that user's sessions
    Role {
        /// The name of the user
        name: AccountName,
        /// monitor, control or admin
        role: Role,
    },
    /// Set a user's password; ends that user's sessions
    Password {
        /// The name of the user
        name: AccountName,

        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Remove a user; ends that user's sessions
    Remove {
        /// The name of the user
        name: AccountName,
    },
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// Read the password from one line of standard input, for scripts
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) async fn run(args: &UserArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    match &args.action {
        UserAction::Add { name, role, password, no_password } => {
            let password = if *no_password { None } else { Some(password.read(name)?) };
            let body = json!({ "name": name, "role": role, "password": password });
            client.tell(hyper::Method::POST, "/users", &body).await?;
            writeln!(output, "{name} can sign in now, with the role {role}.")?;
        }
        UserAction::List { json } => return list(&client, *json, output).await,
        UserAction::Role { name, role } => {
            let path = format!("/users/{name}");
            client.tell(hyper::Method::PUT, &path, &json!({ "role": role })).await?;
            writeln!(output, "{name} has the role {role} now, and must sign in again.")?;
        }
        UserAction::Password { name, password } => {
            let body = json!({ "password": password.read(name)? });
            client.tell(hyper::Method::PUT, &format!("/users/{name}/password"), &body).await?;
            writeln!(output, "The password of {name} is set; {name} must sign in again.")?;
        }
        UserAction::Remove { name } => {
            client.tell(hyper::Method::DELETE, &format!("/users/{name}"), &json!(null)).await?;
            writeln!(output, "{name} is removed.")?;
        }
    }
    Ok(Exit::Done)
}

async fn list(client: &Client, json: bool, output: &mut Output) -> Outcome {
    let users: Vec<UserLine> = client.get("/users").await?;
    if json {
        output.json(&users)?;
        return Ok(Exit::Done);
    }
    if users.is_empty() {
        writeln!(output, "There are no users yet: bellwether user add NAME --role admin")?;
        return Ok(Exit::Done);
    }
    let when = TimeFormat::here();
    let rows = users.iter().map(|user| {
        let last = user.last_sign_in.as_ref().map_or("never".to_owned(), |at| when.both(at));
        let password = if user.has_password { "yes" } else { "no: one-time links" };
        vec![
            (Tone::Plain, user.name.clone()),
            (Tone::Plain, user.role.to_string()),
            (Tone::Plain, password.to_owned()),
            (Tone::Plain, last),
            (Tone::Plain, user.sessions.to_string()),
        ]
    });
    output.table(&["USER", "ROLE", "PASSWORD", "LAST SIGN-IN", "SIGNED IN"], rows.collect())?;
    Ok(Exit::Done)
}

impl PasswordArgs {
    fn read(&self, name: &AccountName) -> Result<String, Failure> {
        if self.password_stdin {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("cannot read standard input")?;
            return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
        }
        if !std::io::stdin().is_terminal() {
            let what = "there is no terminal to ask for the password on";
            return Err(Failure::new(Exit::Error, what, "pipe the password in with --password-stdin"));
        }
        let ask = |prompt: String| rpassword::prompt_password(prompt).context("cannot read the password");
        let password = ask(format!("Password for {name} (at least 10 characters): "))?;
        if ask("Once more: ".to_owned())? != password {
            return Err(Failure::new(
                Exit::Error,
                "the passwords do not match",
                "try again; nothing has changed",
            ));
        }
        Ok(password)
    }
}
