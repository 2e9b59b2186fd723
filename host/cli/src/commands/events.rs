//! `events`: what happened.

use std::io::Write as _;

use anyhow::Context as _;
use bellwether_core::id::ModuleName;
use bellwether_daemon::serve::wire::EventLine;
use clap::Args;
use jiff::Timestamp;

use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::{self, When};

/// Show what happened: verdicts, decisions, plans, steps, commands, reloads
///
/// The latest come last.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Of this module only
    #[arg(long, value_name = "MODULE")]
    module: Option<ModuleName>,

    /// Not older than this: how long ago (10m, 2h, 1d) or a moment (2026-11-22T21:30:00Z)
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    since: Option<Timestamp>,

    /// At most so many, the latest ones
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,

    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long)]
    follow: bool,

    /// For programs: one object a line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &EventsArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = Client::new(&root.find()?);
    let module = args.module.as_ref().map(|module| format!("&module={module}")).unwrap_or_default();
    let since = args.since.map(|since| format!("&since={since}")).unwrap_or_default();
    let path = format!("/events?limit={}{module}{since}", args.limit);
    let past: Vec<EventLine> = client.get(&path).await?;
    for event in &past {
        print(event, args.json, output)?;
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    output.flush()?;
    let after = match past.last() {
        Some(last) => last.seq,
        None => latest(&client).await?,
    };
    let mut lines = client.lines(&format!("/events/stream?after={after}{module}")).await?;
    while let Some(line) = lines.next_said().await? {
        let event = serde_json::from_str(&line).context("the daemon's answer makes no sense")?;
        print(&event, args.json, output)?;
        output.flush()?;
    }
    Err(Failure::new(Exit::NoDaemon, "the daemon has ended", "run this again when it is back"))
}

/// The number of the last record of all.
async fn latest(client: &Client) -> Result<u64, Failure> {
    let last: Vec<EventLine> = client.get("/events?limit=1").await?;
    Ok(last.last().map_or(0, |event| event.seq))
}

fn print(event: &EventLine, json: bool, output: &mut Output) -> std::io::Result<()> {
    if json {
        return output.json_line(event);
    }
    let at = output.paint(Tone::Quiet, &When::here().fine(&event.at));
    let module = event.module.as_ref().map_or("-", |module| module.as_str());
    writeln!(output, "{at}  {module}  {}", event.text)
}
