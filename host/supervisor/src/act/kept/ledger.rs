//! The running kept processes, recorded for the next daemon: `state/kept.json`.
//!
//! Nothing is synced to the disk: the list is useful only in the same boot of the machine, and a crash of the
//! daemon alone loses nothing that was written. It can be written even if the disk is full.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bellwether_core::id::{CommandName, ModuleName};
use serde::{Deserialize, Serialize};

use super::Inner;
use super::slot::Slot;
use bellwether_config::execution::{execution_keys, resource_limit_keys};
use bellwether_os::atomic_file;
use bellwether_os::file;
use bellwether_os::process::identity::ProcessId;
use bellwether_os::process::kept_table::KeptKey;
use bellwether_os::process::notified::Notified;
use bellwether_os::spawn::command::CommandSpec;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptProcess {
    /// Of which module.
    pub(super) module: ModuleName,
    pub(super) command: CommandName,
    /// Its first process; its group may outlive it.
    pub(super) process: ProcessId,
    /// What it was started with; earlier daemons did not record it.
    #[serde(default)]
    pub(super) launched: Option<Launched>,
    /// The length of its log before its start, where that is known.
    #[serde(default)]
    pub(super) log_from: Option<u64>,
    /// The command that it was started as, if another module has taken it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former: Option<KeptKey>,
    /// Its notification socket, and the state that it has reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) notify: Option<Listened>,
}

/// The data with which the next daemon continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listened {
    /// The name of the socket.
    pub(super) socket: String,
    /// The state that has been reported there.
    pub(super) notified: Notified,
}

/// What a kept command was started with, for comparison with its present declaration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launched {
    /// The program and its arguments, as they are declared.
    pub run: Vec<String>,
    /// BLAKE3 of its environment, its working directory, and the user and limits it runs with; it may contain
    /// secrets.
    pub surroundings: String,
}

impl Launched {
    /// The identity of a command with this declaration.
    pub fn by(spec: &CommandSpec) -> Self {
        let mut surroundings = blake3::Hasher::new();
        let mut add = |text: &[u8]| {
            // Each with its length, so that no two sets of them have the same digest.
            surroundings.update(&text.len().to_le_bytes());
            surroundings.update(text);
        };
        let CommandSpec {
            run,
            env,
            dir,
            execution,
            // How it is dealt with, not how it was started: these are read whenever they are needed.
            keep: _,
            timeout: _,
            leftovers: _,
            arguments: _,
        } = spec;
        for (name, value) in env {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        add(dir.as_ref().map_or(b"", |dir| dir.as_os_str().as_encoded_bytes()));
        // Nothing where the file says nothing: earlier daemons wrote down what runs.
        for (key, value) in
            execution_keys(execution).into_iter().chain(resource_limit_keys(&execution.limits))
        {
            add(key.as_bytes());
            add(value.as_bytes());
        }
        Self { run: run.clone(), surroundings: surroundings.finalize().to_hex().to_string() }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    processes: Vec<KeptProcess>,
}

/// The file of the list.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    /// One writer at a time, so that an older list never replaces a newer one.
    writing: Mutex<()>,
}

impl Ledger {
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.join("state").join("kept.json"), writing: Mutex::new(()) }
    }

    /// What the daemon before us wrote; nothing if there is no file, or one that cannot be
    /// understood, which is put aside.
    pub(super) fn read(&self) -> anyhow::Result<Vec<KeptProcess>> {
        let text = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.with_context(|| format!("cannot read {}", self.path.display()))?,
        };
        match serde_json::from_slice::<Document>(&text) {
            Ok(document) => {
                atomic_file::remember(&self.path);
                Ok(document.processes)
            }
            Err(error) => {
                let aside = atomic_file::set_aside(&self.path);
                tracing::warn!(
                    %error,
                    "{} is damaged and {aside}: processes kept before are looked for by their mark",
                    self.path.display(),
                );
                Ok(Vec::new())
            }
        }
    }

    /// Writes what `entries` says by then.
    pub(super) fn write(&self, entries: impl FnOnce() -> Vec<KeptProcess>) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(&Document { processes: entries() })?;
        if let Some(folder) = self.path.parent() {
            file::create_private_dir_all(folder)?;
        }
        atomic_file::exchange(&self.path, &text)
    }
}

impl Inner {
    /// Records what is running.
    pub(super) fn write_ledger(&self) {
        let entries = || {
            let slots = self.all_slots();
            let entry = |slot: &Arc<Slot>| {
                let process = slot.process()?;
                let (module, command) = slot.key.clone();
                let (launched, log_from, former) = (slot.launched(), slot.log_from(), slot.former());
                let notify = slot.listened();
                Some(KeptProcess { module, command, process, launched, log_from, former, notify })
            };
            slots.iter().filter_map(entry).collect()
        };
        if let Err(error) = self.ledger.write(entries) {
            tracing::warn!(
                %error,
                "cannot write state/kept.json: a daemon that is started later will not find what is kept now"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_ledger_is_put_aside_and_counts_as_empty() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        assert_eq!(ledger.read().unwrap(), []);
        ledger.write(Vec::new).unwrap();
        assert_eq!(ledger.read().unwrap(), []);
        fs::write(&ledger.path, b"{\"processes\":[{").unwrap();
        assert_eq!(ledger.read().unwrap(), []);
        assert!(root.path().join("state/kept.json.damaged").exists());
        assert_eq!(ledger.read().unwrap(), []);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(root.path());
        let entry = KeptProcess {
            module: ModuleName::new("web").unwrap(),
            command: CommandName::new("start").unwrap(),
            process: ProcessId::of(std::process::id()).unwrap(),
            launched: None,
            log_from: Some(7),
            former: None,
            notify: None,
        };
        ledger.write(|| vec![entry.clone()]).unwrap();
        assert_eq!(ledger.read().unwrap(), [entry]);
    }
}
