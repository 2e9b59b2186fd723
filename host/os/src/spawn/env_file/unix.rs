//! Opens a file that only the daemon's user and root can have written.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::EnvFileError;
use crate::file::{Access, open_no_link};

/// A regular file, no link to one, and none that another user could have put there.
pub(super) fn open(path: &Path) -> Result<File, EnvFileError> {
    let file = match open_no_link(path) {
        Err(error) if is_missing(&error) => return Err(EnvFileError::Missing),
        opened => opened?.ok_or(EnvFileError::Link)?,
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(EnvFileError::NoFile);
    }
    if !only_trusted_may_write(Access::of(&metadata)) {
        return Err(EnvFileError::OthersMayWrite);
    }
    check_folders(path)?;
    Ok(file)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn only_trusted_may_write(access: Access) -> bool {
    access.is_own_or_roots() && !access.is_written_by_others()
}

/// Who may write in a folder on the way can put another file there, or a link to one that only root may read.
fn check_folders(path: &Path) -> Result<(), EnvFileError> {
    let path = std::path::absolute(path)?;
    let Some(folder) = path.parent() else { return Ok(()) };
    let real = folder.canonicalize()?;
    for on_the_way in real.ancestors().chain(folder.ancestors()) {
        let access = Access::of(&fs::metadata(on_the_way)?);
        // In one like /tmp only the owner of what is there can replace it.
        let is_sticky = access.mode & 0o1000 != 0 && access.owner == 0;
        let is_last = on_the_way == real || on_the_way == folder;
        if !only_trusted_may_write(access) && (is_last || !is_sticky) {
            return Err(EnvFileError::OthersMayWriteIn(on_the_way.to_owned()));
        }
    }
    Ok(())
}
