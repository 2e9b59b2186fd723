//! `approve`: approves a version of a component that requests more grants than the previous one.

use std::io::Write as _;

use bellwether_api::ApprovalAnswer;
use bellwether_core::id::ComponentName;
use bellwether_core::record::short;
use clap::Args;

use crate::client::ANSWER_WITHIN;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::root::RootArg;

/// Approve a new version of a component that requests more grants than the previous one
///
/// Such a version waits while the previous one keeps running; `bellwether status` shows what it
/// requests. Approving lets it run, but grants nothing: modules grant the same as before. A version
/// whose requests are granted in the module's file needs no approval.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The component: checkers/NAME, restart-scripts/NAME, or only NAME
    #[arg(value_name = "COMPONENT", value_parser = component)]
    component: String,

    /// Print the answer as a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &ApproveArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    let path = format!("/components/{}/approve", args.component);
    let answer: ApprovalAnswer = client.post(&path, ANSWER_WITHIN).await?;
    if args.json {
        output.json(&answer)?;
    } else {
        let ApprovalAnswer { what, digest, version, asks } = answer;
        writeln!(
            output,
            "{what}: version {version} ({}) may run with the grants of the modules",
            short(&digest)
        )?;
        writeln!(output, "  requested but not granted: {}", asks.join(", "))?;
    }
    Ok(Exit::Done)
}

/// A component's name, with its folder if it has one.
fn component(text: &str) -> Result<String, String> {
    let bare = text.strip_suffix(".wasm").unwrap_or(text);
    let name = match bare.split_once('/') {
        Some(("checkers" | "restart-scripts", name)) => name,
        Some((folder, _)) => {
            return Err(format!("components are in checkers/ and restart-scripts/, not in {folder}/"));
        }
        None => bare,
    };
    ComponentName::new(name).map_err(|error| error.to_string())?;
    Ok(bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::component;

    #[test]
    fn a_component_is_named_with_or_without_its_folder() {
        for (text, name) in [
            ("http", Some("http")),
            ("checkers/http", Some("checkers/http")),
            ("checkers/http.wasm", Some("checkers/http")),
            ("restart-scripts/command", Some("restart-scripts/command")),
            ("modules/web", None),
            ("../http", None),
            ("checkers/a/b", None),
            ("", None),
        ] {
            assert_eq!(component(text).ok().as_deref(), name, "{text}");
        }
    }
}
