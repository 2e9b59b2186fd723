//! Whether a host on the network answers.

use std::time::Duration;

/// A host answered: [`Run::ping`](crate::Run::ping) asks one.
///
/// ```
/// use std::time::Duration;
/// use bellwether_guest::prelude::*;
///
/// fn check(run: &Run) -> Observation {
///     match run.ping("gw.internal") {
///         Ok(reply) => Observation::pass(format!("{} answers", reply.address))
///             .measure("round-trip", reply.round_trip.as_secs_f64() * 1000.0, "ms"),
///         Err(error) => error.into(), // no answer: fail; not granted: unknown
///     }
/// }
///
/// let run = Run::for_test().with_ping("gw.internal", Duration::from_millis(2));
/// assert_eq!(check(&run).status, Status::Pass);
/// assert_eq!(check(&Run::for_test()).status, Status::Unknown);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingReply {
    /// The time from request to reply.
    pub round_trip: Duration,
    /// The address that answered.
    pub address: String,
}
