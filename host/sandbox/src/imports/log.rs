//! Log lines of guests: `bellwether:guest/log`.

use crate::bindings::log::{Host, Level};
use crate::output::LogLevel;
use crate::store::Run;

impl Host for Run {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        Ok(self.output.log(level, &message)?)
    }
}
