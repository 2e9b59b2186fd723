//! `[console]` of the node: the console and the API for browsers and programs.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use super::mistake::Findings;
use super::pair::pair;
use super::source::Located;
use super::spec::ConsoleSpec;

/// The console and the API for browsers and for programs on other hosts. Both require a sign-in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ConsoleTable {
    /// Whether there is a console. Default: true.
    enabled: Option<bool>,
    /// The address and port of the console. Default: `"127.0.0.1:9013"`, which only this host can reach; with
    /// `"0.0.0.0:9013"` other hosts can reach it, always over HTTPS.
    #[schemars(example = &"0.0.0.0:9013")]
    listen: Option<Located<String>>,
    /// A file with the certificate for HTTPS and its intermediate certificates (PEM); relative to the root. A
    /// changed file takes effect within seconds. Default: a self-signed one; on the loopback none, and plain
    /// HTTP.
    #[schemars(example = &"/etc/ssl/console.pem")]
    certificate: Option<Located<String>>,
    /// A file with the private key of the certificate (PEM); relative to the root.
    #[schemars(example = &"/etc/ssl/private/console.key")]
    key: Option<Located<String>>,
    /// Names and addresses of the console, in addition to the host name: they are in the self-signed
    /// certificate, and requests for other host names are rejected.
    #[schemars(example = ["console.example.org"])]
    names: Option<Vec<Located<String>>>,
    /// The address of the console for people: notifications link to the page of the module. Default:
    /// `https://`, the first of `names` and the port; without `names`, or on the loopback, no link.
    #[schemars(example = &"https://console.example.org")]
    url: Option<Located<String>>,
}

/// The default address of the console.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9013);
/// The maximum length of a domain name (RFC 1035).
const MAX_NAME: usize = 253;

impl ConsoleTable {
    /// `None` if there is no console. `listen` gets the address of the file, if it is valid.
    pub(super) fn spec(
        &self,
        findings: &mut Findings<'_>,
        listen: impl FnOnce(&mut Findings<'_>, &Located<String>) -> Option<SocketAddr>,
    ) -> Option<ConsoleSpec> {
        let configured = self.listen.as_ref().and_then(|text| listen(findings, text));
        let pair = pair(findings, "console", self.certificate.as_ref(), self.key.as_ref());
        let mut names = Vec::new();
        for name in self.names.iter().flatten() {
            if is_host(name.get()) {
                names.push(name.get().to_lowercase());
            } else {
                findings
                    .at(name.span(), format!("`{}` is neither a host's name nor an address", name.get()))
                    .expected("expected a name such as \"console.example.org\", without a port");
            }
        }
        let url = self.url.as_ref().and_then(|url| address(findings, url));
        self.enabled.unwrap_or(true).then(|| ConsoleSpec {
            url,
            listen: configured.unwrap_or(DEFAULT_LISTEN),
            configured: configured.is_some(),
            pair,
            names,
        })
    }
}

/// Without a slash at its end.
fn address(findings: &mut Findings<'_>, url: &Located<String>) -> Option<String> {
    let parsed: Option<http::Uri> = url.get().parse().ok();
    let is_address = |uri: &http::Uri| {
        matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path() == "/"
            && uri.query().is_none()
    };
    if parsed.as_ref().is_some_and(is_address) {
        return Some(url.get().trim_end_matches('/').to_owned());
    }
    findings
        .at(url.span(), format!("`{}` is not the address of a console", url.get()))
        .expected("expected an address such as \"https://console.example.org\", without a path");
    None
}

pub(super) fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len())
            && label.chars().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_NAME && text.split('.').all(label)
}
