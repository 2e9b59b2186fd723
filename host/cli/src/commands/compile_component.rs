//! `compile-component`: compiles a component in a child process of the daemon.

use std::io::Write as _;

use bellwether_sandbox::compile::{self, Compiler};

use crate::exit::{Exit, Failure, Outcome};

/// The name of the subcommand.
const NAME: &str = "compile-component";

/// The daemon compiles in a child of this program.
pub(crate) fn compiler() -> Compiler {
    Compiler::child_of_this_program(NAME)
}

pub(crate) fn run() -> Outcome {
    // For the daemon: only the reason, on one line.
    let Err(error) = compile::serve() else { return Ok(Exit::Done) };
    writeln!(std::io::stderr(), "{error:#}").map_err(Failure::from)?;
    Ok(Exit::Error)
}
