//! The signals that the daemon handles.

use std::io;

use bellwether_daemon::lifecycle::SignalRequest;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// SIGXFSZ, in Linux's numbering on all architectures except MIPS and PA-RISC (signal(7)).
const FILE_TOO_LARGE: i32 = 25;
/// More signals at once mean the same.
const WAITING: usize = 4;

/// SIGINT (Ctrl-C) and SIGTERM: shut down. SIGHUP: reload all files. They are caught from this call on.
pub(crate) fn listen() -> io::Result<mpsc::Receiver<SignalRequest>> {
    // Caught so that it does not kill the daemon: a file that exceeds the size limit is an error of the write
    // (`setrlimit(2)`, `RLIMIT_FSIZE`). Once caught, it stays caught.
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
        // There is no receiver: the daemon has ended. A full queue already contains the same request.
        if matches!(tell.try_send(what), Err(mpsc::error::TrySendError::Closed(_))) {
            return;
        }
    }
}
