//! Lets the core decide what goes into force, tries it first, and shows what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::change_set::{Decision, File, Hold};
use bellwether_core::grant::Grants;
use bellwether_core::grant::request::wider;
use bellwether_core::id::ModuleName;
use bellwether_core::record::RecordKind;

use super::approvals::{Approve, Approved, NotApproved, meant, shown};
use super::folders::FileKey;
use super::pending::{Stage, file_of};
use super::picture::{Material, sentence};
use super::trial::Trial;
use super::{Done, Reload};
use crate::registry::{ComponentKey, Waiting};
use bellwether_config::ComponentKind;
use bellwether_config::spec::{ModuleSpec, Subject};

/// What is to be tried may free something else, which is to be tried, too. The rest waits for them.
const ROUNDS: usize = 4;

impl Reload {
    /// Puts in force what can be.
    pub(super) async fn decide(&mut self) {
        if !std::mem::take(&mut self.undecided) {
            return;
        }
        self.waiting.clear();
        // Once to find out what there is to ask for and to try, and once more without that.
        for _ in 0..ROUNDS {
            let registry = &self.settings.means.registry;
            let material = Material::new(&self.pending, &self.modules, registry, &self.waiting);
            let decided = tokio::task::spawn_blocking(move || {
                let decision = material.decide();
                (material, decision)
            });
            let (material, decision) = match decided.await {
                Ok(decided) => decided,
                Err(error) => {
                    tracing::error!(%error, "what goes into force could not be decided: a bug in the daemon");
                    return;
                }
            };
            let waiting = self.unapproved(&decision);
            let all_approved = waiting.is_empty();
            self.waiting.extend(waiting);
            if all_approved && !self.try_out(&decision) {
                self.show_waiting().await;
                self.show_held(&material, &decision).await;
                self.apply(decision.apply).await;
                return;
            }
        }
    }

    /// Begins the trial runs of what has not been tried. Returns whether there are any.
    fn try_out(&mut self, decision: &Decision<ComponentKey>) -> bool {
        let mut begun = false;
        for subject in &decision.apply {
            let File::Component(key) = subject else { continue };
            let file = file_of(subject);
            let Some(Stage::Component { component, tried: false }) = self.pending.stage(&file) else {
                continue;
            };
            let component = component.clone();
            let means = self.settings.means.clone();
            let Some(trial) = Trial::find(&means, key, &self.after(decision)) else { continue };
            self.pending.advance(&file, Stage::Trying(component.clone()));
            self.tasks.spawn(async move {
                let result = trial.run(&means, &component).await;
                Done::Tried { file, digest: component.digest().to_owned(), result }
            });
            begun = true;
        }
        begun
    }

    /// The modules as they are once this is in force.
    fn after(&self, decision: &Decision<ComponentKey>) -> Vec<&ModuleSpec> {
        let new = |name: &ModuleName| {
            let subject = File::Module(name.clone());
            match self.pending.stage(&file_of(&subject)) {
                Some(Stage::Module(module)) if decision.apply.contains(&subject) => Some(&module.spec),
                _ => None,
            }
        };
        let in_force = self.modules.iter().map(|(name, module)| new(name).unwrap_or(&module.spec));
        let added = decision.apply.iter().filter_map(|subject| match subject {
            File::Module(name) if !self.modules.contains_key(name) => new(name),
            _ => None,
        });
        in_force.chain(added).collect()
    }

    /// The versions that ask for more than the one before them, and than every module that uses
    /// them grants, and that nobody has let in.
    fn unapproved(&self, decision: &Decision<ComponentKey>) -> BTreeMap<FileKey, Waiting> {
        let specs = self.after(decision);
        let waiting = decision.apply.iter().filter_map(|subject| {
            let File::Component(key) = subject else { return None };
            let file = file_of(subject);
            let Some(Stage::Component { component, .. }) = self.pending.stage(&file) else { return None };
            let what = file.path().display().to_string();
            if self.approvals.is_approved(&what, component.digest()) {
                return None;
            }
            let in_force = self.settings.means.registry.get(key.0, &key.1);
            let before =
                self.approvals.asked(&what).or(in_force.as_ref().map(|before| &*before.about().grants))?;
            let more = |grants: &Grants| wider(before, &component.about().grants, grants);
            let more = specs.iter().flat_map(|spec| grants_of(spec, key)).flat_map(more);
            let asks: BTreeSet<String> = more.map(|request| shown(&request)).collect();
            let version = component.about().version.clone();
            let digest = component.digest().to_owned();
            let asks: Vec<String> = asks.into_iter().collect();
            (!asks.is_empty()).then_some((file, Waiting { digest, version, asks }))
        });
        waiting.collect()
    }

    async fn show_waiting(&self) {
        for (file, waiting) in &self.waiting {
            self.ask_for_approval(file, waiting).await;
        }
    }

    /// A person lets in a version.
    pub(super) async fn approve(&mut self, approve: Approve) {
        let Approve { name, seen, by, answer } = approve;
        let outcome = self.let_in(&name, seen.as_deref(), by).await;
        self.decide().await;
        // Whoever asked may have gone away.
        drop(answer.send(outcome));
    }

    async fn let_in(&mut self, name: &str, seen: Option<&str>, by: String) -> Result<Approved, NotApproved> {
        let file = meant(name, &self.waiting)?;
        let nothing = || NotApproved::NothingWaits(name.to_owned());
        let version = self.waiting.get(&file).cloned().ok_or_else(nothing)?;
        if seen.is_some_and(|seen| seen != version.digest) {
            return Err(NotApproved::Moved(name.to_owned()));
        }
        let what = file.path().display().to_string();
        let written = self.approvals.approve(&what, &version.digest);
        written.map_err(|error| NotApproved::NotWritten(error.to_string()))?;
        self.undecided = true;
        let (digest, asks) = (version.digest.clone(), version.asks.clone());
        let kind = RecordKind::Approval { what: what.clone(), digest, asks, by: Some(by) };
        self.record(None, kind).await;
        Ok(Approved { what, version })
    }

    async fn show_held(&mut self, material: &Material, decision: &Decision<ComponentKey>) {
        self.unfit.clear();
        for (subject, hold) in &decision.held {
            let file = file_of(subject);
            let why = match (subject, hold) {
                (_, Hold::With(other)) => {
                    let other = file_of(other);
                    if self.pending.is_on_the_way(&other) {
                        continue;
                    }
                    let other = other.path();
                    format!("waits: it was changed together with {}, which is not active", other.display())
                }
                (File::Module(name), Hold::Misfit(_, why)) => match material.mistakes(name, decision) {
                    Some(mistakes) => {
                        let why = sentence(&mistakes);
                        self.unfit.insert(file.clone(), mistakes);
                        why
                    }
                    None => why.clone(),
                },
                (File::Component(_), Hold::Misfit(module, why)) => format!(
                    "waits: it does not take the config of {}: {why}; both change together once that file fits",
                    file_of(module).path().display()
                ),
            };
            self.refuse(&file, &why, None).await;
        }
    }
}

/// What a module grants a component, each time it uses it.
fn grants_of<'s>(spec: &'s ModuleSpec, (kind, name): &ComponentKey) -> Vec<&'s Grants> {
    match kind {
        ComponentKind::RestartScript => {
            (spec.restart.script == *name).then_some(&*spec.restart.grants).into_iter().collect()
        }
        ComponentKind::Checker => spec
            .checkers
            .values()
            .filter_map(|checker| match &checker.subject {
                Subject::Component(component) => (component.component == *name).then_some(&*component.grants),
                Subject::Process(_) => None,
            })
            .collect(),
    }
}
