//! `profile`: names for daemons on other hosts.

use std::io::Write as _;
use std::path::PathBuf;

use bellwether_api::NodeStatus;
use bellwether_core::id::NodeName;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::{Client, Profile, ProfileName, Profiles};
use crate::exit::{Exit, Failure, Outcome};
use crate::options;
use crate::output::{Output, Tone};
use crate::root::RootArg;

/// Add, list and remove profiles of daemons on other hosts
///
/// Each has a file in ~/.config/bellwether/profiles/, or in that folder of `XDG_CONFIG_HOME`. Use one with any
/// command that asks a daemon: bellwether status --profile node-1
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    action: ProfileAction,
}

#[derive(Debug, Subcommand)]
enum ProfileAction {
    /// Add one, from --url, --token-file, and --fingerprint or --ca; the daemon is asked first
    Add {
        /// Letters, digits, and - _ . between them
        name: ProfileName,

        /// Do not ask the daemon: it need not run now
        #[arg(long)]
        unchecked: bool,
    },
    /// Show all profiles of this user
    List {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Remove one; the file of its token stays
    Remove {
        /// The name of the profile
        name: ProfileName,
    },
}

pub(crate) async fn run(args: &ProfileArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let profiles = Profiles::of_user()?;
    let remote = root.remote();
    let (command, option) = match &args.action {
        ProfileAction::Add { .. } => {
            ("profile add", remote.named().map(|(option, _)| option).filter(|option| *option == "--profile"))
        }
        ProfileAction::List { .. } => ("profile list", remote.any_option()),
        ProfileAction::Remove { .. } => ("profile remove", remote.any_option()),
    };
    if let Some(option) = option {
        return Err(options::useless(command, option));
    }
    match &args.action {
        ProfileAction::Add { name, unchecked } => {
            let profile = remote.to_profile()?;
            profiles.refuse_existing(name)?;
            let client = Client::of(profile.find()?);
            let node = if *unchecked { None } else { Some(node(&client).await?) };
            profiles.add(name, &profile)?;
            let reached = node.map_or_else(String::new, |node| format!(", node {node}"));
            writeln!(output, "Profile {name} is saved: {}{reached}.", profile.url)?;
            writeln!(output, "Use it with: bellwether status --profile {name}")?;
        }
        ProfileAction::List { json: true } => output.json(&documents(&profiles)?)?,
        ProfileAction::List { json: false } => list(&profiles, output)?,
        ProfileAction::Remove { name } => {
            let token = profiles.read(name).ok().and_then(|profile| profile.token_file);
            profiles.remove(name)?;
            writeln!(output, "Profile {name} is removed.")?;
            if let Some(file) = token {
                writeln!(output, "Its token is still in {}.", file.display())?;
            }
        }
    }
    Ok(Exit::Done)
}

/// The daemon's own name of its node, which shows that the address, the certificate and the token are right.
async fn node(client: &Client) -> Result<NodeName, Failure> {
    let status: Result<NodeStatus, Failure> = client.get("/status").await;
    match status {
        Ok(status) => Ok(status.node),
        Err(failure) if failure.exit() == Exit::NoDaemon => {
            Err(failure.next("start it there, or save the profile without asking it: --unchecked"))
        }
        Err(failure) => Err(failure),
    }
}

fn documents(profiles: &Profiles) -> Result<Vec<Value>, Failure> {
    let shown = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
    let document = |name: ProfileName| match profiles.read(&name) {
        Ok(profile) => json!({
            "name": name,
            "url": profile.url,
            "token_file": shown(profile.token_file),
            "fingerprint": profile.fingerprint.map(|fingerprint| fingerprint.to_string()),
            "ca": shown(profile.ca),
        }),
        Err(failure) => json!({ "name": name, "problem": failure.said() }),
    };
    Ok(profiles.names()?.into_iter().map(document).collect())
}

fn list(profiles: &Profiles, output: &mut Output) -> Result<(), Failure> {
    let names = profiles.names()?;
    if names.is_empty() {
        writeln!(output, "There is no profile yet: bellwether profile add NAME --url https://host:9013")?;
        return Ok(());
    }
    let rows = names.iter().map(|name| {
        let (tone, [url, trusted, token]) = match profiles.read(name) {
            Ok(profile) => (Tone::Plain, columns(&profile)),
            // The first line names the file and the reason, the others show the position.
            Err(failure) => {
                let why = failure.said().lines().next().unwrap_or_default().to_owned();
                (Tone::Bad, [why, String::new(), String::new()])
            }
        };
        vec![(Tone::Plain, name.to_string()), (tone, url), (Tone::Plain, trusted), (Tone::Plain, token)]
    });
    output.table(&["PROFILE", "URL", "TRUSTS", "TOKEN"], rows.collect())?;
    Ok(())
}

fn columns(profile: &Profile) -> [String; 3] {
    let trusted = match (&profile.fingerprint, &profile.ca) {
        (Some(fingerprint), _) => {
            let shown: String = fingerprint.to_string().chars().take(11).collect();
            format!("{shown}…")
        }
        (None, Some(ca)) => ca.display().to_string(),
        (None, None) => "the system's authorities".to_owned(),
    };
    let token = profile.token_file.as_ref();
    let token = token.map_or("BELLWETHER_TOKEN".to_owned(), |file| file.display().to_string());
    [profile.url.clone(), trusted, token]
}
