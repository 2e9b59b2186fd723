//! `certificate` and `key` of a table of the node's file: the TLS certificate of a listener.

use std::path::Path;

use super::mistake::{Findings, Mistake, Mistakes};
use super::source::{Located, Sourced, Step};
use super::spec::NodeSpec;
use crate::certificate::{Pair, PairError, PairFiles};

/// Both files, if they are given.
pub(super) fn pair(
    findings: &mut Findings<'_>,
    table: &str,
    certificate: Option<&Located<String>>,
    key: Option<&Located<String>>,
) -> Option<PairFiles> {
    let (given, missing, file) = match (certificate, key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => {
            return Some(PairFiles { certificate: certificate.get().into(), key: key.get().into() });
        }
        (Some(given), None) => (given, "key", format!("/etc/ssl/private/{table}.key")),
        (None, Some(given)) => (given, "certificate", format!("/etc/ssl/{table}.pem")),
    };
    if !findings.is_incomplete(&format!("{table}.{missing}")) {
        findings
            .at(given.span(), format!("`[{table}]` has no matching `{missing}`"))
            .expected(format!("expected `{missing} = \"{file}\"` beside it"));
    }
    None
}

/// Makes the paths absolute, and checks that the files named in the node's file can be used.
pub(super) fn with_pairs(root: &Path, mut node: Sourced<NodeSpec>) -> Result<Sourced<NodeSpec>, Mistakes> {
    let console = node.spec.console.as_mut().and_then(|console| console.pair.as_mut());
    let pairs = [("console", console), ("health", node.spec.health_pair.as_mut())];
    let mut mistakes = Vec::new();
    for (table, pair) in pairs.into_iter().filter_map(|(table, pair)| Some((table, pair?))) {
        *pair = PairFiles { certificate: root.join(&pair.certificate), key: root.join(&pair.key) };
        let Err(error) = Pair::read(pair) else { continue };
        let (key, why, expected) = match &error {
            PairError::Certificate(why) => {
                ("certificate", why, "expected a file of certificates in PEM (-----BEGIN CERTIFICATE-----)")
            }
            PairError::Key(why) => (
                "key",
                why,
                "expected a file with the certificate's private key in PEM (-----BEGIN PRIVATE KEY-----)",
            ),
        };
        let span = node.source.locate(&[Step::Key(table), Step::Key(key)]);
        let mut mistake = Mistake::new(&node.source, span, format!("`{key}` {why}"));
        mistake.expected(expected);
        mistake.help("the user that the daemon runs as must be able to read both files");
        mistakes.push(mistake);
    }
    Mistakes::new(mistakes).map_or(Ok(node), Err)
}
