//! Verifies the signatures of components, where they are required.
//!
//! ```text
//!   NAME.wasm + NAME.wasm.minisig ──▶ signed by one of the node's keys? ──▶ loaded
//!                                          │ no
//!                                          ▼ refused, with a word
//! ```
//! Signatures are minisign's: Ed25519 over the file, made by `minisign -Sm NAME.wasm`. The components that come
//! with the binary are always trusted.

use std::io::{self, Read as _};
use std::path::Path;

use minisign_verify::{Error, PublicKey, Signature};

use super::folders::signature_of;
use bellwether_config::spec::TrustSpec;
use bellwether_os::file::open_without_waiting;

/// The maximum size of a signature, in bytes.
const MAX_SIGNATURE: u64 = 8 << 10;

/// Which signatures are required.
#[derive(Debug)]
pub(super) struct Trust(TrustSpec);

/// Why a component is not trusted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Distrust {
    #[error("not signed: this node requires a signature; put {0} beside it")]
    Unsigned(String),
    #[error("its signature {0} cannot be read: {1}")]
    Unreadable(String, io::Error),
    #[error("its signature {0} is not a minisign signature")]
    NotASignature(String),
    #[error("wrong signature: {0} does not match the file; sign the file again")]
    Wrong(String),
    #[error("signed by a key that this node does not trust; its keys are in bellwether.toml under [trust]")]
    OtherKey,
}

impl Trust {
    pub(super) fn new(spec: TrustSpec) -> Self {
        Self(spec)
    }

    /// Whether these bytes, read from `path`, may be used.
    pub(super) fn check(&self, path: &Path, bytes: &[u8]) -> Result<(), Distrust> {
        if !self.0.require_signature {
            return Ok(());
        }
        let path = signature_of(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = match read(&path) {
            Ok(Some(text)) => text,
            Ok(None) => return Err(Distrust::NotASignature(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Distrust::Unsigned(name)),
            Err(error) => return Err(Distrust::Unreadable(name, error)),
        };
        let Ok(signature) = Signature::decode(&text) else { return Err(Distrust::NotASignature(name)) };
        verify(&self.0.keys, bytes, &signature).map_err(|error| match error {
            Some(Error::UnexpectedKeyId) | None => Distrust::OtherKey,
            Some(_) => Distrust::Wrong(name),
        })
    }
}

/// The most specific error of all keys; `None` if there is no key.
fn verify(keys: &[PublicKey], bytes: &[u8], signature: &Signature) -> Result<(), Option<Error>> {
    let mut failed = None;
    for key in keys {
        // Signatures of minisign before 0.8, over the file and not over its digest, are accepted as well.
        match key.verify(bytes, signature, true) {
            Ok(()) => return Ok(()),
            Err(Error::UnexpectedKeyId) if failed.is_some() => {}
            Err(error) => failed = Some(error),
        }
    }
    Err(failed)
}

/// The text; `None` if it is not a text file within the size limit.
fn read(path: &Path) -> io::Result<Option<String>> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_SIGNATURE {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIGNATURE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8(bytes).ok())
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    // Created once, with keys that were discarded: over the bytes `a component`.
    pub(in super::super) const OURS: &str = "RWRiZWxsd3RocoqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
    const OTHERS: &str = "RWRzb21lYm9keYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
    pub(in super::super) const SIGNED_BY_US: &str = "untrusted comment: signature\n\
RURiZWxsd3RocuI0YhYvA6zvAPJQugdnqY+lpL+cQvruVQZmrp09JQjWpWVv4dNDDo6/A7INdWf5DD4XtzOW2Wq4HYzpZxWdKwU=\n\
trusted comment: timestamp:1774000000\n\
LD2uOfWCLRZHTkDLQucoVYZ9sBKICjcN37EoFCstngWCNFUFXgUglWjEP0594xhPAoSfk2DeilQ+BA4VAUvfDg==\n\
";
    const SIGNED_BY_US_LONG_AGO: &str = "untrusted comment: signature\n\
RWRiZWxsd3Rocndj9RKqY/3lvF90r1rZ45/T//909GuXXYuCNx1QGAHxRV9hcsnL1XucGZNrO6H6NjYzXKr++XmDH/wQSGdWzwY=\n\
trusted comment: timestamp:1774000000\n\
TVFQOmNIs1juIta34gdXciyhv7BRBGChmSMqHxzhAWhYFrMnbsnHpG8sX9YjSX8Zw0kBjDP1c/6HZBbuDBPnCQ==\n\
";
    const SIGNED_BY_OTHERS: &str = "untrusted comment: signature\n\
RURzb21lYm9keQXHdnTUaZY9BcTHpO7mnKRUPWeu4J3MFwnVifeyzt6r8LTfbI1kO6Y8oUbbLUMz9UquB3ZDp/rArqCgY8JC0Qk=\n\
trusted comment: timestamp:1774000000\n\
t8ppsKOYHWzfzl8bOS09abzMFMOUTy8/noZZcUirOjTvRTok8CIwxhGh9AMr7T9asu3REpDbXj8bKPajcoIfDQ==\n\
";

    pub(in super::super) fn trust(keys: &[&str]) -> Trust {
        let keys = keys.iter().map(|key| PublicKey::from_base64(key).unwrap()).collect();
        Trust::new(TrustSpec { require_signature: true, keys })
    }

    /// The result for these bytes with this signature beside them.
    fn said(trust: &Trust, bytes: &[u8], signature: Option<&[u8]>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("http.wasm");
        if let Some(signature) = signature {
            fs::write(folder.path().join("http.wasm.minisig"), signature).unwrap();
        }
        trust.check(&path, bytes).map_or_else(|distrust| distrust.to_string(), |()| "trusted".to_owned())
    }

    #[test]
    fn only_what_one_of_the_keys_has_signed_is_trusted() {
        let wrong = "wrong signature: http.wasm.minisig does not match the file; sign the file again";
        let other =
            "signed by a key that this node does not trust; its keys are in bellwether.toml under [trust]";
        let none = "not signed: this node requires a signature; put http.wasm.minisig beside it";
        let nonsense = "its signature http.wasm.minisig is not a minisign signature";
        let long = "x".repeat(9000);
        for (bytes, signature, expected) in [
            (&b"a component"[..], Some(SIGNED_BY_US), "trusted"),
            (b"a component", Some(SIGNED_BY_US_LONG_AGO), "trusted"),
            (b"a component", Some(SIGNED_BY_OTHERS), other),
            (b"A component", Some(SIGNED_BY_US), wrong),
            (b"", Some(SIGNED_BY_US), wrong),
            (b"a component", None, none),
            (b"a component", Some(""), nonsense),
            (b"a component", Some(&long), nonsense),
        ] {
            let signature = signature.map(str::as_bytes);
            assert_eq!(said(&trust(&[OURS]), bytes, signature), expected);
        }
        assert_eq!(said(&trust(&[OURS]), b"a component", Some(b"\xff\xfe")), nonsense);
    }

    #[test]
    fn any_of_several_keys_will_do() {
        let both = trust(&[OTHERS, OURS]);
        for signature in [SIGNED_BY_US, SIGNED_BY_OTHERS] {
            assert_eq!(said(&both, b"a component", Some(signature.as_bytes())), "trusted");
        }
        assert!(said(&both, b"changed", Some(SIGNED_BY_US.as_bytes())).starts_with("wrong signature"));
    }

    #[test]
    fn a_changed_comment_or_a_bit_of_the_signature_is_wrong() {
        let trust = trust(&[OURS]);
        let comment = SIGNED_BY_US.replace("timestamp:1774000000", "timestamp:1774000001");
        assert!(said(&trust, b"a component", Some(comment.as_bytes())).starts_with("wrong signature"));
        for at in 0..SIGNED_BY_US.len() {
            let mut signature = SIGNED_BY_US.as_bytes().to_vec();
            signature[at] ^= 1;
            let said = said(&trust, b"a component", Some(&signature));
            // The first line is a comment that is not signed.
            let in_comment = at < SIGNED_BY_US.find('\n').unwrap();
            assert!(said != "trusted" || in_comment, "{at}");
        }
    }

    #[test]
    fn where_no_signature_is_required_none_is_looked_at() {
        assert_eq!(said(&Trust::new(TrustSpec::default()), b"anything", None), "trusted");
    }
}
