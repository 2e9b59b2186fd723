//! Collects the actions of one call of the core.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{AttemptId, Generation, ModuleName, NodeName};
use crate::moment::Moment;
use crate::record::{Record, RecordKind};

/// The counters that must never repeat, and the random number generator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) record: u64,
    attempt: AttemptId,
    generation: Generation,
    jitter: u64,
}

impl Counters {
    /// `seed` is the random seed; equal seeds give equal decisions.
    pub(crate) fn new(last_record: u64, seed: u64) -> Self {
        Self {
            record: last_record,
            attempt: AttemptId::default(),
            generation: Generation::default(),
            jitter: seed,
        }
    }
}

/// The actions of one call of the core.
pub(crate) struct Outbox<'a> {
    pub(crate) now: Moment,
    node: &'a NodeName,
    counters: &'a mut Counters,
    actions: Vec<Action>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(now: Moment, node: &'a NodeName, counters: &'a mut Counters) -> Self {
        Self { now, node, counters, actions: Vec::new() }
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn record(&mut self, module: Option<&ModuleName>, kind: RecordKind) {
        self.counters.record += 1;
        let record = Record {
            seq: self.counters.record,
            at: self.now,
            node: self.node.clone(),
            module: module.cloned(),
            kind,
        };
        self.actions.push(Action::Record(record));
    }

    pub(crate) fn next_attempt(&mut self) -> AttemptId {
        self.counters.attempt = self.counters.attempt.next();
        self.counters.attempt
    }

    pub(crate) fn next_generation(&mut self) -> Generation {
        self.counters.generation = self.counters.generation.next();
        self.counters.generation
    }

    /// A random number in 0..1 that differs from node to node (xorshift64, Marsaglia 2003: sufficient for keeping
    /// nodes from acting at the same time, which is its only purpose).
    pub(crate) fn jitter(&mut self) -> f64 {
        let mut x = self.counters.jitter.max(1);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.counters.jitter = x;
        let upper = u32::try_from(x >> 32).unwrap_or(0);
        f64::from(upper) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn into_actions(self) -> Vec<Action> {
        self.actions
    }
}
