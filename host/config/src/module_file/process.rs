//! `process = { … }`

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use bellwether_core::id::CommandName;
use bellwether_core::policy::OnDown;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::field;
use crate::mistake::Findings;
use crate::nearest;
use crate::quantity::SizeText;
use crate::source::Located;
use crate::spec::{ProcessBounds, ProcessSpec};
use bellwether_os::process::find::{Find, Of};
use bellwether_os::spawn::command::CommandSpec;

/// Which processes, how many of them, and their limits. Exactly one of `name`, `arguments`, `pid-file`,
/// `unit` and `kept` selects them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["name"] },
    { "required": ["arguments"] },
    { "required": ["pid-file"] },
    { "required": ["unit"] },
    { "required": ["kept"] },
]))]
pub(super) struct ProcessTable {
    /// Processes of this program, by its file name.
    #[schemars(example = &"nginx")]
    name: Option<Located<String>>,
    /// Processes whose command line (arguments separated by single spaces) matches this regular expression.
    #[schemars(example = &"java .*-jar /opt/shop/shop\\.jar")]
    arguments: Option<Located<String>>,
    /// The process whose id is in this file. An absolute path.
    #[schemars(example = &"/run/nginx.pid")]
    pid_file: Option<Located<String>>,
    /// All processes of this systemd unit.
    #[schemars(example = &"nginx.service")]
    unit: Option<Located<String>>,
    /// The process of this kept command of `[commands]`.
    #[schemars(example = &"start")]
    kept: Option<Located<String>>,
    /// The minimum number of processes; fewer are a fail. Default: 1.
    #[schemars(range(min = 0, max = 100_000))]
    at_least: Option<Located<u32>>,
    /// The maximum number of processes; more are a fail. Default: no limit.
    #[schemars(range(min = 0, max = 100_000), example = 8)]
    at_most: Option<Located<u32>>,
    /// Whether processes of containers also count, which are in a process id namespace below the daemon's
    /// own. Only with `name` and `arguments`. Default: false.
    containers: Option<Located<bool>>,
    /// Whose processes count. Only with `name` and `arguments`. Default: `"module"` if the module keeps its
    /// `start` command (or has none, and keeps all commands except those that end it), the checker is about
    /// its application (`on-down` is `"restart"` or `"stop"`), and containers do not count; `"host"`
    /// otherwise.
    of: Option<Located<OfWord>>,
    /// The maximum memory of all processes together; more is a fail. Shared pages are divided among the
    /// processes that share them. Default: no limit.
    #[schemars(example = &"2GiB")]
    max_memory: Option<Located<SizeText>>,
    /// The maximum CPU use of all processes together, in percent of one CPU (150: one and a half); more is a
    /// fail. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000), example = 150)]
    max_cpu: Option<f64>,
    /// The maximum number of open files of any process; more are a fail. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 10_000)]
    max_open_files: Option<u64>,
    /// The maximum number of threads of all processes together; more are a fail. Default: no limit.
    #[schemars(range(min = 1, max = 1_000_000_000), example = 500)]
    max_threads: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OfWord {
    /// Processes that come from a command of this module.
    Module,
    /// All processes of this host, no matter what started them.
    Host,
}

/// The ways to find processes.
const WAYS: [&str; 5] = ["name", "arguments", "pid-file", "unit", "kept"];
const MEMORY: RangeInclusive<u64> = 1..=1 << 60;

pub(super) fn process_spec(
    path: &str,
    table: &Located<ProcessTable>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    on_down: OnDown,
    findings: &mut Findings<'_>,
) -> Option<ProcessSpec> {
    let ProcessTable {
        at_least,
        at_most,
        containers,
        of,
        max_memory,
        max_cpu,
        max_open_files,
        max_threads,
        ..
    } = table.get();
    let find = find(path, table, commands, findings);
    let least = at_least.as_ref().map_or(1, |count| *count.get());
    if let Some(most) = at_most
        && *most.get() < least
    {
        findings
            .at(most.span(), format!("`at-most` is less than `at-least`, which is {least}"))
            .expected(format!("expected {least} or more"));
    }
    one_process(find.as_ref(), at_least.as_ref(), at_most.as_ref(), findings);
    let bounds = ProcessBounds {
        memory: field::size(findings, "max-memory", max_memory.as_ref(), &MEMORY),
        cpu: *max_cpu,
        open_files: *max_open_files,
        threads: *max_threads,
    };
    if let (Some(text), Some(Find::PidFile(_) | Find::Unit(_) | Find::Kept(_))) = (containers, &find) {
        findings
            .at(text.span(), "`containers` has no effect here")
            .expected("expected only with `name` or `arguments`");
    }
    if let (Some(text), Some(Find::PidFile(_) | Find::Unit(_) | Find::Kept(_))) = (of, &find) {
        findings
            .at(text.span(), "`of` has no effect here")
            .expected("expected only with `name` or `arguments`");
    }
    let at_most = at_most.as_ref().map(|count| *count.get());
    let containers = containers.as_ref().is_some_and(|containers| *containers.get());
    let find = find?;
    let by_what_they_are = matches!(find, Find::Name(_) | Find::Arguments(_));
    let of = match of.as_ref().map(|of| *of.get()) {
        Some(OfWord::Module) if by_what_they_are => Of::Module,
        None if by_what_they_are && !containers && is_of_the_application(commands, on_down) => Of::Module,
        Some(_) | None => Of::Host,
    };
    Some(ProcessSpec { find, at_least: least, at_most, containers, of, bounds })
}

/// Whether a checker observes what the module itself keeps. A checker that only waits for something, or takes the
/// node out of the load balancer, may also observe processes of another module.
fn is_of_the_application(commands: &BTreeMap<CommandName, CommandSpec>, on_down: OnDown) -> bool {
    matches!(on_down, OnDown::Restart | OnDown::Stop) && keeps_its_application(commands)
}

/// Commands that start nothing.
const WITHOUT_A_START: [&str; 6] = ["stop", "reload", "kill", "drain", "status", "check"];

/// Whether the kept commands are the application. A module that starts it otherwise, with a service manager, may
/// keep something else, such as a program that ships its logs.
fn keeps_its_application(commands: &BTreeMap<CommandName, CommandSpec>) -> bool {
    if let Some(start) = commands.get("start") {
        return start.keep;
    }
    let mut starting =
        commands.iter().filter(|(name, _)| !WITHOUT_A_START.contains(&name.as_str())).peekable();
    starting.peek().is_some() && starting.all(|(_, command)| command.keep)
}

/// A kept command is one process, whatever that process starts, and a pid file names one: their number is always
/// one.
fn one_process(
    find: Option<&Find>,
    at_least: Option<&Located<u32>>,
    at_most: Option<&Located<u32>>,
    findings: &mut Findings<'_>,
) {
    let what = match find {
        Some(Find::Kept(command)) => format!("the kept command `{command}` is one process"),
        Some(Find::PidFile(_)) => "a pid file names one process".to_owned(),
        Some(Find::Name(_) | Find::Arguments(_) | Find::Unit(_)) | None => return,
    };
    if let Some(count) = at_least.filter(|count| *count.get() > 1) {
        findings
            .at(count.span(), format!("{what}: there are never {}", count.get()))
            .expected("expected 1, or no `at-least`")
            .help("to count processes that it starts, use `name`, `arguments` or `unit`");
    }
    if let (Some(count), Some(Find::Kept(_))) = (at_most.filter(|count| *count.get() == 0), find) {
        findings
            .at(count.span(), format!("{what}, and none would be allowed"))
            .expected("expected 1, or no `at-most`");
    }
}

fn find(
    path: &str,
    table: &Located<ProcessTable>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> Option<Find> {
    let ProcessTable { name, arguments, pid_file, unit, kept, .. } = table.get();
    let mut given: Vec<_> = WAYS
        .into_iter()
        .zip([name, arguments, pid_file, unit, kept])
        .filter_map(|(way, text)| text.as_ref().map(|text| (way, text)))
        .collect();
    given.sort_by_key(|(_, text)| text.span().start);
    match given.as_slice() {
        [("name", text)] => program_name(text, findings),
        [("arguments", text)] => arguments_pattern(text, findings),
        [("pid-file", text)] => pid_file_path(text, findings),
        [("unit", text)] => unit_name(text, findings),
        [(_, text)] => kept_command(text, commands, findings),
        [] => {
            if !WAYS.iter().any(|way| findings.is_incomplete(&format!("{path}.{way}"))) {
                findings
                    .at(table.span(), "the way to find the processes is missing")
                    .expected(format!("expected exactly one of {}", nearest::list(WAYS.into_iter())));
            }
            None
        }
        [(first, _), (second, text), ..] => {
            findings
                .at(text.span(), format!("both `{first}` and `{second}`"))
                .expected("expected only one way to find the processes")
                .help("`arguments` sees the program's name too, and matches the whole command line");
            None
        }
    }
}

fn program_name(text: &Located<String>, findings: &mut Findings<'_>) -> Option<Find> {
    let name = text.get();
    if name.is_empty() || name.len() > 255 || name.contains(['/', '\0']) {
        findings
            .at(text.span(), format!("`{}` is not the file name of a program", name.escape_debug()))
            .expected("expected a name such as \"nginx\", without folders")
            .help("to tell programs of the same name apart, use `arguments`");
        return None;
    }
    Some(Find::Name(name.clone()))
}

fn arguments_pattern(text: &Located<String>, findings: &mut Findings<'_>) -> Option<Find> {
    if text.get().is_empty() {
        findings
            .at(text.span(), "an empty regular expression matches every process")
            .expected("expected a part of the command line");
        return None;
    }
    match regex::Regex::new(text.get()) {
        Ok(pattern) => Some(Find::Arguments(pattern)),
        Err(error) => {
            // The regex crate's drawing of the position does not fit here; its last line contains the message.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            findings
                .at(text.span(), format!("not a regular expression: {reason}"))
                .expected("expected a regular expression over the whole command line")
                .help("in TOML, single quotes keep backslashes as they are: 'java .*shop\\.jar'");
            None
        }
    }
}

fn pid_file_path(text: &Located<String>, findings: &mut Findings<'_>) -> Option<Find> {
    let path = PathBuf::from(text.get());
    if !path.is_absolute() || text.get().contains('\0') {
        findings
            .at(text.span(), format!("`{}` is not an absolute path", text.get().escape_debug()))
            .expected("expected a path such as \"/run/nginx.pid\"");
        return None;
    }
    Some(Find::PidFile(path))
}

/// A unit that has processes, by its full name (systemd.unit(5)); `.service` is optional.
fn unit_name(text: &Located<String>, findings: &mut Findings<'_>) -> Option<Find> {
    let name = text.get();
    let full = match name.rsplit_once('.') {
        Some((_, "service" | "scope" | "slice")) => name.clone(),
        _ => format!("{name}.service"),
    };
    let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let known_other = ["socket", "mount", "timer", "target", "path", "device", "swap", "automount"];
    let has_no_processes = name.rsplit_once('.').is_some_and(|(_, kind)| known_other.contains(&kind));
    if name.is_empty() || full.len() > 255 || !full.chars().all(good) || has_no_processes {
        findings
            .at(text.span(), format!("`{}` is not a systemd unit with processes", name.escape_debug()))
            .expected("expected the name of a service, scope or slice, such as \"nginx.service\"");
        return None;
    }
    Some(Find::Unit(full))
}

fn kept_command(
    text: &Located<String>,
    commands: &BTreeMap<CommandName, CommandSpec>,
    findings: &mut Findings<'_>,
) -> Option<Find> {
    let name = field::name(findings, text, CommandName::new)?;
    match commands.get(&name) {
        Some(command) if command.keep => return Some(Find::Kept(name)),
        // Errors of the commands have been reported.
        _ if findings.is_incomplete("commands") => {}
        Some(_) => {
            findings
                .at(text.span(), format!("the command `{name}` is not kept"))
                .expected("expected a command with `keep = true`")
                .help(format!(
                    "add `keep = true` to `{name}` in `[commands]` if it is the long-running application"
                ));
        }
        None => {
            let kept = || commands.iter().filter(|(_, command)| command.keep).map(|(name, _)| name.as_str());
            let mistake = findings.at(text.span(), format!("`[commands]` has no `{name}`"));
            let known = || match kept().next() {
                Some(_) => format!("expected {}", nearest::list(kept())),
                None => "expected a command with `keep = true`, and there is none".to_owned(),
            };
            mistake.expected(nearest::did_you_mean(name.as_str(), kept()).unwrap_or_else(known));
        }
    }
    None
}
