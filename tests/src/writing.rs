//! The ways in which people and programs write a file.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

/// One way of writing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Beside it, then renamed: most editors, package managers, rsync.
    Rename,
    /// The file itself is truncated and written again: `cp`, some editors.
    InPlace,
    /// In place, piece by piece, over a slow connection.
    SlowPieces,
    /// A symbolic link to a folder of the new version replaces the old one, as Kubernetes does it with a
    /// `ConfigMap`.
    LinkSwap,
}

/// How long a file must be unchanged before the daemon treats it as complete.
const SETTLED: Duration = Duration::from_millis(120);
/// Far shorter, so that a busy machine does not prolong it that much.
const BETWEEN_PIECES: Duration = Duration::from_millis(25);
/// Enough of them to last for longer.
const PIECES: usize = 12;

impl Way {
    /// All of them. The last one leaves a symbolic link behind.
    pub const ALL: [Self; 4] = [Self::Rename, Self::InPlace, Self::SlowPieces, Self::LinkSwap];

    /// Writes `content` to `path`. Returns whether it was written without a pause in which the daemon may have
    /// treated a part of it as complete: on a machine that is busy enough, there may be one.
    ///
    /// # Panics
    /// If that fails.
    pub fn write(self, path: &Path, content: &[u8]) -> bool {
        let begun = Instant::now();
        match self {
            Self::Rename => {
                let new = path.with_extension("new");
                fs::write(&new, content).expect("the file can be written");
                fs::rename(&new, path).expect("the file can be renamed");
            }
            Self::InPlace => {
                fs::write(path, content).expect("the file can be written");
                return begun.elapsed() < SETTLED;
            }
            Self::SlowPieces => {
                let mut file = fs::File::create(path).expect("the file can be made");
                let (mut last, mut longest) = (begun, Duration::ZERO);
                for piece in content.chunks(content.len().div_ceil(PIECES).max(1)) {
                    std::thread::sleep(BETWEEN_PIECES);
                    file.write_all(piece).expect("the piece can be written");
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                return longest < SETTLED;
            }
            Self::LinkSwap => swap(path, content),
        }
        true
    }
}

/// `NAME -> ..data/NAME`, `..data -> ..version`, and the second link is the one that is replaced.
fn swap(path: &Path, content: &[u8]) {
    let (folder, name) = (path.parent().expect("a folder"), path.file_name().expect("a name"));
    let version =
        tempfile::Builder::new().prefix("..").tempdir_in(folder).expect("a folder of the version").keep();
    fs::write(version.join(name), content).expect("the file can be written");
    let new = folder.join("..data_tmp");
    symlink(version.file_name().expect("a name"), &new).expect("the link can be made");
    fs::rename(&new, folder.join("..data")).expect("the link can be renamed");
    let target = Path::new("..data").join(name);
    if fs::read_link(path).is_ok_and(|to| to == target) {
        return;
    }
    let link = folder.join("..link_tmp");
    symlink(&target, &link).expect("the link can be made");
    fs::rename(&link, path).expect("the link can be renamed");
}
