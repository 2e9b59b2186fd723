//! Interprets the state that an application reports by `sd_notify(3)`, for its process checker. Pure.

use bellwether_core::moment::plain;
use bellwether_core::observation::{Measurement, Observation, Status};

use bellwether_os::process::notified::{Hang, Notified, Stage};

/// What it should have reported and has not, or its report that it cannot continue.
pub(super) fn complaint(notified: &Notified) -> Option<(Status, String)> {
    let (status, complaint) = match (notified.stage, notified.hangs) {
        (Stage::Starting, _) => (Status::Fail, "has not reported yet that it is ready (READY=1)".to_owned()),
        (Stage::Missed, _) => {
            let text = "has not reported that it is ready (READY=1), or did so while no daemon ran";
            (Status::Unknown, text.to_owned())
        }
        (Stage::Stopping, _) => (Status::Fail, "reports that it is stopping (STOPPING=1)".to_owned()),
        (Stage::Ready, Some(Hang::Silent)) => {
            let within =
                notified.watchdog.map(|within| format!(" for {}", plain(within))).unwrap_or_default();
            (Status::Fail, format!("has sent no watchdog message (WATCHDOG=1){within}"))
        }
        (Stage::Ready, Some(Hang::Said)) => {
            (Status::Fail, "reports that it has failed (WATCHDOG=trigger)".to_owned())
        }
        (Stage::Ready, None) => return None,
    };
    let said = notified.status.as_ref().map(|status| format!(": {status}")).unwrap_or_default();
    Some((status, format!("{complaint}{said}")))
}

/// The progress of its start, and whether it hangs.
pub(super) fn add_what_it_says(observation: &mut Observation, notified: &Notified) {
    // Each request for more time counts as progress.
    if notified.is_starting() && notified.extended > 0 {
        let (name, value) = ("progress".to_owned(), f64::from(notified.extended));
        observation.measurements.push(Measurement { name, value, unit: String::new() });
    }
    if notified.stage == Stage::Ready && notified.hangs.is_some() {
        observation.attributes.push(("hang".to_owned(), "true".to_owned()));
    }
}
