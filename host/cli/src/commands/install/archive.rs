//! A release in one file, made by `package/archive`: it is read into memory, and used only after its signature
//! and all its checksums have been verified.
//!
//! ```text
//! bellwether-VERSION-ARCH-linux.tar.gz
//!   …/SHA256SUMS.minisig    the signature of the checksums, with the releaser's key; read first
//!   …/SHA256SUMS            the checksums of every file that follows
//!   …/bin/ …/share/         what lies below the prefix of an installation
//!   …/system/               the unit, and the files that a new installation starts with
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use bellwether_core::text::one_line;
use flate2::bufread::GzDecoder;
use minisign_verify::{Error, PublicKey, Signature};
use ring::digest::{SHA256, digest};
use tar::{Archive, Entries, EntryType};

use super::place::open_file;
use crate::exit::{Exit, Failure};

const SIGNATURE: &str = "SHA256SUMS.minisig";
const CHECKSUMS: &str = "SHA256SUMS";
/// The folders of files in a release.
const FOLDERS: [&str; 3] = ["bin", "share", "system"];
/// The maximum size of an archive, and of its unpacked content, in bytes.
const MAX_PACKED: u64 = 512 << 20;
const MAX_UNPACKED: u64 = 1 << 30;
/// The maximum size of the signature and the checksums, which are read before anything has been verified.
const MAX_UNVERIFIED: u64 = 256 << 10;
/// The maximum length of a message about an archive, in bytes.
const MAX_MESSAGE: usize = 400;

/// The files of a release, verified.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: String,
    /// The architecture of its program, in Rust's notation.
    pub(super) arch: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Release {
    /// Reads an archive. Nothing is written, and everything in it has been signed with this key.
    pub(super) fn read(path: &Path, key: &PublicKey) -> Result<Self, Failure> {
        let file = open_file(path).with_context(|| format!("cannot read {}", path.display()))?;
        verified(BufReader::new(file.take(MAX_PACKED)), key).map_err(|error| {
            let what = format!("{} is refused: {error:#}", path.display());
            let next =
                "nothing was installed; get the archive again, and its key from the one who releases it";
            Failure::new(Exit::Denied, one_line(&what, MAX_MESSAGE), next)
        })
    }

    /// Takes one file out.
    pub(super) fn take(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.files.remove(path).with_context(|| format!("the archive has no {path}"))
    }

    /// Takes one file out that is a text.
    pub(super) fn take_text(&mut self, path: &str) -> anyhow::Result<String> {
        String::from_utf8(self.take(path)?).with_context(|| format!("{path} of the archive is not a text"))
    }

    /// The number of its files.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Its documents, manual page and completions, by path relative to the prefix.
    pub(super) fn into_shared(self) -> BTreeMap<String, Vec<u8>> {
        self.files.into_iter().filter(|(path, _)| path.starts_with("share/")).collect()
    }
}

fn verified(packed: impl BufRead, key: &PublicKey) -> anyhow::Result<Release> {
    let mut archive = Archive::new(GzDecoder::new(packed).take(MAX_UNPACKED));
    // Only the name in the header is used. A longer one, read before the signature, could have any size.
    let entries = archive.entries()?.raw(true);
    let release = release(Files { entries, top: None }, key)?;
    // The signature covers files. Nothing else may be in the archive.
    let mut unpacked = archive.into_inner();
    ensure!(only_zeros(&mut unpacked)?, "something follows its last file");
    let mut packed = unpacked.into_inner().into_inner();
    ensure!(packed.fill_buf()?.is_empty(), "something follows its end");
    Ok(release)
}

fn release<R: Read>(mut files: Files<'_, R>, key: &PublicKey) -> anyhow::Result<Release> {
    let signature = files.text(SIGNATURE)?;
    let checksums = files.text(CHECKSUMS)?;
    let (version, arch) = signed(&checksums, &signature, key)?;
    let mut listed = parse_checksums(&checksums)?;
    let mut verified = BTreeMap::new();
    while let Some((path, bytes)) = files.next(MAX_UNPACKED)? {
        let expected =
            listed.remove(&path).with_context(|| format!("{path:?} is not among its checksums"))?;
        ensure!(
            sha256(&bytes) == expected,
            "{path:?} was changed: its checksum is not the one that was signed"
        );
        verified.insert(path, bytes);
    }
    if let Some(path) = listed.keys().next() {
        bail!("{path:?} is missing");
    }
    Ok(Release { version, arch, files: verified })
}

/// The version and the architecture that the signature of these checksums names.
fn signed(checksums: &str, signature: &str, key: &PublicKey) -> anyhow::Result<(String, String)> {
    let Ok(signature) = Signature::decode(signature) else {
        bail!("its signature is not one that minisign makes");
    };
    match key.verify(checksums.as_bytes(), &signature, false) {
        Ok(()) => {}
        Err(Error::UnexpectedKeyId) => {
            bail!("it is signed with another key than the one it is verified with")
        }
        Err(_) => bail!("its signature does not belong to its checksums"),
    }
    let comment = signature.trusted_comment();
    let named: Vec<_> = comment.split(' ').collect();
    match named[..] {
        ["bellwether", version, platform] if !version.is_empty() => {
            let arch = platform.strip_suffix("-linux").context("it is for another operating system")?;
            Ok((version.to_owned(), arch.to_owned()))
        }
        _ => bail!("what was signed is not a release of Bellwether: {comment:?}"),
    }
}

/// The files of an archive, one after the other.
struct Files<'a, R: Read> {
    entries: Entries<'a, R>,
    /// The top folder of all of them.
    top: Option<String>,
}

impl<R: Read> Files<'_, R> {
    /// The next file: its path in the top folder, and its content.
    fn next(&mut self, max: u64) -> anyhow::Result<Option<(String, Vec<u8>)>> {
        let Some(mut entry) = self.entries.next().transpose().context("it is damaged")? else {
            return Ok(None);
        };
        ensure!(entry.header().entry_type() == EntryType::Regular, "something in it is not a file");
        let name = String::from_utf8(entry.header().path_bytes().into_owned())
            .context("the name of a file in it is not a text")?;
        let (top, path) = name.split_once('/').context("a file in it is in no folder")?;
        let first = self.top.get_or_insert_with(|| top.to_owned());
        ensure!(first.as_str() == top, "it has more than one folder");
        let size = entry.size();
        ensure!(size <= max, "{path:?} is too large");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).context("it is damaged")?;
        ensure!(u64::try_from(bytes.len()).ok() == Some(size), "it ends within {path:?}");
        Ok(Some((path.to_owned(), bytes)))
    }

    /// The next file, which has to be this one and contain text.
    fn text(&mut self, path: &str) -> anyhow::Result<String> {
        match self.next(MAX_UNVERIFIED)? {
            Some((found, bytes)) if found == path => {
                String::from_utf8(bytes).with_context(|| format!("its {path} is not a text"))
            }
            _ => bail!("it has no {path} where one belongs: it is not a signed release of Bellwether"),
        }
    }
}

/// Whether nothing but zeros follows, which is how an archive is padded.
fn only_zeros(from: &mut impl Read) -> io::Result<bool> {
    let mut buffer = [0; 8 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(true),
            read if buffer[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Parses the format of `sha256sum`: for each file its digest, by path.
fn parse_checksums(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let (path, sum) = parse_checksum(line)?;
        let other = sums.insert(path.to_owned(), sum);
        ensure!(other.is_none(), "{path:?} has two checksums");
    }
    Ok(sums)
}

/// One line in the format of `sha256sum`: a path of a release and its digest.
pub(super) fn parse_checksum(line: &str) -> anyhow::Result<(&str, String)> {
    let (sum, path) = line.split_once("  ").with_context(|| format!("not a checksum: {line:?}"))?;
    ensure!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()), "not a checksum: {sum:?}");
    ensure!(is_path(path), "not a path of a release: {path:?}");
    Ok((path, sum.to_ascii_lowercase()))
}

/// Whether this is a normalised path in one of the folders of a release.
pub(super) fn is_path(path: &str) -> bool {
    let plain = |name: &str| {
        !matches!(name, "" | "." | "..")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'))
    };
    path.split_once('/').is_some_and(|(folder, rest)| FOLDERS.contains(&folder) && rest.split('/').all(plain))
}

/// The digest of these bytes, in the format of `sha256sum`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(super) mod tests;
