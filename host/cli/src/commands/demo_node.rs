//! `demo-node`: the daemon of one node of the demo. It ends with the demo, and its application with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bellwether_api::ConsoleStatus;
use bellwether_core::id::ModuleName;
use bellwether_daemon::app::{self, Ready};
use bellwether_daemon::lifecycle::SignalRequest;
use bellwether_os::process::dependent;
use bellwether_os::process::strays::{self, Stray};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::demo::{daemon_options, explain_here};
use crate::exit::{Exit, Failure, Outcome};
use crate::logging::{self, LogArgs, LogFormat};
use crate::output::Output;
use crate::root::RootArg;
use crate::signals;

/// One node of `bellwether demo`
#[derive(Debug, Args)]
pub(crate) struct DemoNodeArgs {
    /// The log level for standard error
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

/// What a node tells the demo, once, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// It runs, and listens there.
    Runs(Listeners),
    /// It does not run.
    Failed { exit: u8, what: String, next: Option<String> },
}

/// Where a node listens: [`Ready`], to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listeners {
    health: std::net::SocketAddr,
    agents: Vec<(std::net::SocketAddr, Option<ModuleName>)>,
    metrics: Option<std::net::SocketAddr>,
    console: Option<ConsoleStatus>,
    socket: PathBuf,
}

impl From<Ready> for Listeners {
    fn from(Ready { health, agents, metrics, console, socket }: Ready) -> Self {
        Self { health, agents, metrics, console, socket }
    }
}

impl From<Listeners> for Ready {
    fn from(Listeners { health, agents, metrics, console, socket }: Listeners) -> Self {
        Self { health, agents, metrics, console, socket }
    }
}

impl From<&Failure> for Report {
    fn from(failure: &Failure) -> Self {
        let next = failure.remedy().map(str::to_owned);
        Self::Failed { exit: failure.exit() as u8, what: failure.said(), next }
    }
}

pub(crate) async fn run(args: &DemoNodeArgs, root: &RootArg, output: &mut Output) -> Outcome {
    let root = root.find()?;
    let _log = logging::start(&LogArgs { log: args.log.clone(), log_format: LogFormat::Text })?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let (told, is_abandoned) = until_the_demo_ends(&program, &root)?;
    let (say, said) = oneshot::channel::<Ready>();
    let on_ready = move |ready: &Ready| {
        // There is no receiver if the demo is just shutting down.
        let _ = say.send(ready.clone());
    };
    let daemon = app::run(daemon_options(&root), on_ready, told);
    let report = async {
        let Ok(ready) = said.await else { return Ok(()) };
        output.json_line(&Report::Runs(ready.into()))
    };
    let (ended, reported) = tokio::join!(daemon, report);
    if is_abandoned.load(Ordering::SeqCst) {
        end_application(&program, &root);
    }
    if let Err(error) = ended {
        let failure = explain_here(error, &root);
        // The demo reports it.
        output.json_line(&Report::from(&failure))?;
        return Err(Failure::quiet(failure.exit()));
    }
    reported?;
    Ok(Exit::Done)
}

/// The daemon ends in order within this time, or is ended.
const END_WITHIN: Duration = Duration::from_secs(20);
/// As for signals: more requests than this at once mean no more than this.
const WAITING: usize = 4;

/// The signals to this process, and a request to end when the demo has ended. The flag tells whether it has.
fn until_the_demo_ends(
    program: &Path,
    root: &Path,
) -> Result<(mpsc::Receiver<SignalRequest>, Arc<AtomicBool>), Failure> {
    let mut signals = signals::listen()?;
    let (tell, told) = mpsc::channel(WAITING);
    let also = tell.clone();
    tokio::spawn(async move {
        while let Some(request) = signals.recv().await {
            if tell.send(request).await.is_err() {
                return;
            }
        }
    });
    let is_abandoned = Arc::new(AtomicBool::new(false));
    let abandoned = Arc::clone(&is_abandoned);
    let (program, root) = (program.to_owned(), root.to_owned());
    dependent::when_parent_ends(move || {
        abandoned.store(true, Ordering::SeqCst);
        // There is no receiver if the daemon has ended.
        let _ = also.blocking_send(SignalRequest::End);
        // This thread ends with the process, which usually ends before.
        std::thread::sleep(END_WITHIN);
        end_application(&program, &root);
        std::process::exit(i32::from(Exit::Error as u8));
    })?;
    Ok((told, is_abandoned))
}

/// Ends the application that the daemon of this root has left running. Returns how many processes there were.
pub(crate) fn end_application(program: &Path, root: &Path) -> usize {
    strays::end(Stray { program, argument: "demo-app", folder: root })
}

/// The exit code of a report, if it is one.
pub(crate) fn failure_of(exit: u8, what: String, next: Option<String>) -> Failure {
    let exit = Exit::of(exit).unwrap_or(Exit::Error);
    match next {
        Some(next) => Failure::new(exit, what, next),
        None => Failure::new(exit, what, "see its messages above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_back_as_it_went() {
        let failure = Failure::new(Exit::PortInUse, "taken", "free it");
        let report = Report::from(&failure);
        let line = serde_json::to_string(&report).unwrap();
        let Ok(Report::Failed { exit, what, next }) = serde_json::from_str(&line) else { panic!("{line}") };
        let back = failure_of(exit, what, next);
        assert_eq!((back.exit(), back.to_string()), (failure.exit(), failure.to_string()));

        let ready = Ready {
            health: "127.0.0.1:9010".parse().unwrap(),
            agents: vec![("127.0.0.1:9011".parse().unwrap(), Some(ModuleName::new("web").unwrap()))],
            metrics: None,
            console: None,
            socket: "/r/state/api.sock".into(),
        };
        let report = Report::Runs(ready.into());
        let line = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&line).unwrap(), report);
    }
}
