//! Which of the files that have changed go into force now, and which wait.
//!
//! ```text
//!   changed ──▶ one set with all it was changed together with ──▶ every one good, and
//!                                                                 what results fits?
//!                                                    in force, all of the set ◀─┘ │ no
//!                                                          held, all of the set ◀─┘
//! ```
//! A module's file and the components that it names are connected. Connected
//! files that were changed together (the same batch) go into force together or
//! not at all. And nothing goes into force that would leave a module whose
//! config its component does not take, until the other file fits, too.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::ModuleName;

/// A file: a module's, or a component's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum File<C> {
    /// A module's file.
    Module(ModuleName),
    /// A component.
    Component(C),
}

/// How far a changed file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Still being written, read, compiled or tried.
    Coming,
    /// Could go into force.
    Good,
    /// Cannot.
    Bad,
}

/// A file that has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile<C> {
    /// Files with the same number were changed together.
    pub batch: u64,
    /// How far it has come.
    pub readiness: Readiness,
    /// For a module's file that could be read, the components that it names now.
    pub names: BTreeSet<C>,
}

/// What is in force, and what has changed.
#[derive(Debug, Clone)]
pub struct Picture<C> {
    /// The modules in force, and the components that each names.
    pub in_force: BTreeMap<ModuleName, BTreeSet<C>>,
    /// What has changed and is not in force.
    pub changed: BTreeMap<File<C>, ChangedFile<C>>,
}

/// Which version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The one in force.
    InForce,
    /// The one that has changed.
    New,
}

/// Why a good file waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold<C> {
    /// It was changed together with this file, which is not in force.
    With(File<C>),
    /// It does not fit what this file says.
    Misfit(File<C>, String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<C> {
    /// These go into force, at one moment.
    pub apply: BTreeSet<File<C>>,
    /// These are good and wait.
    pub held: BTreeMap<File<C>, Hold<C>>,
}

/// Whether a version of a module fits a version of a component that it names; else why not.
pub type Fit<'f, C> = &'f dyn Fn(&ModuleName, Version, &C, Version) -> Result<(), String>;

/// Decides. Whatever it says to apply, together with what is in force, is without misfits that
/// were not in force before; and no held set could be applied besides.
pub fn decide<C: Ord + Clone>(picture: &Picture<C>, fit: Fit<'_, C>) -> Decision<C> {
    let mut held = BTreeMap::new();
    let sets = sets(picture, &mut held);
    let mut apply: BTreeSet<File<C>> = sets.iter().flatten().cloned().collect();
    // Each round takes at least one set away.
    while let Some((out, with, why)) = misfit(picture, &apply, fit) {
        take_away(&sets, &mut apply, &mut held, &out, with, why);
    }
    // What was taken away because of a set that went as well may do by itself.
    while let Some(set) = sets.iter().find(|set| could_go_besides(picture, set, &apply, fit)) {
        held.retain(|file, _| !set.contains(file));
        apply.extend(set.iter().cloned());
    }
    Decision { apply, held }
}

/// The files that were changed together, if all of them are good. The good ones of the others are held.
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

/// Whether two changed files are connected and of one batch.
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

/// The first misfit that would come into force: the file to take away, the other one, and why.
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
                // A person mends the module's file sooner than a component.
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
