//! Secrets: made by chance, kept as hashes only.

use std::fmt::Write as _;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// 256 bits by chance, in hexadecimal: nobody guesses it.
pub(super) fn chance() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // To a String nothing fails to be written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of a secret that was made by chance. It is looked up by this, so that no comparison of
/// secrets takes a telling time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Of a secret.
    pub(super) fn of(secret: &str) -> Self {
        Self(hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()))
    }
}

/// Argon2id with 19 MiB, two passes, one lane: the first choice of the OWASP password storage
/// cheat sheet. Takes tens of milliseconds: not for an asynchronous thread.
fn argon2() -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(19 << 10, 2, 1, None).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A password as it is kept (PHC string format), with a salt of its own.
pub(super) fn hash_password(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let hash: argon2::password_hash::phc::PasswordHash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?;
    Ok(hash.to_string())
}

/// Whether it is the password. `hash` is nobody's if the user is unknown: then a password is hashed
/// nevertheless, so that the time tells nothing.
pub(super) fn is_password(password: &str, hash: Option<&str>) -> bool {
    if let Some(hash) = hash {
        return argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), hash).is_ok());
    }
    drop(hash_password(password));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_only_itself_fits() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_password("correct horse", Some(&hash)));
        assert!(!is_password("correct horsE", Some(&hash)));
        assert!(!is_password("correct horse", None));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn chance_gives_256_bits_and_never_the_same() {
        let (one, other) = (chance().unwrap(), chance().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_ne!(Digest::of(&one), Digest::of(&other));
    }
}
