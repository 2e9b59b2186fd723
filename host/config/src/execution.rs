//! The execution settings of a command, in the notation of a file.

use bellwether_os::spawn::execution::{Bound, Execution, Notifies, ResourceLimits};

use super::quantity::{show_duration, show_size};

/// The execution settings of a command except its limits: the key and its value.
pub fn execution_keys(execution: &Execution) -> Vec<(&'static str, String)> {
    let Execution {
        user,
        group,
        supplementary_groups: groups,
        env_file,
        capabilities,
        umask,
        // See `resource_limit_keys`.
        limits: _,
        nice,
        oom_score,
        notifies,
    } = execution;
    let text = |text: &String| format!("{text:?}");
    let watchdog = notifies.and_then(|Notifies { watchdog }| watchdog);
    [
        ("user", user.as_ref().map(text)),
        ("group", group.as_ref().map(text)),
        ("supplementary-groups", (!groups.is_empty()).then(|| format!("{groups:?}"))),
        ("env-file", env_file.as_ref().map(|path| text(&path.display().to_string()))),
        ("capabilities", capabilities.as_ref().map(|names| format!("{names:?}"))),
        ("umask", umask.map(|mask| text(&format!("{mask:04o}")))),
        ("nice", nice.map(|nice| nice.to_string())),
        ("oom-score", oom_score.map(|score| score.to_string())),
        ("notify", notifies.map(|_| "true".to_owned())),
        ("watchdog", watchdog.map(|watchdog| text(&show_duration(watchdog)))),
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
    let ResourceLimits { open_files, core, memory, processes } = *limits;
    [
        ("open-files", open_files.map(|files| files.to_string())),
        ("core", bound(core)),
        ("memory", bound(memory)),
        ("processes", processes.map(|processes| processes.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}
