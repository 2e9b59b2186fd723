//! The components that a module's file uses, and their grants.

use bellwether_core::grant::{GrantKind, GrantRequest, Grants, missing};
use bellwether_core::id::{CheckerName, ComponentName, ModuleName};
use toml::de::DeTable;

use super::cross_check::ComponentKind;
use super::source::{CheckerPlaces, Sourced, Step, locate_in, locate_key_in};
use super::spec::{ModuleSpec, Subject};

/// One use of a component in a module's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentUse {
    /// The module of the file.
    pub module: ModuleName,
    /// The path of the file, relative to the root.
    pub file: String,
    /// The line of its grants, or else of its name, from 1. If the file does not name the restart script, it is the
    /// standard one: 1.
    pub line: usize,
    /// The checker; `None` if it is the restart script.
    pub checker: Option<CheckerName>,
    /// Whether it is used as checker or restart script.
    pub kind: ComponentKind,
    /// The name of the component.
    pub component: ComponentName,
    /// The grants of this use.
    pub grants: Grants,
}

/// The source, prepared for looking up several positions.
struct Parsed<'t> {
    table: &'t DeTable<'t>,
    checkers: CheckerPlaces<'t>,
}

impl Sourced<ModuleSpec> {
    /// The restart script, and every checker with a component.
    pub fn component_uses(&self) -> Vec<ComponentUse> {
        let table = self.source.table();
        let file = Parsed { table: table.get_ref(), checkers: CheckerPlaces::of(table.get_ref()) };
        let restart = &self.spec.restart;
        let script = |key| vec![Step::Key("restart"), Step::Key(key)];
        let script = self.component_use(
            &file,
            None,
            ComponentKind::RestartScript,
            (&restart.script, &restart.grants),
            [script("grant"), script("script")],
        );
        let checkers = self.spec.checkers.values().filter_map(|checker| {
            let Subject::Component(component) = &checker.definition.subject else { return None };
            let path = |key| file.checkers.path(checker.name.as_str(), key);
            let paths = [path("grant"), path("component")];
            let what = (&component.component, component.grants.as_ref());
            Some(self.component_use(&file, Some(checker.name.clone()), ComponentKind::Checker, what, paths))
        });
        std::iter::once(script).chain(checkers).collect()
    }

    fn component_use(
        &self,
        file: &Parsed<'_>,
        checker: Option<CheckerName>,
        kind: ComponentKind,
        (component, grants): (&ComponentName, &Grants),
        [grant, name]: [Vec<Step<'_>>; 2],
    ) -> ComponentUse {
        let is_there = locate_in(file.table, &grant).0.is_some();
        let span = locate_key_in(file.table, if is_there { &grant } else { &name });
        ComponentUse {
            module: self.spec.name.clone(),
            file: self.source.file().to_owned(),
            line: self.source.line(span.start),
            checker,
            kind,
            component: component.clone(),
            grants: grants.clone(),
        }
    }
}

impl ComponentUse {
    /// The grants that the component requests and does not have here.
    pub fn missing(&self, asked: &[GrantRequest]) -> Vec<GrantRequest> {
        missing(asked, &self.grants)
    }

    /// The grants here that it does not request in any form.
    pub fn unasked(&self, asked: &[GrantRequest]) -> Vec<(GrantKind, String)> {
        let is_asked = |kind: GrantKind| asked.iter().any(|request| request.kind == kind.word());
        self.grants.list().into_iter().filter(|(kind, _)| !is_asked(*kind)).collect()
    }

    /// A description for users: ``checker `home` ``, `restart script`.
    pub fn title(&self) -> String {
        match &self.checker {
            Some(checker) => format!("checker `{checker}`"),
            None => "restart script".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnyHost, parse_module};

    const FILE: &str = r#"
[restart]
script = "careful"
grant = { processes = true }

[commands]
start = { run = ["/app"], keep = true }
probe = { run = ["/probe"] }

[[checker]]
name = "home"
component = "http"
grant = { connect = ["127.0.0.1:80"], commands = ["probe"] }

[[checker]]
name = "plain"
component = "tcp"
"#;

    fn request(kind: &str, value: &str) -> GrantRequest {
        GrantRequest { kind: kind.to_owned(), value: value.to_owned(), reason: "because".to_owned() }
    }

    #[test]
    fn every_use_is_found_with_its_line_and_its_grants() {
        let name = ModuleName::new("web").unwrap();
        let module = parse_module(name, "modules/web.toml", FILE, &AnyHost).unwrap();
        let uses = module.component_uses();
        let shown: Vec<_> = uses
            .iter()
            .map(|of| {
                format!("{}:{} {} {} {}", of.file, of.line, of.title(), of.component, of.grants.list().len())
            })
            .collect();
        assert_eq!(
            shown,
            [
                "modules/web.toml:4 restart script careful 1",
                "modules/web.toml:13 checker `home` http 2",
                "modules/web.toml:17 checker `plain` tcp 0",
            ]
        );
        let asked = [request("connect", ""), request("ping", "10.0.0.1")];
        let missing = |of: &ComponentUse| of.missing(&asked).into_iter().map(|r| r.kind).collect::<Vec<_>>();
        assert_eq!(missing(&uses[0]), ["connect", "ping"]);
        assert_eq!(missing(&uses[1]), ["ping"]);
        assert_eq!(uses[1].unasked(&asked), [(GrantKind::Commands, "probe".to_owned())]);
        assert_eq!(uses[2].unasked(&asked), []);
    }
}
