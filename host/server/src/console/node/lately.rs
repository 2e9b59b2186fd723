//! Recent events of the modules: for each the last incident, the last automatic restart, and since when its file
//! has been rejected.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::record::RecordKind;

use crate::console::Handle;
use crate::console::frame::{Time, Times};
use bellwether_bus::Entry;
use bellwether_journal::RecordQuery;

/// The number of records of each kind that are read. Older ones are on the events page.
const LOOKED_AT: usize = 300;

/// Recent events of one module.
#[derive(Debug, Clone, Default)]
pub(super) struct Lately {
    /// Whether everything was read: an event that is missing here did not happen recently.
    pub(super) known: bool,
    /// The last incident and its time.
    pub(super) incident: Option<(Time, String)>,
    /// The time of the last automatic restart.
    pub(super) restart: Option<Time>,
}

/// The page does not wait longer for the journal.
const WITHIN: Duration = Duration::from_millis(300);

/// Ordered by the name of the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Whether all queries were answered in time.
    known: bool,
    modules: BTreeMap<String, Lately>,
    /// For each path, when the file was last rejected.
    refused: BTreeMap<String, Time>,
}

impl Recent {
    /// Reads from the journal. Queries that take too long count as unknown.
    pub(super) async fn read(daemon: &Handle, times: &Times) -> Self {
        let of_kind = |kind: &str| RecordQuery {
            kind: Some(kind.to_owned()),
            limit: LOOKED_AT,
            ..RecordQuery::default()
        };
        let queries = ["incident", "decision", "reload"].map(of_kind).to_vec();
        let read = tokio::time::timeout(WITHIN, daemon.records_of(queries)).await;
        let Ok(Ok(read)) = read else { return Self::default() };
        let mut recent = Self { known: true, ..Self::default() };
        for entry in read.iter().flatten() {
            recent.take(entry, || times.told(entry.timestamp(entry.at)));
        }
        recent
    }

    /// Records are ordered by time: the last one of its kind stays.
    fn take(&mut self, entry: &Entry, at: impl FnOnce() -> Time) {
        if let RecordKind::Reload { what, ok: false, .. } = &entry.kind {
            self.refused.insert(what.clone(), at());
            return;
        }
        let Some(module) = &entry.module else { return };
        let lately = self.modules.entry(module.to_string()).or_default();
        match &entry.kind {
            RecordKind::Incident { incident } => {
                let what = format!("checker `{}`: {}", incident.checker, incident.summary);
                lately.incident = Some((at(), what));
            }
            RecordKind::Decision { decision, .. } if decision.starts_with("restart") => {
                lately.restart = Some(at());
            }
            _ => {}
        }
    }

    /// The recent events of one module.
    pub(super) fn of(&self, module: &str) -> Lately {
        Lately { known: self.known, ..self.modules.get(module).cloned().unwrap_or_default() }
    }

    /// When this file was last rejected.
    pub(super) fn refused(&self, file: &str) -> Option<Time> {
        self.refused.get(file).cloned()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::id::NodeName;
    use bellwether_core::moment::Moment;
    use bellwether_core::plan::Incident;
    use bellwether_core::record::Record;

    use super::*;

    fn entry(kind: RecordKind) -> Entry {
        let node = NodeName::new("n1").unwrap();
        let record =
            Record { seq: 1, at: Moment::default(), node, module: Some("web".parse().unwrap()), kind };
        Entry { record, wall: 0 }
    }

    fn time(clock: &str) -> Time {
        Time { utc: String::new(), clock: clock.to_owned(), ago: String::new() }
    }

    #[test]
    fn the_last_incident_and_the_last_automatic_restart_of_each_module_are_kept() {
        let incident = |summary: &str| {
            let checker = "home".parse().unwrap();
            let at = Moment::default();
            RecordKind::Incident {
                incident: Incident { at, checker, summary: summary.into(), observations: Vec::new() },
            }
        };
        let decision =
            |decision: &str| RecordKind::Decision { decision: decision.into(), reason: "x".into() };
        let mut recent = Recent::default();
        for (kind, at) in [
            (incident("refused"), "1"),
            (decision("restart (number 1 of 3 within 1d)"), "2"),
            (incident("timed out"), "3"),
            (decision("stop: 3 automatic restarts are used up"), "4"),
        ] {
            recent.take(&entry(kind), || time(at));
        }
        let lately = recent.of("web");
        assert_eq!(lately.incident, Some((time("3"), "checker `home`: timed out".to_owned())));
        assert_eq!(lately.restart, Some(time("2")));
        assert!(recent.of("db").incident.is_none());
    }

    #[test]
    fn what_could_not_be_read_is_not_called_none() {
        assert!(!Recent::default().of("web").known);
        let recent = Recent { known: true, ..Recent::default() };
        assert!(recent.of("web").known);
    }

    #[test]
    fn a_refused_file_says_since_when() {
        let mut recent = Recent::default();
        let reload = |ok| RecordKind::Reload { what: "modules/db.toml".into(), ok, detail: String::new() };
        recent.take(&entry(reload(false)), || time("1"));
        recent.take(&entry(reload(true)), || time("2"));
        assert_eq!(recent.refused("modules/db.toml"), Some(time("1")));
        assert_eq!(recent.refused("modules/web.toml"), None);
    }
}
