//! The daemon's log, on standard error.

use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};

/// How the daemon logs.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "help is shown as it stands")]
pub(crate) struct LogArgs {
    /// What to log to standard error: error, warn, info, debug or trace, also for a part alone
    /// (info,bellwether_daemon=debug)
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "BELLWETHER_LOG",
        hide_env_values = true
    )]
    pub(crate) log: String,

    /// How to write it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

/// Logs from here on, until the guard is dropped. Once in a process.
///
/// Lines are written by a thread of their own: a reader that has stopped reading
/// costs lines of the log, and never keeps the daemon waiting.
pub(crate) fn start(args: &LogArgs) -> Result<WorkerGuard, Failure> {
    let filter = EnvFilter::try_new(&args.log).map_err(|error| {
        let what = format!("`{}` is not a log level: {error}", args.log);
        Failure::new(Exit::Usage, what, "use one of error, warn, info, debug, trace")
    })?;
    let color = crate::output::error_color();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match args.log_format {
        LogFormat::Text => logger.with_ansi(color).with_target(false).try_init(),
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::from(anyhow::anyhow!(error)))?;
    Ok(guard)
}
