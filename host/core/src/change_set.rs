//! Which of the changed files are activated now, and which wait.
//!
//! ```text
//!   changed ──▶ one set with all it was changed together with ──▶ every one good, and
//!                                                                 what results fits?
//!                                                    in force, all of the set ◀─┘ │ no
//!                                                          held, all of the set ◀─┘
//! ```
//! A module's file and the components that it names are connected. Connected files that were changed together (the
//! same batch) are activated together or not at all. And nothing is activated that would leave a module with a
//! config that its component does not accept, until the other file matches, too.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::ModuleName;

/// A file of a module or of a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum File<C> {
    Module(ModuleName),
    Component(C),
}

/// The stage of a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Still being written, read, compiled or tried.
    Coming,
    /// It can be activated.
    Good,
    /// It cannot be activated.
    Bad,
}

/// A file that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile<C> {
    /// Files with the same number were changed together.
    pub batch: u64,
    /// Whether it can be activated.
    pub readiness: Readiness,
    /// For a valid module's file, the components that it names now.
    pub names: BTreeSet<C>,
}

/// The active files, and those that have changed.
#[derive(Debug, Clone)]
pub struct Picture<C> {
    /// The active modules, and the components that each names.
    pub in_force: BTreeMap<ModuleName, BTreeSet<C>>,
    /// What has changed and is not in force.
    pub changed: BTreeMap<File<C>, ChangedFile<C>>,
}

/// A version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The version that is active.
    InForce,
    /// The version on disk that differs from it.
    New,
}

/// Why a valid file waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold<C> {
    /// It was changed together with this file, which is not active.
    With(File<C>),
    /// It does not match the content of this file.
    Misfit(File<C>, String),
}

/// Which files to activate, and which to hold back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<C> {
    /// These are activated, all at the same time.
    pub apply: BTreeSet<File<C>>,
    /// These are valid and wait.
    pub held: BTreeMap<File<C>, Hold<C>>,
}

/// Whether a version of a module matches a version of a component that it names; otherwise why not.
pub type Fit<'f, C> = &'f dyn Fn(&ModuleName, Version, &C, Version) -> Result<(), String>;

/// Decides which files to activate. Together with the active files, they have no mismatches that were not active
/// before; and no held set could be activated in addition.
pub fn decide<C: Ord + Clone>(picture: &Picture<C>, fit: Fit<'_, C>) -> Decision<C> {
    let mut held = BTreeMap::new();
    let sets = sets(picture, &mut held);
    let mut apply: BTreeSet<File<C>> = sets.iter().flatten().cloned().collect();
    // Each round removes at least one set.
    while let Some((out, with, why)) = misfit(picture, &apply, fit) {
        take_away(&sets, &mut apply, &mut held, &out, with, why);
    }
    // A set that was removed because of another set that was removed later may be valid by itself.
    while let Some(set) = sets.iter().find(|set| could_go_besides(picture, set, &apply, fit)) {
        held.retain(|file, _| !set.contains(file));
        apply.extend(set.iter().cloned());
    }
    Decision { apply, held }
}

/// The files that were changed together, if all of them are valid. The valid ones of the others are held.
fn sets<C: Ord + Clone>(
    picture: &Picture<C>,
    held: &mut BTreeMap<File<C>, Hold<C>>,
) -> Vec<BTreeSet<File<C>>> {
    let mut sets = Vec::new();
    let mut left: BTreeSet<&File<C>> = picture.changed.keys().collect();
    while let Some(first) = left.pop_first() {
        let mut set = BTreeSet::from([first.clone()]);
        let mut reached = vec![first];
        while let Some(file) = reached.pop() {
            for other in
                left.iter().copied().filter(|other| together(picture, file, other)).collect::<Vec<_>>()
            {
                left.remove(other);
                set.insert(other.clone());
                reached.push(other);
            }
        }
        let is_good = |file: &&File<C>| readiness(picture, file) == Some(Readiness::Good);
        match set.iter().find(|file| !is_good(file)) {
            None => sets.push(set),
            Some(not_good) => {
                let good =
                    set.iter().filter(is_good).map(|file| (file.clone(), Hold::With(not_good.clone())));
                held.extend(good);
            }
        }
    }
    sets
}

fn readiness<C: Ord>(picture: &Picture<C>, file: &File<C>) -> Option<Readiness> {
    picture.changed.get(file).map(|change| change.readiness)
}

/// Whether two changed files are connected and belong to one batch.
fn together<C: Ord>(picture: &Picture<C>, one: &File<C>, other: &File<C>) -> bool {
    let ((File::Module(module), File::Component(component))
    | (File::Component(component), File::Module(module))) = (one, other)
    else {
        return false;
    };
    let batch = |file| picture.changed.get(file).map(|change| change.batch);
    let names = |names: Option<&BTreeSet<C>>| names.is_some_and(|names| names.contains(component));
    let new = picture.changed.get(&File::Module(module.clone())).map(|change| &change.names);
    batch(one) == batch(other) && (names(new) || names(picture.in_force.get(module)))
}

/// The first mismatch that would become active: the file to remove, the other one, and why.
fn misfit<C: Ord + Clone>(
    picture: &Picture<C>,
    apply: &BTreeSet<File<C>>,
    fit: Fit<'_, C>,
) -> Option<(File<C>, File<C>, String)> {
    let version = |file: &File<C>| if apply.contains(file) { Version::New } else { Version::InForce };
    let changed = apply.iter().filter_map(|file| match file {
        File::Module(module) => Some(module),
        File::Component(_) => None,
    });
    let modules: BTreeSet<&ModuleName> = picture.in_force.keys().chain(changed).collect();
    for module in modules {
        let file = File::Module(module.clone());
        let of_module = version(&file);
        let names = match of_module {
            Version::New => picture.changed.get(&file).map(|change| &change.names),
            Version::InForce => picture.in_force.get(module),
        };
        for component in names.into_iter().flatten() {
            let other = File::Component(component.clone());
            let of_component = version(&other);
            if (of_module, of_component) == (Version::InForce, Version::InForce) {
                continue;
            }
            if let Err(why) = fit(module, of_module, component, of_component) {
                // An operator corrects the module's file rather than a component.
                return Some(match of_module {
                    Version::New => (file, other, why),
                    Version::InForce => (other, file, why),
                });
            }
        }
    }
    None
}

fn could_go_besides<C: Ord + Clone>(
    picture: &Picture<C>,
    set: &BTreeSet<File<C>>,
    apply: &BTreeSet<File<C>>,
    fit: Fit<'_, C>,
) -> bool {
    let with: BTreeSet<File<C>> = apply.union(set).cloned().collect();
    with.len() > apply.len() && misfit(picture, &with, fit).is_none()
}

fn take_away<C: Ord + Clone>(
    sets: &[BTreeSet<File<C>>],
    apply: &mut BTreeSet<File<C>>,
    held: &mut BTreeMap<File<C>, Hold<C>>,
    out: &File<C>,
    with: File<C>,
    why: String,
) {
    for file in sets.iter().filter(|set| set.contains(out)).flatten() {
        apply.remove(file);
        held.insert(file.clone(), Hold::With(out.clone()));
    }
    held.insert(out.clone(), Hold::Misfit(with, why));
}

#[cfg(test)]
mod tests;
