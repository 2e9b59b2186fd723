//! What nodes send each other, beside the frames of the membership: JSON, of which only fields are added.

use bellwether_core::id::NodeName;
use bellwether_farm::id::FarmId;
use bellwether_farm::roster::{Removal, Roster};
use serde::{Deserialize, Serialize};

/// Paths on the node port. The number is that of the protocol.
pub(crate) const HELLO: &str = "/farm/1/hello";
pub(crate) const JOIN: &str = "/farm/1/join";
pub(crate) const STREAM: &str = "/farm/1/stream";
pub(crate) const ROSTER: &str = "/farm/1/roster";
pub(crate) const RENEW: &str = "/farm/1/renew";
pub(crate) const AUTHORITY_KEY: &str = "/farm/1/authority-key";
/// Before the path of a forwarded API request.
pub(crate) const FORWARDED: &str = "/farm/1";
pub(crate) const API: &str = "/farm/1/api/";

/// Who makes a forwarded request.
pub(crate) const USER: &str = "x-bellwether-user";
pub(crate) const ROLE: &str = "x-bellwether-role";

/// The longest JSON document, in bytes: a roster with 256 members and 1024 removals.
pub(crate) const LONGEST: usize = 2 << 20;
/// The longest document of a node that is not a member.
pub(crate) const LONGEST_OF_STRANGERS: usize = 16 << 10;

/// What anyone is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) farm: FarmId,
    pub(crate) node: NodeName,
    pub(crate) version: String,
    /// The wall clock, in milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

/// What a node sends to become a member.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JoinRequest {
    pub(crate) secret: String,
    /// A request for a certificate, in PEM.
    pub(crate) request: String,
    pub(crate) name: NodeName,
    /// How others reach it; if there is none, where it is seen, with the port.
    #[serde(default)]
    pub(crate) address: Option<String>,
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) zone: Option<String>,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) replace: Option<NodeName>,
}

/// What a new member gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct JoinAnswer {
    /// Its certificate, in PEM.
    pub(crate) certificate: String,
    /// The certificates of the farm's authorities, in PEM.
    pub(crate) authorities: String,
    pub(crate) roster: Roster,
    /// The key of the authority, in PEM, if too few nodes hold it.
    #[serde(default)]
    pub(crate) authority_key: Option<String>,
}

/// Asks for another certificate for the same key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RenewRequest {
    pub(crate) request: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RenewAnswer {
    pub(crate) certificate: String,
}

/// The key of the authority, for a member that is to hold it.
#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorityKey {
    pub(crate) key: String,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// A sentence for the person at the other end.
    pub(crate) detail: String,
    /// That the node which asks was removed from the farm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removal: Option<Removal>,
}
