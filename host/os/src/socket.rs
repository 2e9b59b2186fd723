//! The Unix socket in the root: its path, and how it is bound and found.
//!
//! A root whose path is too long for a socket's address (108 bytes, unix(7)) is reached through `/proc/self/fd`, on
//! Linux only.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The socket's file name.
pub const NAME: &str = "bellwether.sock";
/// The capacity of `sockaddr_un`, including its terminating zero byte (unix(7)).
const LONGEST_PATH: usize = 107;

/// The path of the socket of a root.
pub fn path(root: &Path) -> PathBuf {
    root.join(NAME)
}

/// The path that is used while the root's disk is read-only, in memory: in the runtime folder of the service, or in
/// that of the user who runs the daemon; a user without a session has none. The daemon's state belongs to the user
/// who runs it.
fn paths_in_memory(root: &Path) -> io::Result<[PathBuf; 2]> {
    let root = root.canonicalize()?;
    let owner = std::fs::metadata(root.join("state"))?.uid();
    let of_user = match owner {
        0 => PathBuf::from("/run"),
        user => Path::new("/run/user").join(user.to_string()),
    };
    let digest = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
    let digest = &digest[..16];
    Ok([
        Path::new("/run/bellwether").join(format!("{digest}.sock")),
        of_user.join(format!("bellwether-{digest}.sock")),
    ])
}

/// Listens on the socket of a root, for the owner only (mode 0600), and returns its path. `None` if the root's disk
/// is read-only and there is no other place. A socket that an earlier daemon left is removed, so the caller must
/// hold the root's lock.
pub fn bind(root: &Path) -> io::Result<Option<(UnixListener, PathBuf)>> {
    let socket = path(root);
    match bind_at(&socket) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            Ok(bind_at_first(paths_in_memory(root)?))
        }
        bound => Ok(Some((bound?, socket))),
    }
}

/// Listens at the first of these paths that is available.
fn bind_at_first(places: impl IntoIterator<Item = PathBuf>) -> Option<(UnixListener, PathBuf)> {
    places.into_iter().find_map(|socket| match bind_at(&socket) {
        Ok(listener) => Some((listener, socket)),
        Err(error) => {
            tracing::warn!(%error, socket = %socket.display(), "commands cannot be taken there");
            None
        }
    })
}

fn bind_at(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(socket)?,
        Ok(_) => {
            let text = format!("{} exists and is not a socket: remove it", socket.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let address = Address::of(socket)?;
    let listener = UnixListener::bind(&address.path)?;
    // A client that connects before this line is rejected by its user id.
    std::fs::set_permissions(socket, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the daemon of a root.
pub async fn connect(root: &Path) -> io::Result<UnixStream> {
    let address = Address::of(&path(root))?;
    let error = match UnixStream::connect(&address.path).await {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            error
        }
        connected => return connected,
    };
    // If there is no daemon at the other paths either, the first error counts.
    let Ok(places) = paths_in_memory(root) else { return Err(error) };
    connect_to_first(places).await.ok_or(error)
}

async fn connect_to_first(places: impl IntoIterator<Item = PathBuf>) -> Option<UnixStream> {
    for place in places {
        if let Ok(stream) = UnixStream::connect(place).await {
            return Some(stream);
        }
    }
    None
}

/// A path that fits, and the open directory that keeps it valid.
pub(crate) struct Address {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Address {
    /// The path to bind or connect to, valid as long as this is not dropped.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn of(socket: &Path) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let Some((parent, name)) = socket.parent().zip(socket.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path: socket.to_owned(), _directory: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(parent, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_root_with_a_very_long_path_has_a_socket_too() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("x".repeat(120));
        std::fs::create_dir(&root).unwrap();
        let (listener, _) = bind(&root).unwrap().unwrap();
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&root));
        assert!(accepted.is_ok() && connected.is_ok());
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_alone_and_an_old_one_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        drop(bind(place.path()).unwrap());
        let _listener = bind(place.path()).unwrap().unwrap();
        let mode = std::fs::metadata(path(place.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_root_has_the_same_places_in_memory_by_whatever_path_it_is_reached() {
        let place = tempfile::tempdir().unwrap();
        let (root, link) = (place.path().join("root"), place.path().join("link"));
        std::fs::create_dir_all(root.join("state")).unwrap();
        std::os::unix::fs::symlink(&root, &link).unwrap();
        let instead = paths_in_memory(&root).unwrap();
        assert_eq!(instead, paths_in_memory(&link).unwrap());
        assert!(instead.iter().all(|place| place.starts_with("/run")), "{instead:?}");
        assert!(connect(&root).await.is_err(), "no daemon is at any of them");
    }

    #[tokio::test]
    async fn the_first_place_that_can_be_had_is_taken_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let [missing, there, other] =
            ["missing/x.sock", "x.sock", "y.sock"].map(|name| folder.path().join(name));
        let (listener, place) = bind_at_first([missing.clone(), there.clone(), other.clone()]).unwrap();
        assert_eq!(place, there);
        let (accepted, connected) =
            tokio::join!(listener.accept(), connect_to_first([missing.clone(), there, other]));
        assert!(accepted.is_ok() && connected.is_some());
        assert!(bind_at_first([missing.clone()]).is_none());
        assert!(connect_to_first([missing]).await.is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(path(place.path()), "mine").unwrap();
        assert_eq!(bind(place.path()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(path(place.path())).unwrap(), b"mine");
    }
}
