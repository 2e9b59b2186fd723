//! `launch-kept`: what the daemon starts in the place of an application, and what becomes it.
//!
//! Not among the other commands: it is started at every start of an application, and has no time
//! to look at a command line.

use std::process::ExitCode;

use bellwether_os::spawn::gate::{self, Launcher};

/// The first argument.
const NAME: &str = "launch-kept";

/// Applications are started by way of this program.
pub(crate) fn launcher() -> Launcher {
    Launcher::child_of_this_program(NAME)
}

/// Does it, if this is what the program was called for. Returns only if it cannot.
pub(crate) fn if_asked_for() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| gate::wait_and_become(arguments).into())
}
