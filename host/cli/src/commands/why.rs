//! `why`: explains a module's present state.

use std::io::Write as _;

use bellwether_api::WhyAnswer;
use bellwether_core::id::ModuleName;
use clap::Args;

use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::TimeFormat;

/// Explain the state of a module
///
/// Shows the results of its checkers, the decisions and the actions since its last stable state, and
/// what happens next.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The module: the name of its file in modules/
    module: ModuleName,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &WhyArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    let answer: WhyAnswer = client.get(&format!("/modules/{}/why", args.module)).await?;
    if args.json {
        output.json(&answer)?;
    } else {
        print(&answer, &root.suffix(), &TimeFormat::here(), output)?;
    }
    Ok(Exit::Done)
}

fn print(answer: &WhyAnswer, suffix: &str, when: &TimeFormat, output: &mut Output) -> std::io::Result<()> {
    // The headline may end in a reason, which the time must not seem to belong to.
    let (head, reason) = answer.headline.split_once(": ").unwrap_or((&answer.headline, ""));
    writeln!(output, "{head} since {}.", when.both(&answer.since))?;
    if !reason.is_empty() {
        writeln!(output, "{}", output.paint(Tone::Bad, reason))?;
    }
    if !answer.chain.is_empty() {
        writeln!(output)?;
    }
    for link in &answer.chain {
        let at = output.paint(Tone::Quiet, &when.fine(&link.at));
        writeln!(output, "{at}  {}{}", "  ".repeat(link.role.depth()), link.text)?;
    }
    if !answer.waits.is_empty() {
        writeln!(output, "\nWaits for an operator:")?;
    }
    for wait in &answer.waits {
        writeln!(output, "  {}", output.paint(Tone::Bad, wait))?;
    }
    writeln!(output, "\n{}", answer.next)?;
    if let Some(command) = &answer.command {
        writeln!(output, "  bellwether {command}{suffix}")?;
    }
    Ok(())
}
