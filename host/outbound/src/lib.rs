//! Data that the daemon sends, or lets others collect: notifications, telemetry, the metrics page.

pub mod exposition;
pub mod notify;
pub mod telemetry;
