//! What the daemon sends out, or lets others collect: notifications, telemetry, the metrics page.

pub mod exposition;
pub mod notify;
pub mod telemetry;
