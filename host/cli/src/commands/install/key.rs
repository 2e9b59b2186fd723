//! The public key that an archive is verified with.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bellwether_os::file::{Access, open_no_link};
use minisign_verify::PublicKey;

use super::place::{Place, open_file};
use crate::exit::{Exit, Failure};

/// The path of the key that this system trusts.
const TRUSTED: &str = "/etc/bellwether/release.pub";
/// The maximum size of a file with a key, in bytes.
const MAX_SIZE: u64 = 8 << 10;

/// The given key, as text or as a file; without one, the key that this system trusts.
pub(super) fn read(given: Option<&str>, place: &Place) -> Result<PublicKey, Failure> {
    let Some(given) = given else { return trusted(place) };
    if let Ok(key) = PublicKey::from_base64(given) {
        return Ok(key);
    }
    let text = open_file(Path::new(given)).and_then(text_of).map_err(|error| {
        let what = format!("`{given}` is neither a public key of minisign nor a file with one: {error}");
        Failure::new(Exit::Usage, what, "a key is the second line of minisign.pub, and begins with RW")
    })?;
    parse(&text, Path::new(given))
}

/// The key in the configuration. If the daemon runs as another user, that user may own the folder but must not
/// choose whose programs root installs: the file has to be root's.
fn trusted(place: &Place) -> Result<PublicKey, Failure> {
    let path = place.at(Path::new(TRUSTED));
    let opened = open_no_link(&path);
    let opened = opened.and_then(|file| file.ok_or_else(|| io::Error::other("it is a symbolic link")));
    let file = opened.map_err(|error| {
        let what = if error.kind() == io::ErrorKind::NotFound {
            format!("there is no key to verify the archive with: {} does not exist", path.display())
        } else {
            format!("cannot read {}: {error}", path.display())
        };
        let next =
            "give the releaser's public key with --key, or put it into that file, which must be root's";
        Failure::new(Exit::Usage, what, next)
    })?;
    let metadata = file.metadata()?;
    let access = Access::of(&metadata);
    if !metadata.is_file() || !access.is_own_or_roots() || access.is_written_by_others() {
        let what = format!("{} could have been written by another user", path.display());
        let next = format!("look at it, then: chown root:root {0} && chmod 644 {0}", path.display());
        return Err(Failure::new(Exit::Denied, what, next));
    }
    parse(&text_of(file)?, &path)
}

fn text_of(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_SIZE).read_to_string(&mut text)?;
    Ok(text)
}

/// `minisign.pub` unchanged, or only its key.
fn parse(text: &str, path: &Path) -> Result<PublicKey, Failure> {
    PublicKey::decode(text).or_else(|_| PublicKey::from_base64(text.trim())).map_err(|_| {
        let what = format!("{} has no public key of minisign", path.display());
        Failure::new(Exit::Usage, what, "it is what `minisign -G` writes into minisign.pub")
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::archive::tests::KEY;
    use super::*;

    fn expected() -> PublicKey {
        PublicKey::from_base64(KEY).unwrap()
    }

    #[test]
    fn a_key_is_given_as_text_or_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), false);
        assert_eq!(read(Some(KEY), &place).unwrap(), expected());
        let file = folder.path().join("minisign.pub");
        let path = file.to_str().unwrap();
        let whole = format!("untrusted comment: minisign public key\n{KEY}\n");
        fs::write(&file, &whole).unwrap();
        assert_eq!(read(Some(path), &place).unwrap(), PublicKey::decode(&whole).unwrap());
        fs::write(&file, format!("{KEY}\n")).unwrap();
        assert_eq!(read(Some(path), &place).unwrap(), expected());
        fs::write(&file, "no key").unwrap();
        assert!(read(Some(path), &place).unwrap_err().said().ends_with("has no public key of minisign"));
        let failure = read(Some("RWnonsense"), &place).unwrap_err();
        assert!(failure.said().starts_with("`RWnonsense` is neither"), "{failure}");
    }

    #[test]
    fn the_key_of_the_system_is_root_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), false);
        assert!(read(None, &place).unwrap_err().said().starts_with("there is no key"));
        let file = place.at(Path::new(TRUSTED));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, format!("{KEY}\n")).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(None, &place).unwrap(), expected());
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        assert!(read(None, &place).unwrap_err().said().contains("by another user"));
        let other = folder.path().join("other.pub");
        fs::rename(&file, &other).unwrap();
        symlink(&other, &file).unwrap();
        assert!(read(None, &place).unwrap_err().said().starts_with("cannot read"));
    }
}
