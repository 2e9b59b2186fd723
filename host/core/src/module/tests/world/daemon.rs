//! The daemon around the core: its files change, it ends, and another one begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{World, module};
use crate::event::Event;
use crate::memory::ModuleMemory;
use crate::node::{Beginning, Node};
use crate::policy::ModulePolicy;
use crate::record::RecordKind;
use crate::transcript::Input;

impl World {
    /// What the shell hands over with the next load is the default.
    pub(in crate::module::tests) fn forget_all(&mut self) {
        self.memory = ModuleMemory::default();
    }

    pub(in crate::module::tests) fn redefine(&mut self, change: impl FnOnce(&mut ModulePolicy)) {
        change(&mut self.policy);
        let policy = Arc::new(self.policy.clone());
        let memory = Some(Box::new(self.memory.clone()));
        self.tell(Event::ModuleLoaded { module: module(), policy, memory });
    }

    /// The daemon is killed, and another begins with what was told last.
    pub(in crate::module::tests) fn kill_daemon(&mut self) {
        self.stop_daemon();
        self.redefine(|_| ());
    }

    /// The daemon ends. The next one begins with the next file.
    pub(in crate::module::tests) fn stop_daemon(&mut self) {
        if let Some(line) = self.transcript.finish() {
            self.lines.push((self.now, line));
        }
        let last_record = self.records.last().map_or(0, |record| record.seq);
        let node = "node-1".parse().unwrap();
        let beginning = Beginning { node, last_record, seed: 11, now: self.now };
        self.lines.push((self.now, Input::Began(beginning.clone())));
        self.node = Node::new(beginning);
        (self.watches, self.asked, self.step, self.kill) = (BTreeMap::new(), None, None, None);
        self.tell(Event::Noted { module: None, kind: RecordKind::Daemon { message: "begun".to_owned() } });
    }

    /// The same, and its file says something else by then.
    pub(in crate::module::tests) fn kill_daemon_with(&mut self, change: impl FnOnce(Self) -> Self) {
        let taken = std::mem::replace(self, Self::new());
        *self = change(taken);
        self.kill_daemon();
    }

    /// The next daemon begins long after the last one ended.
    pub(in crate::module::tests) fn watched_since_now(&mut self) {
        self.memory = self.memory.clone().watched_since(self.now);
    }

    /// Another core goes on from a checkpoint of this one that was written by a version without the key.
    pub(in crate::module::tests) fn restore_without(&mut self, key: &str) {
        let mut checkpoint = serde_json::to_value(self.node.checkpoint()).unwrap();
        let modules = checkpoint["modules"].as_object_mut().unwrap();
        for known in modules.values_mut() {
            assert!(known.as_object_mut().unwrap().remove(key).is_some(), "there is no `{key}` in {known}");
        }
        self.node = Node::restore(serde_json::from_value(checkpoint).unwrap());
    }

    /// The machine starts anew.
    pub(in crate::module::tests) fn reboot(&mut self) {
        self.memory = self.memory.clone().after_reboot();
        self.kill_daemon();
    }

    pub(in crate::module::tests) fn remove(&mut self) {
        self.tell(Event::ModuleRemoved { module: module() });
    }
}
