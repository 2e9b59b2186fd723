//! Reports when something in a folder grows: inotify(7), one event at a time.
//!
//! ```text
//!   armed ──a write in the folder──▶ written ──arm──▶ armed
//! ```
//! A permanent watch would wake the daemon for every line that an application writes; a watch that is removed by
//! its first event (`IN_ONESHOT`) costs nothing until it is armed again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::process::readable::readable;

/// Watches one folder at a time.
#[derive(Debug)]
pub(super) struct LogGrowth {
    events: AsyncFd<OwnedFd>,
}

impl LogGrowth {
    /// Fails if this user has no watch left (`fs.inotify.max_user_instances`). Must be called in a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { events: readable(events)? })
    }

    /// Arms the watch: the next write to a file in this folder is reported. Fails if the folder does not exist.
    pub(super) fn arm(&self, folder: &Path) -> io::Result<()> {
        inotify::add_watch(self.events.get_ref(), folder, WatchFlags::MODIFY | WatchFlags::ONESHOT)?;
        Ok(())
    }

    /// Returns when something has been written since the watch was armed. May return once too often: the kernel's
    /// notice that a watch was removed can arrive after the event that removed it.
    pub(super) async fn written(&self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            // The size of an event with the longest possible name.
            match rustix::io::read(self.events.get_ref(), &mut [0_u8; 4096]) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                read => return read.map(drop).map_err(Into::into),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_arming_is_answered_by_the_next_write_and_silence_by_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.start.log");
        fs::write(&path, "before\n").unwrap();
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        let growth = LogGrowth::new().unwrap();
        for _ in 0..3 {
            growth.arm(folder.path()).unwrap();
            for _ in 0..1000 {
                writeln!(log, "a line").unwrap();
            }
            tokio::time::timeout(Duration::from_secs(60), growth.written()).await.unwrap().unwrap();
        }
        // At most the notice that the last watch was removed is still to come.
        let rest = async {
            growth.written().await.unwrap();
            growth.written().await.unwrap();
        };
        tokio::time::timeout(Duration::from_millis(50), rest).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_cannot_be_armed() {
        let folder = tempfile::tempdir().unwrap();
        let growth = LogGrowth::new().unwrap();
        let error = growth.arm(&folder.path().join("logs")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
