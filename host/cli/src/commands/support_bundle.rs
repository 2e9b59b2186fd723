//! `support-bundle`: what a helper needs, in one file, without what identifies somebody or gives access.
//!
//! ```text
//!   collected ──▶ looked at, all texts first ──▶ replaced ──▶ one .tar.gz, for its owner alone
//! ```

mod collect;
mod pack;
mod redaction;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bellwether_os::file;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use self::collect::{Collected, Content, Piece};
use self::redaction::Redaction;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, Tone, counted};
use crate::root::RootArg;

/// Collect what a helper needs in one file
///
/// Writes version, status, explanations, records, files of the configuration, findings of doctor and validate, log
/// and limits into one archive (.tar.gz). Addresses, names of hosts, nodes and users, and secrets are replaced, the
/// same by the same everywhere. Works without a daemon as well. Nothing is sent: look at it before you send it.
#[derive(Debug, Args)]
pub(crate) struct SupportBundleArgs {
    /// The file to write, which must not exist [default: bellwether-support-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Also print which name each replacement stands for; this list is not in the file
    #[arg(long)]
    names: bool,
}

pub(crate) async fn run(args: &SupportBundleArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let folder = root.find()?;
    let now = Timestamp::now();
    let path = args.output.clone().unwrap_or_else(|| {
        PathBuf::from(format!("bellwether-support-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")))
    });
    // First, because collecting takes a while.
    let file = file::private().create_new(true).write(true).open(&path).map_err(|error| {
        let what = format!("{} cannot be written: {error}", path.display());
        Failure::new(Exit::Error, what, "choose another file with --output FILE")
    })?;
    let written = write(file, &folder, root, now).await;
    let (collected, redaction, files) = written.inspect_err(|_| {
        // A part of it helps nobody.
        let _ = std::fs::remove_file(&path);
    })?;
    tell(&path, &collected, &redaction, &files, output)?;
    if args.names {
        writeln!(output, "\nThe names that were replaced (keep this list to yourself):\n")?;
        let rows = redaction.table().into_iter();
        let rows =
            rows.map(|(stand_in, name)| vec![(Tone::Plain, stand_in.into()), (Tone::Plain, name.into())]);
        output.table(&["IN THE FILE", "HERE"], rows.collect())?;
    }
    Ok(Exit::Done)
}

async fn write(
    file: std::fs::File,
    folder: &Path,
    root: &RootArg,
    now: Timestamp,
) -> Result<(Collected, Redaction, Vec<(String, String)>), Failure> {
    let collected = collect::collect(folder, root).await;
    let redaction = look(&collected);
    if !redaction.is_complete() {
        let what = "there are more names and addresses in these files than can be replaced reliably";
        return Err(Failure::new(Exit::Error, what, "send the parts that matter, after a look at them"));
    }
    let mut files: Vec<(String, String)> = collected
        .pieces
        .iter()
        .map(|piece| (redaction.replace(&piece.path), text(piece, &redaction)))
        .collect();
    files.insert(0, ("README.txt".to_owned(), redaction.replace(&collect::readme(&collected))));
    pack::pack(file, &files, now)?;
    Ok((collected, redaction, files))
}

/// Everything is looked at before anything is replaced.
fn look(collected: &Collected) -> Redaction {
    let mut redaction = Redaction::default();
    for name in &collected.names {
        match &name.alias {
            Some(alias) => redaction.add_alias(name.kind, &name.name, alias),
            None => redaction.add(name.kind, &name.name),
        }
    }
    redaction.look(&collect::readme(collected));
    for piece in &collected.pieces {
        redaction.look(&piece.path);
        match &piece.content {
            Content::Text(text) => redaction.look(text),
            Content::Document(document) => redaction.look_at(document),
            Content::Lines(lines) => lines.iter().for_each(|line| redaction.look_at(line)),
        }
    }
    redaction.settle();
    redaction
}

fn text(piece: &Piece, redaction: &Redaction) -> String {
    let replaced = |document: &Value| redaction.replace_in(document);
    match &piece.content {
        Content::Text(text) => redaction.replace(text),
        Content::Document(document) => format!("{:#}\n", replaced(document)),
        Content::Lines(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| replaced(line).to_string()).collect();
            lines.join("\n") + "\n"
        }
    }
}

fn tell(
    path: &Path,
    collected: &Collected,
    redaction: &Redaction,
    files: &[(String, String)],
    output: &mut Output,
) -> std::io::Result<()> {
    writeln!(output, "{} {}\n", output.paint(Tone::Good, "✓ written:"), path.display())?;
    let whats = std::iter::once("what is in it").chain(collected.pieces.iter().map(|piece| piece.what));
    let rows = files.iter().zip(whats).map(|((path, text), what)| {
        let size = counted(text.len(), "byte", "bytes");
        vec![(Tone::Plain, path.clone()), (Tone::Quiet, size), (Tone::Plain, what.to_owned())]
    });
    output.table(&["FILE", "SIZE", "WHAT"], rows.collect())?;
    if !collected.missing.is_empty() {
        writeln!(output, "\nNot in it:")?;
        for (what, why) in &collected.missing {
            writeln!(output, "  {what}: {why}")?;
        }
    }
    let counts = redaction.counts().into_iter().map(|(kind, count)| {
        let (one, many) = kind.names();
        counted(count, one, many)
    });
    let counts: Vec<String> = counts.collect();
    let replaced = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
    writeln!(output, "\nReplaced: {replaced}.")?;
    let look = "Look at it before you send it: names of modules, commands, paths and what applications say stay as they are.";
    writeln!(output, "{}\n  tar -xOzf {} | less", output.paint(Tone::Title, look), path.display())
}
