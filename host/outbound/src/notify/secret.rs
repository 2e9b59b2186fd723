//! Values that must not be in the node's file: passwords, tokens, secret URLs.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bellwether_os::file::{Access, open_without_waiting};

use super::outlet::NotDelivered;

/// The maximum size of a secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// Its first line. Read again for each attempt, because secrets change.
pub(super) async fn read(root: &Path, file: &Path) -> Result<String, NotDelivered> {
    by(root, file, line).await
}

/// The whole file, read again for each attempt.
pub(crate) async fn whole(root: &Path, file: &Path) -> Result<String, NotDelivered> {
    by(root, file, text).await
}

async fn by(root: &Path, file: &Path, read: fn(&Path) -> io::Result<String>) -> Result<String, NotDelivered> {
    let path = root.join(file);
    // A disk may hang, and the deadline must hold all the same.
    let value = tokio::task::spawn_blocking({
        let path: PathBuf = path.clone();
        move || read(&path)
    });
    let value = value.await.unwrap_or_else(|ended| Err(io::Error::other(ended)));
    value.map_err(|why| NotDelivered::new(format!("the secret in {} cannot be used: {why}", path.display())))
}

fn text(path: &Path) -> io::Result<String> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if Access::of(&metadata).is_for_others() {
        return Err(io::Error::other("others than its owner may use it: chmod 600"));
    }
    let mut text = String::new();
    file.take(MAX_SECRET).read_to_string(&mut text)?;
    Ok(text)
}

fn line(path: &Path) -> io::Result<String> {
    let text = text(path)?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::other("its first line is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_secret_is_the_first_line_of_a_file_that_is_its_owners_alone() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode| {
            let path = root.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("good", "hunter2 \nold\n", 0o600);
        write("open", "hunter2\n", 0o640);
        write("empty", "\n", 0o600);
        let secret = |name: &'static str| read(root.path(), Path::new(name));
        assert_eq!(secret("good").await.unwrap(), "hunter2");
        assert!(secret("open").await.unwrap_err().why.ends_with("chmod 600"));
        assert!(secret("empty").await.unwrap_err().why.contains("empty"));
        assert!(secret("none").await.is_err() && secret(".").await.is_err());
    }
}
