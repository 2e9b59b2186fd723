//! The host of native tests: everything stays in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Level;

/// As much as a real host keeps for one component: keys and values together.
const STATE_LIMIT_BYTES: usize = 64 << 10;

/// Log lines and state, for a test to look at.
#[derive(Debug, Default)]
pub(crate) struct Host {
    lines: RefCell<Vec<(Level, String)>>,
    state: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Host {
    pub(crate) fn log(&self, level: Level, message: &str) {
        self.lines.borrow_mut().push((level, message.to_owned()));
    }

    pub(crate) fn logged(&self) -> Vec<(Level, String)> {
        self.lines.borrow().clone()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().get(key).cloned()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let mut state = self.state.borrow_mut();
        let others: usize = state.iter().filter(|(k, _)| *k != key).map(|(k, v)| k.len() + v.len()).sum();
        let size = others + key.len() + value.len();
        if size > STATE_LIMIT_BYTES {
            return Err(format!("the state would be {size} bytes: at most {STATE_LIMIT_BYTES} are kept"));
        }
        state.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(crate) fn remove(&self, key: &str) {
        self.state.borrow_mut().remove(key);
    }
}
