//! `simulate`: shows what would happen in a scenario.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_config as config;
use bellwether_config::spec::ModuleSpec;
use bellwether_config::{ComponentKind, Mistakes};
use bellwether_core::id::ModuleName;
use bellwether_core::moment::plain;
use bellwether_core::plan::PlanError;
use bellwether_core::record::RecordKind;
use bellwether_core::simulation::report::{
    EntryKind, Outcome as Expectation, Report, Seen, Summary, TimelineEntry,
};
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use bellwether_supervisor::simulate::Stage;
use clap::Args;
use serde_json::{Value, json};

use super::grants::component_bytes;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, Output, Tone};
use crate::root::RootArg;

/// Show what would happen to a module in a scenario: an unavailable database, a start that fails
///
/// The module runs on virtual time. The scenario sets the results of its checkers, the processes
/// that exit and the commands of operators. The decisions are those of the daemon, the plans those of
/// the restart script. Nothing real is touched: no command and no check is run, and no daemon is
/// needed. The exit code is 0 if all expectations are met, 3 if not, 5 if a file has errors.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// The module: the name of its file in modules/
    module: ModuleName,

    /// The scenario: events and expectations
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,

    /// Use this file instead of the one in modules/, to see what it would change
    #[arg(long, value_name = "FILE")]
    module_file: Option<PathBuf>,

    /// The random seed; the same seed gives the same timeline
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &SimulateArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let root = root.find()?;
    if args.module_file.is_none() {
        refuse_unknown(&root, &args.module)?;
    }
    let files = config::read_node(&root).and_then(|node| {
        let module = read_module(&root, args)?;
        let scenario = config::read_scenario(&args.scenario, &module)?;
        Ok((node, module, scenario))
    });
    let (node, module, scenario) = match files {
        Ok(files) => files,
        Err(mistakes) => return tell_mistakes(&args.module, &mistakes, args.json, output),
    };
    let sandbox = Sandbox::new(&node.limits, Compiler::Own)?;
    let name = &module.restart.script;
    let script = match component_bytes(&root, ComponentKind::RestartScript, name) {
        Some(bytes) => sandbox
            .load(&bytes)
            .map_err(|error| format!("restart-scripts/{name}.wasm cannot be used: {error}").into()),
        None => Err(PlanError::NoScript(name.clone())),
    };
    let stage = Stage {
        sandbox: &sandbox,
        script: script.as_ref().map_err(Clone::clone),
        module: &module,
        node: &node.name,
        limits: &node.limits,
    };
    let report = stage.play(scenario, args.seed).await.map_err(|error| {
        Failure::new(Exit::Error, error.to_string(), "make `for` shorter, or use fewer events")
    })?;
    if args.json {
        output.json(&document(args, &report))?;
    } else {
        print(args, &report, output)?;
    }
    Ok(if report.is_as_expected() { Exit::Done } else { Exit::Denied })
}

/// The file of a module, relative to the root.
fn own_file(module: &ModuleName) -> PathBuf {
    Path::new(config::MODULES_FOLDER).join(format!("{module}.toml"))
}

/// A module without a file is a wrong name on the command line, and no error in a file.
pub(super) fn refuse_unknown(root: &Path, module: &ModuleName) -> Result<(), Failure> {
    // A link that leads nowhere is a file with an error.
    match fs::symlink_metadata(root.join(own_file(module))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => return Ok(()),
    }
    let modules = config::read_root(root).modules;
    let names: Vec<&str> = modules.iter().filter_map(|(file, _)| file.strip_suffix(".toml")).collect();
    let next = if names.is_empty() {
        "it has none: add a file to modules/".to_owned()
    } else {
        format!("its modules are: {}", names.join(", "))
    };
    Err(Failure::new(Exit::NoSuch, format!("there is no module `{module}` in this root"), next))
}

/// The module's own file, or the given one.
pub(super) fn read_module_file(
    root: &Path,
    module: &ModuleName,
    file: Option<&Path>,
) -> Result<ModuleSpec, Mistakes> {
    let own = own_file(module);
    // The given path is relative to the current folder.
    let given = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    let sourced = config::read_module_as(root, module.clone(), given.as_deref().unwrap_or(&own))?;
    Ok(sourced.spec)
}

fn read_module(root: &Path, args: &SimulateArgs) -> Result<ModuleSpec, Mistakes> {
    read_module_file(root, &args.module, args.module_file.as_deref())
}

pub(super) fn tell_mistakes(
    module: &ModuleName,
    mistakes: &Mistakes,
    json: bool,
    output: &mut Output,
) -> Outcome {
    if json {
        let list: Vec<Value> = mistakes.iter().map(|mistake| json!(mistake)).collect();
        output.json(&json!({ "module": module, "ok": false, "mistakes": list }))?;
        return Ok(Exit::Mistakes);
    }
    writeln!(output, "{}", mistakes.render(output.colored()))?;
    let text = format!("✗ {}", output::counted(mistakes.iter().count(), "error", "errors"));
    writeln!(output, "{}", output.paint(Tone::Bad, &text))?;
    Ok(Exit::Mistakes)
}

fn document(args: &SimulateArgs, report: &Report) -> Value {
    let Summary { begin, end, lasted, not_ready, restarts, runs } = &report.summary;
    json!({
        "module": args.module,
        "scenario": args.scenario,
        "seed": args.seed,
        "ok": report.is_as_expected(),
        "begin": begin.as_ref().map(seen),
        "timeline": report.timeline.iter().map(entry).collect::<Vec<_>>(),
        "end": end.as_ref().map(seen),
        "summary": {
            "for_ms": millis(*lasted),
            "not_ready_ms": millis(*not_ready),
            "restarts": restarts,
            "checker_runs": runs,
        },
        "expectations": report.outcomes.iter().map(expectation).collect::<Vec<_>>(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seen(seen: &Seen) -> Value {
    json!({ "state": seen.state, "ready": seen.ready, "reason": seen.reason })
}

fn entry(entry: &TimelineEntry) -> Value {
    let mut value = match &entry.kind {
        EntryKind::Scenario(_) => json!({ "kind": "scenario" }),
        EntryKind::Record(record) => json!(record),
        EntryKind::Health { ready, reason } => json!({ "kind": "health", "ready": ready, "reason": reason }),
    };
    value["at_ms"] = json!(millis(entry.at));
    value["text"] = json!(entry.kind.sentence());
    value
}

fn expectation(outcome: &Expectation) -> Value {
    json!({
        "line": outcome.line,
        "expected": outcome.expected,
        "met": outcome.instead.is_none(),
        "instead": outcome.instead,
    })
}

fn print(args: &SimulateArgs, report: &Report, output: &mut Output) -> io::Result<()> {
    let begin = report.summary.begin.as_ref();
    let lasted = plain(report.summary.lasted);
    let title = format!("{}, {lasted} of {}", args.module, args.scenario.display());
    writeln!(output, "{}\n", output.paint(Tone::Title, &title))?;
    if let Some(begin) = begin {
        let (tone, shape) = output::state(begin.state, begin.ready);
        line(Duration::ZERO, "", &format!("{}: {}", output.paint(tone, &shape), begin.reason), output)?;
    }
    for entry in &report.timeline {
        print_entry(entry, output)?;
    }
    writeln!(output, "\n{}", in_short(&report.summary))?;
    for Expectation { line, expected, instead } in &report.outcomes {
        let place = format!("{}:{line}", args.scenario.display());
        match instead {
            None => writeln!(output, "{} {place}: {expected}", output.paint(Tone::Good, "✓"))?,
            Some(instead) => {
                let text = output.paint(Tone::Bad, &format!("✗ {place}: {expected}: {instead}"));
                writeln!(output, "{text}")?;
            }
        }
    }
    Ok(())
}

/// `+1m 30s`, and tenths of seconds if there are any: several events may happen within a second.
fn offset(at: Duration) -> String {
    let whole = Duration::from_secs(at.as_secs());
    let tenths = at.subsec_millis() / 100;
    let text = if whole.is_zero() { "0s".to_owned() } else { precise(whole) };
    match (tenths, text.strip_suffix('s')) {
        (1.., Some(seconds)) => format!("+{seconds}.{tenths}s"),
        (1.., None) => format!("+{text} 0.{tenths}s"),
        (0, _) => format!("+{text}"),
    }
}

/// All units that are not zero.
fn precise(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut parts = Vec::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            parts.push(format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    parts.join(" ")
}

fn line(at: Duration, indent: &str, text: &str, output: &mut Output) -> io::Result<()> {
    let at = output.paint(Tone::Quiet, &format!("{:<12}", offset(at)));
    writeln!(output, "{at}  {indent}{text}")
}

/// What comes from outside and what the module came to be stand out; what led to it is indented.
fn print_entry(entry: &TimelineEntry, output: &mut Output) -> io::Result<()> {
    let text = entry.kind.sentence();
    match &entry.kind {
        EntryKind::Scenario(_) | EntryKind::Record(RecordKind::Command { .. }) => {
            let text = output.paint(Tone::Title, &format!("▸ {text}"));
            line(entry.at, "", &text, output)
        }
        EntryKind::Record(RecordKind::State { to, .. }) => {
            let (tone, shape) = output::state(*to, true);
            let shape = shape.split(' ').next().unwrap_or_default();
            let text = output.paint(tone, &format!("{shape} {text}"));
            line(entry.at, "", &text, output)
        }
        EntryKind::Health { ready, .. } => {
            let (tone, mark) = if *ready { (Tone::Good, '✓') } else { (Tone::Bad, '✗') };
            let text = output.paint(tone, &format!("{mark} {text}"));
            line(entry.at, "", &text, output)
        }
        EntryKind::Record(_) => line(entry.at, "    ", &text, output),
    }
}

fn in_short(summary: &Summary) -> String {
    let not_ready = match summary.not_ready {
        Duration::ZERO => "ready all the time".to_owned(),
        some if some == summary.lasted => "not ready at any time".to_owned(),
        some => format!("not ready for {}", plain(some)),
    };
    let restarts = match summary.restarts {
        0 => "no automatic restart".to_owned(),
        1 => "1 automatic restart".to_owned(),
        several => format!("{several} automatic restarts"),
    };
    let end = summary.end.as_ref().map_or_else(String::new, |end| {
        format!(", at the end {} and {}", end.state, if end.ready { "ready" } else { "not ready" })
    });
    format!("{}: {not_ready}, {restarts}{end}.", plain(summary.lasted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_module_is_told_with_those_that_there_are() {
        let root = tempfile::tempdir().unwrap();
        let of = |name: &str| refuse_unknown(root.path(), &name.parse().unwrap());
        let failure = of("web").unwrap_err();
        assert_eq!(failure.exit(), Exit::NoSuch);
        assert!(failure.to_string().ends_with("next: it has none: add a file to modules/"), "{failure}");
        fs::create_dir(root.path().join("modules")).unwrap();
        for file in ["web.toml", "api.toml", "web.toml.bak"] {
            fs::write(root.path().join("modules").join(file), "").unwrap();
        }
        assert!(of("web").is_ok());
        assert_eq!(
            of("wob").unwrap_err().to_string(),
            "error: there is no module `wob` in this root\n  next: its modules are: api, web"
        );
    }

    #[test]
    fn times_are_shown_with_all_their_units_and_tenths() {
        for (millis, text) in [
            (0, "+0s"),
            (30_000, "+30s"),
            (30_250, "+30.2s"),
            (200, "+0.2s"),
            (90_000, "+1m 30s"),
            (60_300, "+1m 0.3s"),
            (86_400_000 + 61_000, "+1d 1m 1s"),
        ] {
            assert_eq!(offset(Duration::from_millis(millis)), text);
        }
    }
}
