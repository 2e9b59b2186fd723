//! `--all`: carries out a command on all nodes, one after the other.

use std::io::Write as _;
use std::time::Duration;

use bellwether_api::CommandWord;
use bellwether_core::counting::counted;
use bellwether_core::id::NodeName;
use serde_json::json;

use super::walk::{Next, Obstacle, Walk};
use super::{Parts, Waiting, module, path, progress};
use crate::client::Client;
use crate::commands::confirmation::{Confirmation, type_the_name};
use crate::commands::farm::fetch;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;

/// How long to wait for the status of all nodes; a node that does not send it ends the command. Shorter than the
/// time limit of an answer.
const STATUS_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn run(parts: &Parts, root: &RootArg, output: &mut Output) -> Outcome {
    let (command, name) = (parts.command, &parts.args.module);
    if root.node().is_some() {
        let what = "--all is for all nodes, and --node for one";
        return Err(Failure::new(Exit::Usage, what, "omit one of them"));
    }
    let client = root.client()?;
    let farm = fetch(&client, STATUS_WITHIN).await?;
    let mut walk = Walk::plan(command, name, &farm).map_err(|obstacle| stopped(&obstacle, 0))?;
    if takes_out(parts) {
        confirm(parts, &client, &walk)?;
    }
    let mut farm = farm;
    loop {
        match walk.next(&farm) {
            Next::Finished => break,
            Next::Stop(obstacle) => return Err(stopped(&obstacle, walk.count_done())),
            Next::Give(node) => {
                give(parts, &client.at(Some(node.clone())), &node, output).await.map_err(|failure| {
                    let before = walk.count_done().saturating_sub(1);
                    let nodes = counted(before, "node is done", "nodes are done");
                    let next = format!(
                        "{nodes}; no further node gets the command. See `bellwether why {name} --node {node}`"
                    );
                    Failure::new(failure.exit(), format!("on {node}: {}", failure.said()), next)
                })?;
            }
        }
        farm = fetch(&client, STATUS_WITHIN).await?;
    }
    if !parts.args.json {
        let nodes = counted(walk.count_done(), "node", "nodes");
        writeln!(output, "`{command} {name}` is done on {nodes}.")?;
    }
    Ok(Exit::Done)
}

fn takes_out(parts: &Parts) -> bool {
    use bellwether_core::command::Command::{Restart, Stop};
    matches!(parts.command, Stop | Restart)
}

/// Asks once for all nodes.
fn confirm(parts: &Parts, client: &Client, walk: &Walk) -> Result<(), Failure> {
    let (command, name) = (parts.command, &parts.args.module);
    let nodes: Vec<&str> = walk.to_come().into_iter().map(NodeName::as_str).collect();
    let what = format!("`{command} {name}` is carried out on {}, one after the other.", nodes.join(", "));
    match Confirmation::find(parts.yes, client) {
        Confirmation::Given => Ok(()),
        Confirmation::Asked => type_the_name(&[what], name.as_str(), &format!("{command} it")),
        Confirmation::Missing => {
            Err(Failure::new(Exit::Denied, format!("not confirmed: {what}"), "add --yes"))
        }
    }
}

/// Gives the command to one node, and waits until it is done.
async fn give(parts: &Parts, client: &Client, node: &NodeName, output: &mut Output) -> Result<(), Failure> {
    let Parts { command, args, lasts, .. } = parts;
    let before = module(client.get("/status").await?, &args.module)?;
    // A command that takes nothing out needs no confirmation.
    let answer = client.give_confirmed(&path(*command, args, *lasts, None), &args.module).await?;
    if args.json {
        output.json_line(&json!({ "node": node, "outcome": answer.outcome, "detail": answer.detail }))?;
    } else {
        let nothing = if answer.outcome == CommandWord::AlreadySo { "nothing to do: " } else { "" };
        writeln!(output, "{node}  {}: {nothing}{}", args.module, answer.detail)?;
    }
    output.flush()?;
    let node = format!("{node}  ");
    let mut waiting = Waiting { command: *command, last: progress(&before), before, node };
    let done = waiting.wait(client, args.json, output);
    match tokio::time::timeout(args.timeout, done).await {
        Ok(outcome) => outcome.map(drop),
        Err(_) => Err(waiting.overdue(args.timeout)),
    }
}

fn stopped(obstacle: &Obstacle, done: usize) -> Failure {
    let exit = if matches!(obstacle, Obstacle::NoSuchModule(_)) { Exit::NoSuch } else { Exit::Denied };
    let next = match obstacle {
        Obstacle::NoFarm => "omit --all",
        Obstacle::NoSuchModule(_) => {
            "`bellwether farm status` shows the nodes, and `bellwether status --node NAME` the modules of one"
        }
        Obstacle::Unknown(_) => {
            "repeat it when the node is back, remove the node if it is gone for good, or give the command to single nodes with --node NAME"
        }
        Obstacle::NoStatus(_) => "try again; if it stays so, see `bellwether farm status`",
        Obstacle::NotReady { .. } => {
            "see `bellwether farm status`, and repeat the command when the module is ready again"
        }
    };
    let so_far = if done > 0 { format!(", after {}", counted(done, "node", "nodes")) } else { String::new() };
    Failure::new(exit, format!("stopped{so_far}: {obstacle}"), next)
}
