//! Finding and opening what lies beneath a directory that a component is granted.
//!
//! ```text
//!   path ──openat2, O_PATH──▶ the thing itself, not opened ──fstat──▶ regular, one name ──▶ opened
//!     │ leads out                                              │ directory             ──▶ opened
//!     ▼                                                        ▼ anything else
//!   refused                                                  refused
//! ```
//! The object that was checked is the one that is opened: it is opened by its descriptor, never by its path again.
//! A pipe without a writer, a device or a socket is not opened at all, because opening it may wait or have effects.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, readlinkat};
use rustix::io::Errno;

/// Why something beneath a directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// By `..`, by a link, or because the path is absolute.
    #[error("it is outside the directory that is granted")]
    LeadsOut,
    /// It is a pipe, a device or a socket.
    #[error("it is a {0}, and only regular files and directories are read")]
    NotAFile(&'static str),
    /// It has several names, so another user may have linked a file that is stored elsewhere.
    #[error("it has {0} names (hard links), and not all of them need be in the directory that is granted")]
    ManyNames(u64),
    /// The daemon has no permission, or the system reports an error.
    #[error("the daemon cannot read it: {0}")]
    Unreadable(io::Error),
    /// Not of interest to the operator: the component asked for something that does not exist.
    #[error(transparent)]
    Plain(#[from] io::Error),
}

/// `openat2` fails if something is renamed in the meantime, anywhere on the host (openat2(2), EAGAIN).
const ATTEMPTS: usize = 8;

impl From<Errno> for Denied {
    fn from(error: Errno) -> Self {
        Self::Plain(error.into())
    }
}

/// How a path is followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Search {
    /// Also a link at the end of the path.
    pub follow: bool,
    /// Only a directory is wanted.
    pub only_directory: bool,
}

/// Opens the directory that is granted.
pub fn open_directory(path: &Path) -> Result<File, Denied> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

/// The thing itself, without opening it: good for asking about it, not for reading.
pub fn find(directory: &File, path: &str, search: Search) -> Result<File, Denied> {
    let link = if search.follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let only = if search.only_directory { OFlags::DIRECTORY } else { OFlags::empty() };
    let flags = OFlags::PATH | OFlags::CLOEXEC | link | only;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        result = openat2(directory, path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    match result {
        Ok(found) => Ok(File::from(found)),
        Err(Errno::XDEV) => Err(Denied::LeadsOut),
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::NOSYS)) => Err(Denied::Unreadable(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// What has been found, opened for reading; whether it is a directory.
pub fn open_found(found: &File) -> Result<(File, bool), Denied> {
    let about = fstat(found)?;
    let kind = FileType::from_raw_mode(about.st_mode);
    let only = match kind {
        FileType::Directory => OFlags::DIRECTORY,
        FileType::RegularFile if about.st_nlink > 1 => {
            #[allow(clippy::unnecessary_cast, reason = "its type differs between architectures")]
            return Err(Denied::ManyNames(about.st_nlink as u64));
        }
        FileType::RegularFile => OFlags::empty(),
        // The link was not to be followed.
        FileType::Symlink => return Err(Errno::LOOP.into()),
        other => return Err(Denied::NotAFile(name(other))),
    };
    // It does not even wait for the release of a lease on the file.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | only;
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    let opened = open(itself, flags, Mode::empty()).map_err(|error| Denied::Unreadable(error.into()))?;
    Ok((File::from(opened), kind == FileType::Directory))
}

/// What a link says, if what was found is one.
pub fn read_link(found: &File) -> Result<Option<OsString>, Denied> {
    match readlinkat(found, "", Vec::new()) {
        Ok(text) => Ok(Some(OsString::from_vec(text.into_bytes()))),
        // Linux says so of what is no link (readlinkat(2), ENOENT for an empty path).
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How many names are in a directory, or one more than `most`.
pub fn count_names(directory: &File, most: usize) -> Result<usize, Denied> {
    Ok(Dir::read_from(directory)?.take(most + 1).count())
}

fn name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "thing of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use rustix::fs::{CWD, mknodat};

    /// The result of opening a path: its content, `directory`, or the error.
    fn come_to(directory: &File, path: &str, follow: bool) -> String {
        let opened = find(directory, path, Search { follow, only_directory: false })
            .and_then(|found| open_found(&found));
        match opened {
            Ok((_, true)) => "directory".to_owned(),
            Ok((mut file, false)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Err(denied) => denied.to_string(),
        }
    }

    #[test]
    fn only_regular_files_and_directories_beneath_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("granted/below")).unwrap();
        std::fs::write(path("secret"), "secret").unwrap();
        std::fs::write(path("granted/file"), "content").unwrap();
        std::fs::write(path("granted/below/file"), "deep").unwrap();
        symlink("../secret", path("granted/out")).unwrap();
        symlink(path("granted/file"), path("granted/absolute")).unwrap();
        symlink("below/../file", path("granted/in")).unwrap();
        symlink("..", path("granted/up")).unwrap();
        symlink("below", path("granted/folder")).unwrap();
        symlink("round", path("granted/round")).unwrap();
        symlink("/dev/zero", path("granted/zero")).unwrap();
        std::fs::hard_link(path("secret"), path("granted/linked")).unwrap();
        mknodat(CWD, path("granted/pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(path("granted/socket")).unwrap();
        let directory = File::open(path("granted")).unwrap();

        let out = "it is outside the directory that is granted";
        for (asked, expected) in [
            ("file", "content"),
            ("./below/../file", "content"),
            ("in", "content"),
            ("folder/file", "deep"),
            ("folder/", "directory"),
            (".", "directory"),
            ("..", out),
            ("below/../../secret", out),
            ("out", out),
            ("out/", out),
            ("absolute", out),
            ("up/secret", out),
            ("up/granted/file", out),
            ("zero", out),
            ("/etc/passwd", out),
            (path("granted/file").to_str().unwrap(), out),
            (
                "linked",
                "it has 2 names (hard links), and not all of them need be in the directory that is granted",
            ),
            ("pipe", "it is a pipe, and only regular files and directories are read"),
            ("socket", "it is a socket, and only regular files and directories are read"),
            ("file/", "Not a directory (os error 20)"),
            ("round", "Too many levels of symbolic links (os error 40)"),
            ("none", "No such file or directory (os error 2)"),
            ("", "No such file or directory (os error 2)"),
            ("fi\0le", "Invalid argument (os error 22)"),
        ] {
            assert_eq!(come_to(&directory, asked, true), expected, "{asked:?}");
        }
        assert!(come_to(&directory, "in", false).contains("symbolic links"));
        let only_directory = find(&directory, "pipe", Search { follow: true, only_directory: true });
        assert_eq!(only_directory.unwrap_err().to_string(), "Not a directory (os error 20)");
        // The device itself, where it is allowed to stand.
        let devices = File::open("/dev").unwrap();
        let zero = come_to(&devices, "zero", true);
        assert_eq!(zero, "it is a device, and only regular files and directories are read");
        drop(socket);
    }

    #[test]
    fn what_was_looked_at_is_opened_even_if_its_path_leads_elsewhere_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "first").unwrap();
        let directory = File::open(folder.path()).unwrap();
        let found = find(&directory, "file", Search { follow: true, only_directory: false }).unwrap();
        std::fs::rename(path("file"), path("moved")).unwrap();
        symlink("/etc/passwd", path("file")).unwrap();
        let (mut opened, is_directory) = open_found(&found).unwrap();
        let mut text = String::new();
        opened.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), is_directory), ("first", false));
    }
}
