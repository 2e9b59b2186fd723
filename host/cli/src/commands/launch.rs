//! `launch-kept`: the process that the daemon starts in place of an application, and that then executes it.
//!
//! Not among the other commands: it runs at every start of an application, and must not spend time on parsing a
//! command line.

use std::process::ExitCode;

use bellwether_os::spawn::gate::{self, Launcher};

/// The argument that selects this mode.
const NAME: &str = "launch-kept";

/// Applications are started through this program.
pub(crate) fn launcher() -> Launcher {
    Launcher::child_of_this_program(NAME)
}

/// Runs it, if the program was called for this purpose. Returns only if it fails.
pub(crate) fn if_asked_for() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| gate::wait_and_become(arguments).into())
}
