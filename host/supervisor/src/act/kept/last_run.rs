//! The leftovers of a command: processes that outlive its first one, inside or outside its process group.
//!
//! ```text
//!   the first process ends ──▶ what is left is asked to end ──its time is over──▶ SIGKILL ──▶ nobody is left
//! ```
//! The same processes are meant before the next start, after a stop, and when everything is killed.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use crate::act::step::NotDone;
use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::left::{Left, does_not_end, waiting_for};
use bellwether_core::plan::{Signal, StepError};
use bellwether_os::exhaustion::Exhaustion;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Inner, KILLED_WITHIN, Kept, Slot, Which};
use bellwether_os::process::kept_table::{KeptKey, KeptState};
use bellwether_os::process::pidfd::PidFd;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::table::Table;

/// The number of processes that are waited for at the same time; the rest follow after them.
const MAX_HELD: usize = 64;
/// The delay before the next attempt while processes cannot be opened (too many open files).
const PAUSE: Duration = Duration::from_millis(50);

/// How leftover processes are asked to exit: in stages, one after the other. Processes that outlive the last one
/// get SIGKILL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The stages, in their order.
    pub stages: Vec<Stage>,
}

/// One stage: a signal, and a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    pub signal: Signal,
    /// Processes that are alive after this time get the next stage.
    pub within: Duration,
}

impl Request {
    fn within(&self) -> Duration {
        self.stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.within))
    }
}

impl Kept {
    /// Ends the leftovers of the last runs of these commands, unless their first process is alive. `tell` is called
    /// with what is waited for and the maximum time, if there is anything. An error names the processes that do not
    /// end.
    pub(crate) async fn end_last_run<T: Future<Output = ()>>(
        &self,
        module: &ModuleName,
        requests: Vec<(CommandName, Request)>,
        tell: impl FnOnce(String, Duration) -> T,
    ) -> Result<(), NotDone> {
        let requests = requests.into_iter().map(|(command, request)| (self.slot(module, &command), request));
        let requests: Vec<_> = requests.filter(|(slot, _)| !slot.is_led()).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let table = self.0.table.scan(Duration::ZERO).await.map_err(|error| cannot_tell(&error))?;
        let mut all = Vec::new();
        let mut ends = Vec::new();
        let mut within = Duration::ZERO;
        for (slot, request) in &requests {
            let left = self.0.left_in(slot, &table);
            if !left.is_empty() {
                all.extend(named(&left));
                within = within.max(request.within());
                ends.push(self.end_left(slot, request));
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        let text = waiting_for(&all);
        tracing::info!(%module, "{text}");
        tell(text, within.saturating_add(KILLED_WITHIN)).await;
        join_all(ends).await.into_iter().collect()
    }

    async fn end_left(&self, slot: &Slot, request: &Request) -> Result<(), NotDone> {
        for Stage { signal, within } in &request.stages {
            let ends = self.0.left_ends(slot, Some(*signal));
            if let Ok(ended) = tokio::time::timeout(*within, ends).await {
                return ended.map_err(|error| cannot_tell(&error));
            }
        }
        let (module, command) = &slot.key;
        tracing::info!(%module, %command, "what the last run has left is ended by SIGKILL");
        if self.end(slot, Instant::now() + KILLED_WITHIN, Which::All).await.is_ok() {
            return Ok(());
        }
        let left = self.0.left(slot).await.map_err(|error| cannot_tell(&error))?;
        if left.is_empty() {
            Ok(())
        } else {
            Err(NotDone::from(StepError::from(does_not_end(&named(&left)))))
        }
    }

    /// From now on, the leftovers of this command are asked to exit with this signal.
    pub(crate) fn set_ends_by(&self, module: &ModuleName, command: &CommandName, signal: Signal) {
        self.slot(module, command).set_ends_by(Some(signal));
    }

    /// Whether its first process has ended without being asked to.
    pub(crate) fn has_died(&self, module: &ModuleName, command: &CommandName) -> bool {
        let slot = self.slot(module, command);
        let seen_to_end = matches!(self.0.states.state(module, command), KeptState::Ended { .. });
        seen_to_end && !slot.is_led() && !slot.expects_end()
    }

    /// The commands of the module that have leftovers.
    pub(super) async fn discover(&self, module: &ModuleName) -> io::Result<()> {
        let table = self.0.table.scan(Duration::ZERO).await?;
        let commands: BTreeSet<KeptKey> = table
            .living()
            .filter_map(|process| self.0.belonging.of(&process.image))
            .filter(|(of, _)| of == module)
            .collect();
        for (module, command) in commands {
            self.slot(&module, &command);
        }
        Ok(())
    }
}

impl Inner {
    /// All living processes of the command: in its group, and others that came from it.
    pub(super) async fn left(&self, slot: &Slot) -> io::Result<Vec<Stat>> {
        Ok(self.left_in(slot, &*self.table.scan(Duration::ZERO).await?))
    }

    /// The same, from this table.
    pub(super) fn left_in(&self, slot: &Slot, table: &Table) -> Vec<Stat> {
        let mut left = self.outside_in(slot, table);
        for pid in slot.group().map(|group| group.members(table)).unwrap_or_default() {
            left.extend(table.get(pid).map(|process| process.stat.clone()));
        }
        left.sort_unstable_by_key(|stat| stat.pid);
        left
    }

    /// Those that have left its group.
    pub(super) async fn outside(&self, slot: &Slot) -> io::Result<Vec<Stat>> {
        Ok(self.outside_in(slot, &*self.table.scan(Duration::ZERO).await?))
    }

    fn outside_in(&self, slot: &Slot, table: &Table) -> Vec<Stat> {
        let keys = self.keys_of(slot);
        let group = slot.group().map(|group| group.members(table)).unwrap_or_default();
        let outside = table.living().filter(|process| {
            let of = self.belonging.of(&process.image);
            of.is_some_and(|of| keys.contains(&of)) && !group.contains(&process.stat.pid)
        });
        outside.map(|process| process.stat.clone()).collect()
    }

    /// The commands that its processes were started as: after a rename, another one.
    fn keys_of(&self, slot: &Slot) -> Vec<KeptKey> {
        let own = (!self.has_heir(slot)).then(|| slot.key.clone());
        own.into_iter().chain(slot.former()).collect()
    }

    /// Whether a module that was renamed has taken over what this command had started.
    pub(super) fn has_heir(&self, slot: &Slot) -> bool {
        self.all_slots()
            .iter()
            .any(|other| other.group().is_some() && other.former().as_ref() == Some(&slot.key))
    }

    /// The code in the environment of its processes. `None` while processes that were transferred from it carry the
    /// same code.
    pub(super) fn mark(&self, slot: &Slot) -> Option<String> {
        (!self.has_heir(slot)).then(|| self.belonging.mark(&slot.key.0, &slot.key.1))
    }

    /// Moves a process that waits at the gate into the control group of its command.
    pub(super) fn enter(&self, slot: &Slot, pid: u32) {
        slot.set_former(None);
        if !self.has_heir(slot) {
            // From here on only this command's processes have this code: none that was transferred from it is
            // alive.
            for other in self.all_slots().iter().filter(|other| other.former().as_ref() == Some(&slot.key)) {
                other.set_former(None);
            }
            self.belonging.enter(&slot.key.0, &slot.key.1, pid);
        }
    }

    /// Sends the signal to those that have left its group; `false` if there are none.
    pub(super) async fn signal_outside(&self, slot: &Slot, signal: Signal) -> io::Result<bool> {
        if signal == Signal::Kill {
            self.kill_control_groups(slot);
        }
        let mut sent = false;
        for stat in self.outside(slot).await? {
            if let Some(process) = hold(&stat)? {
                sent |= reaches(&process, signal)?;
            }
        }
        Ok(sent)
    }

    /// Including those that are just being started.
    fn kill_control_groups(&self, slot: &Slot) {
        for (module, command) in self.keys_of(slot) {
            let killed = self.belonging.group(&module, &command).map(|group| group.kill());
            // Each process is signalled in addition.
            if let Some(Err(error)) = killed {
                tracing::debug!(%module, %command, %error, "cannot kill a control group");
            }
        }
    }

    /// Returns when no process of the command is alive. Its group is waited for; processes that have left it are
    /// asked to exit, if there is a signal for that.
    pub(super) async fn left_ends(&self, slot: &Slot, signal: Option<Signal>) -> io::Result<()> {
        let (mut asked, mut out_of_reach) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let mut left = self.left(slot).await?;
            // Processes that this daemon may not signal are not waited for either.
            left.retain(|stat| !out_of_reach.contains(&(stat.pid, stat.start_time)));
            if left.is_empty() {
                break;
            }
            let mut held = Vec::new();
            for stat in &left {
                let Ok(Some(process)) = hold(stat) else { continue };
                if let Some(signal) = signal
                    && asked.insert((stat.pid, stat.start_time))
                    && !reaches(&process, signal)?
                    && !process.has_ended()
                {
                    out_of_reach.insert((stat.pid, stat.start_time));
                    continue;
                }
                if held.len() < MAX_HELD {
                    held.push(process);
                }
            }
            if held.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
            join_all(held.iter().map(PidFd::exited)).await;
        }
        self.remove_control_groups(slot);
        if slot.group().is_none() {
            slot.set_former(None);
        }
        Ok(())
    }

    pub(super) fn remove_control_groups(&self, slot: &Slot) {
        for (module, command) in self.keys_of(slot) {
            if let Some(group) = self.belonging.group(&module, &command) {
                group.remove();
            }
        }
    }
}

/// A node that lacks the resources for a scan learns nothing about the application.
fn cannot_tell(error: &io::Error) -> NotDone {
    let reason = StepError::Reported(format!("cannot tell what the last run has left: {error}"));
    NotDone { reason, shortage: Exhaustion::of(error) }
}

/// Exactly this process, if it is alive.
fn hold(stat: &Stat) -> io::Result<Option<PidFd>> {
    Ok(PidFd::open(stat.pid)?.filter(|process| process.id().start_time == stat.start_time))
}

/// Sends a signal. Returns whether the process has received it: a daemon that is not root cannot signal a process
/// that runs entirely as another user.
fn reaches(process: &PidFd, signal: Signal) -> io::Result<bool> {
    match process.signal(signal) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(
                pid = process.id().pid,
                "a process of an application may not be signalled: it is another user's"
            );
            Ok(false)
        }
        result => result,
    }
}

fn named(left: &[Stat]) -> Vec<Left> {
    left.iter().map(|stat| Left { name: stat.comm.clone(), pid: stat.pid }).collect()
}

#[cfg(test)]
mod tests;
