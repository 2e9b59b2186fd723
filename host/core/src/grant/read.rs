//! `read = ["/etc/app", "data"]`

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::{GrantKind, Grants, NotationError, Refusal};

/// A directory that may be read, with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadGrant {
    /// The path as the component sees it, which is as it is written in the file.
    pub shown: String,
    /// Its path on the host.
    pub directory: PathBuf,
}

impl FromStr for ReadGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let path = Path::new(text);
        if text.is_empty() {
            return Err(NotationError::new("an empty text names no directory"));
        }
        if text.contains('\0') {
            return Err(NotationError::new("a path cannot contain a zero byte"));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(NotationError::new(format!("`{text}` leads upwards"))
                .help("write the directory itself, without `..`"));
        }
        let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        if plain.as_os_str().is_empty() {
            return Err(NotationError::new("the root itself holds Bellwether's own state")
                .help("name the directories in it that are needed"));
        }
        if plain == Path::new("/") {
            return Err(NotationError::new("granting all files of the host is not supported")
                .help("name the directories that are needed"));
        }
        Ok(Self { shown: plain.display().to_string(), directory: plain })
    }
}

impl fmt::Display for ReadGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl ReadGrant {
    pub(super) fn includes(&self, other: &Self) -> bool {
        Path::new(&other.shown).starts_with(&self.shown)
    }
}

impl Grants {
    /// Whether a path, as the component writes it, is in a directory that it may read. Only the text of the path is
    /// checked: links are checked when it is opened.
    pub fn may_read(&self, path: &str) -> Result<(), Refusal> {
        let upwards = Path::new(path).components().any(|part| part == Component::ParentDir);
        if !upwards && self.read.iter().any(|grant| Path::new(path).starts_with(&grant.shown)) {
            return Ok(());
        }
        let directory = Path::new(path).parent().filter(|parent| *parent != Path::new("/"));
        let value = directory.unwrap_or(Path::new(path)).display().to_string();
        Err(Refusal::missing(GrantKind::Read, format!("read {path}"), &value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_only_below_a_granted_directory() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Read, "/etc/app/").unwrap();
        grants.add(GrantKind::Read, "./data").unwrap();
        for (path, allowed) in [
            ("/etc/app", true),
            ("/etc/app/a/b", true),
            ("/etc/apple", false),
            ("/etc/app/../passwd", false),
            ("/etc", false),
            ("data/x", true),
            ("database", false),
        ] {
            assert_eq!(grants.may_read(path).is_ok(), allowed, "{path}");
        }
        let refusal = grants.may_read("/var/log/app/today").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "refused: read /var/log/app/today; to allow it add grant = { read = [\"/var/log/app\"] }"
        );
    }

    #[test]
    fn directories_can_be_granted() {
        for (text, shown) in [("/etc/app", "/etc/app"), ("/etc//app/.", "/etc/app"), ("data/", "data")] {
            assert_eq!(text.parse::<ReadGrant>().unwrap().to_string(), shown);
        }
        for text in ["", ".", "./", "/", "//", "/etc/../x", "..", "a\0b"] {
            assert!(text.parse::<ReadGrant>().is_err(), "{text:?}");
        }
    }
}
