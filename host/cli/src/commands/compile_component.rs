//! `compile-component`: what the daemon runs as a child of itself.

use std::io::Write as _;

use bellwether_sandbox::compile::{self, Compiler};

use crate::exit::{Exit, Failure, Outcome};

/// The subcommand's name.
const NAME: &str = "compile-component";

/// The daemon compiles in a child of this program.
pub(crate) fn compiler() -> Compiler {
    Compiler::child_of_this_program(NAME)
}

pub(crate) fn run() -> Outcome {
    // Read by the daemon: the bare reason, on one line.
    let Err(error) = compile::serve() else { return Ok(Exit::Done) };
    writeln!(std::io::stderr(), "{error:#}").map_err(Failure::from)?;
    Ok(Exit::Error)
}
