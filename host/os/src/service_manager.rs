//! Messages to systemd, if it started the daemon (`sd_notify(3)`).
//!
//! `NOTIFY_SOCKET` stays in the daemon's own environment: commands and compilers are started with another
//! environment.

use std::path::Path;
use std::time::Duration;

use bellwether_core::snapshot::Snapshot;
use sd_notify::NotifyState;

use crate::file::FileId;

/// The service manager, or nobody. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct ServiceManager {
    listens: bool,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// From the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some();
        Self { listens, watchdog: sd_notify::watchdog_enabled().filter(|_| listens) }
    }

    /// The daemon answers correctly, and the configuration is active.
    pub fn ready(self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The files are being reloaded; [`ready`](Self::ready) reports when that is done.
    pub fn reloading(self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.tell(&[NotifyState::Reloading, now]);
        }
    }

    /// The daemon is shutting down.
    pub fn stopping(self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// The shutdown takes longer; within this time, this is called again or the daemon exits.
    pub fn patience(self, duration: Duration) {
        self.tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))]);
    }

    /// Sets the line that `systemctl status` shows.
    pub fn status(self, line: &str) {
        self.tell(&[NotifyState::Status(line)]);
    }

    /// Resets systemd's watchdog (`WATCHDOG=1`).
    pub fn alive(self) {
        if self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    fn tell(self, states: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::debug!(%error, "the service manager cannot be notified");
        }
    }
}

/// Whether standard error leads to the journal of systemd (systemd.exec(5), `JOURNAL_STREAM`: `DEVICE:INODE`). The variable
/// alone says nothing: a shell of a service inherits it.
pub fn logs_standard_error() -> bool {
    let leads_to = |stream: &str| {
        FileId::of(Path::new("/proc/self/fd/2"))
            .is_ok_and(|FileId { device, number }| stream == format!("{device}:{number}"))
    };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| leads_to(&stream))
}

/// `3 modules, 2 ready`
pub fn status_line(snapshot: &Snapshot) -> String {
    let ready = snapshot.modules.iter().filter(|module| module.ready).count();
    match snapshot.modules.len() {
        0 => "no modules yet".to_owned(),
        1 => format!("1 module, {ready} ready"),
        number => format!("{number} modules, {ready} ready"),
    }
}
