//! `demo`: runs the daemon with a built-in example application, on one or several nodes.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::NodeStatus;
use bellwether_core::state::StateName;
use bellwether_daemon::app::{RunError, RunOptions};
use clap::Args;

use crate::client::Client;
use crate::commands::compile_component::compiler;
use crate::commands::demo_node::end_application;
use crate::commands::launch::launcher;
use crate::commands::run::{explain, standard};
use crate::exit::{Exit, Failure, Outcome};
use crate::logging::{self, LogArgs, LogFormat};
use crate::output::Output;
use crate::root::RootArg;

mod alone;
mod balancer;
mod farm;
mod guide;
mod join;
mod layout;
mod machine_code;
mod nodes;
mod place;
mod visitor;

use farm::Farm;
use layout::NodeFile;
use nodes::Starter;
use place::DemoRoot;

/// Try Bellwether with an example application on two nodes
///
/// Creates an example root (in a temporary folder, unless --root names one), with further nodes in nodes/ below it.
/// Runs a daemon for each in the foreground and a small load balancer in front of them, prints things to try, and a
/// line whenever traffic moves. Commands with --root DIR speak to the first node. A named root keeps its files and can
/// be run again. The applications are stopped when the demo ends.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many nodes: 1 runs a single daemon without a load balancer
    ///
    /// Default: 2, or as many as the root has.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MOST_NODES as i64))]
    nodes: Option<u8>,

    /// Ask the load balancer five times a second, and tell every five seconds who has answered
    #[arg(long)]
    traffic: bool,

    /// Only write the files, and run nothing
    #[arg(long)]
    lay_out_only: bool,

    /// The log level for standard error
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        env = "BELLWETHER_LOG",
        hide_env_values = true
    )]
    log: String,
}

/// Every node needs ports and memory of its own.
const MOST_NODES: usize = 9;
const NODES: usize = 2;

/// The example on the disk.
struct Example<'a> {
    root: &'a Path,
    program: &'a Path,
    node_file: NodeFile,
    /// How many nodes were there before.
    present: usize,
    /// How many are to run.
    wanted: usize,
}

impl<'a> Example<'a> {
    /// What is there, and what is wanted.
    fn plan(root: &'a Path, program: &'a Path, nodes: Option<u8>) -> Result<Self, Failure> {
        let present = layout::nodes_laid_out(root, MOST_NODES);
        let otherwise = if present == 0 { NODES } else { present };
        let wanted = nodes.map_or(otherwise, usize::from);
        if wanted > 1 && present > 0 && layout::application(root, "web").is_none() {
            return Err(farm::not_the_example(root));
        }
        Ok(Self { root, program, node_file: NodeFile::find(root), present, wanted })
    }

    fn is_new(&self) -> bool {
        self.present == 0
    }

    /// Creates the nodes that were not there.
    fn lay_out(&self) -> Result<(), Failure> {
        let new = (self.present + 1)..=self.wanted;
        let present: Vec<_> = (1..=self.present).map(|number| layout::node_root(self.root, number)).collect();
        let addresses = layout::free_addresses(new.clone().count(), &present)?;
        for (number, addresses) in new.zip(addresses) {
            let root = layout::node_root(self.root, number);
            let node_file = if number == 1 { self.node_file } else { NodeFile::Example };
            let name = (self.wanted > 1).then(|| layout::node_name(number));
            layout::lay_out(&root, self.program, node_file, name.as_deref(), addresses)?;
        }
        Ok(())
    }
}

pub(crate) async fn run(args: &DemoArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let place = DemoRoot::find(root.given().as_deref(), args.lay_out_only)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let example = Example::plan(place.root(), &program, args.nodes)?;
    example.lay_out()?;
    if example.is_new() {
        writeln!(output, "Created an example in {}.", place.root().display())?;
    }
    if args.lay_out_only {
        if !example.is_new() {
            say_unchanged(place.root(), output)?;
        }
        for number in 1..=example.wanted {
            let root = layout::node_root(place.root(), number);
            writeln!(output, "Run it with: bellwether run --root {}", root.display())?;
        }
        return Ok(Exit::Done);
    }
    let _log = logging::start(&LogArgs { log: args.log.clone(), log_format: LogFormat::Text })?;
    let mut outcome = serve(args, &place, &example, output).await;
    // Another program may have opened the port since it was found to be free.
    for _ in 0..MORE_TRIES {
        let taken = outcome.as_ref().is_err_and(|failure| failure.exit() == Exit::PortInUse);
        if !(taken && example.is_new() && example.node_file == NodeFile::Example) {
            break;
        }
        example.lay_out()?;
        outcome = serve(args, &place, &example, output).await;
    }
    // The files and the application belong to the daemon that runs.
    if outcome.as_ref().is_err_and(|failure| failure.exit() == Exit::SecondDaemon) {
        return outcome;
    }
    // Also if the daemon ended by an error: a demo leaves nothing behind.
    if end_application(&program, place.root()) > 0 {
        writeln!(output, "The demo and its application have ended.")?;
    }
    let nodes = example.wanted;
    place.tidy_up(nodes, output)?;
    outcome
}

/// With other ports, if the first ones are taken meanwhile.
const MORE_TRIES: u32 = 5;

/// Runs the nodes until Ctrl-C.
async fn serve(args: &DemoArgs, place: &DemoRoot, example: &Example<'_>, output: &mut Output) -> Outcome {
    let fresh = example.is_new();
    if example.wanted == 1 {
        return alone::serve(place, fresh, output).await;
    }
    let starter = Starter { program: example.program.to_owned(), log: args.log.clone() };
    let farm = Farm { place, count: example.wanted, fresh, traffic: args.traffic, starter };
    farm.serve(output).await
}

/// Reports that the example is not created.
fn say_unchanged(root: &Path, output: &mut Output) -> std::io::Result<()> {
    writeln!(output, "{} already has modules, which are not changed.", root.display())
}

/// A daemon of the demo on this root. Its sockets are not held for a next one.
pub(crate) fn daemon_options(root: &Path) -> RunOptions {
    RunOptions {
        root: root.to_owned(),
        compiler: compiler(),
        launcher: launcher(),
        holder: None,
        standard: standard(),
        state: None,
    }
}

/// As for `run`, with the root of the demo.
pub(crate) fn explain_here(error: RunError, root: &Path) -> Failure {
    match error {
        // 0 is not a process: the other daemon has only just started.
        RunError::SecondDaemon { pid } if pid != 0 => Failure::new(
            Exit::SecondDaemon,
            format!("a daemon (process {pid}) already runs on this root"),
            format!(
                "use it: bellwether status --root {}; or stop it first: kill {pid}",
                guide::shell_word(&root.to_string_lossy())
            ),
        ),
        other => explain(other),
    }
}

/// The example's application is up in well under a second.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// The status once nothing is in progress any more, or when that takes too long.
async fn settle(client: &Client) -> Result<NodeStatus, Failure> {
    let settled = async {
        let mut lines = client.lines("/status/stream").await?;
        while let Some(line) = lines.next_said().await? {
            let status: NodeStatus = serde_json::from_str(&line).context("the daemon's answer is invalid")?;
            let calm = |state| matches!(state, StateName::Up | StateName::Stopped | StateName::Failed);
            if !status.modules.is_empty() && status.modules.iter().all(|module| calm(module.state)) {
                return Ok(status);
            }
        }
        client.get("/status").await
    };
    match tokio::time::timeout(SETTLE_WITHIN, settled).await {
        Ok(status) => status,
        Err(_) => client.get("/status").await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_runs_already_is_named_with_its_root() {
        let failure = explain_here(RunError::SecondDaemon { pid: 7 }, Path::new("/my root"));
        assert_eq!(failure.exit(), Exit::SecondDaemon);
        assert_eq!(
            failure.to_string(),
            "error: a daemon (process 7) already runs on this root\n  \
             next: use it: bellwether status --root '/my root'; or stop it first: kill 7"
        );
        let just_begun = explain_here(RunError::SecondDaemon { pid: 0 }, Path::new("/r"));
        assert_eq!(just_begun.exit(), Exit::SecondDaemon);
        assert!(!just_begun.to_string().contains("kill"), "{just_begun}");
    }

    #[test]
    fn there_are_two_nodes_unless_the_user_or_the_root_says_otherwise() {
        let root = tempfile::tempdir().unwrap();
        let program = Path::new("/bin/bellwether");
        let plan = |nodes| Example::plan(root.path(), program, nodes).map(|plan| (plan.present, plan.wanted));
        assert_eq!(plan(None).unwrap(), (0, 2));
        assert_eq!(plan(Some(1)).unwrap(), (0, 1));
        Example::plan(root.path(), program, Some(1)).unwrap().lay_out().unwrap();
        assert_eq!(plan(None).unwrap(), (1, 1), "a root of an earlier version stays as it is");
        Example::plan(root.path(), program, Some(3)).unwrap().lay_out().unwrap();
        assert_eq!((plan(None).unwrap(), plan(Some(2)).unwrap()), ((3, 3), (3, 2)));

        std::fs::write(root.path().join("modules/web.toml"), "# mine").unwrap();
        assert_eq!(plan(Some(1)).unwrap(), (3, 1));
        assert_eq!(plan(None).unwrap_err().exit(), Exit::Usage);
    }
}
