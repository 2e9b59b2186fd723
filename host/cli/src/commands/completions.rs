//! `completions`: prints a completion script for a shell.

use std::io::Write as _;

use clap::Args;
use clap_complete::Shell;

use crate::exit::{Exit, Outcome};
use crate::output::Output;

/// Print a completion script for a shell
///
/// For example: bellwether completions bash > /etc/bash_completion.d/bellwether
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is shown as it stands")]
pub(crate) struct CompletionsArgs {
    /// The shell to complete for
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, command: &mut clap::Command, output: &mut Output) -> Outcome {
    // clap_complete panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "bellwether", &mut script);
    output.write_all(&script)?;
    Ok(Exit::Done)
}
