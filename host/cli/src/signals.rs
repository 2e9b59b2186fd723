//! The signals that end the daemon.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ, as Linux numbers it everywhere but on MIPS and PA-RISC (signal(7)).
const FILE_TOO_LARGE: i32 = 25;

/// SIGINT (Ctrl-C) and SIGTERM. They are caught from the moment this is made.
pub(crate) struct Ending {
    interrupt: Signal,
    terminate: Signal,
    /// Caught so that it does not end the daemon: a file that may not grow any more is an error
    /// of the one who writes it (`setrlimit(2)`, `RLIMIT_FSIZE`).
    _file_too_large: Signal,
}

impl Ending {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE))?,
        })
    }

    /// Done at the first of them.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
