//! Checkers that could never connect: what their config names is granted in no form.

use std::collections::BTreeMap;
use std::ops::Range;

use bellwether_core::grant::reach::{is_address, target_of_url, without_zone};
use bellwether_core::id::{CheckerName, ComponentName};
use serde_json::Value;

use super::cross_check::{ComponentKind, KnownComponents};
use super::mistake::Mistake;
use super::read::RootReport;
use super::source::{CheckerPlaces, Source, Sourced, Step, locate_in};
use super::spec::{ComponentSpec, ModuleSpec, Subject};

/// In a component's schema: what a text is that says where the component connects to, a `url` or an `address`.
const CONNECTS_TO: &str = "x-connects-to";

/// A checker that could never connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Which checker, in the file of the mistake.
    pub checker: CheckerName,
    /// Where its config says so, and the grant that is missing.
    pub mistake: Mistake,
}

/// All of them in the files that are right, file by file. The daemon loads such a file: the checker is *unknown*.
pub fn unreachable(report: &RootReport, known: KnownComponents<'_>) -> Vec<Unreachable> {
    let modules = report.modules.iter().filter_map(|(_, module)| module.as_ref().ok());
    modules.flat_map(|module| of_module(module, known)).collect()
}

fn of_module(module: &Sourced<ModuleSpec>, known: KnownComponents<'_>) -> Vec<Unreachable> {
    let table = module.source.table();
    let places = CheckerPlaces::of(table.get_ref());
    let mut schemas: BTreeMap<&ComponentName, Option<Value>> = BTreeMap::new();
    let mut all = Vec::new();
    for checker in module.spec.checkers.values() {
        let Subject::Component(component) = &checker.definition.subject else { continue };
        let schema = schemas.entry(&component.component).or_insert_with_key(|name| {
            known(ComponentKind::Checker, name).and_then(|schema| serde_json::from_str(&schema).ok())
        });
        let Some(schema) = schema else { continue };
        for (key, target) in targets(schema, component) {
            if component.grants.could_connect(&target) != Some(false) {
                continue;
            }
            let mut path = places.path(checker.name.as_str(), "config");
            path.push(Step::Key(&key));
            let span = locate_in(table.get_ref(), &path).1.unwrap_or(0..0);
            let mistake = mistake(&module.source, span, checker.name.as_str(), component, &target);
            all.push(Unreachable { checker: checker.name.clone(), mistake });
        }
    }
    all
}

/// What the config names, in the notation of `connect`, by its keys.
fn targets(schema: &Value, component: &ComponentSpec) -> Vec<(String, String)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let target = |(key, part): (&String, &Value)| {
        let text = component.config.get(key)?.as_str()?;
        let target = match part.get(CONNECTS_TO)?.as_str()? {
            "url" => target_of_url(text)?,
            "address" => text.to_owned(),
            _ => return None,
        };
        Some((key.clone(), target)).filter(|(_, target)| is_address(target))
    };
    properties.into_iter().flatten().filter_map(target).collect()
}

fn mistake(
    source: &Source,
    span: Range<usize>,
    checker: &str,
    component: &ComponentSpec,
    target: &str,
) -> Mistake {
    let grant = without_zone(target);
    let message = format!("checker `{checker}` can never connect: `{target}` is not granted");
    let mut mistake = Mistake::new(source, span, message);
    mistake.expected("expected an address that is granted");
    let granted: Vec<String> = component.grants.list().into_iter().map(|(_, value)| value).collect();
    mistake.help(match granted.as_slice() {
        [] => format!("add to the checker: grant = {{ connect = [{grant:?}] }}"),
        _ => format!("add {grant:?} to `connect` in its `grant`"),
    });
    mistake
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use bellwether_core::id::ComponentName;

    use super::*;
    use crate::read::read_root;
    use crate::source::READINGS;

    const SCHEMA: &str = r#"{ "type": "object", "properties": {
        "url": { "type": "string", "x-connects-to": "url" },
        "address": { "type": "string", "x-connects-to": "address" },
        "text": { "type": "string" } } }"#;

    /// What is said of a checker with this config and these grants.
    fn said(config: &str, connect: &str) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("modules")).unwrap();
        let grant =
            if connect.is_empty() { String::new() } else { format!("grant = {{ connect = [{connect}] }}\n") };
        let text =
            format!("[[checker]]\nname = \"a\"\ncomponent = \"own\"\nconfig = {{ {config} }}\n{grant}");
        fs::write(root.path().join("modules/web.toml"), text).unwrap();
        let known = |_: ComponentKind, _: &ComponentName| Some(SCHEMA.to_owned());
        let mut all = unreachable(&read_root(root.path()), &known).into_iter();
        let first = all.next().map(|unreachable| unreachable.mistake.to_string());
        assert!(all.next().is_none());
        first
    }

    #[test]
    fn what_is_granted_in_no_form_is_told_where_it_stands_with_what_to_add() {
        assert_eq!(
            said("url = \"http://127.0.0.1:8080/x\"", "").as_deref(),
            Some(
                "modules/web.toml:4:18: checker `a` can never connect: `127.0.0.1:8080` is not granted; expected an \
                 address that is granted; add to the checker: grant = { connect = [\"127.0.0.1:8080\"] }"
            )
        );
        let other = said("address = \"[fe80::1%eth0]:80\"", "\"127.0.0.1:80\"").unwrap();
        assert!(other.ends_with("add \"[fe80::1]:80\" to `connect` in its `grant`"), "{other}");
    }

    #[test]
    fn file_and_schema_are_read_once_for_all_checkers() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("modules")).unwrap();
        let checker = |number: u32| {
            format!(
                "[[checker]]\nname = \"c{number:03}\"\ncomponent = \"own\"\nconfig = {{ address = \"127.0.0.1:80\" }}\n"
            )
        };
        fs::write(root.path().join("modules/web.toml"), (0..300).map(checker).collect::<String>()).unwrap();
        let asked = Cell::new(0);
        let known = |_: ComponentKind, _: &ComponentName| {
            asked.set(asked.get() + 1);
            Some(SCHEMA.to_owned())
        };
        let report = read_root(root.path());
        let before = READINGS.get();
        let lines: Vec<usize> =
            unreachable(&report, &known).iter().map(|unreachable| unreachable.mistake.line).collect();
        assert_eq!((lines.len(), lines[0], lines[299]), (300, 4, 4 + 299 * 4));
        assert_eq!((READINGS.get() - before, asked.get()), (1, 1));
    }

    #[test]
    fn what_could_be_granted_or_is_no_address_is_not_told() {
        assert_eq!(said("url = \"https://shop.internal\"", "\"shop.internal:443\""), None);
        assert_eq!(said("address = \"10.1.2.3:5432\"", "\"10.0.0.0/8:5432\""), None);
        assert_eq!(said("address = \"nonsense\"", ""), None, "the schema says so");
        assert_eq!(said("text = \"127.0.0.1:80\"", ""), None);
    }
}
