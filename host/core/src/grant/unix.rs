//! The grant `connect = ["unix:/run/app.sock"]`.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::{Grant, GrantKind, Grants, NotationError, Refusal};

/// One Unix socket of this machine, by its absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixGrant(PathBuf);

const PREFIX: &str = "unix:";
/// The size of `sun_path` in `unix(7)`, including its terminating zero.
const MAX_PATH: usize = 107;

/// Whether a `connect` grant is for a Unix socket.
pub(super) fn is_meant(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl FromStr for UnixGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let path = text.strip_prefix(PREFIX).ok_or_else(|| {
            NotationError::new(format!("`{}` does not begin with {PREFIX}", text.escape_debug()))
        })?;
        if path.is_empty() || path.contains('\0') {
            return Err(NotationError::new(format!("`{}` is not a path", path.escape_debug())));
        }
        if path.len() > MAX_PATH {
            return Err(NotationError::new(format!("the path of a socket has at most {MAX_PATH} bytes")));
        }
        let path = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || !path.components().all(plain) {
            return Err(NotationError::new(format!("`{}` is not an absolute path", path.display()))
                .help("write it from `/` on, without `..`: \"unix:/run/app.sock\""));
        }
        Ok(Self(path.components().collect()))
    }
}

impl fmt::Display for UnixGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.display())
    }
}

impl UnixGrant {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Grants {
    /// Whether the Unix socket at this path may be connected to. Returns the grant that allows it.
    pub fn may_connect_unix(&self, path: &str) -> Result<&UnixGrant, Refusal> {
        let value = format!("{PREFIX}{path}");
        let asked = value.parse::<UnixGrant>().ok();
        let found = asked.as_ref().and_then(|asked| self.unix.iter().find(|grant| *grant == asked));
        found.ok_or_else(|| Refusal::missing(GrantKind::Connect, format!("connect to {value}"), &value))
    }
}

impl<'g> From<&'g UnixGrant> for Grant<'g> {
    fn from(grant: &'g UnixGrant) -> Self {
        Self::Unix(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_granted_by_its_path_alone() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Connect, "unix:/run/app//x.sock").unwrap();
        assert_eq!(grants.list(), [(GrantKind::Connect, "unix:/run/app/x.sock".to_owned())]);
        assert!(grants.may_connect_unix("/run/app/x.sock").is_ok());
        for other in [
            "/run/app/y.sock",
            "/run/app",
            "/run/app/../app/x.sock",
            "x.sock",
            "",
            "/run/app/x.sock\0",
            "unix:/run/app/x.sock",
        ] {
            let refusal = grants.may_connect_unix(other).unwrap_err();
            assert!(refusal.to_string().contains("to allow it add grant = { connect = ["), "{refusal}");
        }
    }

    #[test]
    fn what_is_no_path_of_a_socket_is_refused() {
        for (text, why) in [
            ("unix:", "`` is not a path"),
            ("unix:run/app.sock", "`run/app.sock` is not an absolute path"),
            ("unix:/run/../app.sock", "`/run/../app.sock` is not an absolute path"),
            ("/run/app.sock", "`/run/app.sock` does not begin with unix:"),
            ("unix:unix:/run/app.sock", "`unix:/run/app.sock` is not an absolute path"),
            ("unix:@abstract", "`@abstract` is not an absolute path"),
        ] {
            assert_eq!(text.parse::<UnixGrant>().unwrap_err().to_string(), why, "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert!(long.parse::<UnixGrant>().unwrap_err().to_string().contains("at most 107 bytes"));
    }
}
