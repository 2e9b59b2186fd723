//! Looked at, settled: when the folders are scanned, and what has changed there.

use std::time::Duration;

use super::file::{FileKey, Folder, Listing, OnDisk};
use super::pending::Stage;
use super::settle::look;
use super::vanishing::{Missing, Vanishing};
use super::{Action, Reload};
use crate::moment::Moment;

/// While something is changing, the folders are scanned again after this time: if a writer pauses for longer, its
/// file is read in between, rejected, and read again when the writer continues.
pub(super) const SETTLE: Duration = Duration::from_millis(120);
/// The shortest time between two scans, however many hints there are.
pub(super) const BREATH: Duration = Duration::from_millis(20);

/// When the next scan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// After the regular interval.
    Regular,
    /// Soon, because there was a hint.
    Hinted,
    /// Soon, because something is changing.
    Changing,
}

/// The result of the last scan of the folders.
#[derive(Debug)]
pub(super) struct Folders {
    /// The interval of scans without a hint.
    rescan: Duration,
    looked: Moment,
    pace: Pace,
    under_way: bool,
    /// The files that have been loaded or are being loaded.
    pub(super) known: Listing<FileKey>,
    /// The files at the previous scan.
    before: Listing<FileKey>,
    vanishing: Vanishing,
    /// Whether problems were shown after the last scan.
    has_problems: bool,
}

impl Folders {
    pub(super) fn new(rescan: Duration) -> Self {
        Self {
            rescan,
            looked: Moment::default(),
            pace: Pace::Regular,
            under_way: false,
            known: Listing::new(),
            before: Listing::new(),
            vanishing: Vanishing::default(),
            has_problems: false,
        }
    }

    /// When to scan next; `None` during a scan.
    pub(super) fn next(&self) -> Option<Moment> {
        let wait = match self.pace {
            Pace::Regular => self.rescan,
            Pace::Hinted => BREATH,
            Pace::Changing => SETTLE,
        };
        (!self.under_way).then_some(self.looked + wait)
    }

    /// Whether a hint makes the next scan earlier.
    pub(super) fn heeds_hints(&self) -> bool {
        self.pace == Pace::Regular && !self.under_way
    }

    pub(super) fn hint(&mut self) {
        if self.pace == Pace::Regular {
            self.pace = Pace::Hinted;
        }
    }

    fn looked(&mut self, is_changing: bool, now: Moment) {
        (self.looked, self.under_way) = (now, false);
        self.pace = if is_changing { Pace::Changing } else { Pace::Regular };
    }

    /// Scans are regular from now on.
    pub(super) fn begun(&mut self, now: Moment) {
        self.looked(false, now);
    }
}

impl<M: Clone + PartialEq, C: Clone> Reload<M, C> {
    pub(super) fn ask_for_look(&mut self, confirmed: bool) {
        self.folders.under_way = true;
        self.actions.push(Action::Look { confirmed });
    }

    /// A user wants everything to be read again. Active components stay active. If the trusted signatures have
    /// changed, components that were rejected may be valid now, and those that wait may no longer be.
    pub(super) fn look_now(&mut self, rescan: Duration, trust_changed: bool) {
        self.folders.rescan = rescan;
        if trust_changed {
            self.reconsider_stored();
            let stale = |stage: &Stage<M, C>| match stage {
                Stage::Loading(_)
                | Stage::Component { .. }
                | Stage::Trying { .. }
                | Stage::Refused { .. } => true,
                Stage::Writing | Stage::Module(_) | Stage::Mistaken => false,
            };
            for file in self.pending.files(stale) {
                self.load_again(&file);
            }
        }
        self.ask_for_look(true);
    }

    /// At the start, files are loaded without waiting for two equal scans.
    pub(super) fn begin(&mut self, on_disk: OnDisk, now: Moment) {
        self.believe(&on_disk, false, now);
        let files: Vec<FileKey> = on_disk.files.keys().cloned().collect();
        (self.folders.known, self.folders.before) = (on_disk.files.clone(), on_disk.files);
        self.take_over();
        for file in &files {
            self.load(file);
        }
    }

    pub(super) fn not_looked(&mut self, now: Moment) {
        self.folders.looked(false, now);
    }

    /// Handles the result of a scan.
    pub(super) fn looked(&mut self, on_disk: OnDisk, confirmed: bool, now: Moment) {
        let missing = self.believe(&on_disk, confirmed, now);
        let present = on_disk.files;
        let seen = look(&self.folders.known, &self.folders.before, &present);
        // Files may have waited for one that existed only briefly.
        self.undecided |= self.pending.iter().any(|(file, _)| !present.contains_key(file));
        let known = &self.folders.known;
        self.pending.retain(|file| known.contains_key(file) || present.contains_key(file));
        for file in &seen.changing {
            self.pending.changed(file, Stage::Writing);
            self.undecided = true;
        }
        for file in &missing.gone {
            self.folders.known.remove(file);
            self.remove(file, now);
        }
        // A renamed module is removed first: its application is taken over, not started twice.
        let held = missing.held.contains(&Folder::Modules);
        for file in &seen.ready {
            if held && file.folder == Folder::Modules && !self.folders.known.contains_key(file) {
                continue;
            }
            if let Some(stamp) = present.get(file) {
                self.folders.known.insert(file.clone(), *stamp);
                self.load(file);
            }
        }
        let is_changing = !seen.changing.is_empty() || !missing.unsettled.is_empty();
        if !is_changing {
            self.reread_mistaken();
        }
        self.folders.before = present;
        self.folders.looked(is_changing, now);
    }

    /// Decides which of the missing files are gone, and shows those that may not have been removed.
    fn believe(&mut self, on_disk: &OnDisk, confirmed: bool, now: Moment) -> Missing {
        let folders = &mut self.folders;
        let mut missing = folders.vanishing.look(&folders.known, on_disk, confirmed, now);
        let had_problems = std::mem::replace(&mut folders.has_problems, !missing.problems.is_empty());
        if had_problems || folders.has_problems {
            self.actions.push(Action::Diagnostics(std::mem::take(&mut missing.problems)));
        }
        missing
    }
}
