//! The token that a daemon on another host wants.

use std::path::{Path, PathBuf};

use bellwether_os::file::Access;
use hyper::header::HeaderValue;

use super::remote::usage;
use crate::exit::Failure;

/// The variable that a token may stand in.
const TOKEN: &str = "BELLWETHER_TOKEN";

/// Where a token was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenSource {
    /// Nowhere: there is none.
    None,
    /// In a file.
    File(PathBuf),
    /// In the variable.
    Variable,
}

/// The token in this file, or else in the variable, as it is sent; and where it was found.
pub(super) fn find(file: Option<&Path>) -> Result<(Option<HeaderValue>, TokenSource), Failure> {
    let (token, source) = match file {
        Some(file) => (read_token(file)?, TokenSource::File(file.to_owned())),
        None => match std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty()) {
            Some(token) => (token, TokenSource::Variable),
            None => return Ok((None, TokenSource::None)),
        },
    };
    Ok((Some(bearer(&token)?), source))
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| {
        usage(format!("the token file {shown} cannot be read: {error}"), "name a file that contains a token")
    };
    let access = Access::of(&std::fs::metadata(file).map_err(unreadable)?);
    if access.is_for_others() {
        return Err(usage(
            format!("the token file {shown} can be read by others (mode {:03o})", access.mode & 0o777),
            format!("chmod 600 {shown}, and if another user may have read it, create a new token"),
        ));
    }
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    // The first line counts, as in every file with a secret.
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
    let mut value = value.map_err(|_| usage("this is not a token", "a token begins with bw_"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "bw_secret\n").unwrap();
        for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            match read_token(&file) {
                Ok(token) => assert!(!refused && token == "bw_secret", "{mode:o}"),
                Err(failure) => {
                    assert!(refused && failure.to_string().contains("chmod 600"), "{mode:o}: {failure}");
                    assert!(!failure.to_string().contains("bw_secret"));
                }
            }
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "bw_secret\n\nThis is shown once.\n").unwrap();
        assert_eq!(read_token(&file).unwrap(), "bw_secret", "the first line counts");
        assert_eq!(bearer("bw_secret\n").unwrap(), "Bearer bw_secret");
        assert!(bearer("bw_a\nb").is_err());
    }
}
