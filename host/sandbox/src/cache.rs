//! Cache of compiled machine code, in `state/compiled/`.
//!
//! ```text
//!   wanted ──▶ an entry of this component and engine ──MAC──▶ machine code
//!                 │ none, or anything differs
//!                 ▼
//!              compiled anew ──▶ a new entry takes its place
//! ```
//! A forged entry would run native code as the daemon. Therefore the folder and everything in it belong to the
//! daemon's user alone, and an entry counts only if its MAC is right: a keyed BLAKE3 over all of it, with a key
//! that never leaves the folder. An entry is read into memory before it is verified, and never mapped, so it cannot
//! be changed afterwards.

use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bellwether_os::file::private_dir::{NotOpened, PrivateDir};
use bellwether_os::random;
use wasmtime::Engine;

use super::compile::MAX_CODE;

/// The maximum size of all entries together, in bytes: about twenty of the largest known guests, or hundreds of
/// small ones.
const MAX_TOTAL: u64 = 1 << 30;
const KEY_FILE: &str = "key";
const KEY_LENGTH: usize = 32;
/// The suffix of a complete entry. A name that begins with [`UNFINISHED`] is an entry that is being written.
const ENTRY: &str = ".code";
const UNFINISHED: &str = ".new";

/// The first bytes of every entry; the last one is the version of this format.
const MAGIC: [u8; 8] = *b"bwcode\0\x01";
/// The parts of the header: magic, digest, engine, length, MAC.
const HEADER: usize = 8 + 32 + 32 + 8 + 32;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Another user could write there, or read the key.
    #[error("{what} is not for the daemon's user alone: {why}")]
    NotOurs {
        /// The folder or the key.
        what: &'static str,
        /// What is wrong with its permissions or owner.
        why: &'static str,
    },
    /// The system's own error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The entries, in a folder of their own.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PrivateDir,
    key: [u8; KEY_LENGTH],
    engine: blake3::Hash,
    most: u64,
    /// Held while entries are written and removed.
    writing: Mutex<()>,
}

/// Everything that machine code depends on besides its source.
pub(super) fn engine_hash(engine: &Engine) -> blake3::Hash {
    struct Digest(blake3::Hasher);
    impl Hasher for Digest {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digest = Digest(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut digest);
    digest.0.finalize()
}

impl Cache {
    /// Opens the folder, and creates it and its key if they do not exist.
    pub(super) fn open(path: &Path, engine: blake3::Hash) -> Result<Self, CacheError> {
        let folder = PrivateDir::open(path).map_err(|error| match error {
            NotOpened::NotPrivate(why) => CacheError::NotOurs { what: "state/compiled", why },
            NotOpened::Io(error) => error.into(),
        })?;
        let key = if let Some(key) = read_key(&folder)? { key } else { make_key(&folder)? };
        let cache = Self { folder, key, engine, most: MAX_TOTAL, writing: Mutex::default() };
        cache.clear_unfinished();
        Ok(cache)
    }

    /// The machine code of a component with this digest. `None` if there is none that can be trusted.
    pub(super) fn get(&self, digest: &blake3::Hash) -> Option<Vec<u8>> {
        let name = self.name(digest);
        match self.read(&name, digest) {
            Ok(code) => code,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(entry = name, %error, "compiled code is not trusted: it is compiled again");
                None
            }
        }
    }

    /// Whether there is an entry for this component. Whether it can be trusted is checked when it is read.
    pub(super) fn has(&self, digest: &blake3::Hash) -> bool {
        self.folder.has(&self.name(digest))
    }

    /// Stores machine code. Everything works without a cache, only slower, so a failure is only logged.
    pub(super) fn put(&self, digest: &blake3::Hash, code: &[u8]) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = self.name(digest);
        if let Err(error) = self.write(&name, digest, code).and_then(|()| self.make_room(&name)) {
            tracing::warn!(entry = name, %error, "compiled code could not be kept");
        }
    }

    fn name(&self, digest: &blake3::Hash) -> String {
        let engine = self.engine.to_hex();
        format!("{}-{}{ENTRY}", digest.to_hex(), engine.get(..16).unwrap_or(&engine))
    }

    fn read(&self, name: &str, digest: &blake3::Hash) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.folder.file(name)? else {
            return Err(io::Error::other("it is not a file of the daemon's user alone"));
        };
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if size < HEADER || size as u64 > MAX_CODE + HEADER as u64 {
            return Err(io::Error::other("its size is wrong"));
        }
        let mut entry = Vec::with_capacity(size);
        (&file).take(size as u64).read_to_end(&mut entry)?;
        let (head, code) = entry.split_at_checked(HEADER).ok_or_else(|| io::Error::other("it is cut off"))?;
        // The comparison of hashes takes constant time.
        if head.get(HEADER - 32..) != Some(self.mac(digest, code).as_bytes().as_slice())
            || head.get(..HEADER - 32) != Some(self.head(digest, code).as_slice())
        {
            return Err(io::Error::other("its MAC is wrong, or it belongs to something else"));
        }
        // For the removal of what is used least; otherwise of no importance.
        let _touched = file.set_modified(SystemTime::now());
        entry.drain(..HEADER);
        Ok(Some(entry))
    }

    fn head(&self, digest: &blake3::Hash, code: &[u8]) -> Vec<u8> {
        let length = (code.len() as u64).to_le_bytes();
        [MAGIC.as_slice(), digest.as_bytes(), self.engine.as_bytes(), &length].concat()
    }

    fn mac(&self, digest: &blake3::Hash, code: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(&self.head(digest, code)).update(code);
        mac.finalize()
    }

    fn write(&self, name: &str, digest: &blake3::Hash, code: &[u8]) -> io::Result<()> {
        let new = format!("{UNFINISHED}-{name}");
        let mut file = self.folder.create(&new)?;
        let head = [self.head(digest, code).as_slice(), self.mac(digest, code).as_bytes()].concat();
        file.write_all(&head)?;
        file.write_all(code)?;
        self.folder.rename(&new, name)
    }

    /// Removes the least recently used entries, until the rest is small enough. Never removes `kept`.
    fn make_room(&self, kept: &str) -> io::Result<()> {
        let mut entries = self.folder.entries()?;
        entries.retain(|entry| entry.name.ends_with(ENTRY));
        entries.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
        let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
        for entry in entries.iter().filter(|entry| entry.name != kept) {
            if total <= self.most {
                break;
            }
            self.folder.remove(&entry.name)?;
            total -= entry.size;
        }
        Ok(())
    }

    /// Removes what a daemon left that ended while it wrote.
    fn clear_unfinished(&self) {
        for entry in self.folder.entries().unwrap_or_default() {
            if entry.name.starts_with(UNFINISHED) {
                let _gone_already = self.folder.remove(&entry.name);
            }
        }
    }
}

fn read_key(folder: &PrivateDir) -> Result<Option<[u8; KEY_LENGTH]>, CacheError> {
    let not_ours = || CacheError::NotOurs { what: "state/compiled/key", why: "others have access to it" };
    let file = match folder.file(KEY_FILE) {
        Ok(file) => file.ok_or_else(not_ours)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut key = Vec::new();
    file.take(KEY_LENGTH as u64 + 1).read_to_end(&mut key)?;
    // A damaged key is replaced; all entries that depend on it are compiled again.
    Ok(key.try_into().ok())
}

fn make_key(folder: &PrivateDir) -> Result<[u8; KEY_LENGTH], CacheError> {
    let mut key = [0; KEY_LENGTH];
    random::fill(&mut key)?;
    let new = format!("{UNFINISHED}-{KEY_FILE}");
    let mut file = folder.create(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let _damaged = folder.remove(KEY_FILE);
    folder.rename_new(&new, KEY_FILE)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
