//! Profiles of daemons on other hosts: one file for each, in the user's configuration.
//!
//! A profile determines where a token is sent and which certificate is trusted there. A file that another user
//! could have written is rejected: it could send the token elsewhere.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bellwether_config::certificate::Fingerprint;
use bellwether_core::id::NodeName;
use bellwether_os::file::{Access, create_private_dir_all, open_without_waiting};
use serde::{Deserialize, Serialize};

use super::remote::check_url;
use crate::exit::{Exit, Failure};

/// It is the name of a file, so it follows the rules for the names of nodes.
pub(crate) type ProfileName = NodeName;

/// The maximum size of a profile's file, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// The maximum number of entries of the folder that are read.
const MAX_ENTRIES: usize = 10_000;

/// The address and the authentication of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Profile {
    /// The URL of its console.
    pub(crate) url: String,
    /// The path of a file whose first line is the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// Only this certificate is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Authorities that are trusted in addition to the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

/// The profiles of a user.
#[derive(Debug, Clone)]
pub(crate) struct Profiles {
    folder: PathBuf,
}

impl Profiles {
    /// `bellwether/profiles` in the configuration of the user (XDG Base Directory Specification).
    pub(crate) fn of_user() -> Result<Self, Failure> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        Self::below(variable("XDG_CONFIG_HOME"), variable("HOME")).ok_or_else(|| {
            let what =
                "it is not clear where profiles are: neither XDG_CONFIG_HOME nor HOME is an absolute path";
            Failure::new(Exit::Usage, what, "set HOME, or use --url instead of a profile")
        })
    }

    /// The specification requires that a relative path is ignored.
    fn below(configuration: Option<PathBuf>, home: Option<PathBuf>) -> Option<Self> {
        let absolute = |path: &PathBuf| path.is_absolute();
        let configuration = configuration
            .filter(absolute)
            .or_else(|| home.filter(absolute).map(|home| home.join(".config")))?;
        Some(Self { folder: configuration.join("bellwether").join("profiles") })
    }

    /// The path of the profile with this name.
    pub(crate) fn path(&self, name: &ProfileName) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }

    /// The profile with this name. Its paths are absolute.
    pub(crate) fn read(&self, name: &ProfileName) -> Result<Profile, Failure> {
        self.check_folder()?;
        let path = self.path(name);
        let shown = path.display();
        let text = match read_own(&path) {
            Err(Unreadable::Missing) => return Err(self.missing(name)),
            Err(Unreadable::Refused(what, next)) => return Err(Failure::new(Exit::Usage, what, next)),
            Ok(text) => text,
        };
        let mistake = |what: String| Failure::new(Exit::Mistakes, what, format!("edit {shown}"));
        let mut profile: Profile = toml::from_str(&text)
            .map_err(|error| mistake(format!("{shown} has a mistake\n{}", error.to_string().trim_end())))?;
        check_url(&profile.url).map_err(|wrong| mistake(format!("{shown}: {}", wrong.said())))?;
        if profile.fingerprint.is_some() && profile.ca.is_some() {
            let what = format!("{shown} has both `fingerprint` and `ca`, and only one of them can decide");
            return Err(mistake(what));
        }
        for path in [&mut profile.token_file, &mut profile.ca].into_iter().flatten() {
            *path = self.folder.join(&path);
        }
        Ok(profile)
    }

    /// Adds a profile. An existing one is not changed.
    pub(crate) fn add(&self, name: &ProfileName, profile: &Profile) -> Result<(), Failure> {
        let path = self.path(name);
        let text = toml::to_string(profile).context("the profile cannot be written as TOML")?;
        let unwritable = |error: std::io::Error| {
            Failure::from(anyhow::Error::from(error).context(format!("{} cannot be written", path.display())))
        };
        create_private_dir_all(&self.folder).map_err(unwritable)?;
        self.check_folder()?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(unwritable)?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(unwritable)?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Err(exists(name)),
            Err(error) => Err(unwritable(error.error)),
        }
    }

    /// Whether there is a file with this name, valid or not.
    pub(crate) fn refuse_existing(&self, name: &ProfileName) -> Result<(), Failure> {
        if self.path(name).symlink_metadata().is_ok() { Err(exists(name)) } else { Ok(()) }
    }

    /// Removes the profile's file.
    pub(crate) fn remove(&self, name: &ProfileName) -> Result<(), Failure> {
        let path = self.path(name);
        std::fs::remove_file(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => self.missing(name),
            _ => anyhow::Error::from(error).context(format!("{} cannot be removed", path.display())).into(),
        })
    }

    /// The names of all profiles, sorted.
    pub(crate) fn names(&self) -> Result<Vec<ProfileName>, Failure> {
        let unreadable = |error: std::io::Error| {
            Failure::from(
                anyhow::Error::from(error).context(format!("{} cannot be read", self.folder.display())),
            )
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in entries.take(MAX_ENTRIES) {
            let file = entry.map_err(unreadable)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".toml"));
            names.extend(name.and_then(|name| ProfileName::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Rejects a folder in which another user could replace a profile.
    fn check_folder(&self) -> Result<(), Failure> {
        // If it is missing or cannot be read, the same is true for the files in it, and reading one reports it.
        let Ok(facts) = std::fs::metadata(&self.folder) else { return Ok(()) };
        let shown = self.folder.display();
        let access = Access::of(&facts);
        if !access.is_own_or_roots() {
            let what = format!("{shown} belongs to another user, who could send the token elsewhere");
            return Err(Failure::new(Exit::Usage, what, format!("ls -ld {shown}")));
        }
        if access.is_written_by_others() {
            let what = format!("{shown} can be written by other users (mode {:03o})", access.mode & 0o777);
            let next = format!("see that its files are right, then: chmod 700 {shown}");
            return Err(Failure::new(Exit::Usage, what, next));
        }
        Ok(())
    }

    fn missing(&self, name: &ProfileName) -> Failure {
        let known = self.names().unwrap_or_default();
        let known: Vec<&str> = known.iter().map(NodeName::as_str).collect();
        let next = if known.is_empty() {
            format!("add it: bellwether profile add {name} --url https://host:9013")
        } else {
            format!("use one of these: {}", known.join(", "))
        };
        Failure::new(Exit::NoSuch, format!("there is no profile {name}"), next)
    }
}

fn exists(name: &ProfileName) -> Failure {
    let next = format!("choose another name, or remove it first: bellwether profile remove {name}");
    Failure::new(Exit::Denied, format!("there is a profile {name} already"), next)
}

enum Unreadable {
    Missing,
    /// The error, and what to do next.
    Refused(String, String),
}

/// The text of a file that only this user and root can have written.
fn read_own(path: &Path) -> Result<String, Unreadable> {
    let shown = path.display();
    let refused = |what: &str, next: String| Err(Unreadable::Refused(format!("{shown} {what}"), next));
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Refused(format!("{shown} cannot be read: {error}"), format!("ls -l {shown}")),
    };
    let file = open_without_waiting(path).map_err(unreadable)?;
    let facts = file.metadata().map_err(unreadable)?;
    let access = Access::of(&facts);
    if !facts.is_file() {
        return refused("is not a regular file", format!("ls -l {shown}"));
    }
    if !access.is_own_or_roots() {
        return refused(
            "belongs to another user, who could send the token elsewhere",
            format!("ls -l {shown}"),
        );
    }
    if access.is_written_by_others() {
        let what = format!("can be written by other users (mode {:03o})", access.mode & 0o777);
        return refused(&what, format!("see that it is right, then: chmod 600 {shown}"));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return refused(&format!("has more than {MAX_FILE} bytes"), format!("ls -l {shown}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use rustix::fs::{FileType, Mode};

    use super::*;

    fn name(text: &str) -> ProfileName {
        ProfileName::new(text).unwrap()
    }

    fn profiles(place: &tempfile::TempDir) -> Profiles {
        Profiles::below(Some(place.path().join("config")), None).unwrap()
    }

    fn node(url: &str) -> Profile {
        Profile { url: url.to_owned(), token_file: None, fingerprint: None, ca: None }
    }

    /// Writes a profile directly.
    fn write(profiles: &Profiles, name: &ProfileName, text: &str, mode: u32) {
        fs::create_dir_all(&profiles.folder).unwrap();
        fs::set_permissions(&profiles.folder, Permissions::from_mode(0o755)).unwrap();
        fs::write(profiles.path(name), text).unwrap();
        fs::set_permissions(profiles.path(name), Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn profiles_are_in_the_configuration_of_the_user() {
        let of = |configuration: Option<&str>, home: Option<&str>| {
            let profiles = Profiles::below(configuration.map(PathBuf::from), home.map(PathBuf::from))?;
            Some(profiles.folder.display().to_string())
        };
        let here = |path: &str| Some(path.to_owned());
        assert_eq!(of(Some("/c"), Some("/home/anna")), here("/c/bellwether/profiles"));
        for ignored in [None, Some(""), Some("relative/path")] {
            assert_eq!(of(ignored, Some("/home/anna")), here("/home/anna/.config/bellwether/profiles"));
            assert_eq!(of(ignored, None), None);
            assert_eq!(of(ignored, Some("anna")), None);
        }
    }

    #[test]
    fn what_is_added_is_read_listed_and_removed_again() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        assert!(profiles.names().unwrap().is_empty());
        let full = Profile {
            token_file: Some(PathBuf::from("/home/anna/a \"quoted\" token")),
            fingerprint: Fingerprint::parse(&"AB".repeat(32)),
            ..node("https://node-1:9013")
        };
        assert!(full.fingerprint.is_some());
        let second = Profile { ca: Some(PathBuf::from("/etc/ca.pem")), ..node("https://node-2:9013") };
        profiles.add(&name("node-2"), &second).unwrap();
        profiles.add(&name("node-1"), &full).unwrap();
        assert_eq!(profiles.names().unwrap(), [name("node-1"), name("node-2")]);
        assert_eq!(profiles.read(&name("node-1")).unwrap(), full);
        assert_eq!(profiles.read(&name("node-2")).unwrap(), second);
        for (path, mode) in [(profiles.path(&name("node-1")), 0o600), (profiles.folder.clone(), 0o700)] {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
        }

        let refused = profiles.add(&name("node-1"), &second).unwrap_err();
        assert_eq!(refused.exit(), Exit::Denied);
        assert_eq!(profiles.refuse_existing(&name("node-1")).unwrap_err().exit(), Exit::Denied);
        assert_eq!(profiles.read(&name("node-1")).unwrap(), full, "it is left as it is");
        assert_eq!(fs::read_dir(&profiles.folder).unwrap().count(), 2, "nothing is left over");

        profiles.remove(&name("node-1")).unwrap();
        profiles.refuse_existing(&name("node-1")).unwrap();
        assert_eq!(profiles.remove(&name("node-1")).unwrap_err().exit(), Exit::NoSuch);
        let missing = profiles.read(&name("node-1")).unwrap_err();
        assert_eq!(missing.exit(), Exit::NoSuch);
        assert!(missing.to_string().contains("use one of these: node-2"), "{missing}");
    }

    #[test]
    fn paths_are_relative_to_the_file_that_has_them() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        write(
            &profiles,
            &name("a"),
            "url = 'https://a'\ntoken-file = 'a.token'\nca = '/etc/ca.pem'\n",
            0o600,
        );
        let read = profiles.read(&name("a")).unwrap();
        assert_eq!(read.token_file, Some(profiles.folder.join("a.token")));
        assert_eq!(read.ca, Some(PathBuf::from("/etc/ca.pem")));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        let both = format!("url = 'https://a'\nca = 'b'\nfingerprint = '{}'\n", "AB".repeat(32));
        for (text, says) in [
            ("token-file = 'a'\n", "missing field `url`"),
            ("url = 'https://a'\nurls = 'https://a'\n", "unknown field `urls`"),
            ("url = 'https://a'\nfingerprint = 'AB'\n", "64 hexadecimal digits"),
            ("url = 'https://a'\ntoken-file = 1\n", "line 2"),
            ("url = \n", "line 1"),
            ("url = 'http://node-1:9013'\n", "only for this host"),
            (both.as_str(), "both `fingerprint` and `ca`"),
        ] {
            write(&profiles, &name("a"), text, 0o600);
            let failure = profiles.read(&name("a")).unwrap_err();
            assert_eq!(failure.exit(), Exit::Mistakes, "{text}");
            let told = failure.to_string();
            assert!(told.contains(says) && told.contains("a.toml"), "{text}: {told}");
        }
    }

    #[test]
    fn a_file_that_others_could_have_written_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        for (mode, refused) in [(0o600, false), (0o644, false), (0o660, true), (0o602, true)] {
            write(&profiles, &name("a"), "url = 'https://a'\n", mode);
            match profiles.read(&name("a")) {
                Ok(_) => assert!(!refused, "{mode:o}"),
                Err(failure) => assert!(refused && failure.to_string().contains("chmod 600"), "{failure}"),
            }
        }
        if rustix::process::geteuid().is_root() {
            write(&profiles, &name("a"), "url = 'https://a'\n", 0o600);
            std::os::unix::fs::chown(profiles.path(&name("a")), Some(65_534), None).unwrap();
            let failure = profiles.read(&name("a")).unwrap_err();
            assert!(failure.to_string().contains("belongs to another user"), "{failure}");
        }
    }

    #[test]
    fn a_folder_that_others_could_write_to_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        write(&profiles, &name("a"), "url = 'https://a'\n", 0o600);
        for (mode, refused) in [(0o770, true), (0o1777, true), (0o755, false), (0o700, false)] {
            fs::set_permissions(&profiles.folder, Permissions::from_mode(mode)).unwrap();
            let added = profiles.add(&name("b"), &node("https://b"));
            for result in [profiles.read(&name("a")).map(drop), added] {
                let said = result.err().map(|failure| failure.to_string());
                assert_eq!(said.is_some(), refused, "{mode:o}: {said:?}");
                assert!(said.is_none_or(|said| said.contains("chmod 700 ")), "{mode:o}");
            }
            assert_eq!(profiles.remove(&name("b")).is_err(), refused, "a refused profile is not written");
        }
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&profiles.folder, Some(65_534), None).unwrap();
            let failure = profiles.read(&name("a")).unwrap_err();
            assert!(failure.to_string().contains("belongs to another user"), "{failure}");
        }
    }

    #[test]
    fn what_is_no_file_of_a_profile_is_refused_at_once() {
        let place = tempfile::tempdir().unwrap();
        let profiles = profiles(&place);
        fs::create_dir_all(profiles.path(&name("folder"))).unwrap();
        let pipe = profiles.path(&name("pipe"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        write(&profiles, &name("large"), &"#".repeat(usize::try_from(MAX_FILE).unwrap() + 1), 0o600);
        for (of, says) in [("folder", "regular file"), ("pipe", "regular file"), ("large", "more than")] {
            let failure = profiles.read(&name(of)).unwrap_err();
            assert!(failure.exit() == Exit::Usage && failure.to_string().contains(says), "{failure}");
        }
    }
}
