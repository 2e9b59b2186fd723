//! `user`: who may sign in to the console.

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
use crate::when::When;

/// Add, show, change and remove those who may sign in to the console
///
/// Roles: monitor looks at everything; control also starts, stops, restarts and suspends modules and
/// runs checkers; admin also approves components and manages users and tokens.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Add a user; asks for a password
    Add {
        /// Letters, digits, and - _ . between them
        name: AccountName,

        /// monitor, control or admin
        #[arg(long)]
        role: Role,

        #[command(flatten)]
        password: PasswordArgs,

        /// Without a password: this user signs in by `bellwether console` only
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Show all users
    List {
        /// For programs: a list of objects
        #[arg(long)]
        json: bool,
    },
    /// Give a user another role; ends that user's sign-ins
    Role {
        /// Who
        name: AccountName,
        /// monitor, control or admin
        role: Role,
    },
    /// Set a user's password; ends that user's sign-ins
    Password {
        /// Who
        name: AccountName,

        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Remove a user; ends that user's sign-ins
    Remove {
        /// Who
        name: AccountName,
    },
}

#[derive(Debug, Args)]
struct PasswordArgs {
    /// Read the password from the standard input, one line: for scripts
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
            writeln!(output, "{name} may sign in now, with the role {role}.")?;
        }
        UserAction::List { json } => return list(&client, *json, output).await,
        UserAction::Role { name, role } => {
            let path = format!("/users/{name}");
            client.tell(hyper::Method::PUT, &path, &json!({ "role": role })).await?;
            writeln!(output, "{name} has the role {role} now, and signs in anew.")?;
        }
        UserAction::Password { name, password } => {
            let body = json!({ "password": password.read(name)? });
            client.tell(hyper::Method::PUT, &format!("/users/{name}/password"), &body).await?;
            writeln!(output, "The password of {name} is set; {name} signs in anew.")?;
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
        writeln!(output, "There is no user yet: bellwether user add NAME --role admin")?;
        return Ok(Exit::Done);
    }
    let when = When::here();
    let rows = users.iter().map(|user| {
        let last = user.last_sign_in.as_ref().map_or("never".to_owned(), |at| when.both(at));
        let password = if user.has_password { "yes" } else { "no: one-time addresses" };
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
            std::io::stdin().read_line(&mut line).context("the standard input cannot be read")?;
            return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
        }
        if !std::io::stdin().is_terminal() {
            let what = "there is no terminal to ask for the password";
            return Err(Failure::new(Exit::Error, what, "pipe it in, with --password-stdin"));
        }
        let ask = |prompt: String| rpassword::prompt_password(prompt).context("the password cannot be read");
        let password = ask(format!("Password for {name} (at least 10 characters): "))?;
        if ask("Once more: ".to_owned())? != password {
            return Err(Failure::new(
                Exit::Error,
                "the two are not the same",
                "try again; nothing has changed",
            ));
        }
        Ok(password)
    }
}
