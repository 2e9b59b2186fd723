//! What the links need to know of this node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use bellwether_bus::diagnostics::Diagnostics;
use bellwether_bus::recorder::Recorder;
use bellwether_core::id::NodeName;
use bellwether_os::clock::Clock;

use crate::authority::NODE_LIFE;
use crate::serve::Serve;

/// What the links need to know of this node.
#[derive(Clone)]
pub struct Settings {
    /// The folder that has everything of the farm: `state/farm`. It need not exist.
    pub folder: PathBuf,
    /// The name of this node, which others see.
    pub node: NodeName,
    /// The version of this program.
    pub version: String,
    /// The address to listen on for other nodes. Opened only while this node is a member.
    pub listen: SocketAddr,
    /// How other nodes reach this one, `HOST:PORT`; derived if there is none.
    pub address: Option<String>,
    /// The zone of this node, if it has one.
    pub zone: Option<String>,
    /// The daemon's time line.
    pub clock: Clock,
    /// For records of what happens in the farm.
    pub recorder: Recorder,
    /// For present problems, such as a listener that cannot be opened.
    pub problems: Diagnostics,
    /// Answers API requests that other nodes forward.
    pub serve: Arc<dyn Serve>,
}

/// What only tests change.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// By how much the wall clock of this node is wrong, in milliseconds.
    pub(crate) wall_off_ms: Arc<AtomicI64>,
    /// How long the certificates are valid that this node issues, in seconds.
    pub(crate) certificate_life: i64,
    /// How long invitations are valid, in seconds. May be negative.
    pub(crate) invitation_life: i64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { wall_off_ms: Arc::default(), certificate_life: NODE_LIFE, invitation_life: 3_600 }
    }
}
