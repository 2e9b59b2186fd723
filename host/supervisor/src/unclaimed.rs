//! Looks for applications that run differently from what the files say, and shows them.
//!
//! Kept applications are known across daemons (`state/kept.json`). An application in the background is known as
//! long as this daemon runs: its process checkers saw it before its module's file was removed.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::id::ModuleName;
use bellwether_core::policy::{CheckerKind, OnDown};
use bellwether_core::snapshot::{ModuleView, Snapshot};
use bellwether_core::unclaimed::{Claim, Unclaimed, command_line, in_the_background};

use crate::act::kept::inherit::Living;
use crate::act::kept::{Kept, Launched};
use crate::loaded_modules::LoadedModules;
use bellwether_bus::Published;
use bellwether_bus::diagnostics::Diagnostics;
use bellwether_config::read::MODULES_FOLDER;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use bellwether_os::process::identity::ProcessId;
use files::Files;

/// The interval of the check.
const LOOK: Duration = Duration::from_secs(1);
/// All commands of one check share a scan of the processes.
const SHARED: Duration = Duration::from_millis(500);
/// The number of processes that are remembered for a module in the background.
const MAX_SEEN: usize = 64;

/// The task that looks for unclaimed applications.
#[derive(Debug)]
pub struct Watch {
    /// The folder with the files.
    pub root: PathBuf,
    pub kept: Kept,
    pub loaded_modules: LoadedModules,
    /// The published observations of checkers.
    pub published: Published,
    /// Shows the applications that were found.
    pub problems: Diagnostics,
}

/// A process that a checker found, with its short name.
type Seen = BTreeMap<ModuleName, BTreeMap<ProcessId, String>>;

impl Watch {
    /// Checks periodically, until it is dropped.
    pub async fn run(self, heartbeat: Heartbeat, clock: Clock) {
        let mut seen = Seen::new();
        let mut files = Files::default();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            heartbeat.beat(clock);
            let mut sentences = Vec::new();
            let living = self.kept.living();
            let without = living.iter().filter(|living| self.loaded_modules.get(&living.module).is_none());
            files.look(without.map(|living| (living.module.clone(), self.file(&living.module))), LOOK).await;
            for kept in living {
                sentences.extend(self.claim(kept, &files).await.map(|kept| kept.sentence()));
            }
            let snapshot = self.published.snapshot.load_full();
            self.remember(&mut seen, &snapshot);
            sentences.extend(left_behind(
                &mut seen,
                |module| self.loaded_modules.get(module).is_some(),
                &snapshot,
            ));
            self.problems.set("unclaimed", &sentences);
        }
    }

    /// How the files differ from what is running, if they do. Nothing is scanned as long as they do not.
    async fn claim(&self, living: Living, files: &Files) -> Option<Unclaimed> {
        let Living { module, command, leader, launched } = living;
        let member = self.loaded_modules.get(&module);
        let declared = member.as_ref().map(|member| member.spec.commands.get(&command));
        let claim = match declared {
            // A disk that does not respond says nothing about it.
            None if files.has(&module)? => Claim::NotInForce,
            None => Claim::NoModule,
            Some(spec) => match spec.filter(|spec| spec.keep) {
                None => Claim::NoCommand,
                Some(spec) => {
                    let launched = launched.filter(|launched| *launched != Launched::by(spec))?;
                    let claim = Claim::Edited(started_with(&launched, &spec.run));
                    return Some(Unclaimed { module, command, pids: vec![leader?], claim });
                }
            },
        };
        let pids = self.kept.members(&module, &command, SHARED).await.ok()?;
        (!pids.is_empty()).then_some(Unclaimed { module, command, pids, claim })
    }

    fn file(&self, module: &ModuleName) -> PathBuf {
        self.root.join(MODULES_FOLDER).join(format!("{module}.toml"))
    }

    /// Remembers the processes that checkers find of applications that are not kept.
    fn remember(&self, seen: &mut Seen, snapshot: &Snapshot) {
        for module in &snapshot.modules {
            // The module was removed just now: its processes stay known.
            let Some(member) = self.loaded_modules.get(&module.name) else { continue };
            let before = seen.remove(&module.name).unwrap_or_default();
            if member.spec.commands.values().any(|command| command.keep) {
                continue;
            }
            let mut now = BTreeMap::new();
            for (pid, name) in processes(module).take(MAX_SEEN) {
                let known = before.keys().find(|process| process.pid == pid).copied();
                // Processes that have ended are omitted.
                let process = known.filter(ProcessId::still_alive).or_else(|| ProcessId::of(pid).ok());
                now.extend(process.map(|process| (process, name.to_owned())));
            }
            if !now.is_empty() {
                seen.insert(module.name.clone(), now);
            }
        }
    }
}

/// Applications in the background whose module is gone, as sentences. Those that have ended are forgotten, and so
/// are those that another module monitors now: the file was renamed.
fn left_behind(
    seen: &mut Seen,
    is_in_force: impl Fn(&ModuleName) -> bool,
    snapshot: &Snapshot,
) -> Vec<String> {
    let in_force = snapshot.modules.iter().filter(|module| is_in_force(&module.name));
    let watched: BTreeSet<u32> = in_force.flat_map(|module| processes(module)).map(|(pid, _)| pid).collect();
    let mut sentences = Vec::new();
    seen.retain(|module, processes| {
        if is_in_force(module) {
            return true;
        }
        processes.retain(|process, _| process.still_alive() && !watched.contains(&process.pid));
        let pids: Vec<u32> = processes.keys().map(|process| process.pid).collect();
        if let Some(name) = processes.values().next() {
            sentences.push(in_the_background(module, name, &pids));
        }
        !processes.is_empty()
    });
    sentences
}

/// The running command in words, with a hint if the words are the same as in the file.
pub(crate) fn started_with(launched: &Launched, run: &[String]) -> String {
    let line = command_line(&launched.run);
    if launched.run == run { format!("{line} in another environment or folder") } else { line }
}

/// The processes of the application, as found by its checkers, without those of a prerequisite.
fn processes(module: &ModuleView) -> impl Iterator<Item = (u32, &str)> {
    let own = module.checkers.iter().filter(|checker| {
        checker.kind == CheckerKind::Process
            && checker.watched
            && matches!(checker.on_down, OnDown::Restart | OnDown::Stop)
    });
    let last = own.filter_map(|checker| checker.last.as_ref());
    last.flat_map(|last| last.processes.iter().map(|process| (process.pid, process.name.as_str())))
}

#[cfg(test)]
mod tests;
