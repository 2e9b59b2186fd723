//! `run`: runs the daemon.

use std::path::PathBuf;

use bellwether_daemon::app::{self, Ready, RunError, RunOptions, StandardComponent};
use clap::Args;

use crate::commands::compile_component::compiler;
use crate::commands::hold_sockets;
use crate::commands::launch::launcher;
use crate::exit::{Exit, Failure, Outcome};
use crate::logging::{self, LogArgs};
use crate::output::Output;
use crate::root::RootArg;
use crate::signals;
use crate::standard::STANDARD;

/// Run the daemon in the foreground
///
/// The daemon monitors the modules of the root, restarts their applications, and answers load
/// balancers, until SIGINT (Ctrl-C) or SIGTERM. The applications keep running when it exits, unless
/// [shutdown] in bellwether.toml says otherwise; the next daemon finds them again. A second signal
/// ends the daemon immediately. SIGHUP reads every file again.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    log: LogArgs,

    /// Where the daemon keeps its data (DIR/state, DIR/logs); the root gets links to it
    ///
    /// Default: state and logs in the root itself.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(crate) async fn run(args: &RunArgs, root: &RootArg, _output: &mut Output) -> Outcome {
    let _log = logging::start(&args.log)?;
    let told = signals::listen()?;
    let root = root.find()?;
    let state = args.state.clone();
    let options = RunOptions {
        root,
        compiler: compiler(),
        launcher: launcher(),
        holder: Some(hold_sockets::NAME),
        standard: standard(),
        state,
    };
    app::run(options, announce, told).await.map_err(explain)?;
    tracing::info!("the daemon has exited; its applications keep running");
    Ok(Exit::Done)
}

fn announce(ready: &Ready) {
    tracing::info!("health for load balancers: http://{}/health", ready.health);
    for (address, module) in &ready.agents {
        let spoken_for = module.as_ref().map_or("all modules", |module| module.as_str());
        tracing::info!("agent-check for {spoken_for}: {address}");
    }
    if let Some(address) = ready.metrics {
        tracing::info!("metrics for Prometheus: http://{address}/metrics");
    }
    if let Some(console) = &ready.console {
        tracing::info!("console: {}", console.url);
        if let Some(fingerprint) = &console.fingerprint {
            tracing::info!("its certificate, SHA-256: {fingerprint}");
        }
    }
    tracing::info!("commands: {}", ready.socket.display());
}

pub(crate) fn standard() -> Vec<StandardComponent> {
    STANDARD.iter().map(|(folder, name, bytes)| StandardComponent { folder, name, bytes }).collect()
}

/// Why the daemon does not run, with the remedy and its own exit code.
pub(crate) fn explain(error: RunError) -> Failure {
    let what = error.to_string();
    match error {
        RunError::PortInUse { addr } => Failure::new(
            Exit::PortInUse,
            what,
            format!(
                "stop that program (`ss -ltnp 'sport = :{}'` shows it), or set another address in bellwether.toml",
                addr.port()
            ),
        ),
        RunError::RootNotWritable { root, source } => Failure::new(
            Exit::RootNotWritable,
            format!("{what}: {source}"),
            format!(
                "make {} writable for the user that runs the daemon, or set another root with --root",
                root.display()
            ),
        ),
        // `kill 0` would end the user's own shell.
        RunError::SecondDaemon { pid: 0 } => Failure::new(
            Exit::SecondDaemon,
            "another daemon has just started on this root",
            "use that one: `bellwether status`",
        ),
        RunError::SecondDaemon { pid } => Failure::new(
            Exit::SecondDaemon,
            what,
            format!(
                "use that one (`bellwether status`), or stop it first: kill {pid}; its applications keep running"
            ),
        ),
        RunError::Mistakes(rendered) => Failure::new(
            Exit::Mistakes,
            format!("{what}\n\n{}", rendered.trim_end()),
            "correct them; `bellwether validate` checks the files without running anything",
        ),
        RunError::MissingProgram(rendered) => Failure::new(
            Exit::MissingProgram,
            format!("{what}\n\n{}", rendered.trim_end()),
            "install it, or correct the path in the module's file",
        ),
        RunError::Other(error) => Failure::from(error).next("see the log above; `--log debug` gives details"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_not_to_run_has_a_next_step_and_its_own_exit_code() {
        let errors = [
            (RunError::PortInUse { addr: "127.0.0.1:9010".parse().unwrap() }, Exit::PortInUse),
            (
                RunError::RootNotWritable {
                    root: "/r".into(),
                    source: std::io::ErrorKind::ReadOnlyFilesystem.into(),
                },
                Exit::RootNotWritable,
            ),
            (RunError::SecondDaemon { pid: 7 }, Exit::SecondDaemon),
            (RunError::SecondDaemon { pid: 0 }, Exit::SecondDaemon),
            (RunError::Mistakes("x".into()), Exit::Mistakes),
            (RunError::MissingProgram("x".into()), Exit::MissingProgram),
            (RunError::Other(anyhow::anyhow!("x")), Exit::Error),
        ];
        for (error, exit) in errors {
            let failure = explain(error);
            assert_eq!(failure.exit(), exit);
            assert!(failure.to_string().contains("\n  next: "), "{failure}");
            assert!(!failure.to_string().contains("kill 0"), "{failure}");
        }
    }
}
