//! What the nodes of a simulation know, and whether that is all there is to know.

use std::time::Duration;

use bellwether_core::moment::Moment;

use super::{Entry, Number, World};
use crate::membership::Hearing;

impl World {
    /// What the node hears of the other one.
    pub(super) fn hearing(&self, by: Number, of: Number) -> Hearing {
        let daemon = self.nodes[by].daemon.as_ref().expect("it is running");
        daemon.view().nodes[&self.nodes[of].id].hearing
    }

    /// The numbers of the nodes that are running.
    pub(super) fn running(&self) -> Vec<Number> {
        (0..self.nodes.len()).filter(|number| self.nodes[*number].daemon.is_some()).collect()
    }

    /// What is not as it is to be when all running nodes hear all others and know what these say last.
    pub(super) fn wrong(&self) -> Option<String> {
        let running = self.running();
        for by in &running {
            let daemon = self.nodes[*by].daemon.as_ref()?;
            let view = daemon.view();
            for of in running.iter().filter(|of| *of != by) {
                let Some(peer) = view.nodes.get(&self.nodes[*of].id) else {
                    return Some(format!("{by} does not have {of}"));
                };
                if !peer.hearing.is_heard() {
                    return Some(format!("{by} does not hear {of}: {:?}", peer.hearing));
                }
                let generation = peer.summary.as_ref().map(|said| said.summary.generation);
                if generation != Some(self.nodes[*of].generation) {
                    return Some(format!("{by} has no summary of {of}: {generation:?}"));
                }
            }
            if daemon.active_in_swim() != running.len() - 1 {
                return Some(format!("foca at {by} knows {} nodes", daemon.active_in_swim()));
            }
        }
        None
    }

    /// How long it takes until nothing is wrong, at most so long.
    pub(super) fn time_until_well(&mut self, at_most: Duration) -> Duration {
        let began = self.now;
        while let Some(wrong) = self.wrong() {
            assert!(self.now.since(began) < at_most, "after {:?}: {wrong}", self.now.since(began));
            self.run(Duration::from_millis(50));
        }
        self.now.since(began)
    }

    /// What was recorded since then.
    pub(super) fn since(&self, moment: Moment) -> impl Iterator<Item = &Entry> {
        let first = self.log.partition_point(|entry| entry.at < moment);
        self.log[first..].iter()
    }
}
