//! Looks at the farm whenever something about it changes: problems, records, numbers for the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::farm_counts::{FarmCounts, PublishedFarmCounts};
use bellwether_bus::recorder::Recorder;
use bellwether_farm::id::NodeId;
use bellwether_farm::membership::Hearing;
use bellwether_links::{LinkState, Links, NodePicture, Picture};
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;
use jiff::Timestamp;

use super::clocks::Clocks;
use super::facts::seconds;
use super::problems::{expiring, problems};
use super::story::Story;

/// Changes within this time are looked at together.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// A look at least this often: certificates come closer to their end by themselves.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// What is looked at, and who is told.
pub(super) struct Watch {
    pub(super) links: Links,
    pub(super) clock: Clock,
    pub(super) clocks: Arc<Mutex<Clocks>>,
    pub(super) recorder: Recorder,
    pub(super) problems: Diagnostics,
    pub(super) counts: PublishedFarmCounts,
}

impl Watch {
    /// Looks until it is dropped.
    pub(super) async fn run(self, heartbeat: Heartbeat) {
        let (mut changes, mut story) = (self.links.changes(), Story::default());
        loop {
            heartbeat.beat(self.clock);
            changes.borrow_and_update();
            self.look(&self.links.picture(), &mut story).await;
            tokio::time::sleep(AT_MOST_EVERY).await;
            if let Ok(Err(_)) = tokio::time::timeout(AT_LEAST_EVERY, changes.changed()).await {
                // The links have ended, and the daemon does.
                return heartbeat.rest();
            }
        }
    }

    async fn look(&self, picture: &Picture, story: &mut Story) {
        let wall = seconds(self.clock.wall_micros(self.clock.now()));
        let found = {
            let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
            self.read_clocks(picture, &mut clocks);
            problems(picture, &clocks, env!("CARGO_PKG_VERSION"), wall)
        };
        self.problems.set("farm", &found);
        self.counts.publish(counts(picture));
        for record in story.next(picture, &expiring(picture, wall)) {
            self.recorder.record(None, record).await;
        }
    }

    fn read_clocks(&self, picture: &Picture, clocks: &mut Clocks) {
        let heard = |node: &&NodePicture| node.view.hearing.is_heard();
        for node in picture.nodes.iter().filter(heard) {
            if let Some(last) = &node.view.summary {
                #[expect(clippy::cast_precision_loss, reason = "exact until long after 2100")]
                let own = self.clock.wall_micros(last.received) as f64 / 1e6;
                clocks.read(node.id, last.summary.sequence, last.summary.facts.wall, own);
            }
        }
        let heard: Vec<NodeId> = picture.nodes.iter().filter(heard).map(|node| node.id).collect();
        clocks.forget_all_but(|id| heard.contains(id));
    }
}

/// Nothing without a farm.
fn counts(picture: &Picture) -> FarmCounts {
    if picture.this.is_none() {
        return FarmCounts::default();
    }
    let count = |state: &'static str| {
        let nodes = picture.nodes.iter().filter(|node| state_of(node) == state);
        (state, nodes.count() as u64)
    };
    let others = ["heard", "unknown", "never", "cannot-authenticate"].map(count);
    let ends = |of: &'static str, ends: Option<Timestamp>| {
        Some((of, u64::try_from(ends?.as_second()).unwrap_or_default()))
    };
    let certificates = [ends("node", picture.certificate_ends), ends("authority", picture.authority_ends)];
    FarmCounts {
        nodes: [("this", 1)].into_iter().chain(others).collect(),
        certificates: certificates.into_iter().flatten().collect(),
    }
}

/// The word for it in the metrics.
fn state_of(node: &NodePicture) -> &'static str {
    match (&node.view.hearing, &node.link) {
        (Hearing::Heard { .. }, _) => "heard",
        (_, LinkState::CannotAuthenticate { .. }) => "cannot-authenticate",
        (Hearing::NotHeard { .. }, _) => "unknown",
        (Hearing::Never, _) => "never",
    }
}
