//! The execution settings of a command, in the notation of a file.

use bellwether_os::spawn::execution::{Bound, Execution, ResourceLimits};

use super::quantity::{show_duration, show_size};

/// The execution settings of a command except its limits: the key and its value.
pub fn execution_keys(execution: &Execution) -> Vec<(&'static str, String)> {
    let text = |text: &String| format!("{text:?}");
    let groups = &execution.supplementary_groups;
    [
        ("user", execution.user.as_ref().map(text)),
        ("group", execution.group.as_ref().map(text)),
        ("supplementary-groups", (!groups.is_empty()).then(|| format!("{groups:?}"))),
        ("env-file", execution.env_file.as_ref().map(|path| text(&path.display().to_string()))),
        ("capabilities", execution.capabilities.as_ref().map(|names| format!("{names:?}"))),
        ("umask", execution.umask.map(|mask| text(&format!("{mask:04o}")))),
        ("nice", execution.nice.map(|nice| nice.to_string())),
        ("oom-score", execution.oom_score.map(|score| score.to_string())),
        ("notify", execution.notifies.map(|_| "true".to_owned())),
        ("watchdog", execution.notifies.and_then(|notifies| Some(text(&show_duration(notifies.watchdog?))))),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

/// The limits of a command: the key and its value.
pub fn resource_limit_keys(limits: &ResourceLimits) -> Vec<(&'static str, String)> {
    let bound = |bound: Option<Bound>| {
        bound.map(|bound| match bound {
            Bound::Bytes(bytes) => format!("{:?}", show_size(bytes)),
            Bound::Infinity => "\"infinity\"".to_owned(),
        })
    };
    [
        ("open-files", limits.open_files.map(|files| files.to_string())),
        ("core", bound(limits.core)),
        ("memory", bound(limits.memory)),
        ("processes", limits.processes.map(|processes| processes.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}
