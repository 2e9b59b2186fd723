//! gRPC's health protocol: whether a service is serving.
//!
//! A service is a module, by its name; the empty name stands for all modules together.
//! Source: `grpc/health/v1/health.proto` of the gRPC project.

use super::{Core, Standing, Subject, standing};
use crate::snapshot::Snapshot;

/// `HealthCheckResponse.ServingStatus`, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ServingStatus {
    /// The service is serving.
    Serving = 1,
    /// The service is not serving.
    NotServing = 2,
    /// There is no module of that name.
    ServiceUnknown = 3,
}

impl<'a> Subject<'a> {
    /// The subject of a service name.
    pub fn of_service(service: &'a str) -> Self {
        if service.is_empty() { Self::All } else { Self::Module(service) }
    }
}

/// The status of a service. While the core is stalled no service is serving, not even an unknown one: the snapshot
/// is outdated.
pub fn serving_status(snapshot: &Snapshot, core: Core, subject: Subject<'_>) -> ServingStatus {
    match standing(snapshot, core, subject) {
        Standing::Ready => ServingStatus::Serving,
        Standing::NoSuchModule => ServingStatus::ServiceUnknown,
        Standing::Begins | Standing::Stalled | Standing::NoModules | Standing::NotReady { .. } => {
            ServingStatus::NotServing
        }
    }
}
