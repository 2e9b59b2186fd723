//! The user and the limits that a command runs with, from the keys of its table.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::field;
use crate::host_files::{AccountProblem, HostFiles};
use crate::mistake::Findings;
use crate::nearest;
use crate::quantity::DurationText;
use crate::source::Located;
use bellwether_os::process::capability;
use bellwether_os::spawn::execution::{Bound, Execution, Notifies, ResourceLimits};

/// The limits of a process of the command, as with `prlimit`, both soft and hard. Default: those that the
/// daemon was started with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ResourceLimitsTable {
    /// Open files of one process (systemd's `LimitNOFILE=`).
    #[schemars(range(min = 16, max = 1_073_741_816), example = 65_536)]
    open_files: Option<u64>,
    /// The core file that the kernel writes when it crashes, from `"0B"` (none), or `"infinity"`
    /// (`LimitCORE=`).
    #[schemars(example = &"infinity")]
    core: Option<Located<BoundText>>,
    /// Address space of one process, from `"1MiB"`, or `"infinity"` (`LimitAS=`, not `MemoryMax=`).
    #[schemars(example = &"4GiB")]
    memory: Option<Located<BoundText>>,
    /// Processes and threads of its user, across all of that user's programs; root is not limited
    /// (`LimitNPROC=`).
    #[schemars(range(min = 1, max = 4_194_304), example = 4_096)]
    processes: Option<u64>,
}

/// A size, or `infinity`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct BoundText(String);

impl JsonSchema for BoundText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "bound".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "size, or infinity",
            "pattern": "^([0-9]+(B|[kK]B|MB|GB|TB|KiB|MiB|GiB|TiB)|infinity)$",
            "examples": ["64MiB", "infinity"],
        })
    }
}

/// The content of a table, before it is parsed.
#[derive(Debug, Default)]
pub(super) struct ExecutionKeys {
    pub(super) user: Option<Located<String>>,
    pub(super) group: Option<Located<String>>,
    pub(super) supplementary_groups: Vec<Located<String>>,
    pub(super) env_file: Option<Located<String>>,
    pub(super) capabilities: Option<Located<Vec<Located<String>>>>,
    pub(super) umask: Option<Located<String>>,
    pub(super) limits: Option<ResourceLimitsTable>,
    pub(super) nice: Option<i32>,
    pub(super) oom_score: Option<i32>,
    pub(super) keep: bool,
    pub(super) notify: Option<Located<bool>>,
    pub(super) watchdog: Option<Located<DurationText>>,
}

const CORE: RangeInclusive<u64> = 0..=1 << 60;
const MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 60;
const MAX_UMASK: u32 = 0o777;
const WATCHDOG: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

impl ExecutionKeys {
    pub(super) fn execution(self, host: &dyn HostFiles, findings: &mut Findings<'_>) -> Execution {
        let has_group = self.group.is_some();
        if let Some(user) = &self.user {
            told(user, "user", host.user(user.get(), has_group), findings);
        }
        for group in self.group.iter().chain(&self.supplementary_groups) {
            told(group, "group", host.group(group.get()), findings);
        }
        let notifies = self.notifies(findings);
        let text = |text: Option<Located<String>>| text.map(|text| text.get().clone());
        let limits = self.limits.unwrap_or_default();
        Execution {
            env_file: self.env_file.and_then(|path| env_file(&path, host, findings)),
            capabilities: self.capabilities.map(|names| capabilities(&names, host, findings)),
            umask: self.umask.and_then(|text| umask(&text, findings)),
            limits: ResourceLimits {
                open_files: limits.open_files,
                core: bound(findings, "core", limits.core, &CORE),
                memory: bound(findings, "memory", limits.memory, &MEMORY),
                processes: limits.processes,
            },
            user: text(self.user),
            group: text(self.group),
            supplementary_groups: self.supplementary_groups.iter().map(|group| group.get().clone()).collect(),
            nice: self.nice,
            oom_score: self.oom_score,
            notifies,
        }
    }

    fn notifies(&self, findings: &mut Findings<'_>) -> Option<Notifies> {
        let says = self.notify.as_ref().filter(|notify| *notify.get());
        if let Some(notify) = says.filter(|_| !self.keep) {
            findings
                .at(notify.span(), "only a kept command can use `notify`")
                .expected("expected only with `keep = true`");
        }
        if let Some(watchdog) = self.watchdog.as_ref().filter(|_| says.is_none()) {
            findings
                .at(watchdog.span(), "`watchdog` needs `notify`")
                .expected("expected only with `notify = true`");
        }
        let least = *WATCHDOG.start();
        let duration = |text| field::duration(findings, "watchdog", Some(text), &WATCHDOG, least);
        let watchdog = self.watchdog.as_ref().map(duration);
        says.map(|_| Notifies { watchdog })
    }
}

fn told(text: &Located<String>, key: &str, found: Result<(), AccountProblem>, findings: &mut Findings<'_>) {
    let Err(problem) = found else { return };
    let name = text.get().escape_debug();
    match problem {
        AccountProblem::Unknown => findings
            .at(text.span(), format!("there is no {key} `{name}` on this host"))
            .expected(format!(
                "expected a {key} of /etc/{}, or a number",
                if key == "user" { "passwd" } else { "group" }
            ))
            .help("users and groups of a directory service are given by number"),
        AccountProblem::NotRoot => findings
            .at(text.span(), format!("only a daemon that runs as root can start a command as another {key}"))
            .expected(format!("expected the daemon's own {key}, or no `{key}`")),
        AccountProblem::NoGroup => findings
            .at(text.span(), format!("the user {name} is not in /etc/passwd, so its group is unknown"))
            .expected("expected `group` beside it"),
        AccountProblem::Unreadable(why) => {
            findings.at(text.span(), format!("cannot look for {key} `{name}`: {why}"))
        }
    };
}

fn env_file(path: &Located<String>, host: &dyn HostFiles, findings: &mut Findings<'_>) -> Option<PathBuf> {
    let file = PathBuf::from(path.get());
    if path.get().is_empty() || path.get().contains('\0') {
        findings.at(path.span(), "no file is specified").expected("expected the path of an environment file");
        return None;
    }
    if let Err(problem) = host.env_file(&file).map_err(anyhow::Error::new) {
        findings
            .at(path.span(), format!("{}: {problem:#}", file.display()))
            .expected("expected a file of lines `KEY=VALUE`, absolute or relative to the root");
    }
    Some(file)
}

fn capabilities(
    texts: &Located<Vec<Located<String>>>,
    host: &dyn HostFiles,
    findings: &mut Findings<'_>,
) -> Vec<String> {
    if !host.is_root() {
        findings
            .at(texts.span(), "only a daemon that runs as root can choose the capabilities of a command")
            .expected("expected no `capabilities`");
    }
    for text in texts.get() {
        let name = text.get().as_str();
        if capability::named(name).is_none() {
            let known: Vec<String> = capability::names().collect();
            let upper = name.to_ascii_uppercase();
            let spelled = format!("CAP_{}", upper.trim_start_matches("CAP_"));
            let near = match capability::named(&spelled) {
                Some(_) => Some(format!("did you mean `{spelled}`?")),
                None => nearest::did_you_mean(name, known.iter().map(String::as_str)),
            };
            findings
                .at(text.span(), format!("there is no capability `{}`", name.escape_debug()))
                .expected(near.unwrap_or_else(|| "expected a name of capabilities(7)".to_owned()));
        }
    }
    texts.get().iter().map(|text| text.get().clone()).collect()
}

fn umask(text: &Located<String>, findings: &mut Findings<'_>) -> Option<u32> {
    let digits = text.get();
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mask = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mask| *mask <= MAX_UMASK);
    if mask.is_none() {
        findings
            .at(text.span(), format!("`{}` is not a umask", digits.escape_debug()))
            .expected("expected octal digits from \"0000\" to \"0777\", such as \"0027\"");
    }
    mask
}

fn bound(
    findings: &mut Findings<'_>,
    key: &str,
    text: Option<Located<BoundText>>,
    bounds: &RangeInclusive<u64>,
) -> Option<Bound> {
    let text = text?;
    if text.get().0 == "infinity" {
        return Some(Bound::Infinity);
    }
    field::size_of_text(findings, key, &text.get().0, text.span(), bounds).map(Bound::Bytes)
}
