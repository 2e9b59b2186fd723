//! The daemon's log, to standard error.

mod flood;
mod line;

use self::line::{Lines, Style};

use bellwether_os::service_manager;
use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};

/// How the daemon logs.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The log level for standard error: error, warn, info, debug or trace, also per component
    /// (info,bellwether=debug)
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        env = "BELLWETHER_LOG",
        hide_env_values = true
    )]
    pub(crate) log: String,

    /// The format of the log
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Auto)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `journald` if standard error is connected to the journal, else `text`
    Auto,
    /// Plain text for people
    Text,
    /// One JSON object per line: timestamp, level, target, message and other fields
    Json,
    /// For systemd's journal: with a priority, and no time, which the journal adds
    Journald,
}

impl LogFormat {
    fn is_for_the_journal(self) -> bool {
        match self {
            Self::Journald => true,
            Self::Auto => service_manager::logs_standard_error(),
            Self::Text | Self::Json => false,
        }
    }
}

/// Logs from here on, until the guard is dropped. Once in a process.
///
/// Lines are written by a separate thread: a reader that has stalled costs lines of the log, and never blocks the
/// daemon.
pub(crate) fn start(args: &LogArgs) -> Result<WorkerGuard, Failure> {
    let filter = EnvFilter::try_new(&args.log).map_err(|error| {
        let what = format!("`{}` is not a log level: {error}", args.log);
        Failure::new(Exit::Usage, what, "use one of error, warn, info, debug, trace")
    })?;
    let color = crate::output::error_color();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = if args.log_format.is_for_the_journal() {
        let logger = logger.with_ansi(false).with_target(false).with_level(false).without_time();
        logger.map_event_format(|inner| Lines::new(inner, Style::Prefixed)).try_init()
    } else if args.log_format == LogFormat::Json {
        let logger = logger.json().flatten_event(true);
        logger.map_event_format(|inner| Lines::new(inner, Style::Json)).try_init()
    } else {
        let logger = logger.with_ansi(color).with_target(false);
        logger.map_event_format(|inner| Lines::new(inner.with_ansi(color), Style::Text)).try_init()
    };
    started.map_err(|error| Failure::from(anyhow::anyhow!(error)))?;
    Ok(guard)
}
