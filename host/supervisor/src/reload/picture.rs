//! Whether modules match the components that they name: configs against schemas.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bellwether_core::reload::{Comparison, ComponentKey, Pair};

use super::content::ModuleContent;
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{Mistakes, Sourced, check_module};
use bellwether_sandbox::component::Component;

/// The error if a check could not be completed.
pub(super) const NOT_CHECKED: &str = "its config could not be checked: a bug in the daemon, see its log";

/// Whether each module matches its component; otherwise why not.
pub(super) fn compare(
    comparisons: Vec<Comparison<ModuleContent, Component>>,
) -> Vec<(Pair, Result<(), String>)> {
    let fits = |comparison: Comparison<ModuleContent, Component>| {
        let Comparison { pair, module, component } = comparison;
        let fits = checked(|| {
            let schema = component.as_ref().map(|component| component.about().config_schema.clone());
            fit(&module.0, &pair.component, schema.as_ref()).map_err(|mistakes| sentence(&mistakes))
        });
        (pair, fits)
    };
    comparisons.into_iter().map(fits).collect()
}

/// A check that panics affects only its own pair.
fn checked(check: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    // The borrowed data is only read, and dropped afterwards.
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err(NOT_CHECKED.to_owned()))
}

/// Every error of a module's file concerning these components.
pub(super) fn mistakes(
    module: &ModuleContent,
    components: &BTreeMap<ComponentKey, Component>,
) -> Option<Mistakes> {
    let schema = |component: &Component| component.about().config_schema.clone();
    check_module(&module.0, &|kind, name| components.get(&(kind, name.clone())).map(schema)).err()
}

/// Whether the module matches this one component, given its schema; all other components are ignored.
fn fit(
    module: &Sourced<ModuleSpec>,
    component: &ComponentKey,
    schema: Option<&String>,
) -> Result<(), Mistakes> {
    check_module(module, &|kind, name| {
        let meant = (kind, name) == (component.0, &component.1);
        if meant { schema.cloned() } else { Some("{}".to_owned()) }
    })
}

/// All errors of a file on one line.
pub(super) fn sentence(mistakes: &Mistakes) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_is_answered() {
        assert_eq!(checked(|| Ok(())), Ok(()));
        assert_eq!(checked(|| Err("no".to_owned())), Err("no".to_owned()));
        assert_eq!(checked(|| panic!("a bug")), Err(NOT_CHECKED.to_owned()));
    }
}
