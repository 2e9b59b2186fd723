//! The table `[commands]` of a module.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::id::CommandName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::execution::{ExecutionKeys, ResourceLimitsTable};
use crate::field;
use crate::host_files::{HostFiles, ProgramProblem};
use crate::mistake::Findings;
use crate::quantity::DurationText;
use crate::source::Located;
use bellwether_os::spawn::command::{ArgumentPattern, CommandSpec};

/// A program with its arguments. No shell is involved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CommandTable {
    /// The program and its arguments, one string each. The program is an absolute path, a path relative to
    /// the root (with a slash, such as `./app`), or a name to look up in the system's folders, such as
    /// `/usr/bin`.
    #[schemars(required, length(min = 1), example = ["/usr/sbin/nginx", "-g", "daemon off;"])]
    run: Option<Vec<Located<String>>>,
    /// The long-running application itself: the host supervises it, monitors it, and does not wait for its
    /// exit. Default: false.
    keep: Option<bool>,
    /// How long it may run; for a kept command, how long it may take to exit; for a command that stops an
    /// application in the background, how long the application may take to exit afterwards (at least 10 s).
    /// Default: `"10s"`.
    timeout: Option<Located<DurationText>>,
    /// How long processes of the previous run may take to exit on the stop signals, before it is started
    /// again; after that they are killed. From `"10ms"` to `"1h"`. Default: `"500ms"`.
    #[schemars(example = &"30s")]
    leftovers: Option<Located<DurationText>>,
    /// Environment variables, added to a small, clean environment.
    env: Option<BTreeMap<Located<String>, Located<String>>>,
    /// An environment file, read at each start: lines `KEY=VALUE`, comments with `#`, quotes as in systemd's
    /// `EnvironmentFile=`. It overrides `env`. Only its owner may have write permission, who must be root or
    /// the daemon's user; the same applies to its folder. It must not be a symbolic link. Absolute or
    /// relative to the root.
    #[schemars(example = &"/etc/default/tomcat10")]
    env_file: Option<Located<String>>,
    /// The working directory, absolute or relative to the root. Default: the root.
    #[schemars(example = &"/srv/shop")]
    dir: Option<Located<String>>,
    /// Which arguments a component may add after the declared ones: this regular expression must match each
    /// of them as a whole. `".*"` allows any. Default: none may be added.
    #[schemars(example = &"--(lag|depth)")]
    arguments: Option<Located<String>>,
    /// The user to run as, by name or number, with the groups that have this user as a member, and with
    /// `HOME`, `USER`, `LOGNAME` and `SHELL` of that user. The daemon has to run as root. Default: the
    /// daemon's own.
    #[schemars(example = &"postgres")]
    user: Option<Located<String>>,
    /// The primary group, by name or number. Default: that of the user.
    #[schemars(example = &"postgres")]
    group: Option<Located<String>>,
    /// Groups in addition to those that have the user as a member.
    #[schemars(example = ["ssl-cert"])]
    supplementary_groups: Option<Vec<Located<String>>>,
    /// The only capabilities that it has and can ever get, such as `CAP_NET_BIND_SERVICE`:
    /// `AmbientCapabilities=` and `CapabilityBoundingSet=` combined. `[]`: none. The daemon has to run as
    /// root. Default: those of the user.
    #[schemars(example = ["CAP_NET_BIND_SERVICE"])]
    capabilities: Option<Located<Vec<Located<String>>>>,
    /// The permissions that are removed from files it creates, in octal digits. Default: the daemon's own.
    #[schemars(example = &"0027")]
    umask: Option<Located<String>>,
    /// The limits of each of its processes.
    limits: Option<ResourceLimitsTable>,
    /// The CPU priority, from -20 (first) to 19 (last). Default: the daemon's own.
    #[schemars(range(min = -20, max = 19), example = 5)]
    nice: Option<i32>,
    /// Whether the kernel kills it when memory runs out, from -1000 (never) to 1000 (first):
    /// `OOMScoreAdjust=`. Default: the daemon's own, but never protected.
    #[schemars(range(min = -1000, max = 1000), example = 100)]
    oom_score: Option<i32>,
    /// The kept command reports with `sd_notify(3)` when it is ready, and its status: `Type=notify`. It is
    /// starting until `READY=1`. Default: false.
    notify: Option<Located<bool>>,
    /// With `notify`: once it is ready, it has failed if it sends no `WATCHDOG=1` for this long, from `"1s"`
    /// to `"1h"`: `WatchdogSec=`. Default: none is expected.
    #[schemars(example = &"30s")]
    watchdog: Option<Located<DurationText>>,
}

const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn command_specs(
    tables: BTreeMap<Located<String>, CommandTable>,
    host: &dyn HostFiles,
    findings: &mut Findings<'_>,
) -> BTreeMap<CommandName, CommandSpec> {
    let mut commands = BTreeMap::new();
    for (key, table) in tables {
        let name = field::name(findings, &key, CommandName::new);
        let spec = command_spec(&key, table, host, findings);
        if let (Some(name), Some(spec)) = (name, spec) {
            commands.insert(name, spec);
        }
    }
    commands
}

fn command_spec(
    key: &Located<String>,
    table: CommandTable,
    host: &dyn HostFiles,
    findings: &mut Findings<'_>,
) -> Option<CommandSpec> {
    let timeout = field::duration(findings, "timeout", table.timeout.as_ref(), &TIMEOUT, DEFAULT_TIMEOUT);
    let leftovers = table.leftovers.as_ref();
    let leftovers = field::duration(findings, "leftovers", leftovers, &TIMEOUT, CommandSpec::LEFTOVERS);
    let env = environment(&table.env.unwrap_or_default(), findings);
    let dir = table.dir.as_ref().map(|dir| PathBuf::from(dir.get()));
    if let (Some(dir), Some(text)) = (&dir, &table.dir)
        && !host.is_directory(dir)
    {
        findings
            .at(text.span(), format!("no such folder: {}", dir.display()))
            .expected("expected a folder that exists, absolute or relative to the root");
    }
    let keys = ExecutionKeys {
        user: table.user,
        group: table.group,
        supplementary_groups: table.supplementary_groups.unwrap_or_default(),
        env_file: table.env_file,
        capabilities: table.capabilities,
        umask: table.umask,
        limits: table.limits,
        nice: table.nice,
        oom_score: table.oom_score,
        keep: table.keep.unwrap_or(false),
        notify: table.notify,
        watchdog: table.watchdog,
    };
    let execution = keys.execution(host, findings);
    let Some(run) = table.run else {
        let (path, title) = (format!("commands.{}", key.get()), format!("command `{}`", key.get()));
        field::missing(findings, key.span(), &path, &title, "run", "[\"/path/to/program\", \"argument\"]");
        return None;
    };
    check_program(run.first()?, host, findings);
    for argument in run.iter().filter(|argument| argument.get().contains('\0')) {
        findings.at(argument.span(), "a program cannot be given a NUL character");
    }
    let run = run.iter().map(|argument| argument.get().clone()).collect();
    let keep = table.keep.unwrap_or(false);
    let arguments = table.arguments.and_then(|text| argument_pattern(&text, keep, findings));
    Some(CommandSpec { run, keep, timeout, leftovers, env, dir, arguments, execution })
}

fn argument_pattern(
    text: &Located<String>,
    keep: bool,
    findings: &mut Findings<'_>,
) -> Option<ArgumentPattern> {
    if keep {
        findings
            .at(text.span(), "a kept command takes no further arguments")
            .expected("expected only without `keep = true`");
        return None;
    }
    ArgumentPattern::new(text.get())
        .map_err(|error| {
            // The crate's error has several lines; the last one contains the message.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            findings
                .at(text.span(), format!("not a regular expression: {reason}"))
                .expected("expected a pattern for each added argument, such as \"--[a-z]+\"");
        })
        .ok()
}

fn environment(
    table: &BTreeMap<Located<String>, Located<String>>,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, String> {
    for (key, value) in table {
        if key.get().is_empty() || key.get().contains(['=', '\0']) {
            findings
                .at(key.span(), format!("`{}` is not the name of a variable", key.get().escape_debug()))
                .expected("expected a name without `=`");
        }
        if value.get().contains('\0') {
            findings.at(value.span(), "a variable cannot hold a NUL character");
        }
    }
    table.iter().map(|(key, value)| (key.get().clone(), value.get().clone())).collect()
}

fn check_program(program: &Located<String>, host: &dyn HostFiles, findings: &mut Findings<'_>) {
    let name = program.get();
    if name.is_empty() || name.contains('\0') {
        findings
            .at(program.span(), "no program is specified")
            .expected("expected the path of a program, or its name");
        return;
    }
    let Err(problem) = host.program(name) else { return };
    // The whole command line in one text is the most common error.
    let words = name.split_whitespace().collect::<Vec<_>>();
    let split = words.len() > 1 && !Path::new(name).exists();
    let quoted = || words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let (message, expected, help) = match problem {
        ProgramProblem::Missing => (
            format!("no such program: {name}"),
            "expected a file that exists",
            "install it, or correct the path (a relative one is relative to the root)",
        ),
        ProgramProblem::NotInPath => (
            format!("no such program: {name}"),
            "expected one in a folder of the system, such as /usr/bin",
            "install it, or write its path (with a slash: ./NAME is relative to the root)",
        ),
        ProgramProblem::NotExecutable => (
            format!("not a program that can be run: {name}"),
            "expected an executable file",
            "`chmod +x` makes a file executable",
        ),
    };
    let help = if split { format!("one text for each argument: [{}]", quoted()) } else { help.to_owned() };
    let mistake = findings.at(program.span(), message).expected(expected).help(help);
    mistake.program_missing = problem != ProgramProblem::NotExecutable;
}
