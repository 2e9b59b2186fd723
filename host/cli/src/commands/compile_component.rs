//! `compile-component`: what the daemon runs as a child of itself.

use bellwether_daemon::sandbox::compile::{self, Compiler};

use crate::exit::{Exit, Failure, Outcome};

/// The subcommand's name.
const NAME: &str = "compile-component";

/// The daemon compiles in a child of this program.
pub(crate) fn compiler() -> Compiler {
    Compiler::child_of_this_program(NAME)
}

pub(crate) fn run() -> Outcome {
    compile::serve().map_err(Failure::from)?;
    Ok(Exit::Done)
}
