//! What outlives the daemon, as the last one left it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use bellwether_core::id::ModuleName;
use bellwether_core::memory::ModuleMemory;

use crate::continuity::Continuity;
use bellwether_config::spec::NodeSpec;
use bellwether_journal as journal;
use bellwether_journal::{Journal, Notices};
use bellwether_os::clock::Clock;
use bellwether_supervisor::guest_store::GuestStores;
use bellwether_supervisor::persisted_state::{Before, PersistedState};

/// All of it, opened.
pub(super) struct Remembered {
    pub(super) journal: Journal,
    pub(super) notices: Notices,
    pub(super) persisted_state: PersistedState,
    pub(super) before: BTreeMap<ModuleName, ModuleMemory>,
    pub(super) guest_stores: GuestStores,
    pub(super) damaged: Vec<String>,
    pub(super) continuity: Continuity,
}

impl Remembered {
    pub(super) fn open(root: &Path, node: &NodeSpec, clock: Clock) -> anyhow::Result<Self> {
        let settings =
            journal::Settings { root: root.to_owned(), node: node.name.clone(), clock, spec: node.journal };
        let (journal, notices) = Journal::open(settings).context("cannot begin the journal's thread")?;
        let (persisted_state, Before { memories: before, mut damaged }) = PersistedState::open(root);
        let continuity = Continuity::carry_on(root, clock);
        let still =
            |(module, memory): (ModuleName, ModuleMemory)| (module, memory.watched_since(continuity.since()));
        let before = before.into_iter().map(still).collect();
        let (guest_stores, damaged_stores) = GuestStores::open(root);
        damaged.extend(damaged_stores);
        Ok(Self { journal, notices, persisted_state, before, guest_stores, damaged, continuity })
    }
}
