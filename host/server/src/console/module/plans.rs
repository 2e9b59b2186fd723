//! The recent plans, with the result of each step.

use bellwether_core::record::RecordKind;

use crate::console::frame::{Time, Times};
use crate::console::look::Look;
use bellwether_bus::Entry;

/// Older ones are on the events page.
const SHOWN: usize = 5;

#[derive(Debug)]
pub(super) struct PastPlan {
    pub(super) at: Time,
    pub(super) occasion: String,
    pub(super) summary: String,
    /// The planned steps; empty if there was no plan.
    pub(super) planned: usize,
    pub(super) steps: Vec<PastStep>,
}

#[derive(Debug)]
pub(super) struct PastStep {
    pub(super) step: String,
    pub(super) look: Look,
    pub(super) result: String,
}

/// Ordered by time, the latest first.
pub(super) fn plans(records: &[Entry], times: &Times) -> Vec<PastPlan> {
    let mut plans: Vec<PastPlan> = Vec::new();
    for entry in records {
        let at = || times.told(entry.timestamp(entry.at));
        match &entry.kind {
            RecordKind::Plan { occasion, summary, steps } => plans.push(PastPlan {
                at: at(),
                occasion: occasion.clone(),
                summary: summary.clone(),
                planned: steps.len(),
                steps: Vec::new(),
            }),
            RecordKind::NoPlan { occasion, reason } => plans.push(PastPlan {
                at: at(),
                occasion: occasion.clone(),
                summary: format!("no plan: {reason}"),
                planned: 0,
                steps: Vec::new(),
            }),
            RecordKind::Step { step, ok, result } => {
                if let Some(plan) = plans.last_mut() {
                    let look = if *ok {
                        Look { glyph: "yes", word: "done", tone: "ok" }
                    } else {
                        Look { glyph: "down", word: "failed", tone: "bad" }
                    };
                    plan.steps.push(PastStep { step: step.clone(), look, result: result.clone() });
                }
            }
            _ => {}
        }
    }
    let surplus = plans.len().saturating_sub(SHOWN);
    plans.drain(..surplus);
    plans.reverse();
    plans
}
