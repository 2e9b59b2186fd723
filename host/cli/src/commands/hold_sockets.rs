//! `hold-sockets`: what the daemon starts beside itself, so that its sockets outlive it for a moment.
//!
//! Not among the other commands, like `launch-kept`: nobody calls it by hand.

use std::process::ExitCode;

use bellwether_os::handover::holder;

/// The first argument.
pub(crate) const NAME: &str = "hold-sockets";

/// Does it, if this is what the program was called for.
pub(crate) fn if_asked_for() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == NAME).then(|| holder::hold(arguments).into())
}
