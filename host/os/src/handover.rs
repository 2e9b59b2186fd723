//! The sockets for load balancers outlive the daemon for a short time, so that the next daemon takes them over.
//!
//! ```text
//!   daemon ──sockets──▶ holder            daemon ends, or is killed:
//!                         │               probes that come now wait in the sockets' queues
//!                         ▼
//!                    next daemon ──sockets──▶ its own holder; the first one is told to end
//!                         │
//!                         └── none within some seconds: the holder ends, and probes are refused
//! ```
//! The holder is this same program, and does nothing but hold descriptors. It is started before it is needed,
//! because a daemon that is killed cannot hand over anything. The mechanism is the same for a planned exit, with
//! and without a service manager. Alternatives that were considered: systemd's file descriptor store requires
//! systemd, so it helps neither in a container nor after a manual `kill -9`, and it does not survive `stop`
//! followed by `start`; with `SO_REUSEPORT` two daemons can listen, but connections in the queue of the one that
//! exits are reset.

mod descriptors;
pub mod holder;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::at_most;
use crate::socket::Address;
use crate::spawn::program::this_program;

/// The holder must answer within this time.
const HOLDER_ANSWERS: Duration = at_most!(Duration::from_secs(1));
/// A holder that has exited is replaced after this time.
const HOLD_AGAIN: Duration = Duration::from_secs(1);

fn place(root: &Path) -> PathBuf {
    root.join("state/handover.sock")
}

/// A socket that listens, kept open for the next daemon.
pub type Socket = OwnedFd;

/// The same socket once more, for the next daemon.
pub fn keep(socket: &impl AsFd) -> io::Result<Socket> {
    socket.as_fd().try_clone_to_owned()
}

/// What the holder of the last daemon gave, and the line to it.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<TcpListener>,
    holder: Option<UnixStream>,
}

impl Inherited {
    /// Takes the sockets that the last daemon of this root listened on, if they are still held. The caller must
    /// hold the root's lock.
    pub fn take(root: &Path) -> Self {
        Self::ask(&place(root)).unwrap_or_else(|error| {
            // No holder, which is the usual case.
            if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
                tracing::warn!(%error, "the sockets of the last daemon cannot be taken over");
            }
            Self::default()
        })
    }

    fn ask(place: &Path) -> io::Result<Self> {
        let address = Address::of(place)?;
        let holder = UnixStream::connect(address.path())?;
        holder.set_read_timeout(Some(HOLDER_ANSWERS))?;
        holder.set_write_timeout(Some(HOLDER_ANSWERS))?;
        let sockets = descriptors::receive(holder.as_fd())?.into_iter().map(TcpListener::from).collect();
        Ok(Self { sockets, holder: Some(holder) })
    }

    /// A held socket that already listens on this address.
    pub fn listening_on(&self, address: SocketAddr) -> Option<TcpListener> {
        // With port 0 the port differs each time.
        let mut sockets = self.sockets.iter().filter(|_| address.port() != 0);
        let found = sockets.find(|socket| socket.local_addr().is_ok_and(|local| local == address))?;
        found.try_clone().ok()
    }

    /// Closes the sockets that are not for these addresses. The holder's copies would keep others from binding, so
    /// the holder is ended if the addresses have changed.
    pub fn only_for(&mut self, addresses: &[SocketAddr]) {
        let count = self.sockets.len();
        self.sockets.retain(|socket| socket.local_addr().is_ok_and(|local| addresses.contains(&local)));
        if self.sockets.len() != count || self.sockets.len() != addresses.len() {
            self.dismiss_holder();
        }
    }

    /// The sockets have been taken over: the last daemon's holder exits.
    pub fn dismiss_holder(&mut self) {
        let Some(mut holder) = self.holder.take() else { return };
        // It closes the connection when it exits. A holder that hangs is left alone.
        let ended = holder.write_all(&[holder::DONE]).and_then(|()| holder.read(&mut [0]));
        if let Err(error) = ended {
            tracing::debug!(%error, "the holder of the last daemon does not end");
        }
    }
}

/// Sockets are held for the next daemon until this is dropped, and for a short time after that.
#[derive(Debug)]
pub struct Held {
    keeping: JoinHandle<()>,
}

impl Held {
    /// Starts the holder: this program, called with `argument`. Returns once it has the sockets. Needs a tokio
    /// runtime around it.
    pub fn begin(root: &Path, sockets: Vec<Socket>, argument: &'static str) -> io::Result<Self> {
        let place = place(root);
        let first = Holder::start(&place, &sockets, argument)?;
        let keeping = tokio::spawn(async move {
            let mut holder = Ok(first);
            loop {
                match holder {
                    Ok(mut running) => {
                        let ended = running.child.wait().await;
                        tracing::warn!(
                            ?ended,
                            "the process that holds the sockets for the next daemon has ended"
                        );
                    }
                    Err(error) => {
                        tracing::warn!(%error, "nothing holds the sockets for the next daemon");
                    }
                }
                tokio::time::sleep(HOLD_AGAIN).await;
                holder = Holder::start(&place, &sockets, argument);
            }
        });
        Ok(Self { keeping })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

struct Holder {
    child: tokio::process::Child,
    /// Closed when the daemon ends, however it ends.
    _line: UnixStream,
}

impl Holder {
    fn start(place: &Path, sockets: &[OwnedFd], argument: &str) -> io::Result<Self> {
        match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = Address::of(place)?;
        let listener = UnixListener::bind(address.path())?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(HOLDER_ANSWERS))?;
        let child = Command::new(this_program())
            .arg(argument)
            .arg(place)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut all = vec![listener.as_fd()];
        all.extend(sockets.iter().map(OwnedFd::as_fd));
        descriptors::send(ours.as_fd(), &all)?;
        Ok(Self { child, _line: ours })
    }
}
