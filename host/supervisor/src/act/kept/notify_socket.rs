//! Receives the messages of a kept application: the socket of its `NOTIFY_SOCKET` (`sd_notify(3)`).
//!
//! ```text
//!   application ──READY=1, STATUS=…, WATCHDOG=1──▶ socket ──▶ Notified ──▶ the process checker of its command
//! ```
//! Each start has its own socket, in the abstract namespace: an application of another user could not reach a file
//! in the daemon's folders. Every user of the host can send to it, so the kernel has to identify the sender of a
//! message: messages are accepted only from the application's processes, and from users that could control it
//! anyway.
//!
//! The socket is read before an application counts as silent: after the daemon itself was stopped for a while,
//! messages may be waiting.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ledger::Listened;
use super::slot::Slot;
use super::{Belonging, Inner};
use bellwether_os::process::entry;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::KeptKey;
use bellwether_os::process::notified::{Hang, Notified};
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::Image;
use bellwether_os::socket::messages::{MessageSocket, Sender};
use bellwether_os::user;

/// So many messages are read before others get their turn.
const MAX_AT_ONCE: usize = 64;
/// The pause after that: an application that sends all the time costs little.
const PAUSE: Duration = Duration::from_millis(20);
/// A loop that wakes up this much too late was suspended, and perhaps the application with it.
const LATE: Duration = Duration::from_millis(500);
/// The time for which a name is retried that the previous daemon has not released yet.
const NAME_FREE_WITHIN: Duration = Duration::from_secs(5);

/// The socket of one start.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: MessageSocket,
    name: String,
}

impl NotifySocket {
    /// With a new name. Must be called in a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        Self::named(format!("bellwether-notify-{:032x}", fastrand::u128(..)))
    }

    /// With the name that an earlier daemon gave to the application.
    fn named(name: String) -> io::Result<Self> {
        Ok(Self { socket: MessageSocket::bind(&name)?, name })
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(super) fn address(&self) -> String {
        format!("@{}", self.name)
    }

    /// Processes messages and publishes changes, until it is dropped.
    async fn listen(self, of: Speaker, pass_on: watch::Sender<Notified>) {
        let mut notified = pass_on.borrow().clone();
        let (mut alive_at, mut excused) = (Instant::now(), false);
        loop {
            let overdue = notified.overdue_at(alive_at);
            tokio::select! {
                readable = self.socket.readable() => if readable.is_err() { return },
                () = at(overdue) => {}
            }
            let late_by = overdue.and_then(|overdue| Instant::now().checked_duration_since(overdue));
            let is_overdue = late_by.is_some();
            let before = notified.clone();
            let mut is_alive = false;
            let (messages, all) = self.waiting(&of, is_overdue);
            for message in messages {
                is_alive |= notified.take(&message);
            }
            if is_alive {
                (alive_at, excused) = (Instant::now(), false);
            } else if late_by.is_some_and(|late_by| late_by >= LATE) && !excused {
                // The application gets its whole watchdog time again.
                (alive_at, excused) = (Instant::now(), true);
            } else if is_overdue && all {
                notified.hangs = Some(Hang::Silent);
            }
            // Stored before it has an effect: a daemon that is killed in between has not acted on it.
            pass_on.send_if_modified(|shown| {
                shown.clone_from(&notified);
                false
            });
            if notified.is_worth_keeping(&before) {
                of.write_ledger();
            }
            // Another status is shown at the next run of the checker: an application may change it many times a
            // second.
            pass_on.send_if_modified(|_| !notified.differs_in_status_only(&before));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads the messages of accepted senders that are there now, and returns whether that was all. `to_the_end`:
    /// do not rely on the runtime's readiness, which may be outdated after the daemon was suspended.
    fn waiting(&self, of: &Speaker, to_the_end: bool) -> (Vec<String>, bool) {
        let mut messages = Vec::new();
        for _ in 0..MAX_AT_ONCE {
            let mut received = self.socket.next();
            if to_the_end && received.is_err() {
                received = self.socket.next_of_system();
            }
            match received {
                Ok(message) if message.sender.is_some_and(|sender| of.is_believed(sender)) => {
                    messages.push(message.text);
                }
                Ok(_) => tracing::debug!(leader = of.leader, "a message of another process is left aside"),
                Err(_) => return (messages, true),
            }
        }
        (messages, false)
    }
}

/// The application whose messages are accepted.
struct Speaker {
    /// The id of its first process.
    leader: u32,
    /// The command that its processes were started as.
    started_as: KeptKey,
    kept: std::sync::Weak<Inner>,
}

impl Speaker {
    /// A process of the application, or of a user who could do anything to it.
    fn is_believed(&self, sender: Sender) -> bool {
        let (uid, leader) = (sender.uid, self.leader);
        if uid == 0 || user::uid() == Some(uid) {
            return true;
        }
        if entry::owner(leader).is_ok_and(|owner| owner == uid) {
            return true;
        }
        let Some(pid) = sender.pid else { return false };
        Stat::read(pid).is_ok_and(|stat| stat.group == leader)
            || self.kept.upgrade().is_some_and(|kept| comes_from(&kept.belonging, &self.started_as, pid))
    }

    fn write_ledger(&self) {
        if let Some(kept) = self.kept.upgrade() {
            kept.write_ledger();
        }
    }
}

fn comes_from(belonging: &Belonging, command: &KeptKey, pid: u32) -> bool {
    belonging.of(&Image::read(pid)).as_ref() == Some(command)
}

/// A socket that is read until this is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    socket: String,
    notified: watch::Receiver<Notified>,
    task: JoinHandle<()>,
}

impl Listening {
    /// The reported state, now and from now on.
    pub(super) fn notified(&self) -> watch::Receiver<Notified> {
        self.notified.clone()
    }

    /// The record for the next daemon.
    pub(super) fn state(&self) -> Listened {
        Listened { socket: self.socket.clone(), notified: self.notified.borrow().clone() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    /// Accepts messages from this process of the command, and from those that it starts.
    pub(super) fn listen(
        self: &Arc<Self>,
        slot: &Slot,
        socket: NotifySocket,
        process: ProcessId,
        notified: Notified,
    ) -> Listening {
        let speaker = self.speaker(slot, process);
        let name = socket.name.clone();
        let (pass_on, notified) = watch::channel(notified);
        let task = tokio::spawn(socket.listen(speaker, pass_on));
        Listening { socket: name, notified, task }
    }

    fn speaker(self: &Arc<Self>, slot: &Slot, process: ProcessId) -> Speaker {
        let started_as = slot.former().unwrap_or_else(|| slot.key.clone());
        Speaker { leader: process.pid, started_as, kept: Arc::downgrade(self) }
    }

    /// The same for an application that an earlier daemon started.
    pub(super) fn listen_again(
        self: &Arc<Self>,
        slot: &Slot,
        listened: Listened,
        process: ProcessId,
    ) -> Listening {
        let (module, command) = slot.key.clone();
        let Listened { socket: name, notified } = listened;
        let speaker = self.speaker(slot, process);
        let (pass_on, notified) = watch::channel(notified.after_a_gap());
        let socket = name.clone();
        let task = tokio::spawn(async move {
            match once_free(name).await {
                Ok(socket) => socket.listen(speaker, pass_on).await,
                Err(error) => tracing::warn!(
                    %error, %module, %command, "its sd_notify messages are not received: restart it to enable them"
                ),
            }
        });
        Listening { socket, notified, task }
    }
}

/// The socket with that name. The previous daemon may still hold it for a moment.
async fn once_free(name: String) -> io::Result<NotifySocket> {
    let until = Instant::now() + NAME_FREE_WITHIN;
    loop {
        match NotifySocket::named(name.clone()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            tried => return tried,
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
