//! The host, seen from inside a component.

use super::Level;
use crate::bindings::component::bellwether::guest::{log, state};

/// The host's imports.
#[derive(Debug, Default)]
pub(crate) struct Host;

impl Host {
    #[expect(clippy::unused_self, reason = "the native host keeps the lines")]
    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::log(level, message);
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        state::get(key)
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        state::set(key, value)
    }

    #[expect(clippy::unused_self, reason = "the native host keeps the state")]
    pub(crate) fn remove(&self, key: &str) {
        state::remove(key);
    }
}
