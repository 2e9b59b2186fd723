//! TLS settings, as a part of a checker's configuration.

use std::fs;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::NetError;

/// TLS settings. By default the certificate must be valid for the host, and from an authority that the
/// system or the node's `ca-bundle` trusts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Tls {
    /// The name that the certificate must be valid for, and that is sent to the server, if it is not the host.
    pub server_name: Option<String>,
    /// A PEM file of additional trusted authorities. Its directory must be granted by `read`.
    pub ca: Option<PathBuf>,
    /// Whether the certificate is verified. Otherwise any server can answer in its place. Default: true.
    pub verify: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Self { server_name: None, ca: None, verify: true }
    }
}

impl Tls {
    /// In the form for the host.
    pub(super) fn options(&self, address: &str) -> Result<Vec<(String, String)>, NetError> {
        let mut options = Vec::new();
        if let Some(name) = &self.server_name {
            options.push(("server-name".to_owned(), name.clone()));
        }
        if !self.verify {
            options.push(("verify".to_owned(), "false".to_owned()));
        }
        if let Some(file) = &self.ca {
            let pem = fs::read_to_string(file).map_err(|error| {
                let why =
                    format!("the file {} of `ca` cannot be read, or is not granted: {error}", file.display());
                NetError::Untrusted(address.to_owned(), why)
            })?;
            options.push(("authorities".to_owned(), pem));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_verified() {
        let tls: Tls = serde_json::from_str("{}").unwrap();
        assert_eq!(tls, Tls::default());
        assert_eq!(tls.options("a:1").unwrap(), []);
        let tls: Tls = serde_json::from_str(r#"{"server-name": "www", "verify": false}"#).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tls.options("a:1").unwrap(), [pair("server-name", "www"), pair("verify", "false")]);
        assert!(serde_json::from_str::<Tls>(r#"{"verfy": false}"#).is_err());
    }

    #[test]
    fn authorities_that_cannot_be_read_leave_nothing_trusted() {
        let tls = Tls { ca: Some("/nowhere/ca.pem".into()), ..Tls::default() };
        let error = tls.options("a:1").unwrap_err();
        assert!(
            matches!(&error, NetError::Untrusted(to, why) if to == "a:1" && why.contains("/nowhere/ca.pem"))
        );
    }
}
