//! `bellwether:guest/log`

use crate::sandbox::bindings::log::{Host, Level};
use crate::sandbox::output::LogLevel;
use crate::sandbox::store::Run;

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
