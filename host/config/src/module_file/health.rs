//! The table `[health]` of a module.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_core::drain::Drain;
use bellwether_core::id::CommandName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::super::field;
use super::super::mistake::Findings;
use super::super::nearest;
use super::super::quantity::DurationText;
use super::super::source::Located;
use super::super::spec::{CommandSpec, HealthSpec};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct HealthTable {
    /// Fail the health check for this long before a serving application is stopped, so that load balancers
    /// stop sending requests first. Default: `"auto"`, until each load balancer that probes regularly has
    /// received six negative answers, between 15 s and 90 s.
    #[serde(default)]
    #[schemars(schema_with = "drain_schema")]
    drain: Option<Located<DurationText>>,
    /// While a checker with `on-down = "notify"` is down, request less traffic from load balancers: Envoy
    /// gets `x-envoy-degraded`, `HAProxy`'s agent-check half the weight. Default: false.
    degrade: Option<bool>,
    /// The declared command that tells a load balancer without health checks to use this node. It is run when
    /// the module becomes ready, once when the daemon starts, and again until it exits with 0.
    #[schemars(example = &"announce-yes")]
    on_yes: Option<Located<String>>,
    /// The declared command that tells a load balancer without health checks not to use this node, run like
    /// `on-yes`: as soon as a drain begins or the application fails.
    #[schemars(example = &"announce-no")]
    on_no: Option<Located<String>>,
}

const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
/// As long as the present load balancers need.
pub(crate) const AUTO: &str = "auto";

fn drain_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "null"],
        "pattern": "^(auto|([0-9]+(ms|s|m|h|d))+)$",
        "examples": [AUTO, "15s", "1m30s"],
    })
}

pub(super) fn health_spec(
    table: HealthTable,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> HealthSpec {
    let drain = match table.drain {
        Some(text) if text.get().0 != AUTO => {
            Drain::For(field::duration(findings, "drain", Some(&text), &DRAIN, Duration::ZERO))
        }
        Some(_) | None => Drain::UntilHeard,
    };
    let mut told_by = |name: Option<Located<String>>| declared(&name?, commands, findings);
    HealthSpec {
        drain,
        degrade: table.degrade.unwrap_or_default(),
        on_yes: told_by(table.on_yes),
        on_no: told_by(table.on_no),
    }
}

/// A declared command that runs to completion.
fn declared(
    text: &Located<String>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> Option<CommandName> {
    let name = field::name(findings, text, CommandName::new)?;
    match commands.get(&name) {
        Some(command) if !command.keep => return Some(name),
        // Errors of the commands have been reported.
        _ if findings.is_incomplete("commands") => {}
        Some(_) => {
            findings
                .at(text.span(), format!("the command `{name}` is a kept command, and would never exit"))
                .expected("expected a command without `keep` that notifies the load balancer and exits");
        }
        None => {
            let ending =
                || commands.iter().filter(|(_, command)| !command.keep).map(|(name, _)| name.as_str());
            let known = || match ending().next() {
                Some(_) => format!("expected {}", nearest::list(ending())),
                None => "expected a command without `keep`, and there is none".to_owned(),
            };
            let expected = nearest::did_you_mean(name.as_str(), ending()).unwrap_or_else(known);
            findings.at(text.span(), format!("`[commands]` has no `{name}`")).expected(expected).help(
                format!(
                    "declare it: `{name} = {{ run = [\"/path/to/program\", \"ARGUMENT\"] }}` in `[commands]`"
                ),
            );
        }
    }
    None
}
