//! `bellwether:guest/secrets`: values that the operator provides.

use std::io::{self, Read as _};
use std::path::Path;

use bellwether_core::grant::Grant;
use bellwether_os::file::open_without_waiting;

use super::{error, refused};
use crate::bindings::errors::Error;
use crate::bindings::secrets::Host;
use crate::store::Run;

/// The maximum size of a secret, in bytes.
const MAX_SECRET: u64 = 64 << 10;

impl Host for Run {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let file = match self.grants.secret(&name) {
            Ok((name, file)) => {
                self.output.has_used(Grant::Secret(name, file));
                file.to_owned()
            }
            Err(refusal) => return Ok(Err(refused(self, refusal))),
        };
        // A disk may hang, and the deadline must hold all the same.
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let read = read.unwrap_or_else(|ended| Err(SecretError::Unreadable(io::Error::other(ended))));
        Ok(match read {
            Ok(value) => {
                self.output.keep_secret(&value);
                Ok(value)
            }
            // The path is omitted, because the guest need not know it.
            Err(SecretError::Unreadable(why)) => {
                Err(error("unreadable", &format!("the secret `{name}` cannot be read: {why}")))
            }
            Err(SecretError::TooLarge) => {
                let text = format!("the secret `{name}` has more than {MAX_SECRET} bytes");
                Err(error("too-large", &text))
            }
        })
    }
}

#[derive(Debug)]
enum SecretError {
    Unreadable(io::Error),
    TooLarge,
}

fn read(path: &Path) -> Result<Vec<u8>, SecretError> {
    let read = || {
        let file = open_without_waiting(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut value = Vec::new();
        file.take(MAX_SECRET + 1).read_to_end(&mut value)?;
        Ok(value)
    };
    let value = read().map_err(SecretError::Unreadable)?;
    if value.len() as u64 > MAX_SECRET { Err(SecretError::TooLarge) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn a_secret_is_a_regular_file_of_some_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("good"), "hunter2\n").unwrap();
        std::fs::write(path("most"), vec![b'x'; 64 << 10]).unwrap();
        std::fs::write(path("more"), vec![b'x'; (64 << 10) + 1]).unwrap();
        // In the way that a ConfigMap or a Secret of Kubernetes is mounted.
        std::os::unix::fs::symlink("good", path("link")).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read(&path("good")).unwrap(), b"hunter2\n");
        assert_eq!(read(&path("link")).unwrap(), b"hunter2\n");
        assert_eq!(read(&path("most")).unwrap().len(), 64 << 10);
        assert!(matches!(read(&path("more")), Err(SecretError::TooLarge)));
        for wrong in ["none", "pipe", "."] {
            assert!(matches!(read(&path(wrong)), Err(SecretError::Unreadable(_))), "{wrong}");
        }
        assert!(matches!(read(Path::new("/dev/zero")), Err(SecretError::Unreadable(_))));
    }
}
