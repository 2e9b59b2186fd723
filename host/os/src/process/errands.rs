//! The commands that the daemon runs to completion: they are not part of the application.
//!
//! A command that stops an application often has its name among its own arguments (`pkill -f shop`), and so have
//! scripts that start it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::stat::Stat;

static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// One such command, from its start until it has been reaped.
#[derive(Debug)]
pub struct Errand(u32);

impl Errand {
    /// Registers the process with this id.
    pub fn new(pid: u32) -> Self {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
        Self(pid)
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Whether this process is such a command, or was started as one by a launcher: a child in the launcher's group.
/// What the command leaves behind becomes the launcher's child as well, but an application in the background has
/// its own group.
pub(super) fn is_errand(stat: &Stat) -> bool {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.contains(&stat.pid) || (stat.parent == stat.group && running.contains(&stat.parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_until_it_is_over() {
        // Process ids are at most 2^22.
        let pid = u32::MAX;
        let this = Stat::read(std::process::id()).unwrap();
        let launcher = Stat { pid, group: pid, ..this.clone() };
        let command = Stat { parent: pid, group: pid, ..this.clone() };
        let application = Stat { parent: pid, ..this };
        let errand = Errand::new(pid);
        assert!(is_errand(&launcher) && is_errand(&command) && !is_errand(&application));
        drop(errand);
        assert!(!is_errand(&launcher) && !is_errand(&command));
    }
}
