//! Stores approvals in `state/approvals.json`. What needs approval is decided in [`bellwether_core::reload`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_core::reload::Approvals;
pub use bellwether_core::reload::{Approved, NotApproved};
use tokio::sync::oneshot;

use bellwether_os::atomic_file;

/// A user's approval of a version that waits for it.
#[derive(Debug)]
pub struct Approve {
    /// `checkers/http`, or only `http`.
    pub name: String,
    /// The digest of the version that the user has inspected, if specified.
    pub seen: Option<String>,
    /// The user, and the origin of the request.
    pub by: String,
    /// Receives the outcome, once it is on disk.
    pub answer: oneshot::Sender<Result<Approved, NotApproved>>,
}

fn path(root: &Path) -> PathBuf {
    root.join("state/approvals.json")
}

/// The stored approvals. A damaged file is moved aside, and reported in the second value.
pub(super) fn open(root: &Path) -> (Approvals, Option<String>) {
    let path = path(root);
    match read(&path) {
        Ok(approvals) => (approvals, None),
        Err(error) => {
            let aside = atomic_file::set_aside(&path);
            let problem =
                format!("state/approvals.json {aside}: {error}; the active versions count as approved");
            (Approvals::default(), Some(problem))
        }
    }
}

/// Writes the approvals; they are on disk when this returns.
pub(super) fn write(root: &Path, approvals: &Approvals) -> io::Result<()> {
    atomic_file::replace(&path(root), &serde_json::to_vec_pretty(approvals)?)
}

fn read(path: &Path) -> io::Result<Approvals> {
    match fs::read(path) {
        Ok(bytes) => {
            let approvals = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
            atomic_file::remember(path);
            Ok(approvals)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Approvals::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::grant::GrantRequest;

    use super::*;

    #[test]
    fn what_was_approved_and_asked_for_outlives_the_daemon() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        let (mut approvals, problem) = open(root.path());
        assert_eq!((approvals.asked("checkers/x.wasm"), problem), (None, None));
        let asks = vec![GrantRequest {
            kind: "connect".to_owned(),
            value: "127.0.0.1:80".to_owned(),
            reason: "to ask".to_owned(),
        }];
        approvals.activated("checkers/x.wasm", &asks);
        approvals.approve("checkers/x.wasm", "d1");
        write(root.path(), &approvals).unwrap();
        let (next, _) = open(root.path());
        assert_eq!(next.asked("checkers/x.wasm"), Some(asks.as_slice()));
        let approved = |what, digest| next.is_approved(what, digest);
        assert!(approved("checkers/x.wasm", "d1"));
        assert!(!approved("checkers/x.wasm", "d2") && !approved("checkers/y.wasm", "d1"));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_reported() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("state")).unwrap();
        fs::write(root.path().join("state/approvals.json"), "{").unwrap();
        let (_, problem) = open(root.path());
        assert!(problem.unwrap().contains("was moved aside"));
        assert!(root.path().join("state/approvals.json.damaged").exists());
    }
}
