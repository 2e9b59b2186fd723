//! The checkers of a module, grouped by what is decided from.
//!
//! ```text
//!   get_mut ──▶ Editing ──dropped──▶ its group, the times it is waited for, the lists of what has changed
//! ```
//! After each event a module decides from its checkers as they are. It may have thousands of them, and each of them
//! has events. So a question about all checkers is answered by looking at each group of checkers that are alike in
//! [`Facets`], and what is kept for each checker is brought up to date for those that have changed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::id::CheckerName;
use crate::moment::Moment;
use crate::observation::{Observation, ProcessFact};
use crate::policy::{CheckerKind, OnDown};
use crate::verdict::Verdict;

use super::checker::Checker;
use super::found_again::lowest;
use super::probation::InForce;

/// What is decided from, of one checker. Its functions are in [`Checker`], under the same names.
#[expect(clippy::struct_excessive_bools, reason = "each of them is a fact of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facets {
    pub(super) on_down: OnDown,
    pub(super) kind: CheckerKind,
    pub(super) verdict: Verdict,
    pub(super) failing: bool,
    pub(super) spoken: bool,
    pub(super) asked: bool,
    pub(super) cannot_tell: bool,
    pub(super) native_could_not_tell: bool,
    pub(super) on_probation: bool,
    pub(super) stood: bool,
    pub(super) trusted: bool,
    pub(super) saw_life: bool,
    pub(super) saw_its_end: bool,
}

impl Facets {
    fn of(checker: &Checker) -> Self {
        Self {
            on_down: checker.policy.on_down,
            kind: checker.policy.kind,
            verdict: checker.verdict(),
            failing: checker.judge.failing(),
            spoken: checker.spoken(),
            asked: checker.asked(),
            cannot_tell: checker.cannot_tell(),
            native_could_not_tell: checker.native_could_not_tell(),
            on_probation: checker.on_probation(),
            stood: checker.stood(),
            trusted: checker.is_trusted(),
            saw_life: checker.saw_life(),
            saw_its_end: checker.saw_its_end(),
        }
    }

    pub(super) fn gates_health(&self) -> bool {
        self.on_down.gates_health()
    }

    /// Whether it looks at the application itself and has a say.
    pub(super) fn is_of_application(&self) -> bool {
        match self.on_down {
            OnDown::Restart | OnDown::Stop | OnDown::Out => true,
            OnDown::Wait | OnDown::Notify => false,
        }
    }

    /// Whether it looks at the processes of the application.
    pub(super) fn is_native(&self) -> bool {
        self.kind == CheckerKind::Process && self.on_down != OnDown::Wait
    }

    /// One on probation holds nothing back.
    pub(super) fn is_prerequisite(&self) -> bool {
        self.on_down == OnDown::Wait && !self.on_probation
    }

    pub(super) fn sees_life(&self) -> bool {
        self.spoken && self.saw_life
    }
}

/// What is known of a checker outside of it.
#[derive(Debug, Clone)]
struct Noted {
    facets: Facets,
    overdue_at: Moment,
    missing_until: Moment,
    blind_at: Moment,
    in_force: InForce,
    /// Of the processes that it saw, the lowest id.
    lowest: Option<u32>,
    /// What it saw last, if processes and still watched.
    seen: Option<Arc<Observation>>,
}

impl Noted {
    fn of(checker: &Checker) -> Self {
        looks::count();
        let sees = |seen: &&Arc<Observation>| checker.watched() && !seen.processes.is_empty();
        Self {
            facets: Facets::of(checker),
            overdue_at: checker.overdue_at(),
            missing_until: checker.missing_until(),
            blind_at: checker.blind_at(),
            in_force: InForce::of_checker(checker),
            lowest: lowest(checker),
            seen: checker.last.as_ref().filter(sees).map(Arc::clone),
        }
    }
}

#[derive(Debug, Clone)]
struct Tracked {
    name: CheckerName,
    checker: Checker,
    noted: Noted,
}

/// For whom a checker has changed since they asked last.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keeper {
    /// The pace at which it is run.
    Watches,
    /// What the application is like while it is ready.
    Serving,
    /// What the next daemon compares with what it finds in the file.
    InForce,
    /// The picture.
    Picture,
}

const KEEPERS: usize = 4;

#[derive(Debug, Clone, Default)]
struct Index {
    groups: Vec<(Facets, BTreeSet<CheckerName>)>,
    overdue: BTreeSet<(Moment, CheckerName)>,
    missing: BTreeSet<(Moment, CheckerName)>,
    blind: BTreeSet<(Moment, CheckerName)>,
    /// How many checkers see each process.
    processes: BTreeMap<(u32, String), usize>,
    changed: [BTreeSet<CheckerName>; KEEPERS],
}

impl Index {
    fn changed(&mut self, keeper: Keeper) -> &mut BTreeSet<CheckerName> {
        let [watches, serving, in_force, picture] = &mut self.changed;
        match keeper {
            Keeper::Watches => watches,
            Keeper::Serving => serving,
            Keeper::InForce => in_force,
            Keeper::Picture => picture,
        }
    }

    /// A checker is no longer as it was noted, or is new, or is gone.
    fn note(&mut self, name: &CheckerName, before: Option<&Noted>, after: Option<&Noted>) {
        let (facets, new_facets) = (before.map(|noted| noted.facets), after.map(|noted| noted.facets));
        if facets != new_facets {
            self.regroup(name, facets, new_facets);
        }
        move_time(&mut self.overdue, name, [before, after].map(|n| n.map(|noted| noted.overdue_at)));
        move_time(&mut self.missing, name, [before, after].map(|n| n.map(|noted| noted.missing_until)));
        move_time(&mut self.blind, name, [before, after].map(|n| n.map(|noted| noted.blind_at)));
        let seen = |noted: Option<&Noted>| noted.and_then(|noted| noted.seen.clone());
        self.count_processes(seen(before).as_deref(), seen(after).as_deref());
        let serves_as = |noted: &Noted| (noted.facets.verdict, noted.lowest);
        if before.map(serves_as) != after.map(serves_as) {
            self.changed(Keeper::Serving).insert(name.clone());
        }
        if before.map(|noted| &noted.in_force) != after.map(|noted| &noted.in_force) {
            self.changed(Keeper::InForce).insert(name.clone());
        }
        self.changed(Keeper::Watches).insert(name.clone());
        self.changed(Keeper::Picture).insert(name.clone());
    }

    fn regroup(&mut self, name: &CheckerName, from: Option<Facets>, to: Option<Facets>) {
        let place = |groups: &[(Facets, _)], facets| groups.iter().position(|(of, _)| Some(*of) == facets);
        if let Some(at) = place(&self.groups, from)
            && let Some((_, names)) = self.groups.get_mut(at)
        {
            names.remove(name);
            if names.is_empty() {
                self.groups.swap_remove(at);
            }
        }
        let Some(to) = to else { return };
        let at = place(&self.groups, Some(to));
        match at.and_then(|at| self.groups.get_mut(at)) {
            Some((_, names)) => {
                names.insert(name.clone());
            }
            None => self.groups.push((to, BTreeSet::from([name.clone()]))),
        }
    }

    fn count_processes(&mut self, before: Option<&Observation>, after: Option<&Observation>) {
        let processes =
            |seen: Option<&Observation>| seen.map(|seen| seen.processes.clone()).unwrap_or_default();
        if before.map(|seen| &seen.processes) == after.map(|seen| &seen.processes) {
            return;
        }
        for ProcessFact { pid, name } in processes(after) {
            *self.processes.entry((pid, name)).or_default() += 1;
        }
        for ProcessFact { pid, name } in processes(before) {
            if let Entry::Occupied(mut count) = self.processes.entry((pid, name)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }
}

fn move_time(
    times: &mut BTreeSet<(Moment, CheckerName)>,
    name: &CheckerName,
    [from, to]: [Option<Moment>; 2],
) {
    if from == to {
        return;
    }
    let is_set = |at: &Moment| *at != Moment::NEVER;
    if let Some(from) = from.filter(is_set) {
        times.remove(&(from, name.clone()));
    }
    if let Some(to) = to.filter(is_set) {
        times.insert((to, name.clone()));
    }
}

/// By name.
#[derive(Debug, Clone, Default)]
pub(super) struct Checkers {
    all: BTreeMap<CheckerName, Tracked>,
    index: Index,
}

impl Checkers {
    pub(super) fn get(&self, name: &CheckerName) -> Option<&Checker> {
        self.all.get(name).map(|entry| &entry.checker)
    }

    pub(super) fn get_mut(&mut self, name: &CheckerName) -> Option<Editing<'_>> {
        let entry = self.all.get_mut(name)?;
        Some(Editing { entry, index: &mut self.index, edited: false })
    }

    pub(super) fn insert(&mut self, name: CheckerName, checker: Checker) {
        let noted = Noted::of(&checker);
        let before = self.all.get(&name).map(|entry| &entry.noted);
        self.index.note(&name, before, Some(&noted));
        self.all.insert(name.clone(), Tracked { name, checker, noted });
    }

    pub(super) fn remove(&mut self, name: &CheckerName) -> Option<Checker> {
        let entry = self.all.remove(name)?;
        self.index.note(name, Some(&entry.noted), None);
        Some(entry.checker)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        self.all.iter().map(|(name, entry)| (name, looks::at(&entry.checker)))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &CheckerName> {
        self.all.keys().map(looks::at)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Checker> {
        self.all.values().map(|entry| looks::at(&entry.checker))
    }

    pub(super) fn for_each(&mut self, mut edit: impl FnMut(&CheckerName, &mut Checker)) {
        for (name, entry) in &mut self.all {
            edit(name, &mut Editing { entry, index: &mut self.index, edited: false });
        }
    }

    /// Whether there is such a checker.
    pub(super) fn any(&self, such: impl Fn(&Facets) -> bool) -> bool {
        self.index.groups.iter().any(|(facets, _)| such(facets))
    }

    /// Whether all checkers are such.
    pub(super) fn all(&self, such: impl Fn(&Facets) -> bool) -> bool {
        !self.any(|facets| !such(facets))
    }

    /// The first such checker by name.
    pub(super) fn first(&self, such: impl Fn(&Facets) -> bool) -> Option<(&CheckerName, &Checker)> {
        let groups = self.index.groups.iter().filter(|(facets, _)| such(facets));
        let name = groups.filter_map(|(_, names)| names.first()).min()?;
        self.all.get(name).map(|entry| (&entry.name, &entry.checker))
    }

    /// All such checkers, in no order.
    pub(super) fn each(
        &self,
        such: impl Fn(&Facets) -> bool,
    ) -> impl Iterator<Item = (&CheckerName, &Checker)> {
        let groups = self.index.groups.iter().filter(move |(facets, _)| such(facets));
        let entries = groups.flat_map(|(_, names)| names).filter_map(|name| self.all.get(name));
        entries.map(|entry| (&entry.name, looks::at(&entry.checker)))
    }

    /// The names of all such checkers.
    pub(super) fn such(&self, such: impl Fn(&Facets) -> bool) -> BTreeSet<CheckerName> {
        let groups = self.index.groups.iter().filter(|(facets, _)| such(facets));
        groups.flat_map(|(_, names)| names.iter().map(looks::at).cloned()).collect()
    }

    /// When the next of them would have been silent for too long.
    pub(super) fn overdue_at(&self) -> Moment {
        self.index.overdue.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// By when processes that were seen in this start must be there again.
    pub(super) fn missing_until(&self) -> Moment {
        self.index.missing.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Those that have been silent for too long.
    pub(super) fn overdue(&self, now: Moment) -> BTreeSet<CheckerName> {
        due(&self.index.overdue, now)
    }

    /// Those whose processes should have been there again.
    pub(super) fn missing(&self, now: Moment) -> BTreeSet<CheckerName> {
        due(&self.index.missing, now)
    }

    /// Those that have been unable to tell for long enough to be called blind.
    pub(super) fn blind(&self, now: Moment) -> BTreeSet<CheckerName> {
        due(&self.index.blind, now)
    }

    /// Every process that is seen, once, by its id.
    pub(super) fn processes(&self) -> Vec<ProcessFact> {
        let seen = self.index.processes.keys();
        seen.map(|(pid, name)| ProcessFact { pid: *pid, name: name.clone() }).collect()
    }

    /// Those that have changed, or are gone, since this was [marked as known](Self::known).
    pub(super) fn changed(&self, keeper: Keeper) -> &BTreeSet<CheckerName> {
        let [watches, serving, in_force, picture] = &self.index.changed;
        match keeper {
            Keeper::Watches => watches,
            Keeper::Serving => serving,
            Keeper::InForce => in_force,
            Keeper::Picture => picture,
        }
    }

    /// The changes up to now are known.
    pub(super) fn known(&mut self, keeper: Keeper) {
        self.index.changed(keeper).clear();
    }

    /// Whether what was noted of each checker is as the checker is.
    #[cfg(test)]
    pub(super) fn is_noted(&self) -> bool {
        let anew: Self = self.iter().map(|(name, checker)| (name.clone(), checker.clone())).collect();
        let groups = |of: &Self| {
            let named =
                |(facets, names): &(Facets, BTreeSet<CheckerName>)| (names.clone(), format!("{facets:?}"));
            of.index.groups.iter().map(named).collect::<BTreeSet<_>>()
        };
        let rest = |Self { index, .. }: &Self| {
            let times = [&index.overdue, &index.missing, &index.blind].map(Clone::clone);
            (times, index.processes.clone())
        };
        groups(self) == groups(&anew) && rest(self) == rest(&anew)
    }
}

fn due(times: &BTreeSet<(Moment, CheckerName)>, now: Moment) -> BTreeSet<CheckerName> {
    times.iter().take_while(|(at, _)| *at <= now).map(|(_, name)| name.clone()).collect()
}

impl FromIterator<(CheckerName, Checker)> for Checkers {
    fn from_iter<I: IntoIterator<Item = (CheckerName, Checker)>>(checkers: I) -> Self {
        let mut all = Self::default();
        checkers.into_iter().for_each(|(name, checker)| all.insert(name, checker));
        all
    }
}

impl Serialize for Checkers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Checkers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<CheckerName, Checker>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// A checker that may be changed. It is noted as it is then.
pub(super) struct Editing<'c> {
    entry: &'c mut Tracked,
    index: &'c mut Index,
    edited: bool,
}

impl Deref for Editing<'_> {
    type Target = Checker;
    fn deref(&self) -> &Checker {
        &self.entry.checker
    }
}

impl DerefMut for Editing<'_> {
    fn deref_mut(&mut self) -> &mut Checker {
        self.edited = true;
        &mut self.entry.checker
    }
}

impl Drop for Editing<'_> {
    fn drop(&mut self) {
        if self.edited {
            let Tracked { name, checker, noted } = &mut *self.entry;
            let before = std::mem::replace(noted, Noted::of(checker));
            self.index.note(name, Some(&before), Some(noted));
        }
    }
}

/// Counts in tests how often a checker is looked at, so that work which grows with the number of checkers is seen.
pub(crate) mod looks {
    #[cfg(test)]
    thread_local!(static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

    /// One look.
    pub(crate) fn count() {
        #[cfg(test)]
        TAKEN.set(TAKEN.get() + 1);
    }

    /// A look at this.
    pub(crate) fn at<T>(what: T) -> T {
        count();
        what
    }

    /// How many there were in this thread.
    #[cfg(test)]
    pub(crate) fn taken() -> usize {
        TAKEN.get()
    }
}
