//! Random secrets, stored as hashes only.

use std::fmt::Write as _;

use anyhow::{anyhow, ensure};
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// 256 random bits in hexadecimal, which cannot be guessed.
pub(super) fn chance() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of a random secret. It is used as the key of look-ups, so that no comparison of secrets reveals anything
/// by its timing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of a secret.
    pub(super) fn of(secret: &str) -> Self {
        Self(hex(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()))
    }
}

/// More than any hash of ours takes, in blocks of 1 KiB: a file that requires more is damaged.
const BLOCKS_AT_MOST: usize = 256 << 10;

/// Argon2id with 19 MiB, two passes, one lane: the first choice of the OWASP password storage cheat sheet. Takes
/// tens of milliseconds, so it must not run on an asynchronous thread.
fn params() -> anyhow::Result<Params> {
    Params::new(19 << 10, 2, 1, None).map_err(|error| anyhow!("{error}"))
}

/// The memory for hashing. It is kept for the next hash.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// The hash of a password (PHC string format), with its own salt.
    pub(super) fn hash(&mut self, password: &str) -> anyhow::Result<String> {
        let mut salt = [0; 16];
        SystemRandom::new().fill(&mut salt).map_err(|_| anyhow!("the system gives no random numbers"))?;
        let params = params()?;
        let failed = |error: &dyn std::fmt::Display| anyhow!("the password cannot be hashed: {error}");
        let kept = ParamsString::try_from(&params).map_err(|error| failed(&error))?;
        let output = self.output(Algorithm::Argon2id, Version::V0x13, params, password, &salt);
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: kept,
            salt: Some(Salt::new(&salt).map_err(|error| failed(&error))?),
            hash: Some(output.map_err(|error| failed(&error))?),
        };
        Ok(hash.to_string())
    }

    /// Whether it is the password. Without a hash the user is unknown: a password is hashed nevertheless, so that
    /// the timing reveals nothing.
    pub(super) fn fits(&mut self, password: &str, hash: Option<&str>) -> bool {
        if let Some(hash) = hash {
            return self.is_of(password, hash).unwrap_or(false);
        }
        drop(self.hash(password));
        false
    }

    fn is_of(&mut self, password: &str, hash: &str) -> anyhow::Result<bool> {
        let hash = PasswordHash::new(hash).map_err(|error| anyhow!("{error}"))?;
        let params = Params::try_from(&hash).map_err(|error| anyhow!("{error}"))?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|error| anyhow!("{error}"))?;
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
        let version = version.map_err(|error| anyhow!("{error}"))?;
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
        // Compared in constant time.
        Ok(self.output(algorithm, version, params, password, &salt)? == expected)
    }

    fn output(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        password: &str,
        salt: &[u8],
    ) -> anyhow::Result<Output> {
        let blocks = params.block_count();
        ensure!(blocks <= BLOCKS_AT_MOST, "the hash takes more memory than any of ours");
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(algorithm, version, params);
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut self.0)
            .map_err(|error| anyhow!("{error}"))?;
        Output::new(&output).map_err(|error| anyhow!("{error}"))
    }

    /// The buffer's address, for tests: another address is another buffer.
    #[cfg(test)]
    pub(super) fn place(&self) -> (usize, usize) {
        (self.0.as_ptr().addr(), self.0.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_only_itself_fits() {
        let mut memory = Memory::default();
        let hash = memory.hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(memory.fits("correct horse", Some(&hash)));
        assert!(!memory.fits("correct horsE", Some(&hash)));
        assert!(!memory.fits("correct horse", None));
        assert!(memory.fits("correct horse", Some(&hash)), "what was hashed before leaves nothing behind");
        assert_ne!(hash, memory.hash("correct horse").unwrap(), "each has a salt of its own");
    }

    #[test]
    fn a_hash_is_the_one_that_others_make_and_they_understand_ours() {
        use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
        let theirs = Argon2::new(Algorithm::Argon2id, Version::V0x13, params().unwrap());
        let mut memory = Memory::default();
        let ours = memory.hash("correct horse").unwrap();
        theirs.verify_password(b"correct horse", ours.as_str()).unwrap();
        let made: PasswordHash = theirs.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap();
        assert!(memory.fits("correct horse", Some(&made.to_string())));
    }

    #[test]
    fn a_damaged_hash_fits_nothing_and_takes_no_memory() {
        let mut memory = Memory::default();
        let mut hash = memory.hash("correct horse").unwrap();
        let before = memory.place();
        for damaged in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1", &hash.replace("m=19456", "m=4194304")] {
            assert!(!memory.fits("correct horse", Some(damaged)), "{damaged}");
        }
        hash.push('x');
        assert!(!memory.fits("correct horse", Some(&hash)));
        assert_eq!(memory.place(), before);
    }

    #[test]
    fn chance_gives_256_bits_and_never_the_same() {
        let (one, other) = (chance().unwrap(), chance().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
        assert_ne!(Digest::of(&one), Digest::of(&other));
    }
}
