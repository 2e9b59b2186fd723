//! What would have been different with another policy.
//!
//! ```text
//!   the recording ──observations, commands──▶ a core with the other policy
//!        │                                       │ plans, steps: answered as
//!        │                                       ▼ they were then
//!        └──records──▶ set against each other ◀──records
//! ```
//! After the first difference it is an estimate: the application would have
//! behaved otherwise, and what checkers would have seen then nobody knows. Until
//! then it is exact but for chance (the jitter of the backoff).

mod alignment;
mod other_core;
mod recording;

use std::time::Duration;

use self::alignment::align;
use self::other_core::OtherCore;
use self::recording::Recording;
use super::Line;
use crate::action::Action;
use crate::id::{CheckerName, ModuleName};
use crate::moment::Moment;
use crate::node::{Checkpoint, Node};
use crate::policy::ModulePolicy;
use crate::record::{Record, RecordKind};
use crate::state::StateName;

/// The core is told at most so much.
const MAX_TURNS: u64 = 2_000_000;
/// Timers and processes are late now and then: what the recording has as late as this is awaited, so
/// that things happen in the order in which they did.
const SLACK: Duration = Duration::from_millis(500);
/// Records that are as near as this to each other are at the same time.
const NEAR: Duration = Duration::from_secs(1);

/// How it was, and how it would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// How it was.
    pub was: Story,
    /// How it would have been.
    pub would: Story,
    /// The two, in the order of time.
    pub lines: Vec<ComparedRecord>,
    /// Checkers that the recording knows nothing of: they say nothing.
    pub silent: Vec<CheckerName>,
    /// There was too much to come to the end.
    pub broken_off: bool,
}

impl WhatIf {
    /// When it begins to differ, if it does.
    pub fn differs_at(&self) -> Option<Moment> {
        self.lines.iter().find_map(|line| match line {
            ComparedRecord::Same(_) => None,
            ComparedRecord::Was(record) | ComparedRecord::Would(record) => Some(record.at),
        })
    }
}

/// What became of the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    /// What was written.
    pub records: Vec<Record>,
    /// Automatic restarts.
    pub restarts: u32,
    /// How long the load balancer was told no.
    pub not_ready: Duration,
    /// Since when it is as it is, and whether it is ready.
    seen: Option<(Moment, bool)>,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub enum ComparedRecord {
    /// It is in both.
    Same(Record),
    /// It was so, and would not have been.
    Was(Record),
    /// It would have been so.
    Would(Record),
}

/// A recording, and what it is played with.
#[derive(Debug)]
pub struct Question<'q> {
    /// Which module.
    pub module: &'q ModuleName,
    /// What its file says instead.
    pub policy: ModulePolicy,
    /// The core as it was at the beginning; else the lines begin with a beginning.
    pub checkpoint: Option<Checkpoint>,
    /// What the core was told.
    pub lines: &'q [Line],
}

/// Plays a recording with another policy.
pub fn what_if(question: Question<'_>) -> WhatIf {
    let Question { module, policy, checkpoint, lines } = question;
    let recording = Recording::new(module, checkpoint.clone(), lines);
    let silent =
        policy.checkers.keys().filter(|name| !recording.heard.contains_key(*name)).cloned().collect();
    let end = lines.last().map_or(Moment::default(), |line| line.at);
    let mut other = OtherCore::new(module, policy, &recording);
    if let Some(checkpoint) = checkpoint {
        other.go_on_from(checkpoint);
    }
    for (at, cue) in &recording.cues {
        other.run_until(*at, SLACK);
        other.take(*at, cue);
    }
    other.run_until(end, Duration::ZERO);
    other.story.close(end);
    let lines = align(&recording.story.records, &other.story.records);
    WhatIf { silent, broken_off: other.turns >= MAX_TURNS, lines, would: other.story, was: recording.story }
}

impl Story {
    fn take(&mut self, module: &ModuleName, actions: &[Action]) {
        for action in actions {
            let Action::Record(record) = action else { continue };
            if record.module.as_ref() != Some(module) {
                continue;
            }
            if let RecordKind::Decision { decision, .. } = &record.kind
                && decision.starts_with("restart")
            {
                self.restarts += 1;
            }
            self.records.push(record.clone());
        }
    }

    fn look(&mut self, node: &Node, module: &ModuleName, at: Moment) {
        let ready = node.snapshot().module(module.as_str()).is_some_and(|module| module.ready);
        match self.seen {
            Some((_, was)) if was == ready => {}
            Some(_) | None => {
                self.close(at);
                self.seen = Some((at, ready));
            }
        }
    }

    fn close(&mut self, at: Moment) {
        if let Some((since, ready)) = &mut self.seen {
            if !*ready {
                self.not_ready += at.since(*since);
            }
            *since = at;
        }
    }
}

/// Whether the application is meant to serve, and nothing is being done about it.
fn serves(node: &Node, module: &ModuleName) -> bool {
    let snapshot = node.snapshot();
    let state = snapshot.module(module.as_str()).map(|module| module.state);
    matches!(state, Some(StateName::Up | StateName::Draining))
}
