//! gRPC's health protocol: of a service, whether it serves.
//!
//! A service is a module, by its name; the empty name stands for all modules together.
//! Source: `grpc/health/v1/health.proto` of the gRPC project.

use super::{Core, Standing, Subject, standing};
use crate::snapshot::Snapshot;

/// `HealthCheckResponse.ServingStatus`, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ServingStatus {
    /// Yes.
    Serving = 1,
    /// No.
    NotServing = 2,
    /// There is no module of that name.
    ServiceUnknown = 3,
}

impl<'a> Subject<'a> {
    /// What a service of gRPC's health protocol stands for.
    pub fn of_service(service: &'a str) -> Self {
        if service.is_empty() { Self::All } else { Self::Module(service) }
    }
}

/// Whether a service serves. While the core has stalled no service does, also none that does not exist: the
/// snapshot is old.
pub fn serving_status(snapshot: &Snapshot, core: Core, subject: Subject<'_>) -> ServingStatus {
    match standing(snapshot, core, subject) {
        Standing::Ready => ServingStatus::Serving,
        Standing::NoSuchModule => ServingStatus::ServiceUnknown,
        Standing::Begins | Standing::Stalled | Standing::NoModules | Standing::NotReady { .. } => {
            ServingStatus::NotServing
        }
    }
}
