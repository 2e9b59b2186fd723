//! Writes the archive.

use std::fs::File;
use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tar::{Builder, Header};

/// The folder in the archive.
const FOLDER: &str = "bellwether-support";

/// Writes these files, each with its path and text. No owner is named.
pub(super) fn pack(to: File, files: &[(String, String)], now: Timestamp) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(to, Compression::default()));
    for (path, text) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(text.len() as u64);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or(0));
        archive.append_data(&mut header, format!("{FOLDER}/{path}"), text.as_bytes())?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.tar.gz");
        let files = [("README.txt", "read"), ("config/modules/web.toml", "[commands]\n")];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        pack(File::create(&path).unwrap(), &files, Timestamp::UNIX_EPOCH).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(&path).unwrap()));
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (path.strip_prefix("bellwether-support/").unwrap().to_owned(), text)
        });
        assert_eq!(read.collect::<Vec<_>>(), files);
    }
}
