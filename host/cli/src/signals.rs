//! The signals that the daemon obeys.

use std::io;

use bellwether_daemon::lifecycle::SignalRequest;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// SIGXFSZ, as Linux numbers it everywhere but on MIPS and PA-RISC (signal(7)).
const FILE_TOO_LARGE: i32 = 25;
/// More than this at once mean no more than this.
const WAITING: usize = 4;

/// SIGINT (Ctrl-C) and SIGTERM: to end. SIGHUP: to read everything again. They are caught from the
/// moment this is called.
pub(crate) fn listen() -> io::Result<mpsc::Receiver<SignalRequest>> {
    // Caught so that it does not end the daemon: a file that may not grow any more is an error of the
    // one who writes it (`setrlimit(2)`, `RLIMIT_FSIZE`). Once caught, it stays so.
    drop(signal(SignalKind::from_raw(FILE_TOO_LARGE))?);
    let signals =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let (tell, told) = mpsc::channel(WAITING);
    tokio::spawn(pass_on(signals, tell));
    Ok(told)
}

async fn pass_on(
    (mut interrupt, mut terminate, mut hangup): (Signal, Signal, Signal),
    tell: mpsc::Sender<SignalRequest>,
) {
    loop {
        let what = tokio::select! {
            _ = interrupt.recv() => SignalRequest::End,
            _ = terminate.recv() => SignalRequest::End,
            _ = hangup.recv() => SignalRequest::Reload,
        };
        // Nobody listens any more: the daemon has ended. A full queue says the same already.
        if matches!(tell.try_send(what), Err(mpsc::error::TrySendError::Closed(_))) {
            return;
        }
    }
}
