//! Which leftovers of an application's last run are ended before it is started again, and how.

use std::time::Duration;

use bellwether_core::id::CommandName;
use bellwether_core::plan::{Signal, StepAction};
use serde_json::Value;

use crate::act::kept::belonging::is_of_the_application;
use crate::act::kept::last_run::{Request, Stage};
use bellwether_config::quantity::parse_duration;
use bellwether_config::spec::ModuleSpec;
use bellwether_os::spawn::command::CommandSpec;

/// The command that prepares the start of the application. It must not run while the last run is still active.
const BEFORE_START: &str = "before-start";
/// The maximum number of signals, one after the other.
const MAX_STAGES: usize = 5;

/// The commands whose last run has to be over before this step, each with the way it is ended.
pub(super) fn requests(module: &ModuleSpec, action: &StepAction) -> Vec<(CommandName, Request)> {
    let (command, keep) = match action {
        StepAction::Keep(command) => (command, true),
        StepAction::Run { command, .. } => (command, false),
        StepAction::Signal(..)
        | StepAction::AwaitExit(_)
        | StepAction::AwaitChecker(..)
        | StepAction::Pause(_) => return Vec::new(),
    };
    let before_all = !keep && command.as_str() == BEFORE_START;
    let is_meant = |name: &CommandName, spec: &CommandSpec| {
        is_of_the_application(name, spec.keep) && (before_all || (name == command && spec.keep == keep))
    };
    let meant = module.commands.iter().filter(|(name, spec)| is_meant(name, spec));
    meant.map(|(name, spec)| (name.clone(), shortened(request(module, spec), spec.leftovers))).collect()
}

/// Leftovers of a dead application delay the next one: until then it serves no clients, and no parent process gives
/// the leftovers new work. All stages together last as long as the file allows.
pub(super) fn shortened(mut request: Request, within: Duration) -> Request {
    let each = within / u32::try_from(request.stages.len().max(1)).unwrap_or(u32::MAX);
    for stage in &mut request.stages {
        stage.within = stage.within.min(each);
    }
    request
}

/// How leftovers of this command are asked to exit: with the signals of the module's stops, within their times.
pub(super) fn request(module: &ModuleSpec, spec: &CommandSpec) -> Request {
    let config = |key: &str| module.restart.config.get(key);
    // For a command that runs to completion, its own timeout; for the application, that of its `stop`.
    let stop = module.commands.iter().find(|(name, spec)| name.as_str() == "stop" && !spec.keep);
    let within = stop.filter(|_| !spec.keep).map_or(spec.timeout, |(_, stop)| stop.timeout);
    let series: Vec<Stage> = config("stop")
        .and_then(Value::as_array)
        .map(|stages| stages.iter().take(MAX_STAGES).filter_map(|stage| stage_of(stage, within)).collect())
        .unwrap_or_default();
    if !series.is_empty() {
        return Request { stages: series };
    }
    let signal = config("stop-signal").and_then(signal_of).unwrap_or(Signal::Term);
    Request { stages: vec![Stage { signal, within }] }
}

/// Another restart script may use a key of this name differently: a value that is not a valid stage is ignored.
fn stage_of(stage: &Value, otherwise: Duration) -> Option<Stage> {
    let signal = signal_of(stage.get("signal")?)?;
    let within = match stage.get("wait") {
        None | Some(Value::Null) => otherwise,
        Some(wait) => parse_duration(wait.as_str()?).ok()?,
    };
    Some(Stage { signal, within })
}

fn signal_of(value: &Value) -> Option<Signal> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::harness::Harness;
    use bellwether_testing::process::command;
    use serde_json::json;

    fn module(config: Value, commands: &[(&str, &str)]) -> ModuleSpec {
        let mut module = Harness::new().module(commands);
        module.restart.config = serde_json::from_value(config).unwrap();
        module
    }

    fn run(name: &str) -> StepAction {
        StepAction::Run { command: command(name), arguments: Vec::new() }
    }

    fn stages(stages: &[(Signal, u64)]) -> Request {
        let stage = |(signal, seconds): &(Signal, u64)| Stage {
            signal: *signal,
            within: Duration::from_secs(*seconds),
        };
        Request { stages: stages.iter().map(stage).collect() }
    }

    #[test]
    fn it_is_asked_by_the_signals_of_the_stop_and_for_as_long() {
        use Signal::{Int, Quit, Term};
        let mut module = module(json!({}), &[("keep", ""), ("start", ""), ("stop", "")]);
        for (name, seconds) in [("keep", 7), ("start", 60), ("stop", 9)] {
            module.commands.get_mut(&command(name)).unwrap().timeout = Duration::from_secs(seconds);
        }
        let series = json!({ "stop": [{ "signal": "int", "wait": "1m30s" }, { "signal": "quit" }] });
        for (config, kept, background) in [
            (json!({}), stages(&[(Term, 7)]), stages(&[(Term, 9)])),
            (json!({ "stop-signal": "quit" }), stages(&[(Quit, 7)]), stages(&[(Quit, 9)])),
            (series, stages(&[(Int, 90), (Quit, 7)]), stages(&[(Int, 90), (Quit, 9)])),
            (json!({ "stop": "gently", "stop-signal": 15 }), stages(&[(Term, 7)]), stages(&[(Term, 9)])),
            (json!({ "stop": [{ "signal": "int", "wait": 5 }] }), stages(&[(Term, 7)]), stages(&[(Term, 9)])),
        ] {
            module.restart.config = serde_json::from_value(config.clone()).unwrap();
            assert_eq!(request(&module, &module.commands[&command("keep")]), kept, "{config}");
            assert_eq!(request(&module, &module.commands[&command("start")]), background, "{config}");
        }
    }

    #[test]
    fn a_step_that_starts_something_waits_for_the_last_run_of_it_and_what_comes_before_for_all() {
        let mut module = module(
            json!({}),
            &[("keep", ""), ("keep-too", ""), ("start", ""), ("stop", ""), ("before-start", "")],
        );
        let waits = |action: &StepAction| {
            let names = requests(&module, action).into_iter().map(|(name, _)| name.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(waits(&StepAction::Keep(command("keep"))), "keep");
        assert_eq!(waits(&run("start")), "start");
        assert_eq!(waits(&run("before-start")), "keep keep-too start");
        for other in [run("stop"), run("keep"), run("unknown"), StepAction::Keep(command("start"))] {
            assert_eq!(waits(&other), "", "{other}");
        }
        assert_eq!(waits(&StepAction::Pause(Duration::ZERO)), "");
        // It does not get the whole time of a stop, but the time that its file sets.
        let mut within = |leftovers: Option<u64>| {
            let keep = module.commands.get_mut(&command("keep")).unwrap();
            keep.leftovers = leftovers.map_or(keep.leftovers, Duration::from_secs);
            let request = requests(&module, &StepAction::Keep(command("keep"))).remove(0).1;
            request.stages.iter().map(|stage| stage.within).collect::<Vec<_>>()
        };
        assert_eq!(within(None), [Duration::from_millis(500)]);
        assert_eq!(within(Some(30)), [Duration::from_secs(30)]);
        let series = json!({ "stop": [{ "signal": "quit" }, { "signal": "term", "wait": "5s" }] });
        module.restart.config = serde_json::from_value(series).unwrap();
        let keep = StepAction::Keep(command("keep"));
        let each: Vec<_> = requests(&module, &keep)[0].1.stages.iter().map(|stage| stage.within).collect();
        assert_eq!(each, [Duration::from_secs(15), Duration::from_secs(5)]);
    }
}
