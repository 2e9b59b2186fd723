//! The signals that others send to this process (signal(7)).

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGINT (Ctrl-C) or SIGTERM.
    End,
    /// SIGHUP: the terminal is gone, or a daemon is to read its files again.
    Hangup,
    /// SIGTSTP (Ctrl-Z): to be stopped until the shell continues it.
    Suspend,
}

/// Signals that are caught, from the moment this is made. Once caught, they stay so.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// If it is caught.
    suspend: Option<Signal>,
}

impl Signals {
    /// Catches those that ask for an end, and SIGHUP. Needs a tokio runtime around it.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            suspend: None,
        })
    }

    /// The same, and SIGTSTP.
    pub fn catch_at_a_terminal() -> io::Result<Self> {
        let suspend = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
        Ok(Self { suspend: Some(signal(suspend)?), ..Self::catch()? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Request {
        let Self { interrupt, terminate, hangup, suspend } = self;
        let suspend = async {
            match suspend {
                Some(suspend) => suspend.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Request::End,
            _ = terminate.recv() => Request::End,
            _ = hangup.recv() => Request::Hangup,
            _ = suspend => Request::Suspend,
        }
    }
}

/// Catches SIGXFSZ, so that it does not end this process: a file that may not grow any more is an error of whoever
/// writes it (`setrlimit(2)`, `RLIMIT_FSIZE`). Needs a tokio runtime around it.
pub fn survive_large_files() -> io::Result<()> {
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// Stops the whole job that this process belongs to, as Ctrl-Z would. Returns when the shell continues it.
pub fn stop_job() -> io::Result<()> {
    Ok(rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?)
}
