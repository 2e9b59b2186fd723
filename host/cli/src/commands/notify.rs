//! `notify`: shows the notification targets, and tests them.

use std::io::Write as _;
use std::time::Duration;

use bellwether_api::{NotifyStatus, TestAnswer};
use bellwether_core::id::TargetName;
use clap::{Args, Subcommand};

use super::status::took;
use crate::client::Client;
use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::TimeFormat;

/// Show notification targets, or send a test notification
///
/// The `[[notify]]` tables of bellwether.toml define the targets.
#[derive(Debug, Args)]
pub(crate) struct NotifyArgs {
    #[command(subcommand)]
    action: NotifyAction,
}

#[derive(Debug, Subcommand)]
enum NotifyAction {
    /// Show waiting notifications and the results of the last attempts
    List {
        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
    /// Send a test notification through the daemon, and show the result
    ///
    /// The exit code is 3 if it was not delivered.
    Test {
        /// The target. Default: all targets
        name: Option<TargetName>,

        /// Print a JSON list of objects
        #[arg(long)]
        json: bool,
    },
}

/// An attempt takes up to a minute, and other tests may be running.
const TESTED_WITHIN: Duration = Duration::from_secs(80);

pub(crate) async fn run(args: &NotifyArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    match &args.action {
        NotifyAction::List { json } => list(&client, *json, output).await,
        NotifyAction::Test { name, json } => test(&client, name.as_ref(), *json, output).await,
    }
}

async fn list(client: &Client, json: bool, output: &mut Output) -> Outcome {
    let targets: Vec<NotifyStatus> = client.get("/notifications").await?;
    if json {
        output.json(&targets)?;
        return Ok(Exit::Done);
    }
    if targets.is_empty() {
        writeln!(output, "There are no notification targets: add a `[[notify]]` table to bellwether.toml.")?;
        return Ok(Exit::Done);
    }
    let when = TimeFormat::here();
    let rows = targets
        .iter()
        .map(|target| {
            let last = |moment: &Option<String>| moment.as_ref().map_or("-".to_owned(), |at| when.both(at));
            let (tone, result) = match &target.why {
                Some(why) if target.failing > 0 => (Tone::Bad, format!("✗ {why}")),
                _ if target.delivered.is_some() => (Tone::Good, "✓ delivered".to_owned()),
                _ => (Tone::Quiet, "- nothing yet".to_owned()),
            };
            vec![
                (Tone::Plain, target.target.to_string()),
                (tone, result),
                (Tone::Plain, last(&target.delivered)),
                (Tone::Plain, target.waiting.to_string()),
                (Tone::Plain, last(&target.next)),
            ]
        })
        .collect();
    output.table(&["TARGET", "LAST ATTEMPT", "DELIVERED", "WAITING", "NEXT ATTEMPT"], rows)?;
    Ok(Exit::Done)
}

async fn test(client: &Client, name: Option<&TargetName>, json: bool, output: &mut Output) -> Outcome {
    // Names consist of characters that need no encoding.
    let asked = name.map_or_else(String::new, |name| format!("?target={name}"));
    let answers: Vec<TestAnswer> = client.post(&format!("/notifications/test{asked}"), TESTED_WITHIN).await?;
    if json {
        output.json(&answers)?;
    } else {
        for answer in &answers {
            let (tone, word) = if answer.delivered {
                (Tone::Good, "✓ delivered")
            } else {
                (Tone::Bad, "✗ not delivered")
            };
            let why = answer.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let word = output.paint(tone, word);
            writeln!(output, "{}  {word} in {}{why}", answer.target, took(answer.took_us))?;
            writeln!(output, "  key: {}", answer.key)?;
        }
    }
    let all = answers.iter().all(|answer| answer.delivered);
    Ok(if all { Exit::Done } else { Exit::Denied })
}
