//! `[farm]` of the node: how the other nodes of the farm reach this one.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bellwether_core::id::NodeName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::console::is_host;
use super::field;
use super::mistake::Findings;
use super::source::Located;
use super::spec::FarmSpec;

/// How the other nodes of the farm reach this one. Without a farm, nothing of it is used.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FarmTable {
    /// The address and port for the other nodes, always with TLS. It is opened only while this node is in a
    /// farm. Default: `"0.0.0.0:9014"`.
    #[schemars(example = &"0.0.0.0:9014")]
    listen: Option<Located<String>>,
    /// The address and port by which the other nodes reach this one, if it is another than that of `listen`: behind
    /// a translation of addresses, or a name. Default: the address by which it is seen, and the port of `listen`.
    #[schemars(example = &"10.0.0.5:9014")]
    address: Option<Located<String>>,
    /// The zone (data centre, room, rack) that this node is in. The console groups nodes by it. Default: none.
    #[schemars(example = &"eu-1a")]
    zone: Option<Located<String>>,
}

/// The default address of the listener.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9014);

impl FarmTable {
    /// `listen` gets the address of the file, if it is valid.
    pub(super) fn spec(
        &self,
        findings: &mut Findings<'_>,
        listen: impl FnOnce(&mut Findings<'_>, &Located<String>) -> Option<SocketAddr>,
    ) -> FarmSpec {
        let configured = self.listen.as_ref().and_then(|text| listen(findings, text));
        let address = self.address.as_ref().and_then(|text| reached_at(findings, text));
        // The same rules as for names: it is shown and compared, and nothing else is known of it.
        let zone = self.zone.as_ref().and_then(|text| field::name(findings, text, NodeName::new));
        FarmSpec {
            listen: configured.unwrap_or(DEFAULT_LISTEN),
            address,
            zone: zone.map(|zone| zone.as_str().to_owned()),
        }
    }
}

/// A host and a port, in lower case.
fn reached_at(findings: &mut Findings<'_>, text: &Located<String>) -> Option<String> {
    if is_host_with_port(text.get()) {
        return Some(text.get().to_lowercase());
    }
    findings
        .at(text.span(), format!("`{}` is not the address of a node", text.get()))
        .expected("expected a host and a port such as \"10.0.0.5:9014\" or \"[2001:db8::5]:9014\"");
    None
}

fn is_host_with_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    // An IPv6 address stands in brackets before a port.
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match inner {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_unspecified()),
        None => is_host(host) && !host.contains(':') && host.parse() != Ok(Ipv4Addr::UNSPECIFIED),
    };
    is_port && is_host
}
