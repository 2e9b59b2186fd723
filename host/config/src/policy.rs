//! The part of a module's specification that the core decides by.

use std::time::Duration;

use bellwether_core::policy::{CheckerKind, CheckerPolicy, CommandPolicy, ModulePolicy};
use serde_json::{Value, json};

use super::quantity::show_duration;
use super::spec::{CheckerSpec, Find, ModuleSpec, Of, ProcessSpec, Subject};

/// The time limit of a restart script.
const PLAN_WITHIN: Duration = Duration::from_secs(5);
/// What a busy machine may add to the time between two results of a checker.
const SPARE: Duration = Duration::from_secs(10);

impl ModuleSpec {
    /// The part of a module's specification that the core decides by.
    pub fn policy(&self) -> ModulePolicy {
        let checker = |checker: &CheckerSpec| CheckerPolicy {
            kind: match checker.subject {
                Subject::Process(_) => CheckerKind::Process,
                Subject::Component(_) => CheckerKind::Component,
            },
            thresholds: checker.thresholds,
            on_down: checker.on_down,
            interval: checker.interval,
            timeout: checker.timeout,
            patience: patience(checker),
            kept: matches!(&checker.subject, Subject::Process(ProcessSpec { find: Find::Kept(_), .. })),
            definition: definition(checker),
        };
        ModulePolicy {
            checkers: self.checkers.iter().map(|(name, spec)| (name.clone(), checker(spec))).collect(),
            commands: self
                .commands
                .iter()
                .map(|(name, spec)| (name.clone(), CommandPolicy { keep: spec.keep, timeout: spec.timeout }))
                .collect(),
            budget: self.restart.budget,
            backoff: self.restart.backoff,
            drain: self.health.drain,
            degrade: self.health.degrade,
            start_within: self.restart.start_within,
            appear_within: Some(self.restart.appear_within),
            keep_trying: self.restart.keep_trying,
            plan_within: PLAN_WITHIN,
        }
    }
}

/// The longest time without a result of a checker that runs normally: until its next run, until another run of it
/// has ended, until there is a place to run in, and for the run itself.
fn patience(checker: &CheckerSpec) -> Duration {
    checker.interval.saturating_add(checker.timeout.saturating_mul(3)).saturating_add(SPARE)
}

/// A digest of what a checker observes and how often. It is the same in every
/// run and on every host, and does not depend on the order of keys in the file.
fn definition(checker: &CheckerSpec) -> u64 {
    let subject = match &checker.subject {
        Subject::Process(process) => json!({ "process": {
            "find": find_text(&process.find),
            "at-least": process.at_least,
            "at-most": process.at_most,
            "max-memory": process.bounds.memory,
            "max-cpu": process.bounds.cpu,
            "max-open-files": process.bounds.open_files,
            "max-threads": process.bounds.threads,
        }}),
        Subject::Component(component) => json!({ "component": {
            "name": component.component.as_str(),
            "config": component.config,
            "grants": component.grants.list().iter().map(|(kind, value)| format!("{kind} {value}")).collect::<Vec<_>>(),
            "limits": component.limits.list(),
        }}),
    };
    let mut whole = json!({
        "interval": show_duration(checker.interval),
        "timeout": show_duration(checker.timeout),
        "subject": subject,
    });
    if let Subject::Process(ProcessSpec { containers: true, .. }) = &checker.subject {
        // Only if it is set, so that definitions from before this key existed keep their digest.
        whole["containers"] = Value::Bool(true);
    }
    if let Subject::Process(ProcessSpec { of: Of::Module, .. }) = &checker.subject {
        whole["of"] = Value::from(Of::Module.word());
    }
    let mut text = String::new();
    write_canonical(&whole, &mut text);
    let digest = blake3::hash(text.as_bytes());
    let first = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

/// A way to find processes: its key in the file and its value.
pub(super) fn find_text(find: &Find) -> (&'static str, String) {
    match find {
        Find::Name(name) => ("name", name.clone()),
        Find::Arguments(pattern) => ("arguments", pattern.as_str().to_owned()),
        Find::PidFile(path) => ("pid-file", path.display().to_string()),
        Find::Unit(unit) => ("unit", unit.clone()),
        Find::Kept(command) => ("kept", command.to_string()),
    }
}

/// JSON with the keys of every object in alphabetical order.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, inner) in entries {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(inner, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
