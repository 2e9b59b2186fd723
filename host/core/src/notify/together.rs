//! Grouping by time: events of several modules at nearly the same time are sent in one notification.
//!
//! - A notification of one module includes what others would send within `group-wait`.
//! - The message that a module has recovered waits, for `group-wait` at most, for others that are about to recover,
//!   too.
//! - Notifications about the node are sent separately.

use std::collections::BTreeMap;

use super::Policy;
use super::group::{Due, Group, Told};
use super::notification::Standing;
use crate::moment::Moment;

/// By module; the node's own alerts have the empty name.
pub(super) type Groups = BTreeMap<String, Group>;

/// The content of one notification: each part with its module.
pub(super) type Batch = Vec<(String, Told)>;

/// When the next action is due.
pub(super) fn due(groups: &Groups, policy: &Policy) -> Option<Moment> {
    let ends = ends(groups, policy);
    let due = |group: &Group| match group.next(policy) {
        Some(next) => Some(told_at(&ends, next, policy)),
        None => group.forgotten(policy),
    };
    groups.values().filter_map(due).min()
}

/// The content to send now.
pub(super) fn tell(groups: &mut Groups, policy: &Policy, now: Moment) -> Vec<Batch> {
    let ends = ends(groups, policy);
    let turn = |due: Due| {
        let nexts = groups.values().filter_map(|group| group.next(policy)).filter(|next| next.1 == due);
        nexts.map(|next| told_at(&ends, next, policy)).any(|at| at <= now)
    };
    let (news, end) = (turn(Due::News), turn(Due::End));
    let mut batches: Vec<((bool, Standing, bool), Batch)> = Vec::new();
    for (key, group) in groups {
        let Some((at, due)) = group.next(policy) else { continue };
        let is_its_turn = match due {
            Due::News => news && at <= now + policy.group_wait,
            Due::End => end && at <= now,
            Due::Reminder => at <= now,
        };
        if !is_its_turn {
            continue;
        }
        let Some(told) = group.tell(policy, due, now) else { continue };
        let kind = (key.is_empty(), told.standing, told.reminder);
        match batches.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, batch)) => batch.push((key.clone(), told)),
            None => batches.push((kind, vec![(key.clone(), told)])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// When each module that is about to recover will have recovered, in order.
fn ends(groups: &Groups, policy: &Policy) -> Vec<Moment> {
    let nexts = groups.values().filter_map(|group| group.next(policy));
    let mut ends: Vec<Moment> = nexts.filter(|(_, due)| *due == Due::End).map(|(at, _)| at).collect();
    ends.sort_unstable();
    ends
}

fn told_at(ends: &[Moment], (at, due): (Moment, Due), policy: &Policy) -> Moment {
    if due != Due::End {
        return at;
    }
    let in_time = ends.partition_point(|end| *end <= at + policy.group_wait);
    in_time.checked_sub(1).and_then(|last| ends.get(last)).map_or(at, |last| at.max(*last))
}
