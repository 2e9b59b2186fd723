//! The owners of kept commands: modules are added, removed and renamed.

use std::io;
use std::time::Duration;

use bellwether_core::id::{CommandName, ModuleName};

use super::{Kept, Launched};
use bellwether_os::process::kept_table::KeptState;

/// A command that has a process group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    pub module: ModuleName,
    pub command: CommandName,
    /// Its process, if it is alive; processes that it started may outlive it.
    pub leader: Option<u32>,
    /// What it was started with, if that is known.
    pub launched: Option<Launched>,
}

impl Kept {
    /// All kept commands, whether or not the files still declare them.
    pub fn living(&self) -> Vec<Living> {
        let slots = self.0.all_slots();
        let living = slots.iter().filter(|slot| slot.group().is_some()).map(|slot| {
            let (module, command) = slot.key.clone();
            let leader = self.0.states.state(&module, &command).running().map(|process| process.pid);
            Living { module, command, leader, launched: slot.launched() }
        });
        living.collect()
    }

    /// The living processes of a command, from a table that is at most this old.
    pub async fn members(
        &self,
        module: &ModuleName,
        command: &CommandName,
        not_older_than: Duration,
    ) -> io::Result<Vec<u32>> {
        let table = self.0.table.scan(not_older_than).await?;
        let left = self.0.left_in(&self.slot(module, command), &table);
        Ok(left.iter().map(|stat| stat.pid).collect())
    }

    /// What this command's process was started with, if it runs and that is known.
    pub(crate) fn launched(&self, module: &ModuleName, command: &CommandName) -> Option<Launched> {
        self.0.states.state(module, command).running()?;
        self.slot(module, command).launched()
    }

    /// Transfers to a command the process that another command has started in the same way, if it is alive and
    /// `is_orphan` reports that the other command's module is gone. Returns the previous owner and the process id.
    pub fn inherit(
        &self,
        module: &ModuleName,
        command: &CommandName,
        launched: &Launched,
        is_orphan: impl Fn(&ModuleName) -> bool,
    ) -> Option<(ModuleName, u32)> {
        let heir = self.slot(module, command);
        if heir.group().is_some() {
            return None;
        }
        let slots = self.0.all_slots();
        let left = slots.iter().filter(|slot| is_orphan(&slot.key.0) && slot.key.0 != *module);
        let mut same = left.filter(|slot| slot.launched().as_ref() == Some(launched));
        let (slot, leader) = same.find_map(|slot| {
            let leader = slot.held().as_ref()?.leader.clone()?;
            (!leader.has_ended()).then_some((slot, leader))
        })?;
        let pid = leader.id().pid;
        // Its monitoring task ends with it; the new owner's task takes over.
        let listening = slot.held().take().and_then(|mut held| held.listening.take());
        let (former, of) = slot.key.clone();
        self.0.states.publish(&former, &of, KeptState::Never);
        self.0.states.listens(&former, &of, None);
        heir.set_former(Some(slot.former().unwrap_or_else(|| slot.key.clone())));
        slot.set_former(None);
        slot.set_launched(None);
        heir.set_launched(Some(launched.clone()));
        // Its log still has its former name.
        heir.set_log_from(None);
        self.0.hold(&heir, leader, listening);
        self.0.write_ledger();
        tracing::info!(%module, %command, pid, %former, "took over a kept process");
        Some((former, pid))
    }
}
