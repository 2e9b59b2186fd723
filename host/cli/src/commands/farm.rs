//! `farm`: several nodes that are managed as one.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::farm::{AuthorityKey, FarmStatus, Hearing, InvitationAnswer, JoinRequest};
use bellwether_core::counting::counted;
use bellwether_core::id::NodeName;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::json;

use super::confirmation::{Confirmation, type_the_name};
use crate::client::{ANSWER_WITHIN, Client};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;
use crate::when::TimeFormat;

pub(crate) mod table;

/// Join several nodes into a farm, and show them
///
/// `farm init` on the first server, then for each further one `farm invite` on a node of the farm and `farm join` on
/// the new server. Every node shows all nodes, and passes commands on: `--node NAME`.
#[derive(Debug, Args)]
pub(crate) struct FarmArgs {
    #[command(subcommand)]
    action: FarmAction,
}

#[derive(Debug, Subcommand)]
enum FarmAction {
    /// Make this node the first node of a new farm
    Init,
    /// Print a line with which one more server can join
    ///
    /// The line is valid once, and for an hour.
    Invite {
        /// Print a JSON object with `line`
        #[arg(long)]
        json: bool,
    },
    /// Join the farm of an invitation
    ///
    /// If it fails, nothing has changed on either side.
    Join {
        /// The line that `bellwether farm invite` printed
        line: String,

        /// Take the place of this node, which is gone: its name becomes free, and it is removed
        #[arg(long, value_name = "NAME")]
        replace: Option<NodeName>,
    },
    /// Remove a node, which may be dead
    ///
    /// It takes effect at once: the other nodes close their connections to it and accept none from it. Its daemon and
    /// its applications keep running.
    Remove {
        /// The name of the node
        name: NodeName,

        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Remove this node from its farm
    ///
    /// Its daemon and its applications keep running.
    Leave {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show all nodes, worst first
    Status {
        /// Print a JSON object with `nodes`
        #[arg(long)]
        json: bool,
    },
    /// Print the key of the farm's certificate authority
    ///
    /// Without this key no node can join and no certificate can be renewed. Two nodes have it; a backup
    /// is needed if both are lost. Anyone who has the key can add nodes to the farm, so store it in a safe place.
    Backup,
    /// Store the key of the farm's certificate authority on this node
    Restore {
        /// The file that `farm backup` was written to; `-` for the standard input
        file: PathBuf,
    },
}

/// The time limit of a join: the new node asks the other one several times.
const JOIN_WITHIN: Duration = Duration::from_secs(60);
/// A key with its certificate is not larger, in bytes.
const MAX_KEY: u64 = 16 << 10;

pub(crate) async fn run(args: &FarmArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    match &args.action {
        FarmAction::Init => {
            let farm: FarmStatus = client.post("/farm/init", ANSWER_WITHIN).await?;
            writeln!(output, "Node {} is the first node of a new farm.", farm.node)?;
            writeln!(output, "For each further server: bellwether farm invite{}", root.suffix())?;
        }
        FarmAction::Invite { json } => invite(&client, *json, output).await?,
        FarmAction::Join { line, replace } => {
            let replace = replace.as_ref().map(ToString::to_string);
            let body = JoinRequest { line: line.trim().to_owned(), replace };
            let farm: FarmStatus =
                client.send_body_within(Method::POST, "/farm/join", &body, JOIN_WITHIN).await?;
            let others = counted(farm.nodes.len().saturating_sub(1), "other node", "other nodes");
            writeln!(output, "Node {} is in the farm, with {others}.", farm.node)?;
            writeln!(output, "To see all nodes: bellwether farm status{}", root.suffix())?;
        }
        FarmAction::Remove { name, yes } => {
            ask_before_removing(&client, name, *yes).await?;
            client.tell(Method::DELETE, &format!("/farm/nodes/{name}"), &json!(null)).await?;
            writeln!(output, "Node {name} is removed from the farm.")?;
        }
        FarmAction::Leave { yes } => {
            let farm = fetch(&client, Duration::ZERO).await?;
            let what = format!("Node {} leaves the farm; to return it needs a new invitation.", farm.node);
            confirm(&client, *yes, &what, &farm.node, "leave the farm")?;
            client.tell(Method::POST, "/farm/leave", &json!(null)).await?;
            writeln!(output, "Node {} has left the farm.", farm.node)?;
        }
        FarmAction::Status { json } => {
            let farm = fetch(&client, WITHIN).await?;
            if *json {
                output.json(&farm)?;
            } else {
                print(&farm, output)?;
            }
        }
        FarmAction::Backup => {
            let key: AuthorityKey = client.post("/farm/authority-key", ANSWER_WITHIN).await?;
            writeln!(output, "{}", key.pem.trim_end())?;
            // To standard error: `> key.pem` creates a file that contains only the key.
            writeln!(
                std::io::stderr(),
                "\nWith this key nodes can be added to the farm: store it in a safe place."
            )?;
        }
        FarmAction::Restore { file } => {
            let key = AuthorityKey { pem: read_key(file)? };
            client.tell(Method::PUT, "/farm/authority-key", &key).await?;
            writeln!(output, "This node has the key of the farm's certificate authority.")?;
        }
    }
    Ok(Exit::Done)
}

/// The usual time to wait for the status of the other nodes.
const WITHIN: Duration = Duration::from_secs(1);

/// All nodes. Waits up to `within` for the status of the others.
pub(crate) async fn fetch(client: &Client, within: Duration) -> Result<FarmStatus, Failure> {
    client.get(&format!("/farm?within_ms={}", within.as_millis())).await
}

async fn invite(client: &Client, json: bool, output: &mut Output) -> Result<(), Failure> {
    let invitation: InvitationAnswer = client.post("/farm/invitations", ANSWER_WITHIN).await?;
    if json {
        output.json(&invitation)?;
        return Ok(());
    }
    writeln!(output, "{}", invitation.line)?;
    let until = TimeFormat::here().both(&invitation.expires);
    writeln!(std::io::stderr(), "\nValid once, until {until}. On the new server: bellwether farm join LINE")?;
    Ok(())
}

/// A node that works is removed only after a confirmation.
async fn ask_before_removing(client: &Client, name: &NodeName, yes: bool) -> Result<(), Failure> {
    let farm = fetch(client, Duration::ZERO).await?;
    let Some(node) = farm.nodes.iter().find(|node| node.name == *name) else { return Ok(()) };
    if !matches!(node.hearing, Hearing::Heard) {
        return Ok(());
    }
    let what = format!("Node {name} is in contact with the farm; to return it needs a new invitation.");
    confirm(client, yes, &what, name, &format!("remove {name}"))
}

fn confirm(client: &Client, yes: bool, what: &str, name: &NodeName, to: &str) -> Result<(), Failure> {
    match Confirmation::find(yes, client) {
        Confirmation::Given => Ok(()),
        Confirmation::Asked => type_the_name(&[what.to_owned()], name.as_str(), to),
        Confirmation::Missing => {
            Err(Failure::new(Exit::Denied, format!("not confirmed: {what}"), "add --yes"))
        }
    }
}

fn read_key(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_KEY).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_KEY).read_to_string(&mut text))
    };
    read.with_context(|| file.display().to_string())?;
    Ok(text)
}

fn print(farm: &FarmStatus, output: &mut Output) -> std::io::Result<()> {
    let when = TimeFormat::here();
    if farm.farm.is_none() {
        writeln!(output, "Node {} is in no farm.", farm.node)?;
        writeln!(
            output,
            "To make one: bellwether farm init. To join one: bellwether farm invite there, then bellwether farm join LINE here."
        )?;
        return print_problems(farm, output);
    }
    writeln!(output, "Farm at {}, as {} sees it: {}\n", when.now(), farm.node, farm.headline)?;
    table::print(farm, &when, output)?;
    print_problems(farm, output)
}

fn print_problems(farm: &FarmStatus, output: &mut Output) -> std::io::Result<()> {
    for problem in &farm.problems {
        writeln!(output, "\n{} {problem}", output.paint(crate::output::Tone::Bad, "✗ problem:"))?;
    }
    Ok(())
}
