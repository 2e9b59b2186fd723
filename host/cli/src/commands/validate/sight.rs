//! Advice about what checkers detect, where the file does not make it obvious.

use std::time::Duration;

use bellwether_config::RootReport;
use bellwether_config::spec::{CheckerSpec, ComponentSpec, ModuleSpec, ProcessSpec, Subject};
use bellwether_core::policy::OnDown;
use bellwether_os::process::find::Finder;
use bellwether_os::process::find::{Find, Of};
use bellwether_os::process::kept_table::KeptTable;
use bellwether_os::process::table::ProcessTable;
use serde_json::Value;

/// The maximum number of processes that are named.
const NAMED: usize = 3;

/// A sentence for each checker that detects less than its settings suggest, or matches other processes.
pub(super) async fn notes(report: &RootReport) -> Vec<String> {
    let table = ProcessTable::default();
    let mut notes = Vec::new();
    for (file, module) in &report.modules {
        let Ok(module) = module else { continue };
        for checker in module.spec.checkers.values() {
            let note = match &checker.definition.subject {
                Subject::Component(component) => of_tcp(component),
                Subject::Process(process) => of_processes(&module.spec, checker, process, &table).await,
            };
            notes.extend(note.map(|note| format!("modules/{file}: checker `{}`: {note}", checker.name)));
        }
    }
    notes
}

/// The system accepts connections in place of a service that does nothing.
fn of_tcp(component: &ComponentSpec) -> Option<String> {
    let config = &component.config;
    let given = |key: &str| config.get(key).is_some();
    if component.component.as_str() != "tcp" || given("expect") || given("expect-bytes") {
        return None;
    }
    let address = config.get("address").and_then(Value::as_str)?;
    if address.starts_with("udp:") {
        return None;
    }
    let sees = if address.starts_with("unix:") || config.get("expect-accept") == Some(&Value::Bool(false)) {
        "checks only whether the kernel completes connections for the service, which it does even if the service hangs \
         or is stopped"
    } else {
        "checks only whether the service accepts connections, and on another machine only whether its kernel completes \
         them; a service that accepts connections and then hangs is not detected"
    };
    Some(format!("`tcp` without `expect` {sees}: add `send`, and `expect` with the answer"))
}

/// The matching processes of the host, for a checker of the application that finds them by their properties.
async fn of_processes(
    module: &ModuleSpec,
    checker: &CheckerSpec,
    process: &ProcessSpec,
    table: &ProcessTable,
) -> Option<String> {
    let (Find::Name(_) | Find::Arguments(_), OnDown::Restart | OnDown::Stop) =
        (&process.find, checker.on_down)
    else {
        return None;
    };
    let finder = Finder {
        find: process.find.clone(),
        containers: process.containers,
        of: Of::Host,
        known: None,
        module: module.name.clone(),
        table: table.clone(),
        kept: KeptTable::default(),
    };
    let found = finder.look(Duration::from_secs(1)).await.ok()?.processes;
    if found.is_empty() {
        return None;
    }
    let mut named: Vec<String> =
        found.iter().take(NAMED).map(|stat| format!("{} {}", stat.comm, stat.pid)).collect();
    if found.len() > NAMED {
        named.push(format!("{} more", found.len() - NAMED));
    }
    let named = named.join(", ");
    Some(match process.of {
        Of::Host => format!(
            "counts all processes of this host no matter what started them, at present {named}; `of = \"module\"` \
             counts only those that come from this module's commands"
        ),
        Of::Module => format!(
            "counts only processes that come from this module's commands; at present {named} run on this host, and \
             `of = \"host\"` counts them no matter what started them"
        ),
    })
}

#[cfg(test)]
mod tests {
    use bellwether_config::spec::ComponentSpec;
    use bellwether_core::id::ComponentName;

    use super::*;

    fn of_config(component: &str, config: Value) -> Option<String> {
        of_tcp(&ComponentSpec {
            component: ComponentName::new(component).unwrap(),
            config,
            grants: std::sync::Arc::default(),
            limits: bellwether_config::spec::OwnLimits::default(),
        })
    }

    #[test]
    fn what_tcp_does_not_see_is_told_unless_an_answer_is_expected() {
        let said = of_config("tcp", serde_json::json!({ "address": "127.0.0.1:6379" })).unwrap();
        assert!(said.contains("a service that accepts connections and then hangs is not detected"), "{said}");
        let blind = serde_json::json!({ "address": "127.0.0.1:6379", "expect-accept": false });
        assert!(of_config("tcp", blind).unwrap().contains("even if the service hangs or is stopped"));
        for config in [
            serde_json::json!({ "address": "127.0.0.1:6379", "expect": "PONG" }),
            serde_json::json!({ "address": "udp:127.0.0.1:53", "send": "x" }),
        ] {
            assert_eq!(of_config("tcp", config), None);
        }
        assert_eq!(of_config("http", serde_json::json!({ "address": "x" })), None);
    }
}
