//! `man`: prints the manual page.

use std::io::Write as _;

use clap::Args;

use crate::exit::{Exit, Outcome};
use crate::output::Output;

/// Print the manual page
///
/// For example: bellwether man | man -l -
#[derive(Debug, Args)]
pub(crate) struct ManArgs {}

pub(crate) fn run(_args: &ManArgs, command: clap::Command, output: &mut Output) -> Outcome {
    let mut page = Vec::new();
    let mut command = command;
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        if subcommand.get_name() == "help" {
            continue;
        }
        let man = clap_mangen::Man::new(subcommand.clone());
        let mut of = Vec::new();
        man.render_description_section(&mut of)?;
        man.render_options_section(&mut of)?;
        // The sections of a command become a part of the single page.
        let text = String::from_utf8_lossy(&of)
            .replace(".SH DESCRIPTION", &format!(".SH BELLWETHER {}", subcommand.get_name().to_uppercase()));
        page.extend_from_slice(text.replace(".SH OPTIONS", ".PP").as_bytes());
    }
    output.write_all(&page)?;
    Ok(Exit::Done)
}
