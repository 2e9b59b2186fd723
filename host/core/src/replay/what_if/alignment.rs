//! Two stories set against each other, record by record.

use super::super::gist;
use super::{ComparedRecord, NEAR};
use crate::record::{Record, RecordKind};

/// Of a longer story only the beginning is set against the other.
const MAX_COMPARED: usize = 2000;

/// The longest common story, and what is only in one of the two.
pub(super) fn align(was: &[Record], would: &[Record]) -> Vec<ComparedRecord> {
    let told = |record: &&Record| {
        matches!(
            record.kind,
            RecordKind::Verdict { .. }
                | RecordKind::Incident { .. }
                | RecordKind::CannotTell { .. }
                | RecordKind::Decision { .. }
                | RecordKind::State { .. }
                | RecordKind::Plan { .. }
                | RecordKind::NoPlan { .. }
                | RecordKind::Step { .. }
                | RecordKind::Command { .. }
        )
    };
    let (mut was, mut would): (Vec<&Record>, Vec<&Record>) =
        (was.iter().filter(told).collect(), would.iter().filter(told).collect());
    let same = was.iter().zip(&would).take_while(|(was, would)| matches(was, would)).count();
    let mut lines: Vec<ComparedRecord> =
        was.drain(..same).map(|record| ComparedRecord::Same(record.clone())).collect();
    would.drain(..same);
    was.truncate(MAX_COMPARED);
    would.truncate(MAX_COMPARED);
    lines.extend(align_rest(&was, &would));
    lines
}

fn align_rest(was: &[&Record], would: &[&Record]) -> Vec<ComparedRecord> {
    let width = would.len() + 1;
    let mut longest = vec![0u16; (was.len() + 1) * width];
    for i in (0..was.len()).rev() {
        for j in (0..would.len()).rev() {
            longest[i * width + j] = if matches(was[i], would[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < was.len() || j < would.len() {
        if i < was.len() && j < would.len() && matches(was[i], would[j]) {
            lines.push(ComparedRecord::Same(was[i].clone()));
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let skip_was = match (was.get(i), would.get(j)) {
            (Some(a), Some(b)) => {
                let (without_was, without_would) = (longest[(i + 1) * width + j], longest[i * width + j + 1]);
                without_was > without_would || (without_was == without_would && a.at <= b.at)
            }
            (was, _) => was.is_some(),
        };
        if skip_was {
            lines.push(ComparedRecord::Was(was[i].clone()));
            i += 1;
        } else {
            lines.push(ComparedRecord::Would(would[j].clone()));
            j += 1;
        }
    }
    lines
}

/// Equal records at about the same time are the same; chance is not compared.
fn matches(was: &Record, would: &Record) -> bool {
    let apart = was.at.since(would.at).max(would.at.since(was.at));
    let word = |kind: &RecordKind| match kind {
        RecordKind::Decision { decision, .. } => decision.split(' ').next().unwrap_or_default().to_owned(),
        other => gist(other),
    };
    apart <= NEAR && word(&was.kind) == word(&would.kind)
}
