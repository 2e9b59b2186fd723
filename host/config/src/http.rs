//! `[http]` of the node: how the host makes the requests of components.

use std::path::Path;

use bellwether_core::grant::ProxyRules;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::Deserialize;

use super::mistake::{Findings, Mistake, Mistakes};
use super::source::{Located, Sourced, Step};
use super::spec::{HttpSpec, NodeSpec};
use crate::certificate::{FileError, read_certificates};

/// How the host makes the HTTP requests that components are granted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct HttpTable {
    /// A file of certificates (PEM) that are trusted in addition to the system's; relative to the root.
    #[schemars(example = &"/etc/ssl/own-ca.pem")]
    ca_bundle: Option<Located<String>>,
    /// The proxy for requests. It resolves names itself.
    #[schemars(example = &"http://proxy:3128")]
    proxy: Option<Located<String>>,
    /// Addresses, networks and names that are reached without the proxy; `*.internal` stands for all names
    /// below `internal`.
    #[schemars(example = ["10.0.0.0/8", "*.internal"])]
    no_proxy: Option<Vec<Located<String>>>,
}

impl HttpTable {
    pub(super) fn spec(&self, findings: &mut Findings<'_>) -> HttpSpec {
        let proxy = self.proxy.as_ref().and_then(|text| {
            let parsed = text.get().parse();
            let what = "expected a URL such as \"http://proxy:3128\"";
            parsed.map_err(|error| wrong(findings, text, "proxy", &error, what)).ok()
        });
        let mut direct = Vec::new();
        for text in self.no_proxy.iter().flatten() {
            let what = "expected a host such as \"127.0.0.1\", \"10.0.0.0/8\" or \"*.internal\"";
            match text.get().parse() {
                Ok(host) => direct.push(host),
                Err(error) => wrong(findings, text, "no-proxy", &error, what),
            }
        }
        HttpSpec {
            rules: ProxyRules { proxy, direct },
            ca_bundle: self.ca_bundle.as_ref().map(|path| path.get().into()),
            authorities: Vec::new(),
        }
    }
}

fn wrong(
    findings: &mut Findings<'_>,
    text: &Located<String>,
    key: &str,
    error: &bellwether_core::grant::NotationError,
    expected: &str,
) {
    let mistake = findings.at(text.span(), format!("`{key}` is invalid: {error}"));
    mistake.expected(expected);
    mistake.help.clone_from(&error.help);
}

/// The maximum size of a bundle, in bytes.
const MAX_BUNDLE: u64 = 4 << 20;

/// Loads the certificates of the bundle that the node's file names.
pub(super) fn with_bundle(root: &Path, mut node: Sourced<NodeSpec>) -> Result<Sourced<NodeSpec>, Mistakes> {
    let Some(path) = &node.spec.http.ca_bundle else { return Ok(node) };
    match certificates(&root.join(path)) {
        Ok(authorities) => {
            node.spec.http.authorities = authorities;
            Ok(node)
        }
        Err(why) => {
            let span = node.source.locate(&[Step::Key("http"), Step::Key("ca-bundle")]);
            let mut mistake = Mistake::new(&node.source, span, format!("`ca-bundle` {why}"));
            mistake.expected("expected a file of certificates in PEM (-----BEGIN CERTIFICATE-----)");
            Err(mistake.into())
        }
    }
}

/// Why a bundle cannot be used. Follows its key in a sentence.
#[derive(Debug, thiserror::Error)]
enum BadBundle {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("contains a certificate that cannot be used, number {number}: {error}")]
    Certificate { number: usize, error: rustls::Error },
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadBundle> {
    let found = read_certificates(path, MAX_BUNDLE)?;
    let mut roots = RootCertStore::empty();
    for (index, certificate) in found.iter().enumerate() {
        let added = roots.add(certificate.clone());
        added.map_err(|error| BadBundle::Certificate { number: index + 1, error })?;
    }
    Ok(found)
}
