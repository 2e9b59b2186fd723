//! The digest of what a checker observes, by which a daemon tells an edited checker from one that it knows, also
//! across its own restarts and upgrades.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::grant::Grants;
use bellwether_os::process::find::{Find, Of};
use serde::ser::{Serialize as _, Serializer};
use serde_json::Value;

use super::quantity::show_duration;
use super::spec::{CheckerDefinition, OwnLimits};

/// Keys of a process that were added to the digest beside the subject, and stay there.
const BESIDE_THE_SUBJECT: [&str; 2] = ["containers", "of"];

impl CheckerDefinition {
    /// A digest of all of it. It is the same in every run and on every host, and does not depend on the order of keys
    /// in the file.
    pub fn digest(&self) -> u64 {
        digest(&self.document())
    }

    /// All of it, as the digest has it.
    fn document(&self) -> Value {
        let mut whole = serde_json::to_value(self).expect("every key of a definition is a text");
        let mut beside = Vec::new();
        if let Some(process) = whole.pointer_mut("/subject/process").and_then(Value::as_object_mut) {
            beside.extend(BESIDE_THE_SUBJECT.iter().filter_map(|key| process.remove_entry(*key)));
        }
        if let Value::Object(whole) = &mut whole {
            whole.extend(beside);
        }
        whole
    }
}

fn digest(document: &Value) -> u64 {
    let mut text = String::new();
    write_canonical(document, &mut text);
    let digest = blake3::hash(text.as_bytes());
    let first = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first)
}

/// JSON with the keys of every object in order.
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

/// A way to find processes: its key in the file and what stands there.
pub(super) fn find_text(find: &Find) -> (&'static str, String) {
    match find {
        Find::Name(name) => ("name", name.clone()),
        Find::Arguments(pattern) => ("arguments", pattern.as_str().to_owned()),
        Find::PidFile(path) => ("pid-file", path.display().to_string()),
        Find::Unit(unit) => ("unit", unit.clone()),
        Find::Kept(command) => ("kept", command.to_string()),
    }
}

pub(super) fn key_and_text<S: Serializer>(find: &Find, serializer: S) -> Result<S::Ok, S::Error> {
    find_text(find).serialize(serializer)
}

pub(super) fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*duration))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field like this")]
pub(super) fn word<S: Serializer>(of: &Of, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(of.word())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes every field like this")]
pub(super) fn is_host(of: &Of) -> bool {
    *of == Of::Host
}

pub(super) fn grant_list<S: Serializer>(grants: &Arc<Grants>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(grants.list().iter().map(|(kind, value)| format!("{kind} {value}")))
}

pub(super) fn limit_list<S: Serializer>(limits: &OwnLimits, serializer: S) -> Result<S::Ok, S::Error> {
    limits.list().serialize(serializer)
}
