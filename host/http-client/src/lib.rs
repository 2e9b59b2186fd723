//! Connections that the daemon makes to other hosts, for components and for itself.
//!
//! ```text
//!   HTTP:  target ──▶ direct, or through the operator's proxy ──▶ TLS, if https ──▶ request, answer
//!   bytes: HOST:PORT ──▶ direct ──────────────────────────────▶ TLS, if wanted ──▶ a stream
//! ```
//! It judges nothing: whether a component may reach an address is asked of the caller, for each address that a
//! name leads to.

mod client;
mod direct;
mod failed;
mod request;
mod target;
mod trust;
mod tunnel;

pub use self::client::{HttpClient, LookUp, NoConnection, Stream};
pub use self::direct::{NotOpened, Opened, Tls};
pub use self::failed::{Cause, CertificateFault, Failed};
pub use self::request::NotAnswered;
pub use self::target::Target;
