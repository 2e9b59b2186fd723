//! `state/notifications.json`: pending notifications, and the last record that is included.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::moment::Moment;
use bellwether_core::notify::State;

use bellwether_os::atomic_file;

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Why the last write failed, if it did.
    problem: Option<String>,
}

impl Store {
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.join("state/notifications.json"), problem: None }
    }

    /// The state that the previous daemon stored. A damaged file is moved aside and reported.
    pub(super) fn read(&self, last_record: u64, now: Moment) -> (State, Option<String>) {
        let new = || State::new(last_record, now);
        let read = fs::read(&self.path).and_then(|text| Ok(serde_json::from_slice::<State>(&text)?));
        match read {
            Ok(mut state) => {
                atomic_file::remember(&self.path);
                state.not_behind(last_record);
                (state, None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (new(), None),
            Err(error) => {
                let aside = atomic_file::set_aside(&self.path);
                let problem = format!(
                    "state/notifications.json {aside}: {error}; notifications that waited in it are lost"
                );
                (new(), Some(problem))
            }
        }
    }

    /// Stores the very first state, before anything happens: otherwise a daemon after a crash would skip the events
    /// until the next write as history. Once in each root.
    pub(super) fn begin(&mut self, state: &State) {
        if !self.path.exists() {
            let written = serde_json::to_vec(state).map_err(io::Error::from);
            let written = written.and_then(|text| atomic_file::replace(&self.path, &text));
            self.note(written.err().map(|error| error.to_string()));
        }
    }

    /// A disk that cannot be written must not prevent notifications.
    pub(super) async fn write(&mut self, state: &State) {
        let text = serde_json::to_vec(state);
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || atomic_file::replace(&path, &text?)).await;
        self.note(match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        });
    }

    fn note(&mut self, problem: Option<String>) {
        if let Some(problem) = problem.as_ref().filter(|problem| self.problem.as_ref() != Some(problem)) {
            tracing::error!(
                "state/notifications.json cannot be written, and will not survive this daemon: {problem}"
            );
        }
        self.problem = problem;
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// No notifications are sent.
    pub(super) fn forget(&self) {
        match atomic_file::remove(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "state/notifications.json cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_stored_is_read_again_and_what_is_damaged_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        let now = Moment::from_micros(1);
        let mut store = Store::new(root.path());
        assert_eq!(store.read(7, now), (State::new(7, now), None));
        store.begin(&State::new(4, now));
        assert_eq!(store.read(7, now).0.record(), 4, "what happened since is no history");
        store.write(&State::new(5, now)).await;
        store.begin(&State::new(7, now));
        assert_eq!(store.read(7, now).0.record(), 5);
        assert_eq!(store.read(3, now).0.record(), 3, "the journal was lost");
        fs::write(root.path().join("state/notifications.json"), "{").unwrap();
        let (state, problem) = store.read(9, now);
        assert_eq!(state.record(), 9);
        assert!(problem.is_some_and(|problem| problem.contains("was moved aside")));
        assert!(root.path().join("state/notifications.json.damaged").exists());
    }

    #[tokio::test]
    async fn a_disk_that_cannot_be_written_is_a_problem_until_it_can() {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::new(root.path());
        store.write(&State::new(5, Moment::default())).await;
        assert!(store.problem().is_some());
        fs::create_dir(root.path().join("state")).unwrap();
        store.write(&State::new(5, Moment::default())).await;
        assert_eq!(store.problem(), None);
        store.forget();
        store.forget();
        assert!(!root.path().join("state/notifications.json").exists());
    }
}
