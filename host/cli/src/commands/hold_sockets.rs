//! `hold-sockets`: a process that the daemon starts, so that its sockets outlive it for a short time.
//!
//! Not among the other commands, like `launch-kept`: users never call it.

use std::process::ExitCode;

use bellwether_os::handover::holder;

/// The argument that selects this mode.
pub(crate) const NAME: &str = "hold-sockets";

/// Runs it, if the program was called for this purpose.
pub(crate) fn if_asked_for() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| holder::hold(arguments).into())
}
