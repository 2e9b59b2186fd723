//! `demo`: runs the daemon with a built-in example application.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::NodeStatus;
use bellwether_core::state::StateName;
use bellwether_daemon::app::{self, Ready, RunError, RunOptions};
use bellwether_os::process::strays::{self, Stray};
use clap::Args;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::commands::compile_component::compiler;
use crate::commands::launch::launcher;
use crate::commands::run::{explain, standard};
use crate::demo::layout::NodeFile;
use crate::exit::{Exit, Failure, Outcome};
use crate::logging::{self, LogArgs, LogFormat};
use crate::output::{Output, Tone};
use crate::root::RootArg;
use crate::signals;

mod guide;
mod layout;
mod visitor;

use visitor::Visitor;

/// Try Bellwether with an example application
///
/// Creates an example root (in a temporary folder, unless --root names one), runs it in the
/// foreground, and prints things to try. A named root keeps its files and can be run again with
/// bellwether run. The application is stopped when the demo ends.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Only write the files, and run nothing
    #[arg(long)]
    lay_out_only: bool,

    /// The log level for standard error
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        env = "BELLWETHER_LOG",
        hide_env_values = true
    )]
    log: String,
}

pub(crate) async fn run(args: &DemoArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let place = DemoRoot::find(root.given().as_deref(), args.lay_out_only)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let node_file = NodeFile::find(place.root());
    let fresh = !layout::is_laid_out(place.root());
    if fresh {
        layout::lay_out(place.root(), &program, node_file)?;
        writeln!(output, "Created an example in {}.", place.root().display())?;
    }
    if args.lay_out_only {
        if !fresh {
            say_unchanged(place.root(), output)?;
        }
        writeln!(output, "Run it with: bellwether run --root {}", place.root().display())?;
        return Ok(Exit::Done);
    }
    let _log = logging::start(&LogArgs { log: args.log.clone(), log_format: LogFormat::Text })?;
    let mut outcome = serve(&place, fresh, output).await;
    // Another program may have opened the port since it was found to be free.
    for _ in 0..MORE_TRIES {
        let taken = outcome.as_ref().is_err_and(|failure| failure.exit() == Exit::PortInUse);
        if !(taken && fresh && node_file == NodeFile::Example) {
            break;
        }
        layout::lay_out(place.root(), &program, node_file)?;
        outcome = serve(&place, fresh, output).await;
    }
    // The files and the application belong to the daemon that runs.
    if outcome.as_ref().is_err_and(|failure| failure.exit() == Exit::SecondDaemon) {
        return outcome;
    }
    // Also if the daemon ended by an error: a demo leaves nothing behind.
    let stopped = strays::end(Stray { program: &program, argument: "demo-app", folder: place.root() });
    if stopped > 0 {
        writeln!(output, "The demo and its application have ended.")?;
    }
    place.tidy_up(output)?;
    outcome
}

/// With other ports, if the first ones are taken meanwhile.
const MORE_TRIES: u32 = 5;

/// Reports that the example is not created.
fn say_unchanged(root: &Path, output: &mut Output) -> std::io::Result<()> {
    writeln!(output, "{} already has modules, which are not changed.", root.display())
}

async fn serve(place: &DemoRoot, fresh: bool, output: &mut Output) -> Outcome {
    let told = signals::listen()?;
    let (say, said) = oneshot::channel::<Ready>();
    let options = RunOptions {
        root: place.root().to_owned(),
        compiler: compiler(),
        launcher: launcher(),
        holder: None,
        standard: standard(),
        state: None,
    };
    let on_ready = move |ready: &Ready| {
        // There is no receiver if the demo is just shutting down.
        let _ = say.send(ready.clone());
    };
    let daemon = app::run(options, on_ready, told);
    let guide = async {
        let Ok(ready) = said.await else { return Ok(()) };
        // Only now: another daemon may run on this root, and then nothing is started.
        if !fresh {
            say_unchanged(place.root(), output)?;
        }
        let client = Client::new(place.root());
        let status = settle(&client).await?;
        let visitor = Visitor::admit(&client, &ready).await?;
        guide::print(&ready, &status, visitor.as_ref(), place.temporary(), output)?;
        Ok::<(), Failure>(())
    };
    let (ended, guided) = tokio::join!(daemon, guide);
    ended.map_err(|error| explain_here(error, place.root()))?;
    guided?;
    Ok(Exit::Done)
}

/// As for `run`, with the root of the demo.
fn explain_here(error: RunError, root: &Path) -> Failure {
    match error {
        // 0 is not a process: the other daemon has only just started.
        RunError::SecondDaemon { pid } if pid != 0 => Failure::new(
            Exit::SecondDaemon,
            format!("a daemon (process {pid}) already runs on this root"),
            format!(
                "use it: bellwether status --root {}; or stop it first: kill {pid}",
                guide::shell_word(&root.to_string_lossy())
            ),
        ),
        other => explain(other),
    }
}

/// The example's application is up in well under a second.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// The status once nothing is in progress any more, or when that takes too long.
async fn settle(client: &Client) -> Result<NodeStatus, Failure> {
    let settled = async {
        let mut lines = client.lines("/status/stream").await?;
        while let Some(line) = lines.next_said().await? {
            let status: NodeStatus = serde_json::from_str(&line).context("the daemon's answer is invalid")?;
            let calm = |state| matches!(state, StateName::Up | StateName::Stopped | StateName::Failed);
            if !status.modules.is_empty() && status.modules.iter().all(|module| calm(module.state)) {
                return Ok(status);
            }
        }
        client.get("/status").await
    };
    match tokio::time::timeout(SETTLE_WITHIN, settled).await {
        Ok(status) => status,
        Err(_) => client.get("/status").await,
    }
}

/// The root of the demo.
enum DemoRoot {
    Temporary(tempfile::TempDir),
    Named(PathBuf),
}

impl DemoRoot {
    fn find(given: Option<&Path>, keep: bool) -> Result<Self, Failure> {
        let Some(given) = given else {
            let place = tempfile::Builder::new()
                .prefix("bellwether-demo-")
                .tempdir()
                .map_err(|error| not_writable(&std::env::temp_dir(), &error))?;
            return Ok(if keep { Self::Named(place.keep()) } else { Self::Temporary(place) });
        };
        std::fs::create_dir_all(given).map_err(|error| not_writable(given, &error))?;
        let root = std::fs::canonicalize(given).map_err(|error| not_writable(given, &error))?;
        Ok(Self::Named(root))
    }

    fn root(&self) -> &Path {
        match self {
            Self::Temporary(place) => place.path(),
            Self::Named(root) => root,
        }
    }

    /// Its folder, if it is removed at the end.
    fn temporary(&self) -> Option<&Path> {
        match self {
            Self::Temporary(place) => Some(place.path()),
            Self::Named(_) => None,
        }
    }

    fn tidy_up(self, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Temporary(place) => {
                let path = place.path().to_owned();
                place.close().with_context(|| format!("{} could not be removed", path.display()))?;
                writeln!(
                    output,
                    "{}",
                    output.paint(Tone::Quiet, &format!("{} is removed.", path.display()))
                )?;
            }
            Self::Named(root) => {
                writeln!(
                    output,
                    "The files are kept. To run them again: bellwether run --root {}",
                    root.display()
                )?;
            }
        }
        Ok(())
    }
}

fn not_writable(root: &Path, error: &std::io::Error) -> Failure {
    let what = format!("{} cannot be written: {error}", root.display());
    Failure::new(Exit::RootNotWritable, what, "choose a writable folder with --root DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_place_is_removed_and_a_named_one_stays() {
        let mut output = Output::standard();
        let temporary = DemoRoot::find(None, false).unwrap();
        let path = temporary.root().to_owned();
        assert!(path.is_dir());
        temporary.tidy_up(&mut output).unwrap();
        assert!(!path.exists());

        let parent = tempfile::tempdir().unwrap();
        let named = DemoRoot::find(Some(&parent.path().join("a/b")), false).unwrap();
        let path = named.root().to_owned();
        named.tidy_up(&mut output).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_daemon_that_runs_already_is_named_with_its_root() {
        let failure = explain_here(RunError::SecondDaemon { pid: 7 }, Path::new("/my root"));
        assert_eq!(failure.exit(), Exit::SecondDaemon);
        assert_eq!(
            failure.to_string(),
            "error: a daemon (process 7) already runs on this root\n  \
             next: use it: bellwether status --root '/my root'; or stop it first: kill 7"
        );
        let just_begun = explain_here(RunError::SecondDaemon { pid: 0 }, Path::new("/r"));
        assert_eq!(just_begun.exit(), Exit::SecondDaemon);
        assert!(!just_begun.to_string().contains("kill"), "{just_begun}");
    }

    #[test]
    fn a_place_that_cannot_be_written_has_its_own_exit_code() {
        let parent = tempfile::NamedTempFile::new().unwrap();
        let failure = DemoRoot::find(Some(&parent.path().join("root")), false).err().unwrap();
        assert_eq!(failure.exit(), Exit::RootNotWritable);
    }
}
