//! Versions of components that request more grants than the one before, until a user approves them.
//!
//! ```text
//!   new version ──asks for more than──▶ the version before it, and than modules grant?
//!        │ no                                      │ yes
//!        ▼                                         ▼
//!     active ◀────approved, or granted──────── waits, the old version stays active
//! ```
//! The grants that the active version requests are stored, too: otherwise a restart would activate any version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::FileKey;
use super::{Action, Reload};
use crate::grant::GrantRequest;
use crate::id::RequestId;
use crate::record::RecordKind;

/// A version that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The digest of its file.
    pub digest: String,
    /// The version in its own description.
    pub version: String,
    /// The requested grants beyond the version before it and the existing grants, in the notation of grants.
    pub asks: Vec<String>,
}

/// The result of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The component's file: `checkers/http.wasm`.
    pub what: String,
    /// The version that waited.
    pub version: Waiting,
}

/// Why nothing was approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// No version of that file is waiting.
    #[error("no version of `{0}` waits for approval")]
    NothingWaits(String),
    /// A checker and a restart script have that name.
    #[error("both checkers/{0} and restart-scripts/{0} wait for approval")]
    Ambiguous(String),
    /// The waiting version is not the one that the user has inspected.
    #[error("another version of `{0}` is waiting than the one that you reviewed")]
    Moved(String),
    /// The approval could not be stored.
    #[error("the approval cannot be stored: {0}")]
    NotWritten(String),
    /// The daemon no longer accepts requests.
    #[error("the daemon is shutting down")]
    Ending,
}

/// The file that the user means, of those that wait.
fn meant(name: &str, waiting: &BTreeMap<FileKey, Waiting>) -> Result<FileKey, NotApproved> {
    let bare = name.strip_suffix(".wasm").unwrap_or(name);
    let (folder, stem) = bare.split_once('/').map_or((None, bare), |(folder, stem)| (Some(folder), stem));
    let wanted =
        |file: &&FileKey| file.stem == stem && folder.is_none_or(|folder| file.folder.name() == folder);
    let mut found = waiting.keys().filter(wanted);
    match (found.next(), found.next()) {
        (None, _) => Err(NotApproved::NothingWaits(bare.to_owned())),
        (Some(file), None) => Ok(file.clone()),
        (Some(_), Some(_)) => Err(NotApproved::Ambiguous(stem.to_owned())),
    }
}

/// In the notation of a module's file, as far as there is one.
pub(super) fn shown(request: &GrantRequest) -> String {
    format!("{} {}", request.kind, request.value).trim_end().to_owned()
}

/// Approvals and requested grants, by file: `checkers/http.wasm`. Stored across daemons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// The requested grants of the version that was active last.
    #[serde(default)]
    asked: BTreeMap<String, Vec<GrantRequest>>,
    /// The digest of the version that a user has approved.
    #[serde(default)]
    approved: BTreeMap<String, String>,
}

impl Approvals {
    /// The requested grants of the last active version of this file.
    pub fn asked(&self, what: &str) -> Option<&[GrantRequest]> {
        self.asked.get(what).map(Vec::as_slice)
    }

    /// Whether a user has approved exactly this version.
    pub fn is_approved(&self, what: &str, digest: &str) -> bool {
        self.approved.get(what).is_some_and(|approved| approved == digest)
    }

    /// A user has approved this version.
    pub fn approve(&mut self, what: &str, digest: &str) {
        self.approved.insert(what.to_owned(), digest.to_owned());
    }

    /// A version with these requests has become active. Returns whether they differ from before.
    pub fn activated(&mut self, what: &str, asks: &[GrantRequest]) -> bool {
        let differs = self.asked(what) != Some(asks);
        if differs {
            self.asked.insert(what.to_owned(), asks.to_vec());
        }
        differs
    }
}

/// An approval that is being written to disk.
#[derive(Debug)]
pub(super) struct Approving {
    file: FileKey,
    version: Waiting,
    by: String,
}

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    /// A user approves a version: it counts once that is on disk.
    pub(super) fn approve(&mut self, request: RequestId, name: &str, seen: Option<&str>, by: String) {
        match self.approvable(name, seen) {
            Ok((file, version)) => {
                self.approving.insert(request, Approving { file, version, by });
                let approvals = self.approvals_to_write();
                self.actions.push(Action::Write { approvals, request: Some(request) });
            }
            Err(why) => self.actions.push(Action::Answer { request, answer: Err(why) }),
        }
    }

    fn approvable(&self, name: &str, seen: Option<&str>) -> Result<(FileKey, Waiting), NotApproved> {
        let file = meant(name, &self.waiting)?;
        let nothing = || NotApproved::NothingWaits(name.to_owned());
        let version = self.waiting.get(&file).cloned().ok_or_else(nothing)?;
        if seen.is_some_and(|seen| seen != version.digest) {
            return Err(NotApproved::Moved(name.to_owned()));
        }
        Ok((file, version))
    }

    /// The approval is on disk, or could not be written.
    pub(super) fn written(&mut self, request: RequestId, result: Result<(), String>) {
        let Some(Approving { file, version, by }) = self.approving.remove(&request) else { return };
        let what = file.name();
        let answer = result.map_err(NotApproved::NotWritten).map(|()| {
            self.approvals.approve(&what, &version.digest);
            self.undecided = true;
            let (digest, asks) = (version.digest.clone(), version.asks.clone());
            let kind = RecordKind::Approval { what: what.clone(), digest, asks, by: Some(by) };
            self.actions.push(Action::Note { module: None, kind });
            Approved { what, version }
        });
        // Answered after its consequences: see `handle`.
        self.answers.push((request, answer));
    }

    /// A version with these requests is active from now on.
    pub(super) fn remember_asked(&mut self, file: &FileKey, asks: &[GrantRequest]) {
        if self.approvals.activated(&file.name(), asks) {
            let approvals = self.approvals_to_write();
            self.actions.push(Action::Write { approvals, request: None });
        }
    }

    /// All of them, including those that are being written: each write replaces the whole file.
    fn approvals_to_write(&self) -> Approvals {
        let mut approvals = self.approvals.clone();
        for Approving { file, version, .. } in self.approving.values() {
            approvals.approve(&file.name(), &version.digest);
        }
        approvals
    }

    /// Shows the requests of each version that waits; they are recorded once.
    pub(super) fn show_waiting(&mut self) {
        for (file, waiting) in self.waiting.clone() {
            let what = file.name();
            let asks = waiting.asks.join(", ");
            let name = what.trim_end_matches(".wasm");
            let why = format!(
                "waits for approval: it requests {asks}; grant it, or let it run without: bellwether approve {name}"
            );
            let (digest, asks) = (waiting.digest.clone(), waiting.asks.clone());
            if self.show(&file, why, None, Some(waiting)) {
                let kind = RecordKind::Approval { what, digest, asks, by: None };
                self.actions.push(Action::Note { module: None, kind });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::Folder;
    use super::*;

    #[test]
    fn what_was_approved_and_asked_for_reads_back_the_same() {
        let mut approvals = Approvals::default();
        assert_eq!(approvals.asked("checkers/x.wasm"), None);
        let asks = vec![GrantRequest {
            kind: "connect".to_owned(),
            value: "127.0.0.1:80".to_owned(),
            reason: "to ask".to_owned(),
        }];
        assert!(approvals.activated("checkers/x.wasm", &asks));
        assert!(!approvals.activated("checkers/x.wasm", &asks), "nothing new");
        approvals.approve("checkers/x.wasm", "d1");
        let next: Approvals = serde_json::from_str(&serde_json::to_string(&approvals).unwrap()).unwrap();
        assert_eq!(next.asked("checkers/x.wasm"), Some(asks.as_slice()));
        let approved = |what, digest| next.is_approved(what, digest);
        assert!(approved("checkers/x.wasm", "d1"));
        assert!(!approved("checkers/x.wasm", "d2") && !approved("checkers/y.wasm", "d1"));
    }

    #[test]
    fn a_name_means_the_one_that_waits_under_it() {
        let version = Waiting { digest: "d".to_owned(), version: "1".to_owned(), asks: Vec::new() };
        let key = |folder, stem: &str| FileKey { folder, stem: stem.to_owned() };
        let (tcp, script) = (key(Folder::Checkers, "tcp"), key(Folder::RestartScripts, "tcp"));
        let both = BTreeMap::from([(tcp.clone(), version.clone()), (script.clone(), version.clone())]);
        for (name, file) in
            [("checkers/tcp", &tcp), ("checkers/tcp.wasm", &tcp), ("restart-scripts/tcp", &script)]
        {
            assert_eq!(meant(name, &both).as_ref(), Ok(file));
        }
        assert_eq!(meant("tcp", &both), Err(NotApproved::Ambiguous("tcp".to_owned())));
        assert_eq!(meant("http", &both), Err(NotApproved::NothingWaits("http".to_owned())));
        let one = BTreeMap::from([(tcp.clone(), version)]);
        assert_eq!(meant("tcp", &one), Ok(tcp));
        assert!(meant("restart-scripts/tcp", &one).is_err());
    }
}
