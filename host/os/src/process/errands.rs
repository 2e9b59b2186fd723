//! The commands that the daemon runs to their end: they are not the application.
//!
//! What stops an application often has its name among its own arguments
//! (`pkill -f shop`), and so have scripts that start it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::stat::Stat;

static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// One of them, from its start until it has been reaped.
#[derive(Debug)]
pub struct Errand(u32);

impl Errand {
    /// The process with this id is one.
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

/// Whether this process is one, or what a launcher has started as one: a child in its group. What that leaves becomes
/// the launcher's child, too, and an application in the background makes a group of its own.
pub(super) fn is_errand(stat: &Stat) -> bool {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.contains(&stat.pid) || (stat.parent == stat.group && running.contains(&stat.parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_until_it_is_over() {
        // Ids of processes end at 2^22.
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
