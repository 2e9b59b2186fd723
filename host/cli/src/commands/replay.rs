//! `replay`: repeats past decisions, and shows what would have been different.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_core::id::ModuleName;
use bellwether_core::moment::{Moment, plain};
use bellwether_core::record::Record;
use bellwether_core::replay::what_if::{ComparedRecord, Question, Story, WhatIf, what_if};
use bellwether_core::replay::{Comparison, Difference, Line, Replay};
use bellwether_journal::archive::{Archive, ArchiveError, Stretch};
use bellwether_os::clock::timestamp;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::simulate::{read_module_file, refuse_unknown, tell_mistakes};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone, counted};
use crate::root::RootArg;
use crate::when::{self, TimeFormat};

/// Repeat past decisions, or show what another module file would have changed
///
/// Feeds the input of the daemon's core from the journal to a new core, which must make the same
/// decisions; if it does not, the exit code is 3. With --module-file, the new core uses that file
/// instead of the module's own, and the differences are shown. No daemon is needed, and a running
/// one is not disturbed.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Start at this time: an age (10m, 2h, 1d) or a time (2026-11-22T21:30:00Z). The replay starts a
    /// little earlier, where the journal has the complete state. Default: the whole journal
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    since: Option<Timestamp>,

    /// Stop at this time. Default: now
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    until: Option<Timestamp>,

    /// Show the differences of this module only
    #[arg(long, value_name = "MODULE")]
    module: Option<ModuleName>,

    /// Use this file instead of the module's own, and show what would have been different
    #[arg(long, value_name = "FILE", requires = "module")]
    module_file: Option<PathBuf>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &ReplayArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let root = root.find()?;
    let policy = match (&args.module, &args.module_file) {
        (Some(module), Some(file)) => match read_module_file(&root, module, Some(file)) {
            Ok(spec) => Some((module, spec.policy())),
            Err(mistakes) => return tell_mistakes(module, &mistakes, args.json, output),
        },
        _ => None,
    };
    let archive = Archive::open(&root).map_err(|error| failure(&error))?;
    let moment = |at: Option<Timestamp>| at.map(|at| Moment::from_micros(at.as_microsecond()));
    let stretch = archive.stretch(moment(args.since), moment(args.until)).map_err(|error| failure(&error))?;
    let (Some(first), Some(last)) = (stretch.lines.first(), stretch.lines.last()) else {
        let next =
            "use a later --until or an earlier --since; [journal] in bellwether.toml says how much is kept";
        return Err(Failure::new(Exit::Error, "the journal has no records to replay", next));
    };
    let span = (first.at, last.at);
    match policy {
        Some((module, policy)) => {
            let Stretch { checkpoint, lines, gaps } = stretch;
            // Only input without a gap can be used for an estimate.
            let begin = gaps.into_iter().max();
            let (checkpoint, lines) = match begin {
                Some(begin) => (None, after_a_beginning(&lines, begin)),
                None => (checkpoint, lines.as_slice()),
            };
            let what_if = what_if(Question { module, policy, checkpoint, lines });
            tell_what_if(args, span, &what_if, output)?;
            Ok(Exit::Done)
        }
        None => again(args, (&root, &archive), stretch, span, output),
    }
}

/// From the first beginning after a gap.
fn after_a_beginning(lines: &[Line], gap: usize) -> &[Line] {
    use bellwether_core::transcript::Input;
    let behind = lines.get(gap..).unwrap_or_default();
    let begin = behind.iter().position(|line| matches!(line.input, Input::Began(_))).unwrap_or(behind.len());
    behind.get(begin..).unwrap_or_default()
}

fn failure(error: &ArchiveError) -> Failure {
    let next = match error {
        ArchiveError::None => "a daemon that runs on this root creates it; check --root",
        ArchiveError::Unreadable(_) => "run this command as the daemon's user",
        ArchiveError::TooLong => "choose a shorter period: --since 1d, --until",
    };
    Failure::new(Exit::Error, error.to_string(), next)
}

fn again(
    args: &ReplayArgs,
    (root, archive): (&Path, &Archive),
    stretch: Stretch,
    span: (Moment, Moment),
    output: &mut Output,
) -> Outcome {
    let mut replay = Replay::new(stretch.checkpoint);
    let mut gaps = stretch.gaps.into_iter().peekable();
    for (index, line) in stretch.lines.iter().enumerate() {
        if gaps.next_if_eq(&index).is_some() {
            replay.miss();
        }
        replay.tell(line);
    }
    let recorded = match replay.numbers() {
        Some((first, last)) => archive.records(first, last).map_err(|error| failure(&error))?,
        None => BTreeMap::new(),
    };
    let mut comparison = replay.compare(&recorded);
    if let Some(module) = &args.module {
        // One that was removed may be in the records.
        if !recorded.values().any(|record| record.module.as_ref() == Some(module)) {
            refuse_unknown(root, module)?;
        }
        comparison
            .differences
            .retain(|difference| of(difference).and_then(|r| r.module.as_ref()) == Some(module));
    }
    if args.json {
        output.json(&document(span, &comparison))?;
    } else {
        print(span, &comparison, output)?;
    }
    Ok(if comparison.differences.is_empty() { Exit::Done } else { Exit::Denied })
}

fn of(difference: &Difference) -> Option<&Record> {
    difference.recorded.as_ref().or(difference.replayed.as_ref())
}

fn at(moment: Moment) -> String {
    timestamp(moment.as_micros())
}

fn record(record: &Record) -> Value {
    json!({
        "seq": record.seq,
        "at": at(record.at),
        "module": record.module,
        "text": record.kind.sentence(),
        "record": record.kind,
    })
}

fn document((from, to): (Moment, Moment), comparison: &Comparison) -> Value {
    let difference = |difference: &Difference| {
        json!({
            "recorded": difference.recorded.as_ref().map(record),
            "replayed": difference.replayed.as_ref().map(record),
        })
    };
    json!({
        "ok": comparison.differences.is_empty(),
        "from": at(from),
        "to": at(to),
        "told": comparison.told,
        "untold": comparison.untold,
        "same": comparison.same,
        "unrecorded": comparison.unrecorded,
        "differences": comparison.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn print((from, to): (Moment, Moment), comparison: &Comparison, output: &mut Output) -> io::Result<()> {
    let when = TimeFormat::here();
    let Comparison { told, untold, same, unrecorded, differences } = comparison;
    let replayed = counted(*told, "input", "inputs");
    writeln!(output, "from {} to {}: {replayed} replayed", when.fine(&at(from)), when.fine(&at(to)))?;
    if *untold > 0 {
        let inputs = counted(*untold, "input", "inputs");
        let text = format!("{inputs} could not be replayed: earlier ones are missing in the journal");
        writeln!(output, "{}", output.paint(Tone::Busy, &text))?;
    }
    if *unrecorded > 0 {
        let records = counted(*unrecorded, "decided record is", "decided records are");
        let text = format!("{records} missing in the journal: the daemon was killed first");
        writeln!(output, "{}", output.paint(Tone::Busy, &text))?;
    }
    let Some(first) = differences.first() else {
        let text = format!("✓ same decisions: {}", counted(*same, "record", "records"));
        return writeln!(output, "{}", output.paint(Tone::Good, &text));
    };
    let text = format!(
        "✗ different decisions: {} the same, {} differ; the first:",
        counted(*same, "record is", "records are"),
        differences.len()
    );
    writeln!(output, "{}", output.paint(Tone::Bad, &text))?;
    for (word, found) in [("was ", &first.recorded), ("is  ", &first.replayed)] {
        match found {
            Some(found) => writeln!(output, "  {word} {}", sentence(found, &when))?,
            None => writeln!(output, "  {word} nothing")?,
        }
    }
    Ok(())
}

fn sentence(record: &Record, when: &TimeFormat) -> String {
    let module = record.module.as_ref().map_or("-", |module| module.as_str());
    format!("{}  {module}  {}", when.fine(&at(record.at)), record.kind.sentence())
}

fn tell_what_if(
    args: &ReplayArgs,
    span: (Moment, Moment),
    what_if: &WhatIf,
    output: &mut Output,
) -> Result<(), Failure> {
    if args.json {
        output.json(&what_if_document(span, what_if))?;
    } else {
        print_what_if(span, what_if, output)?;
    }
    Ok(())
}

fn what_if_document((from, to): (Moment, Moment), what_if: &WhatIf) -> Value {
    let story = |story: &Story| {
        let not_ready = u64::try_from(story.not_ready.as_millis()).unwrap_or(u64::MAX);
        json!({ "restarts": story.restarts, "not_ready_ms": not_ready })
    };
    let change = |change: &ComparedRecord| {
        let (word, found) = match change {
            ComparedRecord::Same(found) => ("same", found),
            ComparedRecord::Was(found) => ("was", found),
            ComparedRecord::Would(found) => ("would", found),
        };
        let mut value = record(found);
        value["change"] = json!(word);
        value
    };
    json!({
        "from": at(from),
        "to": at(to),
        "differs_at": what_if.differs_at().map(at),
        "was": story(&what_if.was),
        "would": story(&what_if.would),
        "silent": what_if.silent,
        "broken_off": what_if.broken_off,
        "lines": what_if.lines.iter().map(change).collect::<Vec<_>>(),
    })
}

fn print_what_if((from, to): (Moment, Moment), what_if: &WhatIf, output: &mut Output) -> io::Result<()> {
    let when = TimeFormat::here();
    writeln!(output, "from {} to {}", when.fine(&at(from)), when.fine(&at(to)))?;
    for checker in &what_if.silent {
        let text = format!("checker `{checker}` is not in the recording: its results are unknown");
        writeln!(output, "{}", output.paint(Tone::Busy, &text))?;
    }
    if what_if.broken_off {
        let text = "too many events to reach the end: choose a shorter period with --since";
        writeln!(output, "{}", output.paint(Tone::Busy, text))?;
    }
    let Some(first) = what_if.differs_at() else {
        return writeln!(output, "{}", output.paint(Tone::Good, "✓ nothing would have been different"));
    };
    writeln!(
        output,
        "\nthe same up to {}; from there an estimate, since the application",
        when.fine(&at(first))
    )?;
    writeln!(output, "would have behaved differently, too (- as recorded, + with this file):\n")?;
    let from = what_if.lines.iter().position(|line| !matches!(line, ComparedRecord::Same(_))).unwrap_or(0);
    for change in what_if.lines.get(from..).unwrap_or_default() {
        let (tone, mark, found) = match change {
            ComparedRecord::Same(found) => (Tone::Plain, ' ', found),
            ComparedRecord::Was(found) => (Tone::Bad, '-', found),
            ComparedRecord::Would(found) => (Tone::Good, '+', found),
        };
        writeln!(output, "{}", output.paint(tone, &format!("{mark} {}", sentence(found, &when))))?;
    }
    let (was, would) = (&what_if.was, &what_if.would);
    writeln!(output, "\nautomatic restarts: {}, would have been {}", was.restarts, would.restarts)?;
    let (was, would) = (shown(was.not_ready), shown(would.not_ready));
    writeln!(output, "not ready: {was}, would have been {would}")
}

fn shown(duration: Duration) -> String {
    if duration.is_zero() { "at no time".to_owned() } else { plain(duration) }
}
