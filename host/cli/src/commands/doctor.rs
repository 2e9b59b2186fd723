//! `doctor`: checks the installation.

mod console;
mod drains;
mod finding;
mod folders;
mod machine;
mod service;

use std::io::Write as _;
use std::path::PathBuf;

use bellwether_api::NodeStatus;
use clap::Args;
use serde_json::json;

use self::finding::{Finding, Level};
use crate::client::Client;
use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone, counted};
use crate::root::RootArg;

/// Check the installation and suggest fixes
///
/// Checks permissions, ports, console, clock, kernel, limits, disk, unit, daemon and old files, and changes
/// nothing. The exit code is 3 if there is a problem, and 0 if there is only advice.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print a JSON object with `findings`, each with `level` (ok, unknown, advice or problem)
    #[arg(long)]
    json: bool,

    /// The root directory of the system whose unit is checked
    #[arg(long, value_name = "DIR", default_value = "/")]
    root_dir: PathBuf,
}

impl DoctorArgs {
    /// To print the findings about this system as JSON.
    pub(crate) fn json() -> Self {
        Self { json: true, root_dir: PathBuf::from("/") }
    }
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
    let untold = findings.iter().filter(|finding| finding.level == Level::Unknown).count();
    if args.json {
        output.json(&json!({ "root": root, "ok": problems == 0, "findings": findings }))?;
    } else {
        for finding in &findings {
            print(finding, output)?;
        }
        let (tone, text) = verdict(problems, advice, untold);
        writeln!(output, "\n{}", output.paint(tone, &text))?;
    }
    Ok(if problems == 0 { Exit::Done } else { Exit::Denied })
}

/// The last line of the output.
fn verdict(problems: usize, advice: usize, untold: usize) -> (Tone, String) {
    let mut besides = Vec::new();
    if advice > 0 {
        besides.push(counted(advice, "piece of advice", "pieces of advice"));
    }
    if untold > 0 {
        besides.push(counted(untold, "unknown", "unknowns"));
    }
    let besides = besides.iter().fold(String::new(), |text, one| text + ", " + one);
    match (problems, besides.is_empty()) {
        (0, true) => (Tone::Good, "✓ no problems".to_owned()),
        (0, false) => (Tone::Busy, format!("✓ no problems{besides}")),
        (problems, _) => (Tone::Bad, format!("✗ {}{besides}", counted(problems, "problem", "problems"))),
    }
}

fn print(finding: &Finding, output: &mut Output) -> std::io::Result<()> {
    let (tone, shape) = match finding.level {
        Level::Ok => (Tone::Good, "✓"),
        Level::Advice => (Tone::Busy, "!"),
        Level::Unknown => (Tone::Quiet, "?"),
        Level::Problem => (Tone::Bad, "✗"),
    };
    let shape = output.paint(tone, shape);
    writeln!(output, "{shape} {}: {}", finding.topic, finding.what)?;
    if let Some(next) = &finding.next {
        writeln!(output, "    {}", output.paint(Tone::Quiet, next))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_in_plain_english() {
        assert_eq!(verdict(0, 0, 0).1, "✓ no problems");
        assert_eq!(verdict(0, 1, 0).1, "✓ no problems, 1 piece of advice");
        assert_eq!(verdict(1, 2, 1).1, "✗ 1 problem, 2 pieces of advice, 1 unknown");
    }
}
