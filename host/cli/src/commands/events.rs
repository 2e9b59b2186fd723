//! `events`: shows the journal records.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::{EventLine, ModuleStatus, NodeStatus};
use bellwether_core::id::{CheckerName, ModuleName};
use clap::Args;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::Client;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::when::{self, TimeFormat};

/// Show what happened: verdicts, decisions, plans, steps, commands, reloads
///
/// The latest events come last.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only events of this module
    #[arg(long, value_name = "MODULE")]
    module: Option<ModuleName>,

    /// Only events of this kind: verdict, incident, cannot-tell, decision, state, plan, no-plan, step, command,
    /// reload, quarantine, approval, access, farm or daemon
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,

    /// Only events about this checker
    #[arg(long, value_name = "CHECKER")]
    checker: Option<CheckerName>,

    /// Only events with this text, ignoring case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Only events since this time: an age (10m, 2h, 1d) or a time (21:30, 2026-11-22 21:30,
    /// 2026-11-22T21:30:00Z)
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    since: Option<Timestamp>,

    /// Only events until this time, in the same formats
    #[arg(long, value_name = "TIME", value_parser = when::moment, conflicts_with = "follow")]
    until: Option<Timestamp>,

    /// At most this number of events, the latest ones
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,

    /// Continue with new events, until Ctrl-C
    #[arg(long)]
    follow: bool,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &EventsArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let client = root.client()?;
    let filter = args.filter();
    let since = args.since.map(|since| format!("&since={since}")).unwrap_or_default();
    let until = args.until.map(|until| format!("&until={until}")).unwrap_or_default();
    // Subscribed before the past is read: an event in between is in one of the two.
    let latest = if args.follow { latest(&client).await? } else { 0 };
    let path = format!("/events?limit={}{filter}{since}{until}", args.limit);
    let past: Vec<EventLine> = client.get(&path).await?;
    if past.is_empty() {
        args.refuse_unknown(&client).await?;
        // Beside the output, which stays empty for programs.
        if !args.follow {
            eprintln!("no events match");
        }
    }
    for event in &past {
        print(event, args.json, output)?;
    }
    if !args.follow {
        return Ok(Exit::Done);
    }
    output.flush()?;
    let mut after = past.last().map_or(latest, |last| last.seq.max(latest));
    loop {
        // Continues after the last event that was shown, so that none is missing or repeated after a restart of the
        // daemon.
        let ended = follow(&client, &filter, &mut after, args.json, output).await?;
        eprintln!("no data since {}: {}", TimeFormat::here().now(), ended.said());
        loop {
            tokio::time::sleep(RETRY).await;
            if client.get::<Vec<EventLine>>("/events?limit=1").await.is_ok() {
                break;
            }
        }
        eprintln!("the daemon is answering again");
    }
}

/// The delay before reconnecting to a daemon that is gone.
const RETRY: Duration = Duration::from_secs(1);

/// Shows events until the connection ends, and returns why. An error is one of the output.
async fn follow(
    client: &Client,
    filter: &str,
    after: &mut u64,
    json: bool,
    output: &mut Output,
) -> Result<Failure, Failure> {
    let mut lines = match client.lines(&format!("/events/stream?after={after}{filter}")).await {
        Ok(lines) => lines,
        Err(failure) => return Ok(failure),
    };
    loop {
        match lines.next_said().await {
            Ok(Some(line)) => {
                let event: EventLine =
                    serde_json::from_str(&line).context("the daemon's answer is invalid")?;
                print(&event, json, output)?;
                output.flush()?;
                *after = event.seq;
            }
            Ok(None) => return Ok(anyhow::anyhow!("the daemon has exited").into()),
            Err(failure) => return Ok(failure),
        }
    }
}

impl EventsArgs {
    /// Where nothing was found: refuses a module and a checker that are neither there nor in any event.
    async fn refuse_unknown(&self, client: &Client) -> Result<(), Failure> {
        let has_events = async |key: &str, name: &str| {
            let found: Vec<EventLine> = client.get(&format!("/events?limit=1&{key}={name}")).await?;
            Ok::<bool, Failure>(!found.is_empty())
        };
        if let Some(module) = &self.module
            && !has_events("module", module.as_str()).await?
        {
            client.get::<ModuleStatus>(&format!("/modules/{module}")).await?;
        }
        let Some(checker) = &self.checker else { return Ok(()) };
        if has_events("checker", checker.as_str()).await? {
            return Ok(());
        }
        let status: NodeStatus = client.get("/status").await?;
        let modules =
            status.modules.iter().filter(|module| self.module.as_ref().is_none_or(|own| module.name == *own));
        let names: BTreeSet<&str> =
            modules.flat_map(|module| &module.checkers).map(|checker| checker.name.as_str()).collect();
        if names.contains(checker.as_str()) {
            return Ok(());
        }
        let place =
            self.module.as_ref().map_or("this node".to_owned(), |module| format!("module `{module}`"));
        let what = format!("{place} has no checker `{checker}`");
        let next = if names.is_empty() {
            "it has none: see `bellwether status`".to_owned()
        } else {
            format!("its checkers are: {}", names.into_iter().collect::<Vec<_>>().join(", "))
        };
        Err(Failure::new(Exit::NoSuch, what, next))
    }

    /// What does not change with time, as it stands in an address.
    fn filter(&self) -> String {
        let module = self.module.as_ref().map(ToString::to_string);
        let checker = self.checker.as_ref().map(ToString::to_string);
        let filters = [
            ("module", module.as_deref()),
            ("kind", self.kind.as_deref()),
            ("checker", checker.as_deref()),
            ("search", self.search.as_deref()),
        ];
        let given = filters.into_iter().filter_map(|(key, value)| Some((key, value?)));
        given.map(|(key, value)| ["&", key, "=", &escaped(value)].concat()).collect()
    }
}

/// Everything except ASCII letters and digits, encoded for a URL.
pub(super) fn escaped(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    utf8_percent_encode(text, ESCAPED).to_string()
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
    let at = output.paint(Tone::Quiet, &TimeFormat::here().fine(&event.at));
    let module = event.module.as_ref().map_or("-", |module| module.as_str());
    writeln!(output, "{at}  {module}  {}", event.text)
}

#[cfg(test)]
mod tests {
    use bellwether_core::record::RecordKind;

    use super::*;

    #[test]
    fn the_help_names_every_kind() {
        let command = EventsArgs::augment_args(clap::Command::new("events"));
        let kind = command.get_arguments().find(|argument| argument.get_id() == "kind").unwrap();
        let help = kind.get_help().unwrap().to_string();
        let (_, kinds) = help.split_once(": ").unwrap();
        let named: Vec<&str> =
            kinds.split([',', ' ', '\n']).filter(|word| !word.is_empty() && *word != "or").collect();
        assert_eq!(named, RecordKind::WORDS);
    }

    #[test]
    fn a_text_is_escaped_byte_by_byte() {
        assert_eq!(escaped("a b&c=ü%"), "a%20b%26c%3D%C3%BC%25");
    }
}
