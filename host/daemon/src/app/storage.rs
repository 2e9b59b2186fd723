//! What outlives the daemon, as the last one left it: the journal, the state of modules, what components keep.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bellwether_bus::recorder::Recorder;
use bellwether_core::id::ModuleName;
use bellwether_core::memory::ModuleMemory;
use bellwether_journal as journal;
use bellwether_journal::{Journal, Notices};
use bellwether_supervisor::guest_store::GuestStores;
use bellwether_supervisor::persisted_state::{Before, PersistedState};

use super::base::Base;
use super::tasks::Tasks;
use crate::continuity::Continuity;
use crate::state_folder;

/// All of it, opened.
pub(super) struct Storage {
    pub(super) files: Files,
    /// The state of the modules when the last daemon ended.
    pub(super) memories: BTreeMap<ModuleName, ModuleMemory>,
    /// What was found damaged.
    pub(super) damaged: Vec<String>,
    /// What the journal reports about itself.
    notices: Notices,
    continuity: Continuity,
}

/// What parts of the daemon write to. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) journal: Journal,
    pub(super) persisted_state: PersistedState,
    pub(super) guest_stores: GuestStores,
}

impl Storage {
    pub(super) fn open(base: &Base) -> anyhow::Result<Self> {
        let Base { root, node, clock, .. } = base;
        let settings = journal::Settings {
            root: root.clone(),
            node: node.name.clone(),
            clock: *clock,
            spec: node.journal,
        };
        let (journal, notices) = Journal::open(settings).context("cannot begin the journal's thread")?;
        let (persisted_state, Before { memories, mut damaged }) = PersistedState::open(root);
        let continuity = Continuity::carry_on(root, *clock);
        let still =
            |(module, memory): (ModuleName, ModuleMemory)| (module, memory.watched_since(continuity.since()));
        let memories = memories.into_iter().map(still).collect();
        let (guest_stores, damaged_stores) = GuestStores::open(root);
        damaged.extend(damaged_stores);
        let files = Files { journal, persisted_state, guest_stores };
        Ok(Self { files, memories, damaged, notices, continuity })
    }

    /// Starts what looks after the files, and returns what has to be written before the daemon ends.
    pub(super) fn start(self, base: &Base, tasks: &mut Tasks) -> Files {
        let Self { files, notices, continuity, .. } = self;
        files.guest_stores.tell(base.events.clone());
        tasks.spawn(state_folder::look_after(base.root.clone(), base.problems.clone(), base.events.clone()));
        tasks.spawn(continuity.keep_forever(base.clock));
        tasks.spawn(record(notices, Recorder::new(base.events.clone())));
        files
    }
}

impl Files {
    /// Writes what has not been written yet.
    pub(super) async fn finish(self) {
        let Self { journal, persisted_state, guest_stores } = self;
        let finished = tokio::task::spawn_blocking(move || guest_stores.finish());
        drop(tokio::join!(journal.end(), persisted_state.finish(), finished));
    }
}

/// What the journal reports about itself becomes records.
async fn record(mut notices: Notices, recorder: Recorder) {
    while let Some(notice) = notices.recv().await {
        recorder.say(notice).await;
    }
}
