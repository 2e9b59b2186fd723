//! `top`: the node on the full screen.

use std::io::IsTerminal as _;

use bellwether_core::id::ModuleName;
use clap::Args;

use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::root::RootArg;
use crate::terminal;

/// Monitor and control the modules on the full screen
///
/// The worst module comes first. `?` shows the keys, `q` quits.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Start with the details of this module
    module: Option<ModuleName>,
}

pub(crate) async fn run(args: &TopArgs, root: &RootArg, output: &Output) -> Outcome {
    if !possible(output) {
        let what = "`top` needs an interactive terminal";
        let next = "use `bellwether status --watch`, or `bellwether status --json` in a program";
        return Err(Failure::new(Exit::Usage, what, next));
    }
    let client = root.client()?;
    terminal::run(&client, args.module.clone(), output.colored()).await
}

/// Whether the output is an interactive terminal that can be drawn on.
pub(crate) fn possible(output: &Output) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    output.terminal && std::io::stdin().is_terminal() && !dumb
}
