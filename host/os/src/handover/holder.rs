//! The process that holds the sockets.
//!
//! ```text
//!   receives the sockets ──▶ the daemon runs ── end of the line ──▶ waits for the next one ──▶ ends
//!                                  └───────── asked for them ─────────┘     │      ▲
//!                                                                           ▼      │ "done"
//!                                                                      gives copies of them
//! ```
//! It has no runtime, no files and no threads. Its wait is limited: the next daemon comes soon or not at all, and
//! if the root has been removed, there is no next daemon.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::setsid;
use rustix::stdio::stdin;

use super::descriptors;

/// The time that the next daemon has to take the sockets after the end of a daemon. Requests wait in the meantime;
/// a load balancer that waits longer is better served by a refused connection.
pub const HELD_FOR: Duration = Duration::from_secs(5);
/// How often it is checked whether the root still exists, once no daemon runs.
const LOOK: Duration = Duration::from_millis(50);
/// A next daemon that has just connected must read within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);
/// The next daemon sends this when it has the sockets.
pub(super) const DONE: u8 = b'.';

/// Holds the sockets received on standard input. `arguments`: where the next daemon connects. Returns the exit
/// code.
pub fn hold(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    const USAGE: u8 = 2;
    const CANNOT: u8 = 1;
    let Some(place) = arguments.next().map(PathBuf::from) else { return USAGE };
    // Signals that end the daemon's session or process group must not end the holder.
    let _ = setsid();
    let line = fcntl_dupfd_cloexec(stdin(), 3).map_err(io::Error::from);
    let held = line.and_then(|line| Holder::receive(place, line, HELD_FOR)).and_then(Holder::run);
    if held.is_ok() { 0 } else { CANNOT }
}

struct Holder {
    place: PathBuf,
    daemon: File,
    asked: UnixListener,
    sockets: Vec<OwnedFd>,
    /// The next daemon, which has copies of the sockets and is about to listen.
    taker: Option<UnixStream>,
    held_for: Duration,
    /// When the sockets are closed. Unknown while the daemon runs.
    until: Option<Instant>,
}

/// Whether the loop continues or ends.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

impl Holder {
    fn receive(place: PathBuf, line: OwnedFd, held_for: Duration) -> io::Result<Self> {
        let daemon = File::from(line);
        let mut sockets = descriptors::receive(daemon.as_fd())?;
        if sockets.len() < 2 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let asked = UnixListener::from(sockets.remove(0));
        asked.set_nonblocking(true)?;
        Ok(Self { place, daemon, asked, sockets, taker: None, held_for, until: None })
    }

    fn run(mut self) -> io::Result<()> {
        while self.turn()? == Then::GoOn {}
        Ok(())
    }

    fn turn(&mut self) -> io::Result<Then> {
        let (told, asked, taken) = self.wait()?;
        if told && self.until.is_none() {
            // No data is ever sent: this is end of file.
            self.until = Some(Instant::now() + self.held_for);
        }
        if asked {
            self.give();
        }
        if taken && self.is_done() {
            return Ok(Then::End);
        }
        let over = self.until.is_some_and(|until| Instant::now() >= until || !self.place.exists());
        Ok(if over { Then::End } else { Then::GoOn })
    }

    /// Which of these are readable: the daemon's connection, the listening socket, and the connection of the next
    /// daemon.
    fn wait(&self) -> io::Result<(bool, bool, bool)> {
        // End of file is reported forever; once is enough.
        let daemon = self.until.is_none().then_some(&self.daemon);
        let mut fds = vec![PollFd::new(&self.asked, PollFlags::IN)];
        fds.extend(daemon.map(|daemon| PollFd::new(daemon, PollFlags::IN)));
        fds.extend(self.taker.as_ref().map(|taker| PollFd::new(taker, PollFlags::IN)));
        let wait = self.until.map(|until| until.saturating_duration_since(Instant::now()).min(LOOK));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        match poll(&mut fds, wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let told = daemon.is_some() && ready[1];
        let taken = self.taker.is_some() && ready.last() == Some(&true);
        Ok((told, ready[0], taken))
    }

    /// Hands out copies of the sockets. The receiver reports when they are in use; if it exits before that, another
    /// one may connect.
    fn give(&mut self) {
        let Ok((taker, _)) = self.asked.accept() else { return };
        let all: Vec<BorrowedFd<'_>> = self.sockets.iter().map(OwnedFd::as_fd).collect();
        let given = taker
            .set_nonblocking(false)
            .and_then(|()| taker.set_write_timeout(Some(TAKEN_WITHIN)))
            .and_then(|()| taker.set_read_timeout(Some(TAKEN_WITHIN)))
            .and_then(|()| descriptors::send(taker.as_fd(), &all));
        self.taker = given.is_ok().then_some(taker);
    }

    fn is_done(&mut self) -> bool {
        let Some(mut taker) = self.taker.take() else { return false };
        let mut word = [0];
        matches!(taker.read(&mut word), Ok(1)) && word == [DONE]
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use tempfile::TempDir;

    use super::*;
    use crate::handover::{Inherited, place};

    struct Fixture {
        root: TempDir,
        daemon: UnixStream,
        held: TcpListener,
        holder: JoinHandle<io::Result<()>>,
    }

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(2);

    /// A holder of one socket, on a thread.
    fn fixture(held_for: Duration) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("state")).unwrap();
        let place = place(root.path());
        let (daemon, theirs) = UnixStream::pair().unwrap();
        let (asked, held) = (UnixListener::bind(&place).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        descriptors::send(daemon.as_fd(), &[asked.as_fd(), held.as_fd()]).unwrap();
        let holder = std::thread::spawn(move || Holder::receive(place, theirs.into(), held_for)?.run());
        Fixture { root, daemon, held, holder }
    }

    #[test]
    fn the_next_daemon_gets_the_sockets_with_those_who_wait_there() {
        let Fixture { root, daemon, held, holder } = fixture(LONG);
        let address = held.local_addr().unwrap();
        drop((daemon, held));
        let early = TcpStream::connect(address).unwrap();
        // A receiver that exits before it has reported takes nothing away.
        drop(Inherited::take(root.path()));
        let mut inherited = Inherited::take(root.path());
        inherited.only_for(&[address]);
        let socket = inherited.listening_on(address).unwrap();
        inherited.dismiss_holder();
        holder.join().unwrap().unwrap();
        let (_, client) = socket.accept().unwrap();
        assert_eq!(client, early.local_addr().unwrap());
        assert!(Inherited::take(root.path()).listening_on(address).is_none(), "there is no holder any more");
    }

    #[test]
    fn it_ends_when_no_daemon_follows() {
        let Fixture { root, daemon, held, holder } = fixture(Duration::from_millis(100));
        let address = held.local_addr().unwrap();
        drop((daemon, held));
        holder.join().unwrap().unwrap();
        assert!(root.path().exists());
        is_refused(address);
    }

    /// Waits until nothing listens there any more. A child of another test has the socket as well until it has executed
    /// its program.
    fn is_refused(address: SocketAddr) {
        let until = Instant::now() + LONG;
        loop {
            match TcpStream::connect(address) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
                other => assert!(Instant::now() < until, "{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn it_ends_when_its_root_is_gone() {
        let Fixture { root, daemon, held: _held, holder } = fixture(LONG);
        let begun = Instant::now();
        drop((root, daemon));
        holder.join().unwrap().unwrap();
        assert!(begun.elapsed() < LONG, "it would have ended by then in any case");
    }

    #[test]
    fn a_daemon_that_listens_elsewhere_dismisses_it_first() {
        let Fixture { root, daemon: _running, held, holder } = fixture(LONG);
        let address = held.local_addr().unwrap();
        let other = "127.0.0.1:9010".parse().unwrap();
        let mut inherited = Inherited::take(root.path());
        inherited.only_for(&[other]);
        assert!(inherited.listening_on(address).is_none() && inherited.listening_on(other).is_none());
        holder.join().unwrap().unwrap();
    }
}
