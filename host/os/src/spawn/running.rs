//! A command that runs to completion.
//!
//! ```text
//!            ┌──▶ Ended: reaped, what it left behind lives on
//!   Running ─┼──▶ Ended alone: what it left in its group is killed first
//!            └──▶ dropped: killed with all that is in its group, and then reaped
//! ```

use std::io;

use bellwether_core::plan::Signal;

use super::child::{Home, Launch, Streams};
use crate::process::ending::Ending;
use crate::process::errands::Errand;
use crate::process::group::ProcessGroup;
use crate::process::pidfd::PidFd;

/// If it is dropped before its end, it is killed with all processes of its group.
#[derive(Debug)]
pub struct Running(Option<(PidFd, Errand)>);

impl Running {
    pub fn start(home: &Home, launch: &Launch<'_>, streams: Streams) -> anyhow::Result<Self> {
        // On this thread, so that a cancelled caller leaves no command without an owner; a spawn takes less than a
        // millisecond.
        let leader = home.spawn(launch, streams)?;
        let errand = Errand::new(leader.id().pid);
        Ok(Self::of(leader, errand))
    }

    /// A command that was just started.
    pub fn of(leader: PidFd, errand: Errand) -> Self {
        Self(Some((leader, errand)))
    }

    /// Waits for the end of the command itself.
    pub async fn end(mut self) -> io::Result<Ending> {
        let Some((leader, _)) = self.0.as_ref() else { return Ok(Ending::Unknown) };
        leader.exited().await;
        let ending = leader.wait_status()?.unwrap_or(Ending::Unknown);
        self.0 = None;
        Ok(ending)
    }

    /// The same, and then kills the remaining processes of its group.
    pub(super) async fn end_alone(self) -> io::Result<Ending> {
        if let Some((leader, _)) = self.0.as_ref() {
            leader.exited().await;
            kill_group(leader);
        }
        self.end().await
    }
}

/// Before its leader has been reaped, so that the group is still ours.
fn kill_group(leader: &PidFd) {
    // A process that is slow to execute its program has not made its group yet.
    let killed = ProcessGroup::of(leader.id()).signal(Signal::Kill);
    let killed = killed.and_then(|sent| if sent { Ok(true) } else { leader.signal(Signal::Kill) });
    if let Err(error) = killed {
        tracing::warn!(%error, pid = leader.id().pid, "cannot kill what a command has left behind");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((leader, errand)) = self.0.take() else { return };
        kill_group(&leader);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                leader.exited().await;
                // It is known how it ended: it was killed here.
                let _ = leader.wait_status();
                drop(errand);
            });
        }
    }
}
