//! `check`: runs a checker once, now: in the daemon, or a component here.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::ObservationStatus;
use bellwether_config::spec::LimitsSpec;
use bellwether_config::{add_grant, config_mistakes};
use bellwether_core::grant::Grants;
use bellwether_core::id::{CheckerName, ModuleName, NodeName};
use bellwether_core::observation::Status;
use bellwether_os::clock::Clock;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use bellwether_sandbox::component::Component;
use bellwether_sandbox::facilities::NoModule;
use bellwether_sandbox::run::{CheckReport, CheckRun};
use clap::Args;

use super::inspect::{keep_compiled, read_component};
use super::status::took;
use crate::exit::{Exit, Failure, Outcome};
use crate::options;
use crate::output::{self, Output, Tone};
use crate::root::RootArg;
use crate::when;

/// Run a checker once, now, and show its result
///
/// With MODULE and CHECKER the daemon runs it, as configured in the module's file. With --component,
/// this command runs a component without a daemon, for testing during development. The result has no
/// effect. The exit code is 0 for pass and warn, 3 for fail and unknown.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["module", "component"]))]
pub(crate) struct CheckArgs {
    /// The module: the name of its file in modules/
    #[arg(requires = "checker")]
    module: Option<ModuleName>,

    /// The checker of the module
    #[arg(requires = "module")]
    checker: Option<CheckerName>,

    /// The component to run: a file, or the name of a built-in one, such as tcp
    #[arg(long, value_name = "FILE.wasm", conflicts_with = "module")]
    component: Option<PathBuf>,

    /// The configuration of the component
    #[arg(long, value_name = "JSON", requires = "component", default_value = "{}")]
    config: String,

    /// A grant, as in a module's file: connect=127.0.0.1:80, read=DIR, secrets=NAME=FILE. Can be
    /// repeated
    #[arg(long, value_name = "GRANT", requires = "component")]
    grant: Vec<String>,

    /// The time limit of the run
    #[arg(long, value_name = "TIME", requires = "component", default_value = "1s", value_parser = when::duration)]
    timeout: Duration,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Longer than any checker may take.
const RUN_WITHIN: Duration = Duration::from_secs(95);

pub(crate) async fn run(args: &CheckArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let observation = match (&args.module, &args.checker) {
        (Some(module), Some(checker)) => {
            let path = format!("/modules/{module}/checkers/{checker}/run");
            root.client()?.post(&path, RUN_WITHIN).await?
        }
        _ => run_here(args, root, output).await?,
    };
    if args.json {
        output.json(&observation)?;
    } else {
        print(&observation, output)?;
    }
    Ok(match observation.status {
        Status::Pass | Status::Warn => Exit::Done,
        Status::Fail | Status::Unknown => Exit::Denied,
    })
}

fn print(observation: &ObservationStatus, output: &mut Output) -> std::io::Result<()> {
    let (tone, status) = output::status(observation.status);
    let took = took(observation.took_us);
    writeln!(output, "{}: {}  (took {took})", output.paint(tone, &status), observation.summary)?;
    for measurement in &observation.measurements {
        writeln!(output, "  {}: {} {}", measurement.name, measurement.value, measurement.unit)?;
    }
    Ok(())
}

async fn run_here(
    args: &CheckArgs,
    root: &RootArg,
    output: &mut Output,
) -> Result<ObservationStatus, Failure> {
    if let Some(option) = root.remote().any_option() {
        return Err(options::useless("check --component", option));
    }
    let file = args.component.as_deref().context("there is no component to run")?;
    let config = serde_json::from_str::<serde_json::Value>(&args.config).map_err(|error| {
        let what = format!("--config is not JSON: {error}");
        Failure::new(Exit::Usage, what, r#"write an object, in single quotes: --config '{"key": "value"}'"#)
    })?;
    let grants = grants(&args.grant)?;
    let bytes = read_component(file)?;
    let limits = LimitsSpec::default();
    let mut sandbox = Sandbox::new(&limits, Compiler::Own)?;
    keep_compiled(&mut sandbox);
    let component = super::inspect::load(&sandbox, file, &bytes)?;
    refuse_wrong(&component, &config, file)?;
    let name = |text: &str| CheckerName::new(text).or_else(|_| CheckerName::new("checker"));
    let run = CheckRun {
        node: NodeName::new("local").context("`local` is a name")?,
        module: ModuleName::new("local").context("`local` is a name")?,
        checker: name(&component.about().name).context("`checker` is a name")?,
        run: 1,
        config: args.config.as_str().into(),
        time: args.timeout,
        limits: limits.run,
        grants: Arc::new(grants),
        facilities: Arc::new(NoModule),
        state: bellwether_sandbox::StateHandle::default(),
    };
    let granted = Arc::clone(&run.grants);
    let report = sandbox.check(&component, run).await;
    let observation = report.clone().into_observation(Clock::start().now());
    if !args.json {
        tell(&report, &observation.summary, output)?;
        for unused in unused(&granted, &report) {
            let line = format!("not used in this run: the grant {unused}");
            writeln!(output, "{}", output.paint(Tone::Quiet, &line))?;
        }
    }
    Ok(ObservationStatus::new(&observation, Clock::start()))
}

/// Refuses settings that the component does not take, as the check of a module's file does.
fn refuse_wrong(component: &Component, config: &serde_json::Value, file: &Path) -> Result<(), Failure> {
    let about = component.about();
    let mistakes = config_mistakes(&about.name, &about.config_schema, config);
    if mistakes.is_empty() {
        return Ok(());
    }
    let next = format!("see its settings with: bellwether inspect {}", file.display());
    Err(Failure::new(Exit::Usage, mistakes.join("\n"), next))
}

/// The unused grants, in the notation of the command line.
fn unused(granted: &Grants, report: &CheckReport) -> Vec<String> {
    let all = granted.list();
    let unused = all.into_iter().filter(|grant| !report.used.contains(grant));
    unused.map(|(kind, value)| format!("{kind}={value}")).collect()
}

/// What an author wants to know besides.
fn tell(report: &CheckReport, summary: &str, output: &mut Output) -> std::io::Result<()> {
    for line in &report.log {
        writeln!(output, "{}", output.paint(Tone::Quiet, &format!("log {:?}: {}", line.level, line.text)))?;
    }
    for line in report.written.lines() {
        writeln!(output, "{}", output.paint(Tone::Quiet, &format!("wrote: {line}")))?;
    }
    // What the result says is not said twice.
    for refusal in report.refusals.iter().filter(|refusal| !refusal.is_told_in(summary)) {
        writeln!(output, "{}", output.paint(Tone::Busy, &refusal.to_string()))?;
    }
    Ok(())
}

/// `connect=127.0.0.1:80`. Relative paths are relative to the current folder.
fn grants(texts: &[String]) -> Result<Grants, Failure> {
    let mut grants = Grants::default();
    for text in texts {
        add_grant(&mut grants, text).map_err(|why| {
            let what = format!("`{text}` is not a grant: {why}");
            Failure::new(Exit::Usage, what, "for example: --grant connect=127.0.0.1:80")
        })?;
    }
    let here = std::env::current_dir().context("cannot determine the current directory")?;
    grants.place_under(&here);
    Ok(grants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_written_as_in_a_module_file() {
        let given = ["connect=127.0.0.1:80", "connect=db.internal:5432"].map(str::to_owned);
        let shown: Vec<String> = grants(&given).unwrap().connect.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:80", "db.internal:5432"]);
        for wrong in ["127.0.0.1:80", "reading=/etc", "connect=127.0.0.1"] {
            let failure = grants(&[wrong.to_owned()]).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{wrong}");
            assert!(failure.to_string().contains("--grant connect=127.0.0.1:80"), "{failure}");
        }
    }
}
