//! Takes over the processes that an earlier daemon has started.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::KeptProcess;
use super::{Kept, THROUGH_LOOK, THROUGH_WITHIN};
use crate::act::last_words;
use bellwether_os::process::entry;
use bellwether_os::process::group::ProcessGroup;
use bellwether_os::process::identity::{BootId, ProcessId};
use bellwether_os::process::kept_table::KeptState;
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::table::Image;
use bellwether_os::spawn::log_file;

impl Kept {
    /// Takes over a process that an earlier daemon started.
    pub(super) async fn adopt(&self, entry: KeptProcess) -> anyhow::Result<()> {
        let KeptProcess { module, command, process, launched, log_from, former, notify } = entry;
        if process.boot_id != BootId::current()? {
            return Ok(());
        }
        if self.never_became_it(&process).await {
            return Ok(());
        }
        let slot = self.slot(&module, &command);
        slot.set_launched(launched);
        slot.set_former(former);
        slot.set_log_from(log_from);
        if let Some(leader) = PidFd::open_exact(&process)? {
            // Another module may have taken it over.
            let marked = self.0.belonging.of(&Image::read(process.pid));
            if let Some(of) = marked {
                slot.set_former(Some(of).filter(|of| *of != slot.key));
            }
            tracing::info!(%module, %command, pid = process.pid, "found a kept process again");
            let listening = notify.map(|listened| self.0.listen_again(&slot, listened, process));
            self.0.hold(&slot, Arc::new(leader), listening);
            return Ok(());
        }
        tracing::warn!(%module, %command, pid = process.pid, "a kept process ended while no daemon ran");
        // It may have been asked to exit: its remaining processes get the time of a stop.
        slot.expect_end();
        let log = log_file::path(&self.0.home.root, &module, &command);
        let error = log_from.and_then(|from| last_words::error_since(&log, from));
        let how = format!("ended while Bellwether was not running{}", last_words::quoted(error));
        let ended = KeptState::Ended { pid: process.pid, how, at: self.0.clock.now() };
        self.0.states.publish(&module, &command, ended);
        let group = ProcessGroup::of(process);
        if !group.members(&*self.0.table.scan(Duration::ZERO).await?).is_empty() {
            self.0.hold_leftovers(&slot, group);
        }
        Ok(())
    }

    /// Whether it was waiting at the gate when the previous daemon ended. Then it exits, too; or its gate was
    /// opened just before, and it becomes the application at this moment.
    async fn never_became_it(&self, process: &ProcessId) -> bool {
        let until = Instant::now() + THROUGH_WITHIN;
        let mut waited = false;
        while process.still_alive() {
            let line = entry::command_line(process.pid).unwrap_or_default();
            if !self.0.home.launcher.is_waiting(&line) || Instant::now() >= until {
                return false;
            }
            waited = true;
            tokio::time::sleep(THROUGH_LOOK).await;
        }
        waited
    }
}
