//! Compares the grants that components request with those that modules give, for `inspect` and `validate`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use bellwether_config::{ComponentKind, ComponentUse, RootReport, Sourced};
use bellwether_core::about::About;
use bellwether_core::grant::{GrantKind, GrantRequest};
use bellwether_core::id::ComponentName;
use bellwether_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::standard::STANDARD;

/// The components of a root, each loaded once.
pub(super) struct Components<'r> {
    sandbox: Sandbox,
    root: &'r Path,
    known: RefCell<Known>,
}

type Known = BTreeMap<(ComponentKind, ComponentName), Option<Loaded>>;
/// The description of a component; if it exists and cannot be loaded, why not.
type Loaded = Result<About, String>;

impl<'r> Components<'r> {
    pub(super) fn new(sandbox: Sandbox, root: &'r Path) -> Self {
        Self { sandbox, root, known: RefCell::default() }
    }

    /// The sandbox that loads them.
    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// `None` if there is no such component.
    pub(super) fn get(&self, kind: ComponentKind, name: &ComponentName) -> Option<Loaded> {
        let key = (kind, name.clone());
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let loaded = component_bytes(self.root, kind, name).map(|bytes| {
            let component = self.sandbox.load(&bytes).map_err(|error| error.to_string())?;
            Ok(component.about().clone())
        });
        self.known.borrow_mut().insert(key, loaded.clone());
        loaded
    }

    /// The schema of its configuration. A component that cannot be loaded is assumed to accept any.
    pub(super) fn schema(&self, kind: ComponentKind, name: &ComponentName) -> Option<String> {
        let about = self.get(kind, name)?;
        Some(about.map_or_else(|_| "{}".to_owned(), |about| about.config_schema))
    }

    /// The files that a module names and that cannot be loaded, each with the reason.
    pub(super) fn broken(&self) -> Vec<(String, String)> {
        let known = self.known.borrow();
        let broken = known.iter().filter_map(|((kind, name), loaded)| {
            let why = loaded.as_ref()?.as_ref().err()?;
            Some((format!("{}/{name}.wasm", kind.folder()), why.clone()))
        });
        broken.collect()
    }
}

/// The component's file in the root, or else the built-in one.
pub(super) fn component_bytes(root: &Path, kind: ComponentKind, name: &ComponentName) -> Option<Vec<u8>> {
    let file = root.join(kind.folder()).join(format!("{name}.wasm"));
    let own = |(folder, own, _): &&(&str, &str, &[u8])| *folder == kind.folder() && *own == name.as_str();
    std::fs::read(file).ok().or_else(|| Some(STANDARD.iter().find(own)?.2.to_vec()))
}

/// Every use of a component in the valid files.
pub(super) fn uses(report: &RootReport) -> Vec<ComponentUse> {
    let modules = report.modules.iter().filter_map(|(_, module)| module.as_ref().ok());
    modules.flat_map(Sourced::component_uses).collect()
}

/// The JSON form of a use.
pub(super) fn document(of: &ComponentUse, asked: &[GrantRequest]) -> Value {
    let listed = |list: Vec<(GrantKind, String)>| -> Vec<Value> {
        list.into_iter().map(|(kind, value)| json!({ "kind": kind.word(), "value": value })).collect()
    };
    json!({
        "module": of.module,
        "file": of.file,
        "line": of.line,
        "checker": of.checker,
        "component": of.component,
        "granted": listed(of.grants.list()),
        "missing": of.missing(asked).iter().map(missing_document).collect::<Vec<_>>(),
        "unasked": listed(of.unasked(asked)),
    })
}

pub(super) fn missing_document(request: &GrantRequest) -> Value {
    json!({
        "kind": request.kind,
        "value": request.value,
        "reason": request.reason,
        "add": request.to_add(),
    })
}
