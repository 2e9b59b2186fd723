//! `validate`: checks the files.

mod against_running;
mod sight;

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;

use bellwether_config as config;
use bellwether_config::spec::LimitsSpec;
use bellwether_config::{ComponentKind, ComponentUse, Effective, Mistakes, Origin, RootReport, Unreachable};
use bellwether_core::grant::{GrantKind, GrantRequest};
use bellwether_core::id::ComponentName;
use bellwether_sandbox::Sandbox;
use bellwether_sandbox::compile::Compiler;
use clap::Args;
use serde_json::{Value, json};

use self::against_running::Edit;
use super::grants::{self, Components};
use super::inspect::asked;
use crate::exit::{Exit, Outcome};
use crate::output::{Output, Tone, counted};
use crate::root::RootArg;

/// Check bellwether.toml and the files in modules/, without running anything
///
/// Shows every error with its line, the expected value and the nearest valid one. The exit code is 5 if
/// there is an error. Notes list components that request more than they are granted, and other things to
/// check; they are not errors, but count as errors with --strict.
///
/// With --against-running the files are also compared with the active configuration of a daemon on this
/// host: each new or changed checker is run once, and counts as an error if it fails while its application
/// is serving.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Print a JSON object with `mistakes`, `edits`, `notes` and `advice`, and with `values` if requested
    #[arg(long)]
    json: bool,

    /// Show every effective value, and whether it comes from the file or is a default
    #[arg(long)]
    values: bool,

    /// Also exit with 5 if there are only notes or advice
    #[arg(long)]
    strict: bool,

    /// Compare with the daemon that runs on DIR (default: the same root), and run new checkers once
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag may be given without a folder")]
    against_running: Option<Option<PathBuf>>,
}

impl ValidateArgs {
    /// To print the errors and notes as JSON.
    pub(crate) fn json() -> Self {
        Self { json: true, values: false, strict: false, against_running: None }
    }
}

pub(crate) async fn run(args: &ValidateArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let root = root.find()?;
    let report = config::read_root(&root);
    let sandbox = Sandbox::new(&LimitsSpec::default(), Compiler::Own)?;
    let components = Components::new(sandbox, &root);
    let schema = |kind: ComponentKind, name: &ComponentName| components.schema(kind, name);
    let unreachable = config::unreachable(&report, &schema);
    let mut across = config::check_root(&report, &schema);
    across.extend(by_file(&unreachable));
    let notes = notes(&report, &components, &unreachable);
    let broken = components.broken();
    let advice: Vec<String> = advice(&report).into_iter().chain(sight::notes(&report).await).collect();
    let all: Vec<&Mistakes> = own(&report).chain(&across).collect();
    let edits = match &args.against_running {
        Some(running) => {
            let running = running.as_deref().unwrap_or(&root);
            Some(against_running::edits(&report, &root, running, components.sandbox()).await?)
        }
        None => None,
    };
    let verdict = Verdict {
        mistakes: all.iter().map(|mistakes| mistakes.iter().count()).sum::<usize>() + broken.len(),
        files: wrong_files(&all) + broken.len(),
        edits: edits.as_deref().map(|edits| (edits.len(), edits.iter().filter(|edit| edit.harms()).count())),
        remarks: notes.len() + advice.len(),
        strict: args.strict,
    };
    let edits = edits.unwrap_or_default();
    if args.json {
        let list: Vec<Value> = all.iter().flat_map(|m| m.iter()).map(|m| json!(m)).collect();
        let mut answer = json!({ "root": root, "ok": verdict.is_right(), "mistakes": list });
        let told = |(file, why): &(String, String)| json!({ "file": file, "why": why });
        answer["broken"] = broken.iter().map(told).collect();
        answer["edits"] = edits.iter().map(Edit::document).collect();
        answer["notes"] = notes.iter().map(Note::document).collect();
        answer["advice"] = json!(advice);
        if args.values {
            let of = |(file, values): (&str, Vec<Effective>)| (file.to_owned(), json!(values));
            answer["values"] = Value::Object(effective(&report).map(of).collect());
        }
        output.json(&answer)?;
    } else {
        for (file, why) in &broken {
            writeln!(output, "{} {file} cannot be used: {why}\n", output.paint(Tone::Bad, "✗"))?;
        }
        for file in &all {
            writeln!(output, "{}", file.render(output.colored()))?;
        }
        for edit in &edits {
            let tone = if edit.harms() { Tone::Bad } else { Tone::Busy };
            writeln!(output, "{}", output.paint(tone, &edit.to_string()))?;
        }
        let remarks =
            notes.iter().map(Note::to_string).chain(advice.iter().map(|text| format!("note: {text}")));
        for text in remarks {
            writeln!(output, "{}", output.paint(Tone::Busy, &text))?;
        }
        if args.values {
            print_values(&report, output)?;
        }
        let (tone, text) = verdict.sentence(&report);
        writeln!(output, "{}", output.paint(tone, &text))?;
    }
    Ok(if verdict.is_right() { Exit::Done } else { Exit::Mistakes })
}

/// What the exit code and the last line say.
struct Verdict {
    mistakes: usize,
    /// The files that these are in.
    files: usize,
    /// Compared with a running daemon: how many checkers differ, and how many of these fail.
    edits: Option<(usize, usize)>,
    remarks: usize,
    strict: bool,
}

impl Verdict {
    fn is_right(&self) -> bool {
        let harmless = self.edits.is_none_or(|(_, fail)| fail == 0);
        self.mistakes == 0 && harmless && !(self.strict && self.remarks > 0)
    }

    fn sentence(&self, report: &RootReport) -> (Tone, String) {
        let failing = self.edits.map(|(_, fail)| fail).filter(|fail| *fail > 0).map(|fail| {
            let checkers = counted(fail, "new or changed checker fails", "new or changed checkers fail");
            format!("{checkers} while the application is serving")
        });
        if self.mistakes > 0 {
            let more = failing.map(|failing| format!(", and {failing}")).unwrap_or_default();
            return (Tone::Bad, told(self.mistakes, self.files) + &more);
        }
        if let Some(failing) = failing {
            return (Tone::Bad, format!("✗ the files have no errors, but {failing}: see above"));
        }
        if !self.is_right() {
            let are = if self.remarks == 1 { "is" } else { "are" };
            let notes = counted(self.remarks, "note", "notes");
            return (Tone::Bad, format!("✗ the files have no errors, but there {are} {notes} (--strict)"));
        }
        let names: Vec<&str> =
            report.modules.iter().map(|(name, _)| name.trim_end_matches(".toml")).collect();
        let modules = if names.is_empty() { "no modules yet".to_owned() } else { names.join(", ") };
        let compared = match self.edits {
            None => String::new(),
            Some((0, _)) => {
                "; no checker of an application that is up differs from the running daemon".to_owned()
            }
            Some((differ, _)) => format!(
                "; {} from the running daemon, and none was seen to fail",
                counted(differ, "checker differs", "checkers differ")
            ),
        };
        (Tone::Good, format!("✓ the files are valid: {modules}{compared}"))
    }
}

/// The mistakes of each file together.
fn by_file(unreachable: &[Unreachable]) -> impl Iterator<Item = Mistakes> + '_ {
    let files = unreachable.chunk_by(|a, b| a.mistake.file == b.mistake.file);
    files.filter_map(|file| Mistakes::new(file.iter().map(|one| one.mistake.clone()).collect()))
}

/// The effective values of each module whose file is valid.
fn effective(report: &RootReport) -> impl Iterator<Item = (&str, Vec<Effective>)> {
    report
        .modules
        .iter()
        .filter_map(|(file, module)| Some((file.as_str(), module.as_ref().ok()?.effective())))
}

fn print_values(report: &RootReport, output: &mut Output) -> io::Result<()> {
    for (file, values) in effective(report) {
        writeln!(output, "\nmodules/{file}\n")?;
        let rows = values.into_iter().map(|value| {
            let (tone, source) = match value.source {
                Origin::File => (Tone::Plain, "file"),
                Origin::Default => (Tone::Quiet, "default"),
            };
            vec![(Tone::Plain, value.key), (Tone::Plain, value.value), (tone, source.to_owned())]
        });
        output.table(&["KEY", "VALUE", "FROM"], rows.collect())?;
    }
    Ok(())
}

/// Advice about other systems that follows from these files.
fn advice(report: &RootReport) -> Vec<String> {
    let node = report.node.as_ref().ok();
    let agents = node.iter().flat_map(|node| &node.spec.agent_checks).map(|check| check.listen.to_string());
    let agents: Vec<String> = agents.collect();
    if agents.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "bellwether.toml: [[agent-check]] ({}): HAProxy keeps the last answer of an agent that has stopped responding, \
         so a node with a frozen daemon would keep its traffic; add an HTTP check to the server line in HAProxy: \
         `check` with `option httpchk GET /health/MODULE`",
        agents.join(", ")
    )]
}

/// A grant that a component requests and does not have. This may be intended.
struct Note {
    of: ComponentUse,
    request: GrantRequest,
}

/// Without those of checkers of which an error says already what to grant.
fn notes(report: &RootReport, components: &Components<'_>, unreachable: &[Unreachable]) -> Vec<Note> {
    let of_use = |of: ComponentUse| {
        let is_it =
            |one: &Unreachable| one.mistake.file == of.file && of.checker.as_ref() == Some(&one.checker);
        let is_told = unreachable.iter().any(is_it);
        let about = components.get(of.kind, &of.component).and_then(Result::ok);
        let mut missing = about.map(|about| of.missing(&about.grants)).unwrap_or_default();
        missing.retain(|request| {
            !is_told || request.kind != GrantKind::Connect.word() || !request.value.is_empty()
        });
        missing.into_iter().map(move |request| Note { of: of.clone(), request })
    };
    grants::uses(report).into_iter().flat_map(of_use).collect()
}

impl Note {
    fn document(&self) -> Value {
        let Self { of, request } = self;
        let mut document = grants::missing_document(request);
        document["file"] = json!(of.file);
        document["line"] = json!(of.line);
        document["checker"] = json!(of.checker);
        document["component"] = json!(of.component);
        document
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, request } = self;
        write!(
            f,
            "note: {}:{}: {}: `{}` requests {} ({}), which is not granted; to allow it: {}",
            of.file,
            of.line,
            of.title(),
            of.component,
            asked(request),
            request.reason,
            request.to_add()
        )
    }
}

/// The errors of each file by itself.
fn own(report: &RootReport) -> impl Iterator<Item = &Mistakes> {
    report.node.as_ref().err().into_iter().chain(report.modules.iter().filter_map(|(_, m)| m.as_ref().err()))
}

/// How many files there are mistakes in.
fn wrong_files(all: &[&Mistakes]) -> usize {
    let files = all.iter().flat_map(|mistakes| mistakes.iter()).map(|mistake| mistake.file.as_str());
    files.collect::<BTreeSet<_>>().len()
}

fn told(mistakes: usize, files: usize) -> String {
    let (mistakes, files) = (counted(mistakes, "error", "errors"), counted(files, "file", "files"));
    format!("✗ {mistakes} in {files}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_counted_by_the_files_they_are_in() {
        assert_eq!(told(2, 1), "✗ 2 errors in 1 file");
        assert_eq!(told(1, 1), "✗ 1 error in 1 file");
        assert_eq!(told(3, 2), "✗ 3 errors in 2 files");
    }

    #[test]
    fn the_last_line_agrees_with_the_exit_code() {
        let root = tempfile::tempdir().unwrap();
        let report = config::read_root(root.path());
        let good = Verdict { mistakes: 0, files: 0, edits: None, remarks: 1, strict: false };
        for (verdict, right, text) in [
            (Verdict { ..good }, true, "✓ the files are valid: no modules yet"),
            (
                Verdict { edits: Some((0, 0)), ..good },
                true,
                "no checker of an application that is up differs",
            ),
            (Verdict { edits: Some((1, 0)), ..good }, true, "1 checker differs from the running daemon"),
            (Verdict { edits: Some((2, 1)), ..good }, false, "1 new or changed checker fails while"),
            (Verdict { mistakes: 2, files: 1, ..good }, false, "✗ 2 errors in 1 file"),
            (
                Verdict { mistakes: 1, files: 1, edits: Some((2, 2)), ..good },
                false,
                "in 1 file, and 2 new or",
            ),
            (Verdict { strict: true, ..good }, false, "there is 1 note (--strict)"),
            (Verdict { strict: true, remarks: 0, ..good }, true, "✓"),
        ] {
            let (_, said) = verdict.sentence(&report);
            assert_eq!((verdict.is_right(), said.starts_with('✓')), (right, right), "{said}");
            assert!(said.contains(text), "{said}");
        }
    }
}
