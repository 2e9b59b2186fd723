//! Activates versions, and informs the core about active modules.

use std::fmt::Write as _;
use std::sync::Arc;

use bellwether_bus::recorder::Recorder;
use bellwether_core::event::{DesiredState, Event};
use bellwether_core::id::ModuleName;
use bellwether_core::memory::ModuleMemory;
use bellwether_core::record::RecordKind;
use bellwether_core::reload::{ComponentKey, FileKey, Folder, GoodVersion, InPlace, Origin};

use super::Reload;
use super::content::ModuleContent;
use crate::act::kept::Launched;
use crate::unclaimed::started_with;
use bellwether_bus::Message;
use bellwether_config::ComponentKind;
use bellwether_config::spec::{ModuleSpec, Subject};
use bellwether_sandbox::component::Component;

impl Reload {
    /// Changes components and modules together, so that no run ever has one without the other: checkers whose
    /// definition changes keep their versions until they end.
    pub(super) fn activate(
        &self,
        components: Vec<(ComponentKey, Component, Origin)>,
        modules: &[ModuleContent],
        together: bool,
    ) {
        let context = &self.settings.context;
        for module in modules.iter().filter(|_| together) {
            let Some(member) = context.loaded_modules.get(&module.spec().name) else { continue };
            let script = &member.spec.restart.script;
            member.script_pin.to(context.registry.get(ComponentKind::RestartScript, script));
            for checker in member.spec.checkers.values() {
                let Subject::Component(component) = &checker.definition.subject else { continue };
                let new = module.spec().checkers.get(&checker.name).map(|new| &new.definition);
                if new != Some(&checker.definition)
                    && let Some(kit) = member.kit(&checker.name)
                {
                    kit.pin.to(context.registry.get(ComponentKind::Checker, &component.component));
                }
            }
        }
        context.registry.put(components);
        context.loaded_modules.put(modules.iter().map(|module| module.spec().clone()).collect());
    }

    /// Informs the core about a module that is active now, or about its new file.
    pub(super) async fn introduce(
        &self,
        module: &ModuleContent,
        first: bool,
        memory: Option<Box<ModuleMemory>>,
        restored: Option<GoodVersion>,
    ) {
        let spec = module.spec();
        // The record of a stored version is that its file is not active.
        let ok = restored.is_none();
        let detail = match (restored, first) {
            (Some(good), _) => {
                let clock = self.settings.context.clock;
                let runs = InPlace::Restored(good).sentence(|at| clock.timestamp(at));
                format!("{runs}{}", self.inherited(spec))
            }
            (None, true) => format!("active{}", self.inherited(spec)),
            (None, false) => self.what_is_in_force(spec),
        };
        let name = spec.name.clone();
        let what = FileKey { folder: Folder::Modules, stem: name.as_str().to_owned() }.name();
        let kind = RecordKind::Reload { what, ok, detail };
        self.record(Some(name.clone()), kind).await;
        let policy = Arc::new(spec.policy());
        self.tell(Event::ModuleLoaded { module: name, policy, memory }).await;
    }

    /// A module is active no more. Returns what people wanted of it.
    pub(super) async fn unload(&self, module: &ModuleName) -> Option<DesiredState> {
        let desired = self.settings.snapshot.load().module(module.as_str()).map(|view| view.desired);
        self.tell(Event::ModuleRemoved { module: module.clone() }).await;
        self.settings.context.loaded_modules.remove(module);
        desired
    }

    /// A new module takes over the running processes of one that is gone, if it would start them the same way: its
    /// file was renamed.
    fn inherited(&self, spec: &ModuleSpec) -> String {
        let kept = &self.settings.kept;
        let is_gone = |module: &ModuleName| self.machine.is_gone(module);
        let inherited = spec.commands.iter().filter(|(_, command)| command.keep).filter_map(|(name, command)| {
            let (former, pid) = kept.inherit(&spec.name, name, &Launched::by(command), is_gone)?;
            Some(format!(
                "; it takes over process {pid}, which module `{former}` had started in the same way and whose \
                 output goes on in the log of `{former}`"
            ))
        });
        inherited.collect()
    }

    /// An edited command takes effect at its next start: the running process was started by the previous version.
    fn what_is_in_force(&self, spec: &ModuleSpec) -> String {
        let mut detail = "the new version is active".to_owned();
        for (name, command) in spec.commands.iter().filter(|(_, command)| command.keep) {
            let running = self.settings.kept.launched(&spec.name, name);
            if let Some(launched) = running.filter(|launched| *launched != Launched::by(command)) {
                let with = started_with(&launched, &command.run);
                // Writing to a string cannot fail.
                let _ = write!(
                    detail,
                    ", and command `{name}` from its next start on: what runs now was started with {with}"
                );
            }
        }
        detail
    }

    pub(super) async fn record(&self, module: Option<ModuleName>, kind: RecordKind) {
        if !Recorder::new(self.settings.events.clone()).record(module, kind).await {
            tracing::debug!("a record of a reload came after the end of the core");
        }
    }

    pub(super) async fn tell(&self, event: Event) {
        if self.settings.events.send(Message::Event(event)).await.is_err() {
            tracing::debug!("a reload came after the end of the core");
        }
    }
}
