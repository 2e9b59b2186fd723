//! The signals that the daemon handles.

use std::io;

use bellwether_daemon::lifecycle::SignalRequest;
use bellwether_os::signals::{Request, Signals, survive_large_files};
use tokio::sync::mpsc;

/// More than this at once mean no more than this.
const WAITING: usize = 4;

/// SIGINT (Ctrl-C) and SIGTERM: shut down. SIGHUP: reload all files. They are caught from this call on.
pub(crate) fn listen() -> io::Result<mpsc::Receiver<SignalRequest>> {
    survive_large_files()?;
    let signals = Signals::catch()?;
    let (tell, told) = mpsc::channel(WAITING);
    tokio::spawn(pass_on(signals, tell));
    Ok(told)
}

async fn pass_on(mut signals: Signals, tell: mpsc::Sender<SignalRequest>) {
    loop {
        let what = match signals.next().await {
            Request::End => SignalRequest::End,
            Request::Hangup => SignalRequest::Reload,
            // It is not caught.
            Request::Suspend => continue,
        };
        // There is no receiver: the daemon has ended. A full queue already contains the same request.
        if matches!(tell.try_send(what), Err(mpsc::error::TrySendError::Closed(_))) {
            return;
        }
    }
}
