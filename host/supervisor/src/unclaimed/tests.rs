use std::sync::Arc;

use bellwether_core::id::{CheckerName, NodeName};
use bellwether_core::moment::Moment;
use bellwether_core::observation::{Observation, ProcessFact, Status};
use bellwether_core::snapshot::CheckerView;
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;

use super::*;

/// A checker's observation of this process.
fn seen(module: &ModuleName) -> Seen {
    let own = ProcessId::of(std::process::id()).unwrap();
    Seen::from([(module.clone(), BTreeMap::from([(own, "app".to_owned())]))])
}

#[test]
fn an_application_in_the_background_is_told_once_its_module_is_gone_unless_another_one_watches_it() {
    let (shop, web) = (ModuleName::new("shop").unwrap(), ModuleName::new("web").unwrap());
    let nothing = Snapshot::empty(NodeName::new("n").unwrap(), Moment::default());
    let mut before = seen(&shop);
    assert_eq!(left_behind(&mut before, |_| true, &nothing), Vec::<String>::new());
    assert_eq!(before.len(), 1);
    let told = left_behind(&mut before, |_| false, &nothing);
    assert!(told[0].starts_with("modules/shop.toml is gone, and its application still runs"), "{told:?}");

    // Its file was renamed: the checkers of the new module see the same process.
    let watching = watched_by(&web);
    let told = left_behind(&mut before, |module| *module == web, &watching);
    assert_eq!((told, before), (Vec::new(), Seen::new()));

    // The snapshot of a module that is gone does not matter.
    let told = left_behind(&mut seen(&shop), |_| false, &watching);
    assert_eq!(told.len(), 1);
}

/// A snapshot in which a checker of this module sees this process.
fn watched_by(module: &ModuleName) -> Snapshot {
    let at = Moment::default();
    let process = ProcessFact { pid: std::process::id(), name: "app".to_owned() };
    let seen = Observation { processes: vec![process], ..Observation::new(Status::Pass, "it runs", at) };
    let checker = CheckerView {
        name: CheckerName::new("app").unwrap(),
        kind: CheckerKind::Process,
        on_down: OnDown::Restart,
        verdict: Verdict::Up,
        since: at,
        watched: true,
        on_probation: false,
        definition: 1,
        interval: Duration::from_secs(5),
        next: None,
        last: Some(Arc::new(seen)),
    };
    let module = ModuleView {
        since: at,
        ready_since: at,
        checkers: vec![checker].into(),
        ..ModuleView::empty(module.clone(), StateName::Up)
    };
    let empty = Snapshot::empty(NodeName::new("n").unwrap(), at);
    Snapshot { modules: vec![Arc::new(module)], ..empty }
}
