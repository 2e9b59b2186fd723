//! `doctor`: is the installation well?

mod console;
mod drains;
mod finding;
mod folders;
mod machine;
mod service;

use std::io::Write as _;
use std::path::PathBuf;

use bellwether_daemon::serve::wire::NodeStatus;
use clap::Args;
use serde_json::json;

use self::finding::{Finding, Level};
use crate::client::Client;
use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;

/// Look at an installation, and say what to mend
///
/// Permissions, ports, console, clock, kernel, limits, disk, unit, daemon and old files. The exit code is 3 if
/// there is a problem, and 0 if there is only advice. It changes nothing.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// For programs: an object with `findings`, each with `level` (ok, advice or problem)
    #[arg(long)]
    json: bool,

    /// The root of the system whose unit is looked at
    #[arg(long, value_name = "DIR", default_value = "/")]
    root_dir: PathBuf,
}

pub(crate) async fn run(args: &DoctorArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let root = root.find()?;
    let status: Option<NodeStatus> = Client::new(&root).get("/status").await.ok();
    let mut findings = folders::look(&root, status.is_some());
    findings.extend(machine::look(&root));
    findings.extend(service::look(&root, &args.root_dir, status.as_ref()));
    findings.extend(console::look(&root, status.is_some()));
    findings.extend(status.iter().flat_map(drains::look));
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    let advice = findings.iter().filter(|finding| finding.level == Level::Advice).count();
    if args.json {
        output.json(&json!({ "root": root, "ok": problems == 0, "findings": findings }))?;
    } else {
        for finding in &findings {
            print(finding, output)?;
        }
        let (tone, text) = match (problems, advice) {
            (0, 0) => (Tone::Good, "✓ all is well".to_owned()),
            (0, advice) => (Tone::Busy, format!("✓ no problems, {advice} pieces of advice")),
            (problems, advice) => (Tone::Bad, format!("✗ {problems} problems, {advice} pieces of advice")),
        };
        writeln!(output, "\n{}", output.paint(tone, &text))?;
    }
    Ok(if problems == 0 { Exit::Done } else { Exit::Denied })
}

fn print(finding: &Finding, output: &mut Output) -> std::io::Result<()> {
    let (tone, shape) = match finding.level {
        Level::Ok => (Tone::Good, "✓"),
        Level::Advice => (Tone::Busy, "!"),
        Level::Problem => (Tone::Bad, "✗"),
    };
    let shape = output.paint(tone, shape);
    writeln!(output, "{shape} {}: {}", finding.topic, finding.what)?;
    if let Some(next) = &finding.next {
        writeln!(output, "    {}", output.paint(Tone::Quiet, next))?;
    }
    Ok(())
}
