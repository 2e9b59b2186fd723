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

use std::fs::File;
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_NOW, fstat,
    futimens, mkdirat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::process::geteuid;
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

/// The open folder: later changes of its path have no effect.
#[derive(Debug)]
pub(super) struct Cache {
    folder: OwnedFd,
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
        match mkdirat(CWD, path, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)?;
        let stat = fstat(&folder).map_err(io::Error::from)?;
        if let Some(why) = not_ours(&stat) {
            return Err(CacheError::NotOurs { what: "state/compiled", why });
        }
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
        statat(&self.folder, self.name(digest), AtFlags::SYMLINK_NOFOLLOW).is_ok()
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
        let Some((file, stat)) = open_file(&self.folder, name)? else {
            return Err(io::Error::other("it is not a file of the daemon's user alone"));
        };
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
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
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // For the removal of the least recently used entries; otherwise unimportant.
        let _touched = futimens(&file, &Timestamps { last_access: now, last_modification: now });
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
        let mut file = create(&self.folder, &new)?;
        let head = [self.head(digest, code).as_slice(), self.mac(digest, code).as_bytes()].concat();
        file.write_all(&head)?;
        file.write_all(code)?;
        Ok(renameat(&self.folder, &new, &self.folder, name)?)
    }

    /// Removes the least recently used entries, until the rest is small enough. Never removes `kept`.
    fn make_room(&self, kept: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for (name, stat) in self.files()? {
            if name.ends_with(ENTRY) {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                entries.push(((stat.st_mtime, stat.st_mtime_nsec), name, size));
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, _, size)| size).sum();
        for (_, name, size) in entries.iter().filter(|(_, name, _)| name != kept) {
            if total <= self.most {
                break;
            }
            unlinkat(&self.folder, name, AtFlags::empty())?;
            total -= size;
        }
        Ok(())
    }

    /// Removes what a daemon left that ended while it wrote.
    fn clear_unfinished(&self) {
        for (name, _) in self.files().unwrap_or_default() {
            if name.starts_with(UNFINISHED) {
                let _gone_already = unlinkat(&self.folder, name, AtFlags::empty());
            }
        }
    }

    fn files(&self) -> io::Result<Vec<(String, Stat)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let stat = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                files.push((name.to_owned(), stat));
            }
        }
        Ok(files)
    }
}

/// Why a file or folder does not belong to the daemon's user alone.
fn not_ours(stat: &Stat) -> Option<&'static str> {
    if stat.st_uid != geteuid().as_raw() {
        return Some("it belongs to another user");
    }
    (stat.st_mode & 0o077 != 0).then_some("others have access to it")
}

/// Opens a regular file that belongs to this user alone and has a single name. `None` for anything else.
fn open_file(folder: &OwnedFd, name: &str) -> io::Result<Option<(File, Stat)>> {
    // Links are not followed, and opening a pipe does not wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = fstat(&file)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1;
    Ok((regular && not_ours(&stat).is_none()).then(|| (File::from(file), stat)))
}

/// Creates a new file, in place of one that a daemon could not finish.
fn create(folder: &OwnedFd, name: &str) -> io::Result<File> {
    let _not_there = unlinkat(folder, name, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?))
}

fn read_key(folder: &OwnedFd) -> Result<Option<[u8; KEY_LENGTH]>, CacheError> {
    let not_ours = || CacheError::NotOurs { what: "state/compiled/key", why: "others have access to it" };
    let (file, _) = match open_file(folder, KEY_FILE) {
        Ok(file) => file.ok_or_else(not_ours)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut key = Vec::new();
    file.take(KEY_LENGTH as u64 + 1).read_to_end(&mut key)?;
    // A damaged key is replaced; all entries that depend on it are compiled again.
    Ok(key.try_into().ok())
}

fn make_key(folder: &OwnedFd) -> Result<[u8; KEY_LENGTH], CacheError> {
    let mut key = [0; KEY_LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let new = format!("{UNFINISHED}-{KEY_FILE}");
    let mut file = create(folder, &new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let _damaged = unlinkat(folder, KEY_FILE, AtFlags::empty());
    renameat_with(folder, &new, folder, KEY_FILE, RenameFlags::NOREPLACE).map_err(io::Error::from)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
